"""The box of a model's samples, by what a user says of their features."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xaicore.errors import InvalidParameter
from xaicore.values import Array
from xaicore_cf.box import Box
from xaicore_cf.errors import FixedBatch
from xaicore_cf.layout import Layout

if TYPE_CHECKING:
    import numpy as np

    from xaicore.inspect.nodes import Graph
    from xaicore_cf.counterfactual import Counterfactual


def box_of(graph: Graph, settings: Counterfactual) -> Box:
    """Return the box of a model's samples.

    Raises:
        FixedBatch: the model takes batches of one size only.
        InvalidParameter: a parameter does not fit the model's inputs, or another.
        UnknownFeature: a name is none of the sample's.
    """
    for name, key in zip(graph.input_names, graph.inputs, strict=True):
        batch = graph.specs[key].shape[0]
        if batch is not None:
            raise FixedBatch(
                f"The input {name!r} takes batches of {batch} only; the search runs copies of each sample, and "
                "fewer as they arrive. Build the model with keras.Input(shape) instead of batch_shape or batch_size."
            )
    layout = Layout.of(graph, settings.names)
    free = _free(layout, settings.features)
    low, high = (
        None if b is None else layout.spread(f"bounds ({n})", b)
        for n, b in zip(("low", "high"), settings.bounds, strict=True)
    )
    groups = tuple(layout.indices("categories", group) for group in settings.categories)
    _check_groups(groups, free)
    if groups:
        low, high = _within_one(layout, groups, low, high)
    return Box(
        free=free,
        low=low,
        high=high,
        sides=_each(layout, "monotone", settings.monotone),
        groups=groups,
        steps=_each(layout, "integers", settings.integers),
        pertinent=settings.pertinent,
    )


def _free(layout: Layout, features: Array | tuple[int | str, ...] | None) -> np.ndarray | None:
    import numpy as np

    if features is None:
        return None
    if isinstance(features, Array) and features.data.dtype == bool:
        return layout.spread("features", features)
    chosen = features.data.reshape(-1).tolist() if isinstance(features, Array) else features
    return np.isin(np.arange(layout.size("features")), layout.indices("features", chosen))


def _each(layout: Layout, parameter: str, pairs: tuple[tuple[int | str, float], ...]) -> np.ndarray | None:
    import numpy as np

    if not pairs:
        return None
    found = np.zeros(layout.size(parameter))
    for feature, number in pairs:
        found[layout.indices(parameter, [feature])] = number
    return found


def _check_groups(groups: tuple[np.ndarray, ...], free: np.ndarray | None) -> None:
    import numpy as np

    every = np.concatenate(groups) if groups else np.zeros(0, int)
    if len(set(every.tolist())) != len(every):
        raise InvalidParameter("Given categories that share a feature; expected each feature in one of them at most.")
    for group in groups:
        if free is not None and free[group].any() and not free[group].all():
            raise InvalidParameter(
                f"Given features that hold some columns of the category {group.tolist()} and free others; hold all of "
                "them, or none."
            )


def _within_one(
    layout: Layout, groups: tuple[np.ndarray, ...], low: np.ndarray | None, high: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return bounds that keep the columns of categories between 0 and 1."""
    import numpy as np

    size, every = layout.size("categories"), np.concatenate(groups)
    low = np.full(size, -np.inf) if low is None else np.array(np.broadcast_to(low, size), float)
    high = np.full(size, np.inf) if high is None else np.array(np.broadcast_to(high, size), float)
    low[every], high[every] = np.maximum(low[every], 0), np.minimum(high[every], 1)
    return low, high
