"""Where features are in a sample: the inputs of the model, flattened one behind the other."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import attrs

from xaicore.errors import InvalidParameter
from xaicore.values import Array
from xaicore_cf.errors import UnknownFeature

if TYPE_CHECKING:
    import numpy as np

    from xaicore.inspect.nodes import Graph
    from xaicore_cf.features import Feature


@attrs.frozen
class Layout:
    """Where features are in the flattened sample.

    inputs: names of the model's inputs.  samples: their shapes without the batch.  names: of the features, or empty.
    """

    inputs: tuple[str, ...]
    samples: tuple[tuple[int | None, ...], ...]
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, graph: Graph, names: tuple[str, ...] = ()) -> Layout:
        """Return the layout of a model's samples.

        Raises:
            InvalidParameter: there is not one name for each feature.
        """
        samples = tuple(tuple(graph.specs[key].shape[1:]) for key in graph.inputs)
        found = cls(tuple(graph.input_names), samples, names)
        if names and found.size("names") != len(names):
            raise InvalidParameter(f"Given {len(names)} names for samples of {found.size('names')} features.")
        return found

    def size(self, parameter: str) -> int:
        """Return the number of features.

        Raises:
            InvalidParameter: samples have any length, so that a parameter that counts features says nothing.
        """
        if any(n is None for sample in self.samples for n in sample):
            raise InvalidParameter(
                f"Given features for {parameter}; the model takes samples of any length, {list(self.samples)}, so that "
                "an entry per feature says nothing. Give a number, or a model of a fixed length."
            )
        return sum(math.prod(sample) for sample in self.samples)  # type: ignore[arg-type]

    def indices(self, parameter: str, chosen: Iterable[Feature]) -> np.ndarray:
        """Return the indices of features, in order.

        The name of an input stands for all of its features, and ``job`` for those called ``job=clerk``, ``job=driver``.

        Raises:
            InvalidParameter: an index lies beyond the sample.
            UnknownFeature: there is no feature, and no input, of this name.
        """
        import numpy as np

        size, found = self.size(parameter), []
        ends = np.cumsum([0, *(math.prod(sample) for sample in self.samples)])  # type: ignore[arg-type]
        for one in chosen:
            if isinstance(one, int):
                if one >= size:
                    raise InvalidParameter(
                        f"Given {parameter} with index {one}; the flattened sample has 0 to {size - 1}."
                    )
                found.append([one])
            elif one in self.names:
                found.append([self.names.index(one)])
            elif any(name.startswith(f"{one}=") for name in self.names):
                found.append([i for i, name in enumerate(self.names) if name.startswith(f"{one}=")])
            elif one in self.inputs:
                k = self.inputs.index(one)
                found.append(range(ends[k], ends[k + 1]))
            else:
                raise self._unknown(parameter, one)
        return np.array([i for part in found for i in part], int)

    def _unknown(self, parameter: str, name: str) -> UnknownFeature:
        every = (*self.names, *self.inputs)
        near = difflib.get_close_matches(name, every, 3)
        advice = f"Did you mean {', '.join(map(repr, near))}?" if near else f"There are {', '.join(every[:12])}."
        told = "" if self.names else " Features have names where names= gives them."
        return UnknownFeature(f"Given {parameter} with {name!r}, which names no feature and no input. {advice}{told}")

    def spread(self, parameter: str, value: float | Array) -> np.ndarray:
        """Return a number as it is, an array as (features,).

        Raises:
            InvalidParameter: the array neither has an entry per feature nor broadcasts to a sample.
        """
        import numpy as np

        if not isinstance(value, Array):
            return np.asarray(value)
        size = self.size(parameter)
        if value.shape == (size,):
            return value.data
        if len(self.samples) == 1 and _broadcasts(value.shape, self.samples[0]):
            return np.broadcast_to(value.data, self.samples[0]).reshape(-1)  # type: ignore[arg-type]
        shape = f" or an array that broadcasts to one sample, {self.samples[0]}" if len(self.samples) == 1 else ""
        raise InvalidParameter(
            f"Given {parameter} of shape {value.shape}; expected ({size},), one entry per feature of the flattened "
            f"sample{shape}."
        )


def _broadcasts(shape: tuple[int, ...], sample: tuple[Any, ...]) -> bool:
    return len(shape) <= len(sample) and all(
        n in {1, m} for n, m in zip(reversed(shape), reversed(sample), strict=False)
    )
