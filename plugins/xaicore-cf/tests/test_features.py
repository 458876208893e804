"""Features by name, directions, categories and whole numbers: kept at every point that is returned."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from keras import layers

import xaicore
from xaicore.errors import InvalidParameter
from xaicore.testing.models import MODELS, inputs_of, randomise
from xaicore_cf.box import Box
from xaicore_cf.errors import UnknownFeature

NAMES = ("age", "hours", "clerk", "driver", "teacher", "children")
GROUP = ("clerk", "driver", "teacher")


def network():
    x = keras.Input((6,), name="facts")
    hidden = layers.Dense(8, activation="tanh")(x)
    return randomise(keras.Model(x, layers.Dense(2, activation="softmax")(hidden)))


def people(batch=40, seed=0):
    random = np.random.default_rng(seed)
    jobs = np.eye(3)[random.integers(3, size=batch)]
    rest = random.normal(size=(batch, 2))
    return np.concatenate([rest, jobs, random.integers(0, 5, (batch, 1))], axis=1).astype(np.float32)


def explain(model, x, **settings):
    target = 1 - model.predict(x, verbose=0).argmax(1)
    return xaicore.get_analyzer("cf", **settings).explain(model, x, target, verbose=0), target


def test_names_stand_for_features():
    model, x = network(), people()
    named, _ = explain(model, x, names=NAMES, features=["hours", "age"], max_iter=200)
    counted, _ = explain(model, x, features=[0, 1], max_iter=200)
    np.testing.assert_array_equal(named.counterfactuals, counted.counterfactuals)
    np.testing.assert_array_equal(named.counterfactuals[:, 2:], x[:, 2:])


def test_the_name_of_an_input_stands_for_all_of_it():
    model = MODELS["two_towers"]()
    x = inputs_of(model, 4)
    found = xaicore.get_analyzer("cf", features=["b"], max_iter=30).explain(model, x, 1, verbose=0)
    a, b, c = found.attributions
    np.testing.assert_array_equal(a, 0)
    np.testing.assert_array_equal(c, 0)
    assert np.abs(b).max() > 0


def test_directions():
    model, x = network(), people()
    found, _ = explain(model, x, names=NAMES, monotone={"age": 1, 1: -1})
    assert (found.attributions[:, 0] >= 0).all()
    assert (found.attributions[:, 1] <= 0).all()
    assert found.valid.any()
    assert (found.attributions[:, :2] != 0).any()


def test_categories_and_whole_numbers_stay_what_they_are():
    """One column of a category is 1; whole numbers change by whole numbers, within bounds; and rows are turned."""
    model, x = network(), people()
    found, target = explain(
        model,
        x,
        names=NAMES,
        categories=[GROUP],
        integers=["children"],
        bounds=([-3, -3, 0, 0, 0, 0], [3, 3, 1, 1, 1, 4]),
        starts=4,
        noise=0.5,
    )
    after = found.counterfactuals
    assert set(np.unique(after[:, 2:5])) <= {0.0, 1.0}
    np.testing.assert_array_equal(after[:, 2:5].sum(1), 1)
    np.testing.assert_array_equal(after[:, 5], np.round(after[:, 5]))
    assert (after[:, 5] >= 0).all()
    assert (after[:, 5] <= 4).all()
    assert (model.predict(after, verbose=0).argmax(1) == target)[found.valid].all()
    assert found.valid.mean() > 0.8
    moved = after != x
    assert moved[:, 2:5].any()
    assert moved[:, 5].any()


def test_a_category_alone_is_searched_as_well_as_by_trying_all():
    """Where only the job may change, there are three candidates: a row is turned where one of them does it."""
    model, x = network(), people(60)
    found, target = explain(model, x, names=NAMES, features=list(GROUP), categories=[GROUP], starts=4, noise=0.5)
    turned = np.zeros(60, bool)
    for job in np.eye(3, dtype=np.float32):
        tried = x.copy()
        tried[:, 2:5] = job
        turned |= model.predict(tried, verbose=0).argmax(1) == target
    assert turned.any()
    np.testing.assert_array_equal(found.valid, turned)


def test_steps_of_another_size():
    model, x = network(), people()
    found, _ = explain(model, x, names=NAMES, integers={"age": 0.25})
    steps = (found.counterfactuals[:, 0] - x[:, 0]) / 0.25
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-5)  # float32 of numbers of size one
    assert (steps != 0).any()


# A hair outside of an end: a step further in there is a value.
@example([0.0] * 5 + [1.01171875], [0.0] * 5 + [1.0], [False] * 5 + [True], (-1.0, 1.01171875), np.float32)
@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.floats(-9, 9), min_size=6, max_size=6),
    st.lists(st.floats(-50, 50), min_size=6, max_size=6),
    st.lists(st.booleans(), min_size=6, max_size=6),
    st.tuples(st.floats(-6, -0.1), st.floats(0.1, 6)),
    st.sampled_from([np.float32, np.float64]),
)
def test_no_point_leaves_the_box(original, moved, free, ends, dtype):
    """Whatever an optimizer does: bounds hold, directions hold, held features are equal to the bit.

    Originals lie outside of the box too; what then has no value left is held, and ``within`` is False.
    """
    # TensorFlow's kernels take what is below the normal range for 0.
    original, moved = (np.round(np.array(one), 6).astype(dtype) for one in (original, moved))
    low, high = np.full(6, ends[0]), np.full(6, ends[1])
    low[2:5], high[2:5] = 0, 1
    original[2:5] = np.eye(3)[int(abs(original[0])) % 3]
    free = np.array(free)
    free[2:5] = free[2]
    sides = np.array([1, -1, 0, 0, 0, 0])
    box = Box(free, low, high, sides=sides, groups=(np.arange(2, 5),), steps=np.array([0, 0, 0, 0, 0, 1.5]))
    before = tf.constant(original[None])
    found = box.snap(box.hold(tf.constant(moved[None]), before), before)
    within, point = box.within(found, before).numpy()[0], found.numpy()[0]
    assert point.dtype == dtype
    np.testing.assert_array_equal(point[~free].tobytes(), original[~free].tobytes())
    assert sorted(point[2:5]) == [0, 0, 1]
    exact = point.astype(np.float64)
    steps = (exact[5] - original[5]) / 1.5
    assert abs(steps - round(steps)) < 100 * np.finfo(dtype).eps  # of sums and quotients of numbers up to 10
    inside = (exact >= low) & (exact <= high)
    grown, shrunk = point[0] >= original[0], point[1] <= original[1]
    assert grown
    assert shrunk
    assert within == (inside | ~free).all()
    # Each feature that has a value inside its limits is there.
    possible = [original[0] <= high[0], original[1] >= low[1], True, True, True]
    lattice = original[5] + 1.5 * np.arange(-15, 16)
    possible.append(bool(((lattice > low[5] + 1e-5) & (lattice < high[5] - 1e-5)).any()))
    assert inside[free & np.array(possible)].all()


def test_held_integers_outside_of_the_bounds_stay():
    model, x = network(), people()
    x[:, 5] += 0.3
    x[::2, 5] = 4.7
    held, _ = explain(model, x, integers=[5], features=[0, 1], bounds=(-3, 4))
    np.testing.assert_array_equal(held.counterfactuals[:, 2:], x[:, 2:])
    assert held.valid.any()


def test_what_limits_leave_no_value_is_held_and_not_valid():
    """No multiple of the step lies within; or a feature that may only grow lies above its bound."""
    model, x = network(), people()
    x[:, 0] = 0.3
    for limits in (
        {"integers": [0], "bounds": ([0.4, -9, 0, 0, 0, 0], [0.6, 9, 1, 1, 1, 9])},
        {"monotone": {0: 1}, "bounds": (-9, [0.2, 9, 1, 1, 1, 9])},
    ):
        found, _ = explain(model, x, max_iter=50, **limits)
        np.testing.assert_array_equal(found.counterfactuals[:, 0], x[:, 0])
        assert not found.valid.any()


def test_whole_numbers_of_pertinent_positives_lie_between_baseline_and_sample():
    model, x = network(), people()
    x[:, :2] *= 3
    found = xaicore.get_analyzer("cf.cem_pp(integers=[0, 1])").explain(model, x, "same", verbose=0)
    after = found.counterfactuals
    assert (after >= np.minimum(0, x)).all()
    assert (after <= np.maximum(0, x)).all()
    steps = (after - x)[:, :2][found.valid & ~found.already]  # a baseline that suffices is returned as it is
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-5)  # float32 of numbers below 10


@pytest.mark.parametrize("optimizer", ["cf.adam", "cf.bfgs"])
def test_samples_in_the_class_stay_within_bounds_or_not(optimizer):
    model, x = network(), people()
    target = model.predict(x, verbose=0).argmax(1)
    found = xaicore.get_analyzer("cf", optimizer=optimizer, bounds=(-0.1, 0.1)).explain(model, x, target, verbose=0)
    assert found.already.all()
    assert found.valid.all()
    np.testing.assert_array_equal(found.counterfactuals, x)
    np.testing.assert_array_equal(found.iterations, 0)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"features": ["hour"]}, UnknownFeature, "Did you mean 'hours'"),
        ({"features": ["hour"], "names": ()}, UnknownFeature, "names= gives them"),
        ({"names": ("a", "b")}, InvalidParameter, "Given 2 names for samples of 6 features"),
        ({"names": ("a", "a", "b", "c", "d", "e")}, InvalidParameter, "all different"),
        ({"monotone": {"age": 2}}, InvalidParameter, "1 to grow only"),
        ({"monotone": "age"}, InvalidParameter, "1 to grow only"),
        ({"monotone": {9: 1}}, InvalidParameter, "index 9"),
        ({"integers": {"age": 0}}, InvalidParameter, "steps above 0"),
        ({"categories": ["clerk"]}, InvalidParameter, "list of lists"),
        ({"categories": [["clerk"]]}, InvalidParameter, "at least two features"),
        ({"categories": [["clerk", "driver"], ["driver", "teacher"]]}, InvalidParameter, "share a feature"),
        ({"categories": [GROUP], "features": ["clerk"]}, InvalidParameter, "hold all of them, or none"),
        ({"features": [1.5, "age"]}, InvalidParameter, "an index of the flattened sample or a name"),
    ],
)
def test_features_that_are_none(given, error, message):
    with pytest.raises(error, match=message):
        explain(network(), people(4), **{"names": NAMES, **given})


def test_the_canonical_name_holds_features_too():
    analyzer = xaicore.get_analyzer(
        "cf(names=('a', 'b'), features=('a',), monotone={'b': -1}, integers=[0], categories=[[0, 1]], n=2)"
    )
    assert xaicore.get_analyzer(str(analyzer)) == analyzer
    assert hash(xaicore.get_analyzer(str(analyzer))) == hash(analyzer)


def test_arrays_say_what_lists_say():
    given = {"C": np.array([1.0, 0.1]), "integers": np.array([0, 1]), "categories": np.array([[2, 3], [4, 5]])}
    as_lists = {name: value.tolist() for name, value in given.items()}
    assert xaicore.get_analyzer("cf", **given) == xaicore.get_analyzer("cf", **as_lists)
