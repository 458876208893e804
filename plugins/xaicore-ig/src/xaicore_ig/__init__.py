"""Integrated gradients for xaicore: family ``ig``."""
