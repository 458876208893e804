"""The way back through a forward sweep: relevance from the output to the inputs, and an account of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import tensorflow as tf

from xaicore.engine.execute import Ran, add_sinks
from xaicore.protocols import Relevance

if TYPE_CHECKING:
    from xaicore.inspect.nodes import Node


class Sweep:
    """One way back through the records of a forward sweep: what is kept of it, and what got lost."""

    def __init__(self, tapped: Mapping[int, Sequence[str]], halted: set[int], scores: tf.Tensor | None) -> None:
        """Start.

        tapped: key -> names of the site whose relevance is kept.  halted: keys whose relevance is not passed on.
        scores: where an account is wanted, else None.
        """
        self.tapped, self.halted, self.scores = tapped, halted, scores
        self.total: dict[str, tf.Tensor] = {}
        self.kept: dict[str, tf.Tensor] = {}
        self.ledger: dict[str, dict[str, tf.Tensor]] = {}

    def run(self, records: Sequence[tuple[Node, Ran]], relevance: dict[int, tf.Tensor | None]) -> None:
        """Go from the last record to the first, adding to ``relevance`` by key of tensor."""
        for node, (outputs, backward) in reversed(records):
            arrived = [relevance.pop(k, None) for k in node.outputs]
            for key, output, r in zip(node.outputs, outputs, arrived, strict=True):
                if key in self.tapped:
                    self.kept.update(dict.fromkeys(self.tapped[key], or_zeros(r, output)))
            if all(r is None for r in arrived):
                continue
            stopped = bool(self.halted & set(node.outputs))
            found = Relevance((), {"stopped": self._sum(arrived)}) if stopped else backward(*arrived)
            if self.scores is not None:
                add_sinks(self.total, found.sinks)
                row = {"arrived": self._sum(arrived), "passed": self._sum(found.inputs), **found.sinks}
                self.ledger[str(node.site)] = row
            for key, r in zip(node.inputs, found.inputs, strict=bool(found.inputs)):
                if r is not None:
                    before = relevance.get(key)
                    relevance[key] = r if before is None else before + r

    def _sum(self, relevances: Sequence[tf.Tensor | None]) -> tf.Tensor:
        """Return the sum per sample, (batch,)."""
        if self.scores is None:
            return tf.constant(0.0)
        parts = [
            tf.reduce_sum(tf.cast(r, self.scores.dtype), list(range(1, len(r.shape))))
            for r in relevances
            if r is not None
        ]
        return tf.add_n(parts) if parts else tf.zeros_like(self.scores)


def or_zeros(relevance: tf.Tensor | None, like: tf.Tensor) -> tf.Tensor:
    """Return relevance, zeros of a tensor's shape for none."""
    return tf.zeros_like(like) if relevance is None else relevance
