"""What is given to a search: its weights, a predicate, and settings that do not go together."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

from xaicore.errors import InvalidParameter
from xaicore.values import Array, real
from xaicore_cf.costs import INPUTS, leaves, reads
from xaicore_cf.host import is_hosted

if TYPE_CHECKING:
    from xaicore_cf.counterfactual import Counterfactual


def weights(value: Any, instance: Any, field: Any) -> tuple[float, ...]:
    """Return positive numbers, of one, a list or an array."""
    single: Any = real(above=0)
    if isinstance(value, Array) or (hasattr(value, "tolist") and getattr(value, "ndim", 0)):
        value = getattr(value, "data", value) if isinstance(value, Array) else value
        value = value.reshape(-1).tolist()
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not values or not all(isinstance(one, Real) for one in values):
        raise InvalidParameter(f"Given C={value!r:.80}; expected a positive number or a list of them.")
    return tuple(single(one, instance, field) for one in values)


def predicate(value: Any) -> Any:
    """Return a function, or None."""
    if value is not None and not callable(value):
        raise InvalidParameter(f"Given done={value!r:.80}; expected a function: outputs (batch, ...) -> bool (batch,).")
    return value


def refuse_at_odds(settings: Counterfactual) -> None:
    """Refuse costs in each other's place, and copies that would be the same.

    Raises:
        InvalidParameter: settings do not go together.
    """
    if reads(settings.cost, INPUTS) != INPUTS or getattr(settings.cost, "among", False):
        raise InvalidParameter(
            f"Given cost={settings.cost}; expected a cost of the inputs alone, such as cf.l1 or cf.l2."
        )
    if "outputs" not in reads(settings.prediction):
        raise InvalidParameter(
            f"Given prediction={settings.prediction}; expected a cost of the outputs, such as cf.nll."
        )
    if settings.numbers and any(
        "outputs" in reads(one) and not hasattr(one, "met") for one in leaves(settings.prediction)
    ):
        raise InvalidParameter(
            f"Given prediction={settings.prediction}; a cost of the output as it is, and one of logits, do not add up."
        )
    if settings.diversity is not None and not getattr(settings.diversity, "among", False):
        raise InvalidParameter(
            f"Given diversity={settings.diversity}; expected a cost of several candidates, such as cf.diversity."
        )
    if settings.plausibility is not None and reads(settings.plausibility, INPUTS) != INPUTS:
        raise InvalidParameter(
            f"Given plausibility={settings.plausibility}; expected a cost of the inputs, such as cf.density."
        )
    if settings.n > 1 and settings.noise == 0:
        raise InvalidParameter(f"Given n={settings.n} and noise=0; {settings.n} searches from one point find the same.")
    if settings.n > 1 and is_hosted(settings.optimizer):
        raise InvalidParameter(
            f"Given n={settings.n} and optimizer={settings.optimizer}; several that are found together take an "
            "optimizer of the loop, such as cf.adam."
        )
    if settings.schedule is not None and is_hosted(settings.optimizer):
        raise InvalidParameter(
            f"Given schedule={settings.schedule} and optimizer={settings.optimizer}; methods of the host keep C, and "
            "divide it by ten until they meet something. Leave schedule= away, or take an optimizer of the loop."
        )
