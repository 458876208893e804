"""What an explanation must not do: change the model, be seen by other threads, or keep models alive."""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from tensorflow.python.framework import ops as framework_ops  # the registry has no public name

import xaicore
from networks import Raw, Symbolic, small_cnn, subclassed_and_flat
from xaicore.errors import XaicoreError
from xaicore.testing.models import inputs_of


def _model(kind: str) -> keras.Model:
    return small_cnn() if kind == "graph" else subclassed_and_flat(Raw)[0]


def _x(model: keras.Model) -> np.ndarray:
    return (
        inputs_of(model, 4) if model.name == "small_cnn" else np.random.default_rng(0).normal(size=(4, 5)).astype("f")
    )


@pytest.mark.parametrize("kind", ["graph", "raw"])
def test_eight_threads_explain_one_model_while_a_ninth_calls_it(kind: str) -> None:
    model = _model(kind)
    x = _x(model)
    expected = np.asarray(model(x))
    # Eight analyzers, so that eight traces run at a time; what each should give is made alone, on a twin.
    names = [f"lrp.epsilon(epsilon={e})" for e in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)]
    alone_model = _model(kind)
    alone_model.set_weights(model.get_weights())
    alone = [xaicore.get_analyzer(n).explain(alone_model, x, target=1, verbose=0).attributions for n in names]
    stop, wrong = threading.Event(), []

    def call() -> None:
        while not stop.is_set():
            if not np.array_equal(np.asarray(model(x)), expected):
                wrong.append("model(x)")
            if np.abs(model.predict(x, verbose=0) - expected).max() > 1e-5:  # predict is compiled: it rounds elsewhere
                wrong.append("predict")

    caller = threading.Thread(target=call)
    caller.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(
                pool.map(lambda n: xaicore.get_analyzer(n).explain(model, x, target=1, verbose=0).attributions, names)
            )
    finally:
        stop.set()
        caller.join()

    assert wrong == []
    for one, other in zip(found, alone, strict=True):
        np.testing.assert_array_equal(one, other)
    # A predict that was first traced meanwhile must not have kept anything.
    assert np.abs(model.predict(x, verbose=0) - expected).max() < 1e-5


@pytest.mark.parametrize("kind", ["graph", "raw", "symbolic"])
def test_a_bound_model_can_be_collected(kind: str) -> None:
    model = subclassed_and_flat(Symbolic)[0] if kind == "symbolic" else _model(kind)
    x = _x(model) if kind != "symbolic" else np.ones((2, 5), np.float32)
    for name in ("gradient", "lrp.epsilon", "lrp.alpha2beta1"):
        xaicore.get_analyzer(name).explain(model, x, target=1, verbose=0)
    reference = weakref.ref(model)

    del model
    keras.backend.clear_session()
    gc.collect()

    assert reference() is None


def test_nothing_stays_in_tensorflow_s_registry_of_gradients() -> None:
    """``tf.custom_gradient`` would leave a closure there for every traced operation, for ever."""
    registry = framework_ops.gradient_registry._registry
    before = len(registry)

    model = small_cnn()
    xaicore.get_analyzer("lrp.alpha2beta1").explain(model, _x(model), target=1, verbose=0)

    assert len(registry) == before


@pytest.mark.parametrize("kind", ["graph", "raw"])
def test_the_model_is_unchanged_after_a_failure(kind: str) -> None:
    model = _model(kind)
    x = _x(model)
    before = [(sorted(layer.__dict__), len(layer._inbound_nodes)) for layer in model._flatten_layers()]
    weights = model.get_weights()

    def fail(outputs: object) -> object:
        raise RuntimeError("a target of the user's that fails while it is traced")

    with pytest.raises((RuntimeError, XaicoreError)):
        xaicore.get_analyzer("lrp.epsilon").explain(model, x, target=fail, verbose=0)

    assert before == [(sorted(layer.__dict__), len(layer._inbound_nodes)) for layer in model._flatten_layers()]
    assert all(np.array_equal(a, b) for a, b in zip(weights, model.get_weights(), strict=True))


def test_a_change_of_the_model_is_seen() -> None:
    """Weights are read when a result is computed; another activation makes another trace."""
    model = small_cnn()
    x = _x(model)
    analyzer = xaicore.get_analyzer("gradient")
    first = analyzer.explain(model, x, target=1, verbose=0).attributions

    model.get_layer("head").kernel.assign(2 * model.get_layer("head").kernel)
    doubled = analyzer.explain(model, x, target=1, verbose=0).attributions
    model.get_layer("conv1").activation = keras.activations.linear
    linear = analyzer.explain(model, x, target=1, verbose=0).attributions

    np.testing.assert_allclose(doubled, 2 * first, rtol=1e-6)
    assert np.abs(linear - doubled).max() > 0
