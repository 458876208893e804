"""A model that is changed after the first explanation is explained as it is, not as it was."""

from __future__ import annotations

import time
from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import layers

import xaicore
from xaicore.inspect.settings import settings, structure_of
from xaicore.testing.models import randomise

X = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


def network() -> keras.Model:
    """Return 4 -> 3 through everything that is changed here; its head is linear, so that its output is the score."""
    parts = [layers.Dense(4, name="a"), layers.BatchNormalization(name="norm"), layers.LeakyReLU(0.1, name="leaky")]
    return randomise(keras.Sequential([keras.Input((4,)), *parts, layers.Dense(3, name="b")]))


def with_lora(model: keras.Model) -> None:
    """Add LoRA to a layer, with weights that count."""
    model.get_layer("b").enable_lora(2)
    model.get_layer("b").lora_kernel_b.assign(np.ones((2, 3)))


CHANGES: dict[str, Callable[[keras.Model], object]] = {
    "lora": with_lora,
    "slope": lambda model: setattr(model.get_layer("leaky"), "negative_slope", 0.9),
    "epsilon": lambda model: setattr(model.get_layer("norm"), "epsilon", 2.0),
    "activation": lambda model: setattr(model.get_layer("a"), "activation", keras.activations.tanh),
}


@pytest.mark.parametrize("expression", ["gradient", "lrp.epsilon(on_unsupported='gradient')", "ig(n_steps=4)"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_layer_is_met_as_it_is(change: str, expression: str) -> None:
    model, analyzer = network(), xaicore.get_analyzer(expression)
    first = analyzer.explain(model, X, 1, verbose=0).scores
    CHANGES[change](model)
    expected = model(X).numpy()[:, 1]
    assert np.abs(expected - first).max() > 1e-3  # the change counts, far above rounding
    # Float32 rounding through three layers.
    np.testing.assert_allclose(analyzer.explain(model, X, 1, verbose=0).scores, expected, rtol=1e-5, atol=1e-5)


def test_another_slope_is_another_model() -> None:
    model = network()
    first = xaicore.get_analyzer("gradient").bind(model).fingerprint
    model.get_layer("leaky").negative_slope = 0.9
    assert xaicore.get_analyzer("gradient").bind(model).fingerprint != first


class Counting(layers.Dense):
    """Counts its calls, in an attribute that is no parameter."""

    calls = 0

    def call(self, x: object) -> object:
        self.calls += 1
        return super().call(x)


def test_weights_and_counters_bind_nothing_anew() -> None:
    model = keras.Sequential([keras.Input((4,)), Counting(3)])
    bound = xaicore.get_analyzer("gradient").bind(model)
    model.layers[0].kernel.assign_add(np.ones((4, 3)))
    model(X)
    assert xaicore.get_analyzer("gradient").bind(model) is bound


def test_what_a_layer_was_told_is_read_from_it_as_it_is_now() -> None:
    layer = layers.LeakyReLU(0.1)
    layer.negative_slope = 0.25
    assert dict(settings(layer))["negative_slope"] == 0.25
    assert dict(settings(layers.Conv2D(4, (2, 3))))["kernel_size"] == (2, 3)


def test_the_structure_of_a_hundred_layers_takes_milliseconds() -> None:
    """It is asked for at each explanation: 3 ms for ResNet50; 100 ms leave room for a busy machine."""
    model = keras.Sequential([keras.Input((4,)), *(layers.Dense(4) for _ in range(150))])
    structure_of(model)
    start = time.perf_counter()
    structure_of(model)
    assert time.perf_counter() - start < 0.1
