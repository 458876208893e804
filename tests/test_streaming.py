"""However data comes, the same samples give the same explanation; what is wrong with it is said before it is run."""

from __future__ import annotations

import sys

import attrs
import keras
import numpy as np
import pytest
import tensorflow as tf

import xaicore
from xaicore.engine.target import OutputSpec, parse
from xaicore.errors import (
    EmptyInput,
    InputNotFinite,
    InputStructure,
    InvalidArgument,
    InvalidExplanation,
    TargetLength,
    TargetOutOfRange,
    TargetType,
)
from xaicore.explanation import Explanation, concat
from xaicore.inspect.inputs import InputSpec
from xaicore.protocols import Attribution
from xaicore.streaming import Run
from xaicore.streaming import stream as through
from xaicore.testing.models import MODELS, inputs_of, rows_of

BATCH = 7
CLASSES = 4
X = np.random.default_rng(0).normal(size=(BATCH, 3)).astype(np.float32)


def stream(bound, data, target=None, *, verbose=0, **options):
    return through(bound, data, target, Run(verbose=verbose, **options))


@attrs.define
class Inner:
    at: str | None = None

    def warn_about(self, explanation):
        pass

    def rows(self, program):
        return None

    def starts(self, inputs, ids):
        return None


@attrs.define
class Bound:
    """Explains nothing: attributions are the inputs times 1 + target, scores the ids.  Counts its batches."""

    input_specs: tuple[InputSpec, ...] = (InputSpec("x", (None, 3), "float32"),)
    input_structure: object = 0
    analyzer: Inner = attrs.Factory(Inner)
    expression: str = "fake"
    fingerprint: str = "0123"
    coverage: tuple[dict[str, str], ...] = ({"site": "dense", "operation": "Dense", "action": "gradient"},)
    sizes: list[int] = attrs.Factory(list)
    program: None = None
    output_specs: tuple[OutputSpec, ...] = (OutputSpec("y", (None, CLASSES), "logit"),)
    output: int = 0

    def parse_target(self, target, batch):
        return parse(target, self.output_specs, output=None, batch=batch)

    def batch(self, inputs, parsed, ids):
        self.sizes.append(len(ids))
        assert all(a.dtype == s.dtype for a, s in zip(inputs, self.input_specs, strict=True))
        assert parsed.index.dtype == np.int32
        weights = 1 + parsed.index[:, :, 0] if parsed.index.shape[2] else np.ones((len(ids), 1))
        maps = [np.stack([a * w.reshape(-1, *[1] * (a.ndim - 1)) for w in weights.T], axis=1) for a in inputs]
        scores = np.repeat(ids[:, None], weights.shape[1], axis=1).astype(np.float32)
        if not parsed.many:
            maps, scores = [m[:, 0] for m in maps], scores[:, 0]
        return Attribution(tuple(maps), scores, {"residual": scores})


def two():
    return Bound(
        input_specs=(InputSpec("a", (None, 3), "float32"), InputSpec("b", (None, 2), "float32")), input_structure=[0, 1]
    )


class Pairs(keras.utils.PyDataset):
    def __init__(self, *arrays: np.ndarray) -> None:
        super().__init__()
        self.arrays = arrays

    def __len__(self) -> int:
        return 4

    def __getitem__(self, i: int) -> tuple[np.ndarray, ...]:
        return tuple(a[2 * i : 2 * i + 2] for a in self.arrays)


def of(*arrays):
    return tf.data.Dataset.from_tensor_slices(arrays if len(arrays) > 1 else arrays[0])


WAYS = {
    "array": lambda: X,
    "float64": lambda: X.astype(np.float64),
    "tensor": lambda: tf.constant(X),
    "nested lists": X.tolist,
    "dataset in batches": lambda: of(X).batch(2),
    "dataset of samples": lambda: of(X),
    "dataset of tuples of one": lambda: tf.data.Dataset.from_tensor_slices((X,)).batch(2),
    "dataset of unknown length": lambda: of(X).filter(lambda _: True).batch(3),
    "generator": lambda: (X[i : i + 3] for i in range(0, BATCH, 3)),
    "PyDataset": lambda: Pairs(X),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(
    "target", [None, 2, np.arange(BATCH) % CLASSES, np.arange(2 * BATCH).reshape(BATCH, 2) % CLASSES]
)
def test_the_same_samples_give_the_same_explanation(way, target):
    expected = stream(Bound(), X, target)

    found = stream(Bound(), way(), target)

    assert np.array_equal(found.attributions, expected.attributions.astype(found.attributions.dtype))
    assert np.array_equal(found.scores, expected.scores)
    assert np.array_equal(found.ids, np.arange(BATCH))
    assert np.array_equal(found["residual"], expected["residual"])
    assert type(found.target) is type(expected.target)
    assert np.array_equal(found.target, expected.target)
    assert (found.analyzer, found.model, found.coverage[0]["site"]) == ("fake", "0123", "dense")


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_how_data_is_cut_changes_nothing(size):
    bound = Bound()

    assert stream(bound, X, "all", batch_size=size) == stream(Bound(), X, "all")
    assert max(bound.sizes) == min(size, BATCH)
    assert sum(bound.sizes) == BATCH


@pytest.mark.parametrize("dataset", [of(X), of(X).batch(2), of(X).batch(5)], ids=["samples", "2", "5"])
def test_batch_size_cuts_a_dataset_anew(dataset):
    bound = Bound()

    stream(bound, dataset, batch_size=3)

    assert bound.sizes == [3, 3, 1]


LABELS = np.arange(BATCH) % CLASSES
LABELLED = {
    "dataset": lambda: of(X, LABELS).batch(2),
    "with weights": lambda: of(X, LABELS, np.ones(BATCH)).batch(2),
    "of samples": lambda: of(X, LABELS),
    "generator": lambda: ((X[i : i + 3], LABELS[i : i + 3]) for i in range(0, BATCH, 3)),
    "PyDataset": lambda: Pairs(X, LABELS),
}


@pytest.mark.parametrize("way", LABELLED.values(), ids=LABELLED)
def test_data_that_brings_targets(way):
    assert stream(Bound(), way()) == stream(Bound(), X, LABELS)


@pytest.mark.parametrize("way", LABELLED.values(), ids=LABELLED)
def test_targets_come_from_one_place(way):
    bound = Bound()

    with pytest.raises(InvalidArgument, match="Leave one out"):
        stream(bound, way(), 1)
    assert not bound.sizes


A, B = X, np.ones((BATCH, 2), np.float32)
NESTS = {
    "list": [A, B],
    "dict": {"b": B, "a": A},
}


@pytest.mark.parametrize("nest", NESTS.values(), ids=NESTS)
def test_attributions_are_like_the_data(nest):
    found = stream(two(), nest).attributions

    assert type(found) is type(nest)
    if isinstance(nest, dict):
        assert list(found) == ["b", "a"]
        found = [found["a"], found["b"]]
    assert np.array_equal(found[0], A)
    assert np.array_equal(found[1], B)


def test_a_dataset_of_several_inputs():
    by_name = tf.data.Dataset.from_tensor_slices(({"a": A, "b": B}, LABELS)).batch(3)
    in_order = tf.data.Dataset.from_tensor_slices(((A, B), LABELS)).batch(3)

    assert stream(two(), by_name) == stream(two(), {"a": A, "b": B}, LABELS)
    assert stream(two(), in_order) == stream(two(), [A, B], LABELS)
    with pytest.raises(InputStructure, match=r"\(\(a, b\), target\)"):
        stream(two(), of(A, B).batch(3))


def test_an_inner_tensor_is_no_input():
    """With ``at=`` attributions belong to a site: one array, or a list of its outputs, whatever the inputs are."""
    bound = two()
    bound.analyzer.at = "dense"

    assert isinstance(stream(bound, {"a": A, "b": B}).attributions, list)
    single = Bound(analyzer=Inner("dense"), input_structure=[0])
    assert stream(single, [X]).attributions.shape == X.shape


def _nan_at_the_end():
    x = X.copy()
    x[-1, 0] = np.nan
    return x


MISTAKES = {
    "NaN in the last sample": (_nan_at_the_end(), None, {}, InputNotFinite, r"x\[6, 0\]"),
    "a target beyond the output": (X, [0] * (BATCH - 1) + [CLASSES], {}, TargetOutOfRange, "index 4"),
    "too few targets": (X, [0] * (BATCH - 1), {}, TargetLength, "6 targets for 7 samples"),
    "targets that are no integers": (X, np.ones(BATCH), {}, TargetType, "astype"),
    "no sample": (X[:0], None, {}, EmptyInput, "no sample"),
    "batch size 0": (X, None, {"batch_size": 0}, InvalidArgument, "batch_size=0"),
    "batch size True": (X, None, {"batch_size": True}, InvalidArgument, "batch_size=True"),
    "batch size 2.5": (X, None, {"batch_size": 2.5}, InvalidArgument, "batch_size=2.5"),
    "verbose": (X, None, {"verbose": "loud"}, InvalidArgument, "verbose='loud'"),
    "a callback of another kind": (X, None, {"callbacks": [print]}, InvalidArgument, "keras.callbacks.Callback"),
    "a bare callback": (X, None, {"callbacks": keras.callbacks.Callback()}, InvalidArgument, "a list"),
    "endless dataset": (of(X).batch(2).repeat(), None, {}, InvalidArgument, "take"),
    "empty dataset": (of(X).batch(2).take(0), None, {}, EmptyInput, "without elements"),
    "batch size of a generator": (iter([X]), None, {"batch_size": 2}, InvalidArgument, "leave it out"),
    "a tuple of four": (iter([(X, 1, 2, 3)]), None, {}, InvalidArgument, "tuple of 4"),
    "a dataset of other inputs": (of(X).map(lambda x: {"y": x}), None, {}, InputStructure, "unknown 'y'"),
}


@pytest.mark.parametrize(("data", "target", "options", "error", "said"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_said_before_anything_runs(data, target, options, error, said):
    bound = Bound()

    with pytest.raises(error, match=said):
        stream(bound, data, target, **options)
    assert not bound.sizes


def test_a_dataset_that_turns_out_empty():
    with pytest.raises(EmptyInput, match="without a single batch"):
        stream(Bound(), of(X).filter(lambda _: False).batch(2))


@pytest.mark.parametrize("count", [BATCH - 1, BATCH + 1])
def test_a_dataset_with_more_or_fewer_samples_than_targets(count):
    with pytest.raises(TargetLength, match=f"{count} targets"):
        stream(Bound(), of(X).batch(2), np.zeros(count, int))


def test_batches_of_different_shapes_are_refused():
    bound = Bound(input_specs=(InputSpec("x", (None, None), "float32"),))

    with pytest.raises(InvalidExplanation, match="different shapes"):
        stream(bound, iter([X, X[:, :2]]))


class Recorder(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.events = []

    def on_predict_begin(self, logs=None):
        self.events.append("begin")

    def on_predict_batch_begin(self, batch, logs=None):
        self.events.append(f"batch {batch}")

    def on_predict_batch_end(self, batch, logs=None):
        self.events.append((batch, logs["outputs"].scores.tolist()))

    def on_predict_end(self, logs=None):
        self.events.append("end")


def test_callbacks_get_the_events_of_predict():
    recorder = Recorder()

    stream(Bound(), X, batch_size=4, callbacks=[recorder])

    batches = ["batch 0", (0, [0, 1, 2, 3]), "batch 1", (1, [4, 5, 6])]
    assert recorder.events == ["begin", *batches, "end"]
    assert recorder.params["steps"] == 2


@pytest.mark.parametrize(
    ("verbose", "terminal", "size", "shown"),
    [
        ("auto", True, 2, True),
        ("auto", True, 7, False),
        ("auto", False, 2, False),
        (1, False, 7, True),
        (0, True, 2, False),
    ],
)
def test_a_progress_bar_where_it_helps(verbose, terminal, size, shown, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal, raising=False)

    stream(Bound(), X, batch_size=size, verbose=verbose)

    steps = -(-BATCH // size)
    assert (f"{steps}/{steps}" in capsys.readouterr().out) is shown


def test_the_users_data_is_as_it_was():
    x, target = X.astype(np.float64), LABELS.copy()
    before = x.copy()

    found = stream(Bound(), x, target)
    target[:] = 0

    assert np.array_equal(x, before)
    assert x.flags.writeable
    assert np.array_equal(found.target, LABELS)


# ------------------------------------------------------------------------------------------------- with real models


@pytest.mark.parametrize("name", MODELS)
def test_real_models_give_the_same_for_arrays_and_datasets(name):
    """The same batches give the same bits, wherever they come from."""
    model = MODELS[name]()
    x = inputs_of(model, BATCH)
    inputs = tuple(x) if isinstance(x, list) else x
    dataset = tf.data.Dataset.from_tensor_slices((inputs, LABELS % 3)).batch(3)

    found = xaicore.explain("gradient", model, dataset)
    expected = xaicore.explain("gradient", model, x, LABELS % 3, batch_size=3)

    assert found == expected
    parts = [xaicore.explain("gradient", model, rows_of(x, slice(i, i + 3)), LABELS[i : i + 3] % 3) for i in (0, 3, 6)]
    joined = attrs.evolve(concat(parts), ids=expected.ids)
    assert joined == expected


def test_a_real_result_survives_its_file(tmp_path):
    model = MODELS["two_towers"]()
    x = dict(zip(("a", "b", "c"), inputs_of(model, 3), strict=True))
    found = xaicore.explain("gradient", model, x, "all")

    found.save(tmp_path / "e.npz")

    again = Explanation.load(tmp_path / "e.npz")
    assert again == found
    assert again.attributions["a"].shape == (3, 3, 6, 2)
    assert [row["site"] for row in again.coverage] == [
        row.site for row in xaicore.get_analyzer("gradient").plan(model).rows
    ]
