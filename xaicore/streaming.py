"""Data through a bound analyzer, batch by batch, with progress."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np

from xaicore.errors import EmptyInput, InvalidArgument
from xaicore.explanation import Explanation, join_targets
from xaicore.inspect.structure import fill, join
from xaicore.nesting import is_cut
from xaicore.sources import Batch, open_source

if TYPE_CHECKING:
    from xaicore.binding import Bound
    from xaicore.protocols import Attribution


def stream(
    bound: Bound,
    data: object,
    target: object = None,
    *,
    batch_size: int | None = None,
    verbose: str | int = "auto",
    callbacks: Sequence[object] = (),
) -> Explanation:
    """Explain data batch by batch; see ``AnalyzerBase.explain``.

    Args:
        bound: An analyzer bound to a model.
        data: Arrays or tensors, a list or dict of them; a ``tf.data.Dataset``, a ``keras.utils.PyDataset`` or an
            iterator of x, (x, target) or (x, target, weight).  Weights are not used.
        target: For all data; arrays have a row per sample.  Data that brings targets takes none here.
        batch_size: Samples per step.  Default 32; the data's own batches where it has some.
        verbose: 0 no progress bar, 1 or 2 as Keras has them, "auto" a bar on a terminal for several batches.
        callbacks: They get ``on_predict_begin``, ``on_predict_batch_begin``, ``on_predict_batch_end`` (with the batch's
            Attribution as ``logs["outputs"]``) and ``on_predict_end``.

    Raises:
        EmptyInput: No sample.
        InputMistake, TargetMistake: Of arrays, before the first batch runs; of other data, before its batch runs.
    """
    source = open_source(bound, data, target, batch_size)
    events = _events(callbacks, verbose, source.steps)
    found: list[Attribution] = []
    described: list[object] = []
    sizes: list[int] = []
    structure: object = None
    events.on_predict_begin()
    for step, batch in enumerate(source.batches):
        events.on_predict_batch_begin(step)
        ids = np.arange(len(batch.parsed.index), dtype=np.int64) + sum(sizes)
        one = bound.batch(batch.inputs, batch.parsed, ids)
        found.append(one)
        described.append(batch.parsed.described)
        sizes.append(len(ids))
        structure = _structure(bound, batch, one)
        events.on_predict_batch_end(step, {"outputs": one})
    events.on_predict_end()
    if not sizes:
        raise EmptyInput("Given data without a single batch; expected at least one sample.")
    return Explanation(
        attributions=fill(structure, _joined([list(one.attributions) for one in found], "attributions")),  # type: ignore[arg-type]
        scores=_joined([one.scores for one in found], "scores"),
        target=described[0] if source.whole_target else join_targets(described, sizes),
        ids=np.arange(sum(sizes), dtype=np.int64),
        extras=_joined([dict(one.extras) for one in found], "extras"),  # type: ignore[arg-type]
        analyzer=bound.expression,
        model=bound.fingerprint,
        coverage=bound.coverage,
    )


def _joined(parts: list[object], name: str) -> object:
    """Return what the batches gave as one, and let go of the parts: only one result is held twice at a time."""
    whole = join(parts, name)
    parts.clear()
    return whole


def _structure(bound: Bound, batch: Batch, one: Attribution) -> object:
    """Return the structure of attributions: that of the data; an array or a list where an inner tensor is explained."""
    if not is_cut(bound.analyzer):
        return batch.structure
    count = len(one.attributions)
    return 0 if count == 1 else list(range(count))


def _events(callbacks: Sequence[object], verbose: str | int, steps: int | None) -> keras.callbacks.CallbackList:
    if not (verbose == "auto" or (isinstance(verbose, int) and verbose in {0, 1, 2})):
        raise InvalidArgument(f"Given verbose={verbose!r}; expected 'auto', 0, 1 or 2.")
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks
    if not isinstance(callbacks, list | tuple) or not all(isinstance(c, keras.callbacks.Callback) for c in callbacks):
        raise InvalidArgument(f"Given callbacks={callbacks!r}; expected a list of keras.callbacks.Callback objects.")
    bar = steps != 1 and sys.stdout.isatty() if verbose == "auto" else bool(verbose)
    shown = 1 if verbose == "auto" else int(verbose)
    return keras.callbacks.CallbackList(list(callbacks), add_progbar=bar, verbose=shown, epochs=1, steps=steps)
