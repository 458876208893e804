"""Pure functions of tensors: the forward sweep, the backward sweep, targets, loops, random numbers."""
