"""The mistakes that only a search for counterfactuals knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xaicore.errors import InputMistake, ModelMistake, NameMistake, ResultMistake, TargetMistake, TargetNeeded

if TYPE_CHECKING:
    from xaicore.explanation import Explanation


class ClassNeeded(TargetNeeded):
    """No class was given for the counterfactual to reach; the one that is predicted already is none to choose."""


class NotAClass(TargetMistake, TypeError):
    """The target is a function or a contrast; a counterfactual reaches a class."""


class FixedBatch(ModelMistake, ValueError):
    """The model takes batches of one size only, and the search runs batches of changing size."""


class UnknownFeature(NameMistake, KeyError):
    """A feature that was named is none of the sample's."""


class NoDeviation(UserWarning):
    """A feature has no deviation to be measured in, and is measured in units of the input."""


class CostIncomplete(InputMistake, TypeError):
    """A cost was called alone, without what it reads."""


class NotALoss(InputMistake, TypeError):
    """What is to be minimised is no function of x that returns numbers, one per sample."""


class RowsCoupled(NameMistake, ValueError):
    """The optimizer's step for one sample depends on the others, so that samples could not leave the batch."""


class NumberToReach(CostIncomplete):
    """A cost of a class's probability was given a number to reach in the place of the class."""


class NotTold(ResultMistake, ValueError):
    """Whether counterfactuals are valid was asked of a result that holds none, such as a mean over noisy copies."""


class CounterfactualNotFound(ResultMistake, LookupError):
    """Some samples have no valid counterfactual.

    explanation: the result, with the best effort for them, and ``valid`` False.
    """

    def __init__(self, message: str, explanation: Explanation) -> None:
        """Keep the result."""
        super().__init__(message)
        self.explanation = explanation
