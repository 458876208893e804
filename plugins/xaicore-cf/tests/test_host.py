"""Optimizers of the host: near the closed form, for models and for black boxes; questions answered together."""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

import xaicore
from xaicore.testing.models import randomise
from xaicore_cf.together import Together

NEEDS_OUTPUTS = ("cf.nelder_mead", "cf.powell", "cf.evolution")
NEEDS_GRADIENTS = ("cf.bfgs", "cf.lbfgs", "cf.cg")


def network():
    x = keras.Input((5,), dtype="float64")
    return randomise(keras.Model(x, layers.Dense(2, activation="softmax", dtype="float64")(x)))


def data(batch=6, seed=0):
    return 2 * np.random.default_rng(seed).normal(size=(batch, 5))


def projection(model, x, features=slice(None)):
    """Return (target, squared distance of the boundary with a lead of 0.001)."""
    kernel, bias = (w.numpy() for w in model.layers[-1].weights)
    z = x @ kernel + bias
    target = 1 - z.argmax(1)
    w = kernel[:, 1] - kernel[:, 0]
    return target, (1e-3 + np.abs(z[:, 1] - z[:, 0])) ** 2 / (w[features] @ w[features])


@pytest.mark.parametrize("optimizer", NEEDS_GRADIENTS + NEEDS_OUTPUTS)
def test_near_the_projection_with_held_features_equal_to_the_bit(optimizer):
    """The least of C |u|^2 - log p lies on the way to the projection for any C, and the way is halved.

    1 % for what the optimizers themselves leave.
    """
    model, x = network(), data()
    target, need = projection(model, x, [0, 1, 3, 4])
    analyzer = xaicore.get_analyzer(f"cf(optimizer={optimizer}, features=[0, 1, 3, 4])")
    found = analyzer.explain(model, x, target, verbose=0)
    assert found.valid.all()
    np.testing.assert_array_equal(found.counterfactuals[:, 2], x[:, 2])
    assert (model.predict(found.counterfactuals, verbose=0).argmax(1) == target).all()
    assert (found.distance >= need * (1 - 1e-9)).all()
    assert (found.distance <= 1.01 * need).all()
    assert (found.iterations > 0).all()


@pytest.mark.parametrize("optimizer", NEEDS_OUTPUTS)
def test_black_boxes_are_searched_by_their_outputs(optimizer):
    """A function on arrays that no gradient passes through."""
    model, x = network(), data()
    kernel, bias = (w.numpy() for w in model.layers[-1].weights)
    calls = []

    def function(rows):
        calls.append(len(rows))
        return rows @ kernel + bias

    box = xaicore.black_box(function, (5,), (2,), dtype="float64")
    target, need = projection(model, x)
    found = xaicore.get_analyzer("cf", optimizer=optimizer).explain(box, x, target, verbose=0)
    assert found.valid.all()
    assert (found.distance <= 1.01 * need).all()
    # Questions of all samples and all C are asked together.
    assert sum(calls) > 8 * len(calls)


@pytest.mark.parametrize("optimizer", ["cf.adam", "cf.bfgs"])
def test_black_boxes_have_no_gradient(optimizer):
    box = xaicore.black_box(lambda rows: rows[:, :2], (5,), (2,))
    with pytest.raises(xaicore.errors.XaicoreError, match="gradient"):
        xaicore.get_analyzer("cf", optimizer=optimizer).explain(box, data().astype(np.float32), 1, verbose=0)


@pytest.mark.parametrize("optimizer", ["cf.nelder_mead", "cf.evolution"])
def test_bounds_hold_at_every_question(optimizer):
    met = []

    def function(rows):
        met.append(np.array(rows))
        return np.stack([rows.sum(1), -rows.sum(1)], axis=1)

    box = xaicore.black_box(function, (5,), (2,))
    x = np.full((2, 5), 0.5, np.float32)
    found = xaicore.get_analyzer("cf", optimizer=optimizer, bounds=(-1, 1), max_iter=60).explain(box, x, 1, verbose=0)
    assert found.valid.all()
    every = np.concatenate(met)
    assert every.min() >= -1
    assert every.max() <= 1


def test_ceml_is_a_search_of_the_host():
    model, x = network(), data()
    target, _ = projection(model, x)
    found = xaicore.get_analyzer("cf.ceml(C=[0.1, 0.01])").explain(model, x, target, verbose=0)
    assert found.valid.all()
    assert set(found.C.tolist()) <= {0.1, 0.01}


def test_rows_of_the_host_do_not_depend_on_the_batch():
    """1e-5: rows are filled up to whole lanes; what BFGS makes of the last bits of float64 is smaller."""
    model, x = network(), data()
    target, _ = projection(model, x)
    for optimizer in ("cf.bfgs", "cf.evolution"):
        analyzer = xaicore.get_analyzer("cf", optimizer=optimizer)
        whole = analyzer.explain(model, x, target, verbose=0)
        alone = analyzer.explain(model, x, target, batch_size=1, verbose=0)
        np.testing.assert_allclose(whole.counterfactuals, alone.counterfactuals, atol=1e-5)


def test_samples_of_any_length():
    x = keras.Input((None, 3))
    model = randomise(keras.Model(x, layers.Dense(2)(layers.GlobalAveragePooling1D()(x))))
    values = np.ones((2, 4, 3), np.float32)
    for optimizer in ("cf.adam", "cf.bfgs"):
        analyzer = xaicore.get_analyzer("cf", optimizer=optimizer, max_iter=200)
        for length in (4, 5):
            target = 1 - model.predict(values[:, :length], verbose=0).argmax(1)
            found = analyzer.explain(model, values[:, :length], target, verbose=0)
            assert found.valid.all()
            assert (model.predict(found.counterfactuals, verbose=0).argmax(1) == target).all()


THREADS = """
import threading
import keras, numpy as np, tensorflow as tf, xaicore
tf.config.threading.set_inter_op_parallelism_threads(1)
tf.config.threading.set_intra_op_parallelism_threads(1)
x = keras.Input((3,))
model = keras.Model(x, keras.layers.Dense(2, activation="softmax")(x))
model.set_weights([np.array([[1, -1], [0, 1], [2, 0]], "float32"), np.zeros(2, "float32")])
rows = np.random.default_rng(0).normal(size=(3, 3)).astype("float32")
box = xaicore.black_box(lambda a: model(a), (3,), (2,))
valid = []
def run(model, optimizer, **given):
    found = xaicore.get_analyzer("cf", optimizer=optimizer, max_iter=30, **given).explain(model, rows, 1, verbose=0)
    valid.append(found.valid.all())
threads = [
    threading.Thread(target=run, args=(model, "cf.bfgs")),
    threading.Thread(target=run, args=(model, "cf.lbfgs")),
    threading.Thread(target=run, args=(box, "cf.nelder_mead"), kwargs={"outputs_are": "probabilities"}),
]
[t.start() for t in threads]
[t.join() for t in threads]
assert valid == [True] * 3, valid
"""


def test_searches_of_several_threads_do_not_wait_for_each_other():
    """One thread of TensorFlow's for operations, and a black box that runs TensorFlow itself; 100 s: they take ten."""
    subprocess.run([sys.executable, "-c", THREADS], check=True, timeout=100)  # our own text


NAMES = """
import sys, xaicore
for kind in ("analyzer", "cost", "optimizer"):
    for row in xaicore.available(kind):
        if row.name.startswith("cf.") and row.name != "cf.gaussian_mixture":  # which cannot do without parameters
            try:
                xaicore.get(row.name, kind)
            except xaicore.errors.MissingParameter:
                pass
loaded = {"tensorflow", "keras", "scipy"} & set(sys.modules)
assert not loaded, loaded
"""


def test_names_are_looked_up_without_tensorflow():
    subprocess.run([sys.executable, "-c", NAMES], check=True, timeout=100)  # our own text


def test_questions_are_answered_together_and_failures_are_raised():
    sizes = []

    def square(rows, points):
        sizes.append(len(rows))
        return (points**2).sum(1)

    answers = {}

    def search(row, ask):
        answers[row] = [ask(np.array([row + k])) for k in range(row + 1)]

    Together(square).run(range(4), search)
    assert answers == {r: [(r + k) ** 2 for k in range(r + 1)] for r in range(4)}
    assert sizes == [4, 3, 2, 1]

    def broken(rows, points):
        raise RuntimeError("no answer")

    with pytest.raises(RuntimeError, match="no answer"):
        Together(broken).run(range(4), search)

    def careless(row, ask):
        ask(np.zeros(1))
        raise ValueError(f"row {row}")

    with pytest.raises(ValueError, match="row 0"):
        Together(square).run(range(2), careless)
