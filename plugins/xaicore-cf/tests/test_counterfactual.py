"""Counterfactuals of models whose nearest ones are known in closed form, and the mistakes that can be made."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers
from scipy.optimize import brentq

import xaicore
from xaicore.errors import InvalidParameter, TargetOutOfRange
from xaicore.testing.models import MODELS, float64_twin, inputs_of, randomise
from xaicore_cf.counterfactual import Counterfactual
from xaicore_cf.errors import ClassNeeded, FixedBatch, NotAClass

# A copy stops when its steps are 2^-10 of the learning rate 0.1, after a gain below 1e-4 of the distance while it left
# the class twice at each length: distances are off by some 1e-4 at most, and never too small.
NEAR = 1e-3
# Along the boundary the distance is flat: an excess e of the squared distance allows sqrt(e) sideways.
SIDEWAYS = np.sqrt(NEAR)
SHAPE = (3, 2)


def linear(units=2, activation="softmax", dtype="float64"):
    x = keras.Input(SHAPE, dtype=dtype)
    y = layers.Dense(units, activation=activation, dtype=dtype)(layers.Flatten(dtype=dtype)(x))
    return randomise(keras.Model(x, y))


def data(batch=12, seed=0):
    return 2 * np.random.default_rng(seed).normal(size=(batch, *SHAPE))


def other_class(model, x):
    return 1 - np.asarray(model(x)).argmax(1)


def boundary(model, x, target):
    """Return w (batch, 6) and z (batch,): the target's lead is z + w.u for a change u."""
    kernel, bias = (w.numpy() for w in model.layers[-1].weights)
    sign = np.where(target == 1, 1, -1)
    w, b = kernel[:, 1] - kernel[:, 0], bias[1] - bias[0]
    return sign[:, None] * w, sign * (x.reshape(len(x), -1) @ w + b)


def explain(expression, model, x, target, **given):
    found = xaicore.get_analyzer(expression, **given).explain(model, x, target, verbose=0)
    np.testing.assert_allclose(found.counterfactuals, x + found.attributions, rtol=0, atol=1e-12)
    return found


def predicted(model, found):
    return model.predict(found.counterfactuals, verbose=0).argmax(-1)


def test_l2_is_the_projection_on_the_boundary():
    """The change is (margin - z) w / |w|^2."""
    model, x = linear(), data()
    target = other_class(model, x)
    w, z = boundary(model, x, target)
    found = explain("cf(margin=0.001)", model, x, target)
    need = (1e-3 - z) / np.linalg.norm(w, axis=1)
    assert found.valid.all()
    assert (predicted(model, found) == target).all()
    assert (found.distance >= need**2 * (1 - 1e-9)).all()  # nothing on the right side can be nearer
    np.testing.assert_allclose(found.distance, need**2, rtol=NEAR)
    sideways = np.abs(found.attributions.reshape(12, -1) - need[:, None] * w / np.linalg.norm(w, axis=1)[:, None])
    assert (sideways.max(1) / need).max() < SIDEWAYS


def test_l1_changes_the_one_feature_that_counts_most():
    """|u| = (margin - z) / max |w|, all of it in one feature; with deviations, max |w| mad."""
    model, x = linear(), data()
    target = other_class(model, x)
    w, z = boundary(model, x, target)
    mad = np.array([[0.2, 3.0], [0.5, 1.0], [1.0, 0.7]])
    for given, gain in (("cf.l1", np.abs(w)), (xaicore.get_cost("cf.l1", mad=mad), np.abs(w) * mad.reshape(-1))):
        found = explain("cf", model, x, target, cost=given)
        changed = found.attributions.reshape(12, -1) != 0
        np.testing.assert_array_equal(changed, np.eye(6, dtype=bool)[gain.argmax(1)])
        np.testing.assert_allclose(found.distance, (1e-3 - z) / gain.max(1), rtol=NEAR)


def test_shrinking_keeps_features_exactly():
    """FISTA under L1: the same one feature, the others equal to the bit, and as near as with any other optimizer."""
    model, x = linear(), data()
    target = other_class(model, x)
    w, z = boundary(model, x, target)
    found = explain("cf(cost=cf.l1, optimizer=cf.proximal)", model, x, target)
    changed = found.attributions.reshape(12, -1) != 0
    np.testing.assert_array_equal(changed, np.eye(6, dtype=bool)[np.abs(w).argmax(1)])
    need = (1e-3 - z) / np.abs(w).max(1)
    assert (found.distance >= need * (1 - 1e-9)).all()
    np.testing.assert_allclose(found.distance, need, rtol=NEAR)


def test_wachter_reaches_a_probability_with_one_feature():
    """|p - 1| <= 0.05 begins at odds of 19."""
    model, x = linear(), data()
    target = other_class(model, x)
    w, z = boundary(model, x, target)
    found = explain("cf.wachter", model, x, target)
    p = model.predict(found.counterfactuals, verbose=0)[np.arange(12), target]
    assert found.valid.all()
    assert (p >= 0.95 - 1e-12).all()
    np.testing.assert_allclose(found.distance, (np.log(19) - z) / np.abs(w).max(1), rtol=NEAR)


@pytest.mark.parametrize("features", [[5, 1, 3], np.array([[0, 1], [0, 1], [0, 1]], bool), np.array([False, True])])
def test_held_features_are_equal_to_the_bit(features):
    """Indices that are no prefix, booleans like a sample and for an axis of it; the rest is the projection within."""
    model, x = linear(), data()
    target = other_class(model, x)
    w, z = boundary(model, x, target)
    found = explain("cf", model, x, target, features=features)
    np.testing.assert_array_equal(found.counterfactuals[:, :, 0], x[:, :, 0])
    assert found.valid.all()
    within = w * [0, 1, 0, 1, 0, 1]
    np.testing.assert_allclose(found.distance, ((1e-3 - z) / np.linalg.norm(within, axis=1)) ** 2, rtol=NEAR)


def test_bounds_move_the_projection():
    """Within low <= x <= high: x = clip(x_0 + a w), with a such that the lead is the margin."""
    model, x = linear(), data(30).clip(-2, 2)
    target = other_class(model, x)
    w, z = boundary(model, x, target)
    high = np.array([[2.0, 2.5], [2.0, 2.5], [2.0, 2.5]])
    found = explain("cf", model, x, target, bounds=(-2, high))
    reach = np.where(w > 0, high.reshape(-1), -2) - x.reshape(30, -1)
    possible = z + (w * reach).sum(1) > 1e-3
    np.testing.assert_array_equal(found.valid, possible)
    assert possible.sum() > 10
    assert found.counterfactuals.min() >= -2
    assert (found.counterfactuals <= high).all()

    def inside(i, a):
        return np.clip(x[i].reshape(-1) + a * w[i], -2, high.reshape(-1)) - x[i].reshape(-1)

    for i in np.flatnonzero(possible):
        a = brentq(lambda a, i=i: z[i] + w[i] @ inside(i, a) - 1e-3, 0, 100)
        np.testing.assert_allclose(found.distance[i], (inside(i, a) ** 2).sum(), rtol=NEAR)


def test_a_sum_of_costs():
    """|u|_1 + |u|^2 on a boundary w.u = m: u_i = sign(w_i) max(b |w_i| - 1, 0) / 2, b such that it is met."""
    model, x = linear(), data()
    target = other_class(model, x)
    w, z = boundary(model, x, target)
    found = explain("cf(cost=cf.l1 + cf.l2)", model, x, target)
    for i in range(12):

        def away(b, i=i):
            return np.sign(w[i]) * np.maximum(b * np.abs(w[i]) - 1, 0) / 2

        u = away(brentq(lambda b, i=i: w[i] @ away(b) + z[i] - 1e-3, 0, 1e3))
        np.testing.assert_allclose(found.distance[i], np.abs(u).sum() + (u**2).sum(), rtol=NEAR)


def test_what_is_in_the_class_already_stays():
    model, x = linear(), data()
    found = explain("cf", model, x, np.asarray(model(x)).argmax(1))
    np.testing.assert_array_equal(found.attributions, 0)
    np.testing.assert_array_equal(found.distance, 0)
    assert found.valid.all()


def test_a_class_that_cannot_be_reached():
    """Features without any influence: not valid, everything finite, and no error."""
    model, x = linear(), data()
    kernel = model.layers[-1].kernel.numpy()
    kernel[[0, 2]] = 0
    model.layers[-1].kernel.assign(kernel)
    found = explain("cf(features=[0, 2], max_iter=100)", model, x, other_class(model, x))
    assert not found.valid.any()
    assert all(np.isfinite(array).all() for array in (found.attributions, *found.extras.values()))


@pytest.mark.parametrize("head", ["sigmoid", None])
def test_one_number_is_two_classes(head):
    """Target 1 is z > 0, target 0 is z < 0; without a head the number is the logit."""
    model, x = linear(units=1, activation=head), data()
    kernel = model.layers[-1].kernel.numpy()[:, 0]
    z = x.reshape(12, -1) @ kernel + model.layers[-1].bias.numpy()
    target = (z < 0).astype(int)
    found = explain("cf", model, x, target)
    np.testing.assert_allclose(found.distance, (np.abs(z) + 1e-3) ** 2 / (kernel**2).sum(), rtol=NEAR)
    after = found.counterfactuals.reshape(12, -1) @ kernel + model.layers[-1].bias.numpy()
    np.testing.assert_array_equal(after > 0, target == 1)
    np.testing.assert_allclose(found.scores, np.where(target == 1, z, -z), rtol=1e-9)


def test_labels_of_their_own():
    """Several sigmoids: the target is the label to set, the others may be what they are."""
    model, x = linear(units=3, activation="sigmoid"), data()
    kernel, bias = model.layers[-1].kernel.numpy()[:, 2], model.layers[-1].bias.numpy()[2]
    z = x.reshape(12, -1) @ kernel + bias
    found = explain("cf", model, x, 2)
    np.testing.assert_allclose(found.distance, np.maximum(1e-3 - z, 0) ** 2 / (kernel**2).sum(), rtol=NEAR)
    assert (z < 0).any()


def test_a_class_at_a_position():
    """Outputs (batch, positions, classes): index tuples say where which class is to be predicted."""
    x = keras.Input((4, 3))
    model = randomise(keras.Model(x, layers.Conv1D(5, 3, padding="same", activation="softmax")(x)))
    values = np.random.default_rng(0).normal(size=(6, 4, 3)).astype(np.float32)
    target = np.array([[i % 4, i % 5] for i in range(6)])
    found = xaicore.get_analyzer("cf").explain(model, values, target, verbose=0)
    after = model.predict(found.counterfactuals, verbose=0).argmax(-1)
    assert found.valid.all()
    np.testing.assert_array_equal(after[np.arange(6), target[:, 0]], target[:, 1])
    # what lies outside of the kernel has no influence and no reason to change
    np.testing.assert_array_equal(found.attributions[0, 2:], 0)


def test_several_inputs():
    """The search runs over all of them; indices count through them one behind the other."""
    model = float64_twin(MODELS["two_towers"]())
    x = [np.asarray(v, np.float64) for v in inputs_of(model, 5)]
    free = [*range(3), *range(24, 28)]  # the first half row of `a`, all of `c`
    found = xaicore.get_analyzer("cf", features=free).explain(model, x, 1, verbose=0)
    for name, before, away in zip("abc", x, found.attributions, strict=True):
        np.testing.assert_allclose(found[f"counterfactuals_{name}"], before + away, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(found.attributions[1], 0)
    np.testing.assert_array_equal(found.attributions[0].reshape(5, -1)[:, 3:], 0)
    after = model.predict([found[f"counterfactuals_{name}"] for name in "abc"], verbose=0)[:, 1]
    np.testing.assert_array_equal(found.valid, after > 0.5)
    assert found.valid.any()


def test_several_classes_for_each_sample():
    model, x = linear(units=4), data(3)
    found = xaicore.get_analyzer("cf").explain(model, x, np.array([[0, 3], [1, 2], [3, 3]]), verbose=0)
    assert found.counterfactuals.shape == (3, 2, *SHAPE)
    np.testing.assert_array_equal(predicted(model, _at(found, 0)), [0, 1, 3])
    np.testing.assert_array_equal(predicted(model, _at(found, 1)), [3, 2, 3])


def _at(found, k):
    class One:
        counterfactuals = found.counterfactuals[:, k]

    return One


def test_further_starts_depend_on_the_seed_alone():
    model = MODELS["convolutional"]()
    x = inputs_of(model, 4)

    def run(seed, starts=3, **given):
        analyzer = xaicore.get_analyzer("cf", starts=starts, noise=0.5, seed=seed, max_iter=60)
        return analyzer.explain(model, x, 2, verbose=0, **given)

    np.testing.assert_array_equal(run(0).attributions, run(0).attributions)
    assert not np.array_equal(run(0).attributions, run(1).attributions)
    # the first start is x itself: more starts never bring something farther
    assert (run(0).distance[run(0, 1).valid] <= run(0, 1).distance[run(0, 1).valid]).all()


def test_the_canonical_name_holds_every_parameter():
    analyzer = xaicore.get_analyzer(
        "cf.wachter(cost=2*cf.l1 + cf.l2, C=[1, 0.5], growth=1, bounds=(0, None), tol=0.2, starts=2, seed=4)"
    )
    assert xaicore.get_analyzer(str(analyzer)) == analyzer
    assert analyzer.C == (1.0, 0.5)
    assert xaicore.get_analyzer("cf") == Counterfactual() == xaicore.get_analyzer("cf.counterfactual")
    held = xaicore.get_analyzer("cf", features=[1, 2], bounds=(None, np.ones(6)))
    assert "array(" in str(held)


@pytest.mark.parametrize("target", [None, "max"])
@pytest.mark.parametrize("model", [linear(), linear(units=1, activation="sigmoid")], ids=["classes", "one number"])
def test_a_class_has_to_be_given(model, target):
    for analyzer in ("cf", "cf | abs"):
        with pytest.raises(ClassNeeded, match="needs the class to reach"):
            xaicore.get_analyzer(analyzer).explain(model, data(), target, verbose=0)


@pytest.mark.parametrize("target", ["logit[1]-logit[0]", lambda outputs: outputs[:, 0]])
def test_a_score_is_no_class(target):
    with pytest.raises(NotAClass, match="reaches a class"):
        xaicore.get_analyzer("cf").explain(linear(), data(), target, verbose=0)


def test_a_class_that_the_model_has_not():
    with pytest.raises(TargetOutOfRange):
        xaicore.get_analyzer("cf").explain(linear(), data(), 2, verbose=0)


def test_a_model_of_one_batch_size():
    x = keras.Input(batch_shape=(4, 3))
    model = keras.Model(x, layers.Dense(2)(x))
    with pytest.raises(FixedBatch, match="takes batches of 4 only"):
        xaicore.get_analyzer("cf").explain(model, np.zeros((4, 3), np.float32), 1, verbose=0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"C": []}, r"Given C=\[\]; expected a positive number"),
        ({"C": [1.0, 0.0]}, "Given C=0"),
        ({"features": []}, "expected indices"),
        ({"features": [-1, 2]}, "expected indices"),
        ({"features": [0.5]}, "expected indices"),
        ({"features": [6]}, "index 6; the flattened sample has 0 to 5"),
        ({"features": np.ones((3, 3), bool)}, r"features of shape \(3, 3\)"),
        ({"bounds": (np.zeros(5), None)}, r"bounds \(low\) of shape \(5,\); expected \(6,\)"),
        ({"bounds": (1.0, 0.0)}, "low above high"),
        ({"bounds": (None, np.array([np.nan, 1.0]))}, "NaN in high"),
        ({"bounds": 1.0}, r"expected \(low, high\)"),
        ({"cost": "cf.diversity"}, "expected a cost of the inputs alone"),
        ({"diversity": "cf.l1"}, "expected a cost of several candidates"),
        ({"n": 2, "noise": 0}, "find the same"),
        ({"n": 2, "optimizer": "cf.bfgs"}, "optimizer of the loop"),
        ({"cost": "cf.mahalanobis"}, "knows data and was given none"),
        ({"done": 3}, "expected a function"),
        ({"cost": "cf.nll"}, "expected a cost of the inputs alone"),
        ({"cost": "cf.l1 + cf.nll"}, "expected a cost of the inputs alone"),
        ({"prediction": "cf.l1"}, "expected a cost of the outputs"),
        ({"tol": 0}, "tol=0"),
        ({"growth": 0.5}, "growth=0.5"),
        ({"max_iter": 0}, "max_iter=0"),
    ],
)
def test_parameters_that_make_no_search(given, message):
    with pytest.raises(InvalidParameter, match=message):
        xaicore.get_analyzer("cf", **given).explain(linear(), data(), 1, verbose=0)


@pytest.mark.parametrize("optimizer", [row.name for row in xaicore.available("optimizer")])
def test_every_optimizer_finds_the_class_and_leaves_fixed_features(optimizer):
    """Near the projection: steps of plain descent are not scaled, and stop farther from it than Adam's."""
    if optimizer in {"cf.nelder_mead", "cf.powell", "cf.evolution", "cf.bfgs", "cf.lbfgs", "cf.cg"}:
        pytest.skip("on the host: see test_host")
    model, x = linear(), data()
    target = other_class(model, x)
    w, z = boundary(model, x, target)
    found = explain(f"cf(optimizer={optimizer}, features=(0, 1, 3, 4, 5))", model, x, target)
    assert found.valid.all()
    assert (predicted(model, found) == target).all()
    np.testing.assert_array_equal(found.counterfactuals.reshape(12, -1)[:, 2], x.reshape(12, -1)[:, 2])
    need = (1e-3 - z) ** 2 / (np.delete(w, 2, axis=1) ** 2).sum(1)
    assert (found.distance >= need * (1 - 1e-9)).all()
    assert (found.distance <= 1.1 * need).all()


@pytest.mark.parametrize("name", ["cf.lmad", "cf.mahalanobis", "cf.elastic", "cf.dummy"])
def test_other_costs_are_searched(name):
    model, x = linear(), data()
    target = other_class(model, x)
    given = {"reference": data(50, seed=3)} if name in {"cf.lmad", "cf.mahalanobis"} else {}
    found = explain("cf", model, x, target, cost=xaicore.get_cost(name, **given))
    assert found.valid.all()
    assert (predicted(model, found) == target).all()
