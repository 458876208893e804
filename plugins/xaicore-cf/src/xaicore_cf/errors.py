"""The mistakes that only a search for counterfactuals knows."""

from __future__ import annotations

from xaicore.errors import ModelMistake, TargetMistake, TargetNeeded


class ClassNeeded(TargetNeeded):
    """No class was given for the counterfactual to reach; the one that is predicted already is none to choose."""


class NotAClass(TargetMistake, TypeError):
    """The target is a function or a contrast; a counterfactual reaches a class."""


class FixedBatch(ModelMistake, ValueError):
    """The model takes batches of one size only, and the search runs batches of changing size."""
