"""Batches that are too large for the memory: halved, with a word, and halved from then on."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs
import keras
import numpy as np
import tensorflow as tf

from xaicore.errors import MemoryWarning, OutOfMemory
from xaicore.nesting import nested

if TYPE_CHECKING:
    from xaicore.analyzer import AnalyzerBase
    from xaicore.binding import Bound
    from xaicore.engine.target import ParsedTarget
    from xaicore.protocols import Attribution

_FIELD = "internal_batch_size"
_UNBOUNDED = 1024  # what None counts as: most rows that a loop over copies runs at once


class Halves:
    """Runs batches through a bound analyzer, in parts as large as the memory lets them be.

    First samples are divided.  One that does not fit alone runs with half of the analyzer's ``internal_batch_size``,
    where it has one.

    Law: the same as whole batches, since explanations are per sample.  ``extras`` tells for each sample how many ran
    together, of those before the first division too.
    """

    def __init__(self, bound: Bound) -> None:
        """Start with whole batches."""
        self.bound = bound
        self.most: int | None = None
        self.internal: int | None = None
        self._sizes: list[int] = []
        self._internals: list[int] = []

    def __call__(self, inputs: Sequence[np.ndarray], parsed: ParsedTarget, ids: np.ndarray) -> Attribution:
        """Explain one batch."""
        total, start = len(ids), 0
        found: list[Attribution] = []
        while start < total:
            size = min(self.most or total, total - start)
            rows = slice(start, start + size)
            part = attrs.evolve(parsed, index=parsed.index[rows])
            try:
                found.append(self.bound.batch([x[rows] for x in inputs], part, ids[rows]))
            except tf.errors.ResourceExhaustedError as error:
                self._halve(size, error)
                continue
            self._sizes += [size] * size
            self._internals += [self.internal or 0] * size
            start += size
        whole: Attribution = keras.tree.map_structure(lambda *same: np.concatenate(same), *found)
        return found[0] if len(found) == 1 else whole

    def extras(self, rows: slice = slice(None), *, always: bool = False) -> Mapping[str, np.ndarray]:
        """Return, for some of the samples so far, what is told of the divisions; nothing where there was none.

        always: also where there was none yet, so that results which are made one by one have the same extras.
        """
        found = {}
        if always or self.most is not None:
            found["rows_at_once"] = np.array(self._sizes[rows], np.int32)
        if self.internal is not None:
            found[_FIELD] = np.array(self._internals[rows], np.int32)
        return found

    def _halve(self, size: int, error: Exception) -> None:
        """Take half from now on."""
        if size > 1:
            self.most = size // 2
            name, before, now = "batch_size", f"{size} samples", self.most
        else:
            self.internal = now = self._narrow(error)
            name, before = _FIELD, f"{2 * now} points of one sample"
        warnings.warn(
            f"{before} at once do not fit into the memory; going on with {now}. {name}={now} says so from the start.",
            MemoryWarning,
            stacklevel=5,
        )

    def _narrow(self, error: Exception) -> int:
        """Bind anew with half as many points of a sample at once; return how many."""
        rows = max((_rows(one) for one in nested(self.bound.analyzer)), default=1)
        if rows == 1:
            raise OutOfMemory(
                f"Explaining one sample by {self.bound.expression} does not fit into the memory, and nothing is left "
                f"to halve. Explain smaller inputs, a later site (at=...), or run on a device with more memory. "
                f"TensorFlow says: {str(error).splitlines()[0][:200]}"
            ) from error
        self.bound = self.bound.with_analyzer(_bounded(self.bound.analyzer, rows // 2))
        return rows // 2


def _rows(analyzer: AnalyzerBase) -> int:
    """Return how many points of a sample an analyzer runs at once; 1 where nothing bounds them."""
    if not hasattr(analyzer, _FIELD):
        return 1
    return getattr(analyzer, _FIELD) or min(_UNBOUNDED, getattr(analyzer, "n_steps", _UNBOUNDED))


def _bounded(analyzer: Any, rows: int) -> Any:
    """Return the analyzer, and those inside, with at most so many points at once."""
    changed: dict[str, Any] = {}
    if hasattr(analyzer, "inner") and analyzer.inner is not None:
        changed["inner"] = _bounded(analyzer.inner, rows)
    if hasattr(analyzer, _FIELD):
        changed[_FIELD] = min(rows, _rows(analyzer))
    return attrs.evolve(analyzer, **changed)
