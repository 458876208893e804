"""What a user calls, on real models: batches, targets, datasets, outputs, heads."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import xaicore
from networks import nested_and_flat, small_cnn
from xaicore.errors import EmptyInput, InputNotFinite, InvalidArgument, TargetLength, TargetNeeded, TargetOutOfRange
from xaicore.testing.models import inputs_of, randomise

# Other batch sizes, other kernels: float32 sums of some hundred terms in another order.
BETWEEN_BATCHES = 1e-5


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return small_cnn()


@pytest.fixture(scope="module")
def x(model: keras.Model) -> np.ndarray:
    return inputs_of(model, 7)


def _close(a: np.ndarray, b: np.ndarray) -> None:
    np.testing.assert_allclose(a, b, rtol=0, atol=BETWEEN_BATCHES * np.abs(b).max())


def test_batches_of_any_size_give_the_same(model: keras.Model, x: np.ndarray) -> None:
    whole = xaicore.explain("gradient", model, x, verbose=0)

    parts = xaicore.explain("gradient", model, x, batch_size=3, verbose=0)

    _close(parts.attributions, whole.attributions)
    _close(parts.scores, whole.scores)
    assert parts.ids.tolist() == list(range(7))
    assert whole.analyzer == "gradient.gradient"
    assert [row["site"] for row in whole.coverage] == ["conv1", "pool", "conv2", "relu", "flatten", "head"]


@pytest.mark.parametrize("with_target", [False, True])
def test_a_dataset_gives_what_its_arrays_give(model: keras.Model, x: np.ndarray, with_target: bool) -> None:
    labels = np.arange(7) % 5
    data = tf.data.Dataset.from_tensor_slices((x, labels) if with_target else x).batch(3)
    expected = xaicore.explain("lrp.epsilon(epsilon=0.1)", model, x, labels if with_target else None, verbose=0)

    scores, attributions = xaicore.explain("lrp.epsilon(epsilon=0.1)", model, data, verbose=0)

    _close(attributions, expected.attributions)
    _close(scores, expected.scores)


def test_a_dataset_of_several_inputs() -> None:
    model = nested_and_flat()[0]
    a, b = inputs_of(model, 4)
    expected = xaicore.explain("gradient", model, [a, b], 1, verbose=0)
    data = tf.data.Dataset.from_tensor_slices(((a, b), np.ones(4, int))).batch(2)

    found = xaicore.explain("gradient", model, data, verbose=0)

    for one, other in zip(found.arrays, expected.arrays, strict=True):
        _close(one, other)


def test_a_random_method_does_not_depend_on_the_batches(model: keras.Model, x: np.ndarray) -> None:
    """Random numbers are keyed by sample, so that only rounding is left between batch sizes."""
    whole = xaicore.explain("smoothgrad(n=3)", model, x, 1, verbose=0)

    parts = xaicore.explain("smoothgrad(n=3)", model, x, 1, batch_size=2, verbose=0)

    _close(parts.attributions, whole.attributions)


def test_several_targets_per_sample_are_axis_1(model: keras.Model, x: np.ndarray) -> None:
    every = xaicore.explain("gradient", model, x, "all", verbose=0)
    two = xaicore.explain("gradient", model, x, np.tile([[4, 1]], (7, 1)), verbose=0)

    assert every.attributions.shape == (7, 5, 8, 8, 2)
    assert every.scores.shape == (7, 5)
    np.testing.assert_array_equal(two.attributions, every.attributions[:, [4, 1]])
    for k in range(5):
        np.testing.assert_array_equal(
            xaicore.explain("gradient", model, x, k, verbose=0).attributions, every.attributions[:, k]
        )


def test_one_trace_serves_all_targets_and_sizes(model: keras.Model, x: np.ndarray) -> None:
    analyzer = xaicore.get_analyzer("smoothgrad(lrp.epsilon(epsilon=0.25), n=8) | absmax")

    for target, rows in ((1, 7), (np.arange(7) % 5, 7), ("all", 3), (4, 1)):
        analyzer.explain(model, x[:rows], target, verbose=0)

    assert analyzer.bind(model).traces == 1


def test_outputs_are_chosen_by_name_or_in_the_target() -> None:
    inputs = keras.Input((3,))
    heads = {n: keras.layers.Dense(2, name=n, activation="softmax")(inputs) for n in ("head_a", "head_b")}
    model = randomise(keras.Model(inputs, list(heads.values())))
    x = np.ones((2, 3), np.float32)

    by_name = xaicore.explain("gradient", model, x, 1, output="head_b", verbose=0)
    by_text = xaicore.explain("gradient", model, x, "head_b:1", verbose=0)
    contrast = xaicore.explain("gradient", model, x, "head_b:logit[1]-logit[0]", verbose=0)

    kernel = np.asarray(model.get_layer("head_b").kernel)
    np.testing.assert_allclose(by_name.attributions[0], kernel[:, 1], rtol=1e-6)
    np.testing.assert_array_equal(by_text.attributions, by_name.attributions)
    assert by_name.output == by_text.output == "head_b"
    np.testing.assert_allclose(contrast.attributions[0], kernel[:, 1] - kernel[:, 0], rtol=1e-5)
    with pytest.raises(TargetNeeded, match="head_a"):
        xaicore.explain("gradient", model, x, 1, verbose=0)


@pytest.mark.parametrize("head", ["softmax", "sigmoid"])
def test_the_logit_or_the_probability_is_explained(head: str) -> None:
    inputs = keras.Input((3,))
    model = randomise(keras.Model(inputs, keras.layers.Activation(head)(keras.layers.Dense(2, name="z")(inputs))))
    x = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    layer = model.get_layer("z")
    logits = x @ np.asarray(layer.kernel) + np.asarray(layer.bias)

    logit = xaicore.explain("gradient", model, x, 0, verbose=0)
    probability = xaicore.explain(xaicore.get_analyzer("gradient", score="probability"), model, x, 0, verbose=0)

    np.testing.assert_allclose(logit.scores, logits[:, 0], rtol=1e-5)
    np.testing.assert_allclose(probability.scores, np.asarray(model(x))[:, 0], rtol=1e-5)
    np.testing.assert_allclose(logit.attributions, np.tile(np.asarray(layer.kernel)[:, 0], (2, 1)), rtol=1e-6)


def test_progress_events_are_those_of_predict(model: keras.Model, x: np.ndarray) -> None:
    seen: list[str] = []

    class Log(keras.callbacks.Callback):
        def on_predict_begin(self, logs: object = None) -> None:
            seen.append("begin")

        def on_predict_batch_end(self, batch: int, logs: object = None) -> None:
            seen.append(f"batch {batch}")

        def on_predict_end(self, logs: object = None) -> None:
            seen.append("end")

    xaicore.explain("gradient", model, x, batch_size=4, verbose=0, callbacks=[Log()])

    assert seen == ["begin", "batch 0", "batch 1", "end"]


def test_a_bar_is_shown_when_asked_for(model: keras.Model, x: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    xaicore.explain("gradient", model, x, batch_size=4, verbose=1)

    assert "2/2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"target": 5}, TargetOutOfRange),
        ({"target": [1, 2]}, TargetLength),
        ({"batch_size": 0}, InvalidArgument),
        ({"batch_size": "all"}, InvalidArgument),
        ({"verbose": "loud"}, InvalidArgument),
        ({"x": np.full((7, 8, 8, 2), np.nan)}, InputNotFinite),
        ({"x": np.zeros((0, 8, 8, 2))}, EmptyInput),
    ],
)
def test_mistakes_are_refused_before_anything_is_traced(
    model: keras.Model, x: np.ndarray, change: dict[str, object], error: type[Exception]
) -> None:
    analyzer = xaicore.get_analyzer("gradient", times_input=True)
    bound = analyzer.bind(model)
    before = bound.traces

    with pytest.raises(error):
        xaicore.explain(analyzer, model, **{"x": x, "verbose": 0, **change})

    assert bound.traces == before


def test_a_mistake_in_the_last_batch_is_found_before_the_first_runs(model: keras.Model, x: np.ndarray) -> None:
    late = x.copy()
    late[-1, 0, 0, 0] = np.inf
    ran: list[int] = []
    callback = keras.callbacks.LambdaCallback()
    callback.on_predict_batch_begin = lambda batch, logs=None: ran.append(batch)

    with pytest.raises(InputNotFinite):
        xaicore.explain("gradient", model, late, batch_size=2, verbose=0, callbacks=[callback])

    assert ran == []


def test_datasets_and_arguments_that_do_not_go_together(model: keras.Model, x: np.ndarray) -> None:
    data = tf.data.Dataset.from_tensor_slices((x, np.zeros(7, int))).batch(2)

    with pytest.raises(InvalidArgument, match="target"):
        xaicore.explain("gradient", model, data, 1, verbose=0)
    with pytest.raises(EmptyInput):
        xaicore.explain("gradient", model, data.take(0), verbose=0)
