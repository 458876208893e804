"""The weighted sum over changed copies, against a loop in numpy that runs one copy at a time."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import xaicore
from xaicore.engine.copies import rows_per_pass, weighted_sum
from xaicore.engine.program import Program
from xaicore.engine.target import OutputSpec, Target, parse
from xaicore.inspect.read import read_graph
from xaicore.testing.models import randomise


def model_of(*hidden, batch=None):
    dense = [layers.Dense(n, activation="tanh") for n in hidden]
    inputs = keras.Input(batch_shape=(batch, 6))
    return randomise(keras.Sequential([inputs, *dense, layers.Dense(3)]))


def program_of(model, at_most=None):
    graph = read_graph(model, {})
    return Program(graph, graph, at_most=at_most)


def explained(program, x, weights, shifts):
    """Return sum_k w_k * gradient at x + shift_k, and how many rows each pass had."""
    parsed = parse(1, (OutputSpec("y", (None, 3), "value"),), output=None, batch=len(x))
    target = Target(parsed.spec, tf.constant(parsed.index[:, 0]))
    rows = tf.Variable(0)

    def attribute(program):
        def step(inputs, target, ids):
            rows.assign_add(tf.shape(inputs[0])[0])
            found = program.pull(inputs, target)
            return xaicore.protocols.Attribution(found.relevance, found.scores)

        return step

    @tf.function(autograph=False)
    def whole(x, ids):
        def change(repeat, k, ids):
            return (
                repeat(x) + tf.gather(tf.constant(shifts, x.dtype), k)[:, None] * (1 + tf.cast(ids, x.dtype))[:, None],
            )

        return weighted_sum(attribute, program, target, ids, tf.constant(weights), change)

    (found,) = whole(tf.constant(x), tf.range(len(x), dtype=tf.int64))
    return found.numpy(), int(rows.numpy())


@pytest.mark.parametrize(
    ("batch", "n", "at_most"), [(1, 7, None), (5, 7, None), (300, 7, None), (2000, 3, None), (5, 7, 9)]
)
def test_as_one_copy_at_a_time(batch, n, at_most):
    """Whatever fits into a pass: the weights are met once each, and the copies past the last count nothing."""
    model = model_of(8)
    random = np.random.default_rng(0)
    x = random.normal(size=(batch, 6)).astype(np.float32)
    weights, shifts = random.normal(size=n).astype(np.float32), random.normal(size=n)
    first, last = (np.float64(w) for w in (model.layers[0].kernel.numpy(), model.layers[1].kernel.numpy()))
    bias = np.float64(model.layers[0].bias.numpy())
    expected = np.zeros((batch, 6))
    for w, shift in zip(weights, shifts, strict=True):
        hidden = np.tanh((x + shift * (1 + np.arange(batch))[:, None]) @ first + bias)
        expected += w * ((1 - hidden**2) * last[:, 1]) @ first.T
    found, rows = explained(program_of(model, at_most), x, weights, shifts)
    # Sums of 8 * 7 terms of order 1 in float32, whose unit is 1.2e-7.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert batch * n <= rows < batch * n + max(1024, batch)


@pytest.mark.parametrize(
    ("expression", "copies"),
    [("smoothgrad(n=8)", 8), ("ig(n_steps=4)", 4), ("smoothgrad(ig(n_steps=4), n=4) | abs", 16)],
)
def test_few_samples_need_no_loop(expression, copies):
    """One pass holds all their copies: there is no loop in the graph, and the numbers are those of the loop."""
    bound = xaicore.get_analyzer(expression).bind(model_of(8, 8))
    spec = bound.parse_target(1, 1).spec
    given = (tf.TensorSpec((None, 6)),), tf.TensorSpec((None, 1), tf.int32), tf.TensorSpec((None,), tf.int64)
    assert bound.few == 1024 // copies
    kinds = {}
    for few in (True, False):
        function = bound._compile(spec, bound.few if few else None)
        kinds[few] = {op.type for op in function.get_concrete_function(*given).graph.get_operations()}
    assert not any("While" in kind for kind in kinds[True])
    assert any("While" in kind for kind in kinds[False])


def test_a_second_function_is_made_for_more_samples_and_serves_few_then():
    """Both give the same; a stream whose last batch is short is not compiled for it."""
    model = model_of(8)
    x = np.random.default_rng(1).normal(size=(200, 6)).astype(np.float32)
    analyzer = xaicore.get_analyzer("smoothgrad(n=16, noise=0.3)")
    bound = analyzer.bind(model)
    assert bound.few == 1024 // 16

    def explain(rows):
        ids = np.arange(200)[rows]
        return bound.batch((x[rows],), bound.parse_target(1, len(ids)), ids).attributions[0]

    first = explain(slice(0, 64))
    explain(slice(3, 5))
    assert bound.traces == 1
    every = explain(slice(None))
    assert bound.traces == 2
    fresh = analyzer.bind(model, fresh=True)
    fresh.batch((x,), fresh.parse_target(1, 200), np.arange(200))
    fresh.batch((x[:2],), fresh.parse_target(1, 2), np.arange(2))
    assert fresh.traces == 1
    # Means of 16 gradients of order 1 in float32, summed in another order.
    np.testing.assert_allclose(first, every[:64], rtol=0, atol=1e-6)


def test_a_step_in_a_graph_of_the_user_takes_any_number_of_samples():
    """There nothing bounds the batch, so that copies go through a loop, and memory does not grow with their number."""
    model = model_of(8)

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None, 6))])
    def mine(x):
        return xaicore.explain_step("smoothgrad(n=8)", model, x, 1)

    kinds = {op.type for op in mine.get_concrete_function().graph.get_operations()}
    assert any("While" in kind for kind in kinds)


def test_small_models_run_several_copies_in_one_pass_and_large_ones_do_not():
    assert rows_per_pass(read_graph(model_of(8), {})) == 1024
    large = keras.Sequential([keras.Input((1024, 1024, 3)), layers.Conv2D(8, 3), layers.GlobalMaxPooling2D()])
    assert rows_per_pass(read_graph(large, {})) == 1


def test_a_fixed_batch_size_and_unknown_sizes_run_alone():
    assert rows_per_pass(read_graph(model_of(8, batch=4), {})) == 1
    free = keras.Sequential([keras.Input((None, 3)), layers.Conv1D(2, 3), layers.GlobalAveragePooling1D()])
    assert rows_per_pass(read_graph(free, {})) == 1


def test_what_runs_around_a_cut_is_repeated_too():
    """A sample's own context stands beside each of its copies."""
    x = keras.Input((4,))
    side = layers.Dense(4, name="side", activation="tanh")(x)
    inner = layers.Dense(4, name="inner", activation="tanh")(x)
    model = randomise(keras.Model(x, layers.Dense(2)(layers.Multiply()([inner, side]))))
    data = np.random.default_rng(3).normal(size=(3, 4)).astype(np.float32)
    analyzer = xaicore.get_analyzer("smoothgrad(n=40, noise=0.3, at='inner', seed=1)")
    together = analyzer.explain(model, data, 0, verbose=0).attributions
    # The output is linear in inner: noise there changes nothing, and the gradient is side times the last kernel.
    expected = np.tanh(data @ model.get_layer("side").kernel.numpy() + model.get_layer("side").bias.numpy())
    np.testing.assert_allclose(together, expected * model.layers[-1].kernel.numpy()[:, 0], rtol=0, atol=1e-5)
