"""Further arguments of a model's call, with a row for each sample, against the function written down in NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import xaicore
from xaicore.errors import InvalidArgument

R = np.random.default_rng(0)
X, GATE, SHIFT = R.normal(size=(7, 5)), R.uniform(0.5, 2, size=(7, 4)), R.integers(0, 3, size=(7, 1))


@keras.saving.register_keras_serializable("tests")
class Gated(keras.Model):
    """f(x) = ((tanh(x W + b) + shift) * gate * scale) V, with ``gate`` and ``shift`` handed to each call."""

    def __init__(self):
        super().__init__(dtype="float64")
        self.first = layers.Dense(4, activation="tanh", name="first", dtype="float64")
        self.last = layers.Dense(3, use_bias=False, name="last", dtype="float64")

    def call(self, x, gate=None, shift=None, scale=1.0):
        h = self.first(x)
        if shift is not None:
            h = h + ops.cast(shift, h.dtype)
        return self.last((h if gate is None else h * gate) * scale)


@pytest.fixture(scope="module")
def model():
    made = Gated()
    made(np.zeros((1, 5)))
    made.set_weights([R.normal(size=w.shape) for w in made.get_weights()])
    return made


def weights(model):
    return model.first.kernel.numpy(), model.first.bias.numpy(), model.last.kernel.numpy()[:, 1]


def gradient(model, x, gate):
    w, b, v = weights(model)
    return ((1 - np.tanh(x @ w + b) ** 2) * gate * v) @ w.T


@pytest.mark.parametrize("size", [2, 7])
@pytest.mark.parametrize("make", [np.asarray, tf.constant, lambda a: a.astype("float32")])
def test_arrays_go_with_their_samples(model, size, make):
    found = xaicore.explain("gradient", model, X, 1, batch_size=size, forward_kwargs={"gate": make(GATE)})
    np.testing.assert_allclose(found.attributions, gradient(model, X, GATE), atol=1e-6)  # float32 gates


def test_arrays_are_repeated_along_a_path(model):
    """Against 2000 midpoints: h^2 / 24 of a third derivative of size ten."""
    n = 2000
    expected = X * sum(gradient(model, X * (k + 0.5) / n, GATE) for k in range(n)) / n
    given = {"gate": GATE, "shift": SHIFT, "scale": 1.0}
    for method in ("ig", "ig(internal_batch_size=3)", "ig.adaptive(tolerance=1e-6)", "ig(prefix=False)"):
        found = xaicore.explain(method, model, X, 1, batch_size=4, forward_kwargs=given)
        np.testing.assert_allclose(found.attributions, expected, atol=1e-5)
    # The shift is a constant: it changes the score and no attribution.
    w, b, v = weights(model)
    np.testing.assert_allclose(found.scores, ((np.tanh(X @ w + b) + SHIFT) * GATE) @ v, atol=1e-10)


def test_a_site_sees_what_its_sample_has(model):
    """Behind ``first`` the model is linear: a = (h(x) - h(0)) * gate * v."""
    w, b, v = weights(model)
    found = xaicore.explain("ig(at='first', n_steps=3)", model, X, 1, forward_kwargs={"gate": GATE})
    np.testing.assert_allclose(found.attributions, (np.tanh(X @ w + b) - np.tanh(b)) * GATE * v, atol=1e-12)


@pytest.mark.parametrize("method", ["smoothgrad(n=3)", "lrp.epsilon(epsilon=0.1)", "perturbation.ablation", "ig.idgi"])
def test_other_methods_take_them_too(model, method):
    whole = xaicore.explain(method, model, X, 1, forward_kwargs={"gate": GATE}).attributions
    parts = xaicore.explain(method, model, iter([X[:3], X[3:]]), 1, forward_kwargs={"gate": GATE}).attributions
    np.testing.assert_allclose(parts, whole, atol=1e-10)
    swapped = xaicore.explain(method, model, X, 1, forward_kwargs={"gate": GATE[::-1]}).attributions
    assert np.abs(swapped - whole).max() > 1e-3


def test_one_trace_serves_all_numbers(model):
    analyzer = xaicore.get_analyzer("gradient(absolute=True)")
    for gate in (GATE, 2 * GATE):
        analyzer.explain(model, X, 1, forward_kwargs={"gate": gate})
    assert analyzer.bind(model, forward_kwargs={"gate": GATE}).traces == 1


def test_arguments_that_do_not_fit(model):
    with pytest.raises(InvalidArgument, match=r"'gate'.* of shape \(4, 4\) and 7 samples"):
        xaicore.explain("gradient", model, X, 1, forward_kwargs={"gate": GATE[:4]})
    with pytest.raises(InvalidArgument, match=r"at least 6 samples"):
        xaicore.explain("gradient", model, iter([X[:3], X[3:6]]), 1, forward_kwargs={"gate": GATE[:4]})
    with pytest.raises(InvalidArgument, match="dtype"):
        xaicore.explain("gradient", model, X, 1, forward_kwargs={"gate": np.array(["a"] * 7)})
    graph = keras.Sequential([keras.Input((5,)), layers.Dense(2)])
    with pytest.raises(InvalidArgument, match="graph of its inputs"):
        xaicore.explain("gradient", graph, X, 1, forward_kwargs={"gate": GATE})
