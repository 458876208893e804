"""The loop: the sum, one trace, shapes that are known only when run, memory that does not grow."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from xaicore.engine.loops import accumulate


@pytest.mark.parametrize("given", [True, False], ids=["zeros given", "zeros found"])
def test_the_sum_of_all_terms_from_one_trace(given):
    """Eagerly, compiled, and with a number of terms known only when run."""
    traces = []

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None, 3)), tf.TensorSpec((), tf.int32)])
    def total(x, n):
        def step(k):
            traces.append(k)
            weight = tf.cast(k, tf.float32)
            return weight * x, tf.reduce_sum(x, axis=1)

        return accumulate(n, step, (tf.zeros_like(x), tf.zeros_like(x[:, 0])) if given else None)

    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    for n in (0, 1, 7):
        weighted, plain = total(x, n)
        # small whole numbers: float32 is exact
        np.testing.assert_array_equal(weighted * np.ones_like(x), sum(range(n)) * x)
        np.testing.assert_array_equal(plain * np.ones(2, np.float32), n * x.sum(axis=1))
    assert len(traces) == 1


@pytest.mark.parametrize("zeros", ["of another shape", "of another dtype", "of another number"])
def test_zeros_unlike_the_terms_are_found_anew(zeros):
    """Wrong zeros change nothing, neither values nor shapes nor dtypes."""
    wrong = {
        "of another shape": lambda x: (x,),
        "of another dtype": lambda x: (tf.zeros(tf.shape(x)[:1], tf.float64),),
        "of another number": lambda x: (x[:, 0], x[:, 0]),
    }[zeros]

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None, 3))])
    def total(x):
        return accumulate(4, lambda k: (tf.cast(k, x.dtype) * tf.reduce_sum(x, axis=1),), wrong(x))

    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    (found,) = total(x)
    assert found.dtype == tf.float32
    np.testing.assert_array_equal(found, 6 * x.sum(axis=1))  # small whole numbers: float32 is exact


def test_shapes_of_terms_are_kept():
    """A result with lengths unknown before the run has the rank and the known lengths of its terms."""

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None, None, 4, 3), tf.float64)])
    def total(x):
        (found,) = accumulate(5, lambda k: (tf.cast(k, x.dtype) * tf.reduce_sum(x, axis=-1, keepdims=True),))
        assert found.shape.as_list() == [None, None, 4, 1]
        assert found.dtype == tf.float64
        return found

    x = np.random.default_rng(0).normal(size=(2, 6, 4, 3))
    # rounding of float64
    np.testing.assert_allclose(total(x), 10 * x.sum(axis=-1, keepdims=True), rtol=1e-14)


def test_terms_are_never_stacked():
    """The compiled loop holds no list of tensors and lets one iteration run at a time, whatever n is."""

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((4,))])
    def total(x):
        return accumulate(1000, lambda k: (x * tf.cast(k, tf.float32),))

    graph = total.get_concrete_function().graph
    (loop,) = [op for op in graph.get_operations() if op.type in {"While", "StatelessWhile"}]
    assert loop.get_attr("parallel_iterations") == 1
    definition = graph.as_graph_def()
    kinds = {node.op for function in definition.library.function for node in function.node_def}
    assert not {kind for kind in kinds if "TensorList" in kind or "TensorArray" in kind}
