"""Batches that are too large for the memory: halved, with a word, and halved from then on."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs
import keras
import numpy as np
import tensorflow as tf

from xaicore.errors import MemoryWarning

if TYPE_CHECKING:
    from xaicore.binding import Bound
    from xaicore.engine.target import ParsedTarget
    from xaicore.protocols import Attribution


class Halves:
    """Runs batches through a bound analyzer, in parts as large as the memory lets them be.

    Law: the same as whole batches, since explanations are per sample.  Where a batch was divided, the extra
    ``rows_at_once`` tells for each sample how many ran together.
    """

    def __init__(self, bound: Bound) -> None:
        """Start with whole batches."""
        self.bound = bound
        self.most: int | None = None

    def __call__(self, inputs: Sequence[np.ndarray], parsed: ParsedTarget, ids: np.ndarray) -> Attribution:
        """Explain one batch."""
        total, start = len(ids), 0
        found: list[Attribution] = []
        sizes: list[int] = []
        while start < total:
            size = min(self.most or total, total - start)
            rows = slice(start, start + size)
            part = attrs.evolve(parsed, index=parsed.index[rows])
            try:
                found.append(self.bound.batch([x[rows] for x in inputs], part, ids[rows]))
            except tf.errors.ResourceExhaustedError:
                if size == 1:
                    raise
                self._halve(size)
                continue
            sizes.append(size)
            start += size
        if self.most is None:
            return found[0]
        whole: Attribution = keras.tree.map_structure(lambda *same: np.concatenate(same), *found)
        rows_at_once = np.repeat(np.array(sizes, np.int32), sizes)
        return whole._replace(extras={**whole.extras, "rows_at_once": rows_at_once})

    def _halve(self, size: int) -> None:
        """Take half from now on."""
        self.most = size // 2
        warnings.warn(
            f"{size} samples at once do not fit into the memory; going on with {self.most}. batch_size={self.most} "
            "says so from the start.",
            MemoryWarning,
            stacklevel=4,
        )
