"""The call that keras-explainable's users know: methods of every kind, sinks, steps, queues, sizes."""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import xaicore
from functions import input_gradients
from xaicore.errors import (
    InvalidArgument,
    TargetSyntax,
    TargetType,
    WrongKind,
)


def test_a_function_is_a_method(model, x):
    found = xaicore.explain(input_gradients, model, x, 2, batch_size=4)
    plain = xaicore.explain("gradient(score='probability')", model, x, 2)
    np.testing.assert_allclose(found.attributions, plain.attributions.mean(-1), atol=1e-7)
    np.testing.assert_allclose(found.scores, plain.scores, atol=1e-7)
    squares = xaicore.explain(input_gradients, model, x, 2, power=2)
    np.testing.assert_allclose(squares.attributions, (plain.attributions**2).mean(-1), atol=1e-7)
    again = xaicore.explain(input_gradients, model, x, 2)  # another method's trace is never taken
    np.testing.assert_array_equal(again.attributions, found.attributions)


def test_a_function_gets_every_kind_of_unit(model, x):
    best = xaicore.explain(input_gradients, model, x)
    labels = np.asarray(model(x)).argmax(-1)
    np.testing.assert_array_equal(best.attributions, xaicore.explain(input_gradients, model, x, labels).attributions)
    every = xaicore.explain(input_gradients, model, x, "all")
    assert every.attributions.shape == (10, 4, 8, 8)
    with pytest.raises(TargetType, match="indices of units"):
        xaicore.explain(
            input_gradients, keras.Sequential([keras.Input((4, 2)), layers.Dense(3)]), x[:, :4, :2, 0], [[0, 1]] * 10
        )
    with pytest.raises(InvalidArgument, match="hashed"):
        xaicore.explain(input_gradients, model, x, 1, power=np.ones(2))


def test_a_function_of_outputs_gives_indices(model, x):
    """What alibi calls target_fn; decided at the input also by methods that move it."""
    lowest = xaicore.explain("ig(n_steps=4)", model, x, lambda outputs: tf.argmin(outputs, axis=-1))
    labels = np.asarray(model(x)).argmin(-1)
    expected = xaicore.explain("ig(n_steps=4)", model, x, labels)
    np.testing.assert_allclose(lowest.attributions, expected.attributions, atol=1e-7)


@pytest.mark.parametrize("name", ["y", "target", "target_fn"])
@pytest.mark.parametrize(
    "function", [lambda p: p.argmin(1), lambda p: np.argmin(p, axis=1), lambda p: list(map(int, p.argmin(axis=1)))]
)
def test_a_function_of_arrays_gives_indices_too(model, x, name, function):
    """As alibi's users write them; called on the host with the outputs of each batch."""
    expected = xaicore.explain("ig(n_steps=4)", model, x, np.asarray(model(x)).argmin(-1))
    found = xaicore.explain("ig(n_steps=4)", model, x, batch_size=4, **{name: function})
    np.testing.assert_allclose(found.attributions, expected.attributions, atol=1e-6)
    np.testing.assert_allclose(found.residual, expected.residual, atol=1e-6)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda p: np.max(p, axis=1), "float32 of shape"),
        (lambda p: np.argsort(p, axis=1), r"of shape \(10, 4\)"),
        (lambda p: p.argmax(1) + 9, "expected 0 to 3"),
        (lambda p: p.nothing(), "on arrays .*nothing"),
    ],
)
def test_functions_of_arrays_that_give_no_index(model, x, function, said):
    with pytest.raises(TargetType, match=said):
        xaicore.explain("gradient", model, x, target_fn=function)


def test_a_target_goes_by_one_name(model, x):
    with pytest.raises(InvalidArgument, match="y= and target_fn="):
        xaicore.explain("gradient", model, x, 1, target_fn=lambda p: p.argmax(1))
    with pytest.raises(InvalidArgument, match="target_fn=1"):
        xaicore.explain("gradient", model, x, target_fn=1)
    with pytest.raises(InvalidArgument, match="target= and target_fn="):
        xaicore.get_analyzer("gradient").explain(model, x, 1, target_fn=lambda p: p.argmax(1))


def test_batches_go_to_a_sink(model, x):
    whole = xaicore.explain("gradient", model, x, np.arange(10) % 4)
    parts = []
    assert xaicore.explain("gradient", model, x, np.arange(10) % 4, batch_size=3, sink=parts.append) is None
    assert [len(p) for p in parts] == [3, 3, 3, 1]
    joined = xaicore.Explanation.concat(parts)
    np.testing.assert_allclose(joined.attributions, whole.attributions, atol=1e-6)
    np.testing.assert_array_equal(joined.ids, whole.ids)
    np.testing.assert_array_equal(joined.target, whole.target)


def test_steps_end_a_stream(model, x):
    def forever():
        while True:
            yield x[:2], np.array([1, 2])

    found = xaicore.explain("gradient", model, forever(), steps=3)
    assert len(found) == 6
    assert len(xaicore.explain("gradient", model, tf.data.Dataset.from_tensor_slices(x), 1, batch_size=4, steps=2)) == 8


class Endless(keras.utils.PyDataset):
    def __init__(self, x):
        super().__init__()
        self.x = x

    @property
    def num_batches(self):
        return None

    def __getitem__(self, i):
        return self.x[:2], np.full(2, i % 4)


@pytest.mark.parametrize("kind", ["dataset", "PyDataset", "PyDataset of workers"])
def test_steps_end_what_has_no_end(model, x, kind):
    data = tf.data.Dataset.from_tensors((x[:2], np.array([1, 2]))).repeat() if kind == "dataset" else Endless(x)
    workers = {"workers": 2} if "workers" in kind else {}
    assert len(xaicore.explain("gradient", model, data, steps=3, **workers)) == 6
    with pytest.raises(InvalidArgument, match="steps="):
        xaicore.explain("gradient", model, data)


@pytest.mark.parametrize("steps", [0, -1, 2.5, True, "all"])
def test_steps_that_are_no_number(model, x, steps):
    with pytest.raises(InvalidArgument, match="steps="):
        xaicore.explain("gradient", model, x, 1, steps=steps)


class Pictures(keras.utils.PyDataset):
    def __init__(self, x, **how):
        super().__init__(**how)
        self.x = x

    def __len__(self):
        return 5

    def __getitem__(self, i):
        return self.x[2 * i : 2 * i + 2], np.full(2, i % 4)


def test_workers_make_batches_in_order(model, x):
    alone = xaicore.explain("gradient", model, Pictures(x))
    for found in (
        xaicore.explain("gradient", model, Pictures(x), workers=3, max_queue_size=2),
        xaicore.explain("gradient", model, Pictures(x, workers=2)),
        xaicore.explain("gradient", model, Pictures(x), steps=5, workers=2),
    ):
        np.testing.assert_array_equal(found.attributions, alone.attributions)


def test_force_traces_anew_once(model, x):
    analyzer = xaicore.get_analyzer("gradient")
    before = analyzer.bind(model)
    assert analyzer.bind(model) is before
    xaicore.explain(analyzer, model, x, 1, force=True)
    assert analyzer.bind(model) is not before


def test_postprocessing_and_sizes(model, x):
    """Filters after the map is resized, or before: ``resizing=False`` and a size behind the filter."""
    small = xaicore.explain("cam.gradcam", model, x, 1, resizing=False, at="pool")
    assert small.attributions.shape == (10, 2, 2, 1)
    other = xaicore.explain(
        "cam.gradcam", model, x, 1, resizing=(5, 7), postprocessing="normalize", spatial_axis=(1, 2)
    )
    assert other.attributions.shape == (10, 5, 7, 1)
    assert other.attributions.min() >= 0
    before = xaicore.explain("cam.gradcam(upsample=False) | normalize | filter.resize(size=(5, 7))", model, x, 1)
    assert before.attributions.shape == (10, 5, 7, 1)
    assert xaicore.explain("gradient", model, x, 1, resizing=True).attributions.shape == x.shape
    with pytest.raises(InvalidArgument, match="resizing=False"):
        xaicore.explain("gradient", model, x, 1, resizing=False)
    with pytest.raises(xaicore.errors.InvalidParameter, match="2 lengths"):
        xaicore.explain("gradient", model, x, 1, resizing=(5,))


def test_axes_go_to_filters_that_have_some(model, x):
    plain = xaicore.explain("gradient", model, x, 1)
    found = xaicore.explain("gradient", model, x, 1, postprocessing="positive", spatial_axis=(1, 2))
    np.testing.assert_array_equal(found.attributions, np.maximum(plain.attributions, 0))
    expected = xaicore.explain("gradient | normalize(axis=(1, 2))", model, x, 1)
    given = (xaicore.get_filter("normalize"), xaicore.get_filter("normalize", axis=3), "normalize")
    for postprocessing in given:
        found = xaicore.explain("gradient", model, x, 1, postprocessing=postprocessing, spatial_axis=(1, 2))
        np.testing.assert_array_equal(found.attributions, expected.attributions)


def test_callbacks_find_their_model(model, x):
    seen = []

    class Look(keras.callbacks.Callback):
        def on_predict_begin(self, logs=None):
            seen.append(self.model)

    xaicore.explain("gradient", model, x, 1, callbacks=[Look()])
    xaicore.get_analyzer("gradient").explain(model, x, 1, callbacks=[Look()])
    assert seen == [model, model]


def test_parameters_of_a_function_may_be_lists(model, x):
    def weighted(model, inputs, indices, weights):
        scores, maps = input_gradients(model, inputs, indices)
        return scores, maps * weights["all"][0]

    once = xaicore.explain(weighted, model, x, 1, weights={"all": [1.0, 2]})
    twice = xaicore.explain(weighted, model, x, 1, weights={"all": [2.0, 2]})
    np.testing.assert_allclose(twice.attributions, 2 * once.attributions, rtol=1e-6)


def test_shortcuts(model, x):
    smooth = xaicore.partial_explain("smoothgrad", n=3, batch_size=5)
    assert smooth.__name__ == "smoothgrad_explain"
    expected = xaicore.explain("smoothgrad(n=3)", model, x, 1)
    np.testing.assert_allclose(smooth(model, x, 1).attributions, expected.attributions, atol=1e-6)
    assert "n=4" in smooth(model, x, 1, n=4).analyzer


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda model, inputs, indices: 3, "returned int; expected"),
        (lambda model: 3, "cannot be called with .model, inputs, indices.: too many positional"),
        (lambda model, inputs: 3, "too many positional"),
    ],
)
def test_a_function_that_is_no_method(model, x, function, said):
    with pytest.raises(InvalidArgument, match=said):
        xaicore.explain(function, model, x, 1)


def test_a_function_without_a_parameter_that_is_given(model, x):
    with pytest.raises(InvalidArgument, match="unexpected keyword argument 'strength'"):
        xaicore.explain(input_gradients, model, x, 1, strength=2)


def test_what_is_neither_method_nor_sink(model, x):
    with pytest.raises(WrongKind, match="type"):
        xaicore.explain(type(xaicore.get_analyzer("gradient")), model, x, 1)
    with pytest.raises(InvalidArgument, match="sink=3"):
        xaicore.explain("gradient", model, x, 1, sink=3)


@pytest.mark.parametrize("name", ["indices_batch_dims", "indices_axis"])
def test_arguments_that_are_gone_say_what_took_their_place(model, x, name):
    with pytest.raises(TargetSyntax, match="batch, k"):
        xaicore.explain("gradient", model, x, 1, **{name: -1})


def test_one_thing_is_given_once(model, x):
    with pytest.raises(InvalidArgument, match="two names"):
        xaicore.explain("gradient", model, x, 1, target=2)
    with pytest.raises(InvalidArgument, match="nothing"):
        xaicore.explain(xaicore.get_analyzer("gradient"), model, x, 1, nothing=3)


MIRRORED = """
import keras, numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import xaicore
from xaicore.testing.models import convolutional, inputs_of

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    model = convolutional()
alone = convolutional()
alone.set_weights(model.get_weights())
x = inputs_of(model, 6)
for expression in ("lrp.alpha2beta1", "ig(n_steps=4)", "cam.gradcam", "smoothgrad(n=2)"):
    expected = xaicore.explain(expression, alone, x, 1).attributions
    np.testing.assert_allclose(xaicore.explain(expression, model, x, 1).attributions, expected, atol=1e-6)
    with strategy.scope():
        np.testing.assert_allclose(xaicore.explain(expression, model, x, 1).attributions, expected, atol=1e-6)

step = tf.function(lambda x: xaicore.explain_step("lrp.epsilon", model, x, 1), autograph=False)
data = strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensor_slices(x).batch(6))
for batch in data:
    maps = strategy.experimental_local_results(strategy.run(step, args=(batch,))[1])
    assert len(maps) == 2
    expected = xaicore.explain("lrp.epsilon", alone, x, 1).attributions
    np.testing.assert_allclose(np.concatenate(maps), expected, atol=1e-6)
print("mirrored")
"""


def test_a_model_of_a_mirrored_strategy_on_two_devices():
    """In a process of its own: devices are set up before TensorFlow computes anything."""
    done = subprocess.run([sys.executable, "-c", MIRRORED], capture_output=True, text=True, check=False)
    assert done.stdout.strip().endswith("mirrored"), done.stderr[-2000:]
