"""Explanations by perturbation: what the output loses when parts of the input are taken away."""
