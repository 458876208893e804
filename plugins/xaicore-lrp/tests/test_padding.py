"""Rules that give relevance to inputs of zero, at and behind padding: by hand in NumPy, float64."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import xaicore

# float64, sums of a dozen products; no denominator is near zero.
ROUNDING = 1e-12


def unfolded(kernel: np.ndarray, length: int) -> np.ndarray:
    """Return a convolution without padding as a matrix: (length * channels, outputs)."""
    size, channels, filters = kernel.shape
    steps = length - size + 1
    matrix = np.zeros((length, channels, steps, filters))
    for step in range(steps):
        matrix[step : step + size, :, step] = kernel
    return matrix.reshape(length * channels, -1)


def flat(x: np.ndarray, weights: np.ndarray, inside: np.ndarray, relevance: np.ndarray) -> np.ndarray:
    """The rule of w^2 on the pattern of connections, to the inputs that count."""
    ones = (weights != 0) * inside[:, None]
    return np.broadcast_to((relevance / ones.sum(0)) @ ones.T, x.shape)


def zbox(x: np.ndarray, weights: np.ndarray, inside: np.ndarray, relevance: np.ndarray) -> np.ndarray:
    """Bounds of -3 and 2 for the inputs that count."""
    parts = x[:, :, None] * weights + (3 * np.maximum(weights, 0) - 2 * np.minimum(weights, 0)) * inside[:, None]
    return np.einsum("njk,nk->nj", parts, relevance / parts.sum(1))


RULES = {"lrp.flat": flat, "lrp.zbox(low=-3, high=2)": zbox}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("own", [True, False])
def test_what_a_padding_layer_adds_is_an_input_and_own_padding_is_none(rule: str, own: bool) -> None:
    x_in = keras.Input((5, 2), dtype="float64")
    y = x_in if own else layers.ZeroPadding1D(1, name="pad", dtype="float64")(x_in)
    conv = layers.Conv1D(3, 3, padding="same" if own else "valid", name="conv", dtype="float64")
    model = keras.Model(x_in, conv(y))
    random = np.random.default_rng(0)
    conv.set_weights([random.normal(size=(3, 2, 3)), random.normal(size=3)])
    x, relevance = random.uniform(-1, 1, size=(4, 5, 2)), random.normal(size=(5, 3))

    analyzer = xaicore.get_analyzer("lrp.composite", input=rule, rule="lrp.z", initial=relevance, account=True)
    found = analyzer.explain(model, x, target=[(0, 0)] * 4, verbose=0)

    padded = np.pad(x, ((0, 0), (1, 1), (0, 0))).reshape(4, -1)
    inside = np.ones(14)
    if own:
        inside[[0, 1, -2, -1]] = 0
    start = np.broadcast_to(relevance.reshape(-1), (4, 15))
    expected = RULES[rule](padded, unfolded(conv.get_weights()[0], 7), inside, start).reshape(4, 7, 2)
    np.testing.assert_allclose(found.attributions, expected[:, 1:-1], rtol=ROUNDING, atol=ROUNDING)
    outside = expected[:, [0, -1]].sum((1, 2))
    if own:
        np.testing.assert_array_equal(outside, 0)
    else:
        assert (abs(outside) > 1e-3).all()  # so that a sink left at zero is seen
        np.testing.assert_allclose(found.ledger["pad"]["padding"], outside, rtol=ROUNDING, atol=ROUNDING)
