"""Gradients and their variants for xaicore: family ``gradient``."""
