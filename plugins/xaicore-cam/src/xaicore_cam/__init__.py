"""Class activation maps for xaicore: family ``cam``."""
