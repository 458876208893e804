"""Counterfactuals for xaicore: family ``cf``."""
