"""Every form of a target: what it reads, and the error of everything that is none.

Scores are compared with indexing in numpy, exactly: nothing is computed but picks and sums of a few numbers.
"""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from xaicore.engine.target import OutputSpec, Target, describe, named_output, parse
from xaicore.errors import (
    TargetLength,
    TargetNeeded,
    TargetOutOfRange,
    TargetSyntax,
    TargetType,
    UnknownOutput,
)

CLASSES = (OutputSpec("probs", (None, 5), "logit"),)
ONE = (OutputSpec("price", (None, 1), "value"),)
FLAT = (OutputSpec("price", (None,), "value"),)
CUBE = (OutputSpec("cube", (None, 6, 7, 3), "value"),)
OPEN = (OutputSpec("tokens", (None, None, 4), "value"),)
HEADS = (OutputSpec("head_a", (None, 5), "logit"), OutputSpec("head_b", (None, 3), "logit"))
RNG = np.random.default_rng(0)


def numbers(outputs, batch=4):
    return RNG.normal(size=(batch, *(n or 6 for n in outputs[0].shape[1:]))).astype(np.float32)


def scores(target, outputs, y, **kwargs):
    """Return the scores of every target, (batch, k), or (batch,) where results have no such axis."""
    parsed = parse(target, outputs, output=None, batch=len(y), **kwargs)
    columns = [
        Target(parsed.spec, tf.constant(parsed.index[:, k]) if parsed.spec.needs_index else None)(
            tf.constant(y)
        ).numpy()
        for k in range(parsed.index.shape[1])
    ]
    return np.stack(columns, axis=1) if parsed.many else columns[0]


@pytest.mark.parametrize(
    "target", [3, np.int64(3), np.uint8(3), np.array(3), "3", " 3 ", "probs:3", "output[3]", "logit[3]"]
)
def test_one_class_for_all_samples(target):
    y = numbers(CLASSES)
    np.testing.assert_array_equal(scores(target, CLASSES, y), y[:, 3])


@pytest.mark.parametrize("make", [list, tuple, np.array, tf.constant])
def test_one_class_per_sample(make):
    y, labels = numbers(CLASSES), [4, 0, 2, 2]
    np.testing.assert_array_equal(scores(make(labels), CLASSES, y), y[range(4), labels])


def test_several_classes_per_sample_are_an_axis_of_the_result():
    y, labels = numbers(CLASSES), np.array([[4, 0], [1, 1], [2, 3], [0, 0]])
    np.testing.assert_array_equal(scores(labels, CLASSES, y), np.take_along_axis(y, labels, axis=1))
    assert scores(labels[:, :1], CLASSES, y).shape == (4, 1)


@pytest.mark.parametrize("target", ["all", "probs:all"])
def test_all_classes(target):
    y = numbers(CLASSES)
    np.testing.assert_array_equal(scores(target, CLASSES, y), y)


@pytest.mark.parametrize("target", [None, "max", "probs:max"])
def test_the_largest_output_is_the_default(target):
    y = numbers(CLASSES)
    np.testing.assert_array_equal(scores(target, CLASSES, y), y.max(axis=1))


def test_the_first_of_equal_outputs_is_the_largest():
    spec = parse("max", CLASSES, output=None, batch=1).spec
    assert Target(spec).anchor(tf.constant([[0.0, 2, 1, 2, 0]])).index.numpy().tolist() == [[1]]


def test_max_is_decided_once():
    """An anchored target keeps the class of the outputs that it was anchored on."""
    y = numbers(CLASSES)
    fixed = Target(parse(None, CLASSES, output=None, batch=4).spec).anchor(tf.constant(y))
    np.testing.assert_array_equal(fixed(tf.constant(-y)).numpy(), -y.max(axis=1))
    assert fixed.anchor(tf.constant(-y)) is fixed


def test_index_tuples_on_outputs_of_higher_rank():
    y = numbers(CUBE)
    places = np.array([[0, 0, 0], [5, 6, 2], [1, 2, 1], [3, 3, 0]])
    np.testing.assert_array_equal(scores(places, CUBE, y), y[range(4), *places.T])
    several = np.stack([places, places[::-1]], axis=1)
    want = np.stack([y[range(4), *places.T], y[range(4), *places[::-1].T]], axis=1)
    np.testing.assert_array_equal(scores(several, CUBE, y), want)
    np.testing.assert_array_equal(scores("output[4,5,1]", CUBE, y), y[:, 4, 5, 1])


def test_a_length_that_is_unknown_is_not_checked():
    y = numbers(OPEN)
    np.testing.assert_array_equal(scores("output[5, 1]", OPEN, y), y[:, 5, 1])


@pytest.mark.parametrize("outputs", [ONE, FLAT])
def test_one_number_per_sample_is_its_own_target(outputs):
    """1 means plus, 0 means minus the output: the two classes of a sigmoid."""
    y = numbers(outputs)
    own = y.reshape(-1)
    for target in (None, "max", 1, "1", np.ones(4, int)):
        np.testing.assert_array_equal(scores(target, outputs, y), own)
    np.testing.assert_array_equal(scores(0, outputs, y), -own)
    np.testing.assert_array_equal(scores([0, 1, 1, 0], outputs, y), own * [-1, 1, 1, -1])
    np.testing.assert_array_equal(scores([[0, 1]] * 4, outputs, y), np.stack([-own, own], axis=1))


CONTRASTS = {
    "logit[3]-logit[4]": {3: 1, 4: -1},
    "2*logit[0] - 0.5*logit[1]": {0: 2, 1: -0.5},
    "-logit[2]": {2: -1},
    "- 1e-1 * output[2]+.5*logit[ 2 ]+logit[0]": {2: 0.4, 0: 1},
}


@pytest.mark.parametrize("text", CONTRASTS)
def test_contrasts(text):
    y = numbers(CLASSES)
    want = sum(weight * y[:, i].astype(float) for i, weight in CONTRASTS[text].items())
    # float32 sums of at most three terms of order one
    np.testing.assert_allclose(scores(text, CLASSES, y), want, atol=1e-6)


TERM = st.tuples(st.floats(-9, 9, allow_subnormal=False).map(lambda w: round(w, 3)), st.integers(0, 4))


@given(st.lists(TERM, min_size=1, max_size=5))
def test_any_weighted_sum_is_read_as_written(terms):
    text = "".join(f"{'-' if w < 0 else '+'}{abs(w)!r}*logit[{i}]" for w, i in terms).removeprefix("+")
    spec = parse(text, CLASSES, output=None, batch=1).spec
    assert spec.read.terms == tuple((w, (i,)) for w, i in terms)


def test_gradients_of_targets_reach_the_outputs():
    y = tf.constant(numbers(CLASSES))
    for target, want in ((2, np.eye(5)[2]), ("2*logit[0]-logit[4]", np.array([2, 0, 0, 0, -1]))):
        parsed = parse(target, CLASSES, output=None, batch=4)
        with tf.GradientTape() as tape:
            tape.watch(y)
            score = Target(parsed.spec, tf.constant(parsed.index[:, 0]))(y)
        gradient = tf.convert_to_tensor(tape.gradient(score, y)).numpy()
        np.testing.assert_array_equal(gradient, np.tile(want, (4, 1)))


def test_a_function_of_the_outputs():
    y = numbers(CLASSES)
    np.testing.assert_array_equal(scores(lambda o: o[:, 1] - o[:, 0], CLASSES, y), y[:, 1] - y[:, 0])


def test_a_function_of_the_outputs_may_give_indices():
    y = numbers(CLASSES)
    np.testing.assert_array_equal(scores(lambda o: tf.argmin(o, -1), CLASSES, y), y.min(-1))


@pytest.mark.parametrize(
    "function",
    [lambda o: o, tf.reduce_sum, lambda o: tf.cast(o, tf.int32), lambda o: o[:, 0] > 0],
    ids=["rank", "scalar", "int", "bool"],
)
def test_a_function_has_to_return_one_float_per_sample(function):
    with pytest.raises(TargetType, match="one float per sample"):
        scores(function, CLASSES, numbers(CLASSES))


def test_half_precision_scores_are_float32():
    spec = parse(None, CLASSES, output=None, batch=4).spec
    assert Target(spec)(tf.cast(numbers(CLASSES), tf.bfloat16)).dtype == tf.float32


def test_outputs_are_named_in_the_text_or_by_output():
    assert parse("head_b:1", HEADS, output=None, batch=2).spec == parse(1, HEADS, output="head_b", batch=2).spec
    assert parse("head_b:logit[1]", HEADS, output=1, batch=2).spec.output == 1
    assert parse(None, HEADS, output=0, batch=2).spec.output == 0
    assert named_output("head_b:1") == "head_b"
    assert [named_output(t) for t in (None, 3, "max", np.zeros(2, int))] == [None] * 4


def test_equal_targets_share_a_trace_and_labels_never_make_a_new_one():
    class Owner:
        def score(self, outputs):
            return outputs[:, 0]

    def spec(target):
        return parse(target, CLASSES, output=None, batch=2).spec

    owner = Owner()
    assert spec(1) == spec([3, 4]) == spec("all")
    assert hash(spec("logit[1]")) == hash(spec(" logit[ 1 ]"))
    assert spec("logit[1]") != spec("logit[2]")
    assert (spec(owner.score), hash(spec(owner.score))) == (spec(owner.score), hash(spec(owner.score)))
    assert spec(owner.score) != spec(Owner().score)


def test_a_target_is_described_in_plain_data():
    described = [describe(t) for t in (None, np.int64(3), "max", test_a_function_of_the_outputs)]
    assert described == json.loads(json.dumps(described))
    assert described == [None, 3, "max", "function test_a_function_of_the_outputs"]
    np.testing.assert_array_equal(describe([1, 2]), [1, 2])


WRONG = [
    (True, CLASSES, TargetType),
    (np.bool_(True), CLASSES, TargetType),
    (1.0, CLASSES, TargetType),
    (np.array([0.0, 1.0]), CLASSES, TargetType),
    (["cat", "dog"], CLASSES, TargetType),
    ({"a": 1}, CLASSES, TargetType),
    (b"max", CLASSES, TargetType),
    (-1, CLASSES, TargetOutOfRange),
    ("-1", CLASSES, TargetOutOfRange),
    ([0, -1], CLASSES, TargetOutOfRange),
    ("logit[-1]", CLASSES, TargetOutOfRange),
    (5, CLASSES, TargetOutOfRange),
    ("logit[5]", CLASSES, TargetOutOfRange),
    ("head_b:3", HEADS, TargetOutOfRange),
    (2, ONE, TargetOutOfRange),
    (10**30, CLASSES, TargetOutOfRange),
    ("9" * 5000, CLASSES, TargetOutOfRange),
    (f"logit[{10**30}]", CLASSES, TargetOutOfRange),
    ("output[3000000000, 0]", OPEN, TargetOutOfRange),
    (-1, FLAT, TargetOutOfRange),
    ([[0, 0, 3], [0, 0, 0]], CUBE, TargetOutOfRange),
    ("output[6,0,0]", CUBE, TargetOutOfRange),
    ([1, 2, 3], CLASSES, TargetLength),
    ([], CLASSES, TargetLength),
    (np.zeros((2, 0), int), CLASSES, TargetLength),
    (np.zeros((2, 2, 2), int), CLASSES, TargetLength),
    ([[1, 2], [3]], CLASSES, TargetLength),
    (1, CUBE, TargetLength),
    ([1, 2], CUBE, TargetLength),
    ([[1, 2], [1, 2]], CUBE, TargetLength),
    (np.zeros((3, 2, 3), int), CUBE, TargetLength),
    ("logit[1,2]", CLASSES, TargetLength),
    ("logit", CLASSES, TargetLength),
    (None, CUBE, TargetNeeded),
    ("max", CUBE, TargetNeeded),
    (None, HEADS, TargetNeeded),
    (1, HEADS, TargetNeeded),
    ("logit[1]", HEADS, TargetNeeded),
    ("head_c:1", HEADS, UnknownOutput),
    ("all", CUBE, TargetSyntax),
    ("all", FLAT, TargetSyntax),
    ("", CLASSES, TargetSyntax),
    ("head_b:", HEADS, TargetSyntax),
    (":1", HEADS, TargetSyntax),
    ("cat", CLASSES, TargetSyntax),
    ("1.5", CLASSES, TargetSyntax),
    ("logit[1", CLASSES, TargetSyntax),
    ("logit[]", CLASSES, TargetSyntax),
    ("logit[1.0]", CLASSES, TargetSyntax),
    ("logit[1] logit[2]", CLASSES, TargetSyntax),
    ("logit[1]-", CLASSES, TargetSyntax),
    ("--logit[1]", CLASSES, TargetSyntax),
    ("2logit[1]", CLASSES, TargetSyntax),
    ("1e999*logit[1]", CLASSES, TargetSyntax),
    ("logit[1]**2", CLASSES, TargetSyntax),
    ("__import__('os')", CLASSES, TargetSyntax),
    ("probability[1]", CLASSES, TargetSyntax),
]


@pytest.mark.parametrize(
    ("target", "outputs", "error"), WRONG, ids=[repr(w[0])[:30] + "-" + w[1][0].name for w in WRONG]
)
def test_every_mistake_has_its_error_before_anything_runs(target, outputs, error):
    with pytest.raises(error) as caught:
        parse(target, outputs, output=None, batch=2)
    assert len(str(caught.value)) > 30  # says what was given, what was expected, what to do


def test_quantities_are_those_that_the_analyzer_explains():
    outputs = (OutputSpec("probs", (None, 5), "probability"),)
    y = numbers(outputs)
    np.testing.assert_array_equal(scores("probability[1]", outputs, y, score="probability"), y[:, 1])
    with pytest.raises(TargetSyntax, match="score='logit'"):
        parse("logit[1]", outputs, output=None, batch=2, score="probability")


@pytest.mark.parametrize("output", ["head_c", 2, -1, True, 1.0])
def test_unknown_outputs(output):
    with pytest.raises(UnknownOutput, match="head_a"):
        parse(1, HEADS, output=output, batch=2)


def test_text_and_output_have_to_agree():
    with pytest.raises(UnknownOutput, match="differ"):
        parse("head_b:1", HEADS, output="head_a", batch=2)


def test_negative_indices_are_explained():
    with pytest.raises(TargetOutOfRange, match="never from the end"):
        parse(-1, CLASSES, output=None, batch=2)


@given(st.text(max_size=30))
def test_any_text_is_a_target_or_a_mistake_of_its_own(text):
    with contextlib.suppress(TargetSyntax, TargetOutOfRange, TargetLength, UnknownOutput):
        parse(text, CLASSES, output=None, batch=2)
