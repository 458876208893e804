"""Data through a bound analyzer, batch by batch, with progress."""

from __future__ import annotations

import itertools
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs
import keras
import numpy as np

from xaicore.described import about
from xaicore.errors import EmptyInput, InvalidArgument
from xaicore.explanation import Explanation, join_targets
from xaicore.forwarded import check_lengths
from xaicore.halving import Halves
from xaicore.inspect.structure import fill, join
from xaicore.nesting import is_cut, nested, rows_of
from xaicore.sources import Batch, Source, open_source

if TYPE_CHECKING:
    from xaicore.binding import Bound
    from xaicore.protocols import Attribution


@attrs.frozen(eq=False)
class Run:
    """How data goes through a bound analyzer.

    batch_size: Samples per step.  Default 32; the data's own batches where it has some.
    verbose: 0 no progress bar, 1 or 2 as Keras has them, "auto" a bar on a terminal for several batches.
    callbacks: They get ``on_predict_begin``, ``on_predict_batch_begin``, ``on_predict_batch_end`` (with the batch's
        Attribution as ``logs["outputs"]``) and ``on_predict_end``.
    steps: Most batches that are taken; None takes all.
    sink: Gets the Explanation of each batch as it comes; nothing is kept then.
    model: What callbacks find as their model.
    forwarded: Further arguments of the model with a row for each sample.
    keep_data: Whether the result holds the data, where paths start, and the model's predictions.
    queue: How a PyDataset makes its batches: workers, use_multiprocessing, max_queue_size, where it is told.
    """

    batch_size: int | None = None
    verbose: str | int = "auto"
    callbacks: Sequence[object] = ()
    steps: int | None = None
    sink: Callable[[Explanation], object] | None = None
    queue: Mapping[str, Any] = attrs.field(factory=dict)
    model: keras.Model | None = None
    forwarded: Mapping[str, np.ndarray] = attrs.field(factory=dict)
    keep_data: bool = False


def stream(bound: Bound, data: object, target: object = None, run: Run | None = None) -> Explanation | None:
    """Explain data batch by batch; see ``AnalyzerBase.explain``.

    Args:
        bound: An analyzer bound to a model.
        data: Arrays or tensors, a list or dict of them; a ``tf.data.Dataset``, a ``keras.utils.PyDataset`` or an
            iterator of x, (x, target) or (x, target, weight).  Weights are not used.
        target: For all data; arrays have a row per sample.  Data that brings targets takes none here.
        run: How.

    Returns:
        The explanation of all samples; None where a sink has got it.

    Raises:
        EmptyInput: No sample.
        InputMistake, TargetMistake: Of arrays, before the first batch runs; of other data, before its batch runs.
    """
    run = Run() if run is None else run
    source = open_source(bound, data, target, run.batch_size, run.queue, run.steps)
    rows = rows_of(bound.analyzer, bound.program)
    if source.samples is not None:
        _check_rows(run, rows, source.samples)
    expected = source.steps if run.steps is None else min(run.steps, source.steps or run.steps)
    events = _events(run, expected)
    halves = Halves(bound)
    kept, told = _Kept(bound, source, halves), _Told(bound)
    kept.about = about(bound.analyzer, target)
    events.on_predict_begin()
    for step, batch in enumerate(itertools.islice(source.batches, run.steps)):
        events.on_predict_batch_begin(step)
        ids = np.arange(len(batch.parsed.index), dtype=np.int64) + kept.count
        _check_rows(run, rows, kept.count + len(ids), least=True)
        forwarded = {name: array[ids] for name, array in run.forwarded.items()}
        one = halves([*batch.inputs, *forwarded.values()], batch.parsed, ids)
        data = _data(bound, batch.inputs, forwarded, ids) if run.keep_data else {}
        if run.sink is None:
            kept.add(batch, one, ids, data)
        else:
            kept.count += len(ids)
            alone = _Kept(bound, source, halves, to_sink=True)
            alone.add(batch, one, ids, data)
            alone.about = kept.about
            part = alone.explanation()
            told.read(part)
            run.sink(part)
        events.on_predict_batch_end(step, {"outputs": one})
    events.on_predict_end()
    if not kept.count:
        raise EmptyInput("Given data without a single batch; expected at least one sample.")
    if run.sink is not None:
        told.say()
        return None
    explanation = kept.explanation()
    for analyzer in nested(bound.analyzer):
        analyzer.warn_about(explanation)
    return explanation


class _Kept:
    """What the batches gave so far."""

    def __init__(self, bound: Bound, source: Source, halves: Halves, *, to_sink: bool = False) -> None:
        self.bound, self.source, self.halves, self.to_sink = bound, source, halves, to_sink
        self.found: list[Attribution] = []
        self.described: list[object] = []
        self.ids: list[np.ndarray] = []
        self.count = 0
        self.structure: object = None
        self.data: list[dict[str, Any]] = []
        self.about: dict[str, Any] = {}

    def add(self, batch: Batch, one: Attribution, ids: np.ndarray, data: dict[str, Any]) -> None:
        """Take a batch's attributions, and what is kept of the data."""
        self.data.append(data)
        self.found.append(one)
        self.described.append(batch.parsed.described)
        self.ids.append(ids)
        self.count += len(ids)
        self.structure = _structure(self.bound, batch, one)

    def explanation(self) -> Explanation:
        """Return what was kept as one, and let go of it."""
        ids = np.concatenate(self.ids)
        # Of what goes to a sink nothing can be added later: every part has the same extras from the start.
        divided = self.halves.extras(slice(int(ids[0]), int(ids[-1]) + 1), always=self.to_sink)
        extras: Any = _joined([dict(one.extras) for one in self.found], "extras")
        return Explanation(
            attributions=fill(self.structure, _joined([list(one.attributions) for one in self.found], "attributions")),  # type: ignore[arg-type]
            scores=_joined([one.scores for one in self.found], "scores"),
            target=self._target(ids),
            ids=ids,
            extras={**extras, **divided},
            analyzer=self.bound.expression,
            model=self.bound.fingerprint,
            coverage=self.bound.coverage,
            output=self.bound.output_specs[self.bound.output].name,
            about=self.about,
            kept=_joined(self.data, "kept data"),  # type: ignore[arg-type]
        )

    def _target(self, ids: np.ndarray) -> object:
        if not self.source.whole_target:
            return join_targets(self.described, [len(one) for one in self.ids])
        whole = self.described[0]  # of all data; a sink gets a part of it
        return whole[ids] if isinstance(whole, np.ndarray) and whole.ndim else whole


def _check_rows(run: Run, rows: int | None, samples: int, *, least: bool = False) -> None:
    """Raise InvalidArgument unless there is a row for each sample in what is given with rows.

    rows: of the analyzer's own values, None where it has none.  least: there may be more samples to come.
    """
    check_lengths(run.forwarded, samples, least=least)
    if rows is not None and (rows < samples or (rows != samples and not least)):
        some = "at least " if least else ""
        raise InvalidArgument(
            f"Given initial relevance or baselines for {rows} samples and {some}{samples} samples; expected one for "
            "each."
        )


def _data(
    bound: Bound, inputs: Sequence[np.ndarray], forwarded: Mapping[str, np.ndarray], ids: np.ndarray
) -> dict[str, Any]:
    """Return a batch's data as a result holds it."""
    found: dict[str, Any] = {"X": list(inputs), "forward_kwargs": dict(forwarded)}
    found["predictions"] = bound.predictions([*inputs, *forwarded.values()])
    starts = next((s for one in nested(bound.analyzer) if (s := one.starts(inputs, ids)) is not None), None)
    return found if starts is None else {**found, "baselines": starts}


class _Told:
    """What analyzers warn of in parts that go to a sink: said once, at the end."""

    def __init__(self, bound: Bound) -> None:
        self.analyzers = list(nested(bound.analyzer))
        self.parts = self.warned = 0
        self.first: tuple[str, type[Warning]] | None = None

    def read(self, part: Explanation) -> None:
        """Note what is warned of in a part."""
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            for analyzer in self.analyzers:
                analyzer.warn_about(part)
        self.parts += 1
        self.warned += bool(found)
        if found and self.first is None:
            samples = f"samples {part.ids[0]} to {part.ids[-1]}"
            self.first = f"Of {samples}: {found[0].message}", found[0].category

    def say(self) -> None:
        """Warn, if there is something to warn of."""
        if self.first is not None:
            text, category = self.first
            message = f"{text} {self.warned} of {self.parts} parts that went to the sink have such samples."
            warnings.warn(message, category, stacklevel=3)


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


def _events(run: Run, steps: int | None) -> keras.callbacks.CallbackList:
    verbose, callbacks = run.verbose, run.callbacks
    if not (verbose == "auto" or (isinstance(verbose, int) and verbose in {0, 1, 2})):
        raise InvalidArgument(f"Given verbose={verbose!r}; expected 'auto', 0, 1 or 2.")
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks
    if not isinstance(callbacks, list | tuple) or not all(isinstance(c, keras.callbacks.Callback) for c in callbacks):
        raise InvalidArgument(f"Given callbacks={callbacks!r}; expected a list of keras.callbacks.Callback objects.")
    bar = steps != 1 and sys.stdout.isatty() if verbose == "auto" else bool(verbose)
    shown = 1 if verbose == "auto" else int(verbose)
    return keras.callbacks.CallbackList(
        list(callbacks), add_progbar=bar, model=run.model, verbose=shown, epochs=1, steps=steps
    )
