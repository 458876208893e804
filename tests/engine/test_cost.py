"""What a plan says that a model costs, against counts by hand."""

from __future__ import annotations

import keras
import pytest
import tensorflow as tf
from keras import layers

import xaicore
from networks import Raw, subclassed_and_flat
from xaicore.engine.cost import work
from xaicore.inspect.read import read_graph


def attention() -> keras.Model:
    """Return attention of two heads, of 4 numbers each, over 6 tokens of 8 numbers."""
    x = keras.Input((6, 8), name="x")
    y = layers.MultiHeadAttention(2, 4, name="mha")(x, x)
    return keras.Model(x, layers.Dense(2, name="head")(layers.GlobalAveragePooling1D(name="pool")(y)))


def test_multiplications_of_attention() -> None:
    """Projections: tokens x inputs x outputs; queries with keys, and weights with values: heads x 6 x 6 x 4 each."""
    graph = read_graph(attention())
    flops = {str(node.site): work(node, graph.specs).flops for node in graph.nodes}
    assert flops["mha/query"] == flops["mha/key"] == flops["mha/value"] == 2 * 6 * 8 * (2 * 4)
    assert flops["mha/dot_product_attention"] == 2 * (2 * 2 * 6 * 6 * 4)
    assert flops["mha/attention_output"] == 2 * 6 * (2 * 4) * 8
    assert flops["head"] == 2 * 8 * 2


def test_shapes_inside_of_attention_have_the_lengths_of_the_input() -> None:
    graph = read_graph(attention())
    shapes = {str(node.site): graph.specs[node.outputs[0]].shape for node in graph.nodes}
    assert shapes["mha/query"] == shapes["mha/dot_product_attention"] == (None, 6, 2, 4)
    assert shapes["mha/attention_output"] == (None, 6, 8)


def test_attention_has_an_estimate() -> None:
    """There and back: twice the forward, and a bit."""
    plan = xaicore.get_analyzer("gradient").plan(attention())
    assert plan.passes == pytest.approx(2, abs=0.5)
    assert plan.memory is not None
    assert plan.memory[1] > 0


def test_memory_counts_the_bytes_of_the_type() -> None:
    sizes = {}
    for dtype in ("float32", "float64"):
        x = keras.Input((40,), dtype=dtype)
        y = layers.Dense(2, dtype=dtype)(layers.Dense(30, activation="relu", dtype=dtype)(x))
        sizes[dtype] = xaicore.get_analyzer("lrp.zplus").plan(keras.Model(x, y)).memory
    assert sizes["float64"] == tuple(2 * n for n in sizes["float32"])
    assert min(sizes["float32"]) > 0


def test_memory_at_the_peak_of_the_way_back() -> None:
    """By hand, in numbers of float32: what was kept, and at the widest layer its output twice and its input."""
    x = keras.Input((4,))
    y = layers.Dense(2)(layers.Dense(50, activation="relu")(x))
    assert xaicore.get_analyzer("gradient").plan(keras.Model(x, y)).memory == (0, 4 * (50 + 2 * 50 + 4))


def test_free_lengths_are_taken_for_one_length() -> None:
    """What follows from it counts: a convolution after a pooling has half of the places.  Memory would grow with it."""
    free, fixed = (
        keras.Sequential(
            [
                *(keras.Input((length, 3)), layers.Conv1D(4, 3, name="conv"), layers.MaxPooling1D(name="pool")),
                *(layers.Conv1D(8, 3, name="half"), layers.EinsumDense("abc,cd->abd", (None, 5), name="dense")),
                layers.GlobalMaxPooling1D(name="max"),
            ]
        )
        for length in (None, 128)
    )
    plan, known = (xaicore.get_analyzer("lrp.epsilon").plan(model) for model in (free, fixed))
    assert [row.passes for row in plan.rows] == [row.passes for row in known.rows]
    assert plan.passes == known.passes
    assert plan.memory is None
    assert plan.notes == ("Costs are those at 128 for every length that is free.",)
    assert known.notes == ()
    assert known.memory is not None


def test_what_cannot_take_the_length_has_no_estimate_and_says_so() -> None:
    x = keras.Input((None, 3), name="x")
    y = layers.GlobalMaxPooling1D(name="max")(layers.Conv1D(2, 500, name="long")(x))
    plan = xaicore.get_analyzer("gradient").plan(keras.Model(x, y))
    assert plan.passes is None
    assert all(row.passes is None and "128" in row.uncounted for row in plan.rows)
    assert plan.notes == ("Cost of long, max: not known, some sizes are free and do not follow from a length of 128.",)


def test_recurrent_layers_multiply_at_every_step() -> None:
    x = keras.Input((6, 4), name="x")
    graph = read_graph(keras.Model(x, layers.Bidirectional(layers.LSTM(3), name="both")(x)))
    assert work(graph.nodes[0], graph.specs).flops == 2 * 6 * 2 * (4 + 3) * (4 * 3)


def test_fallbacks_are_counted() -> None:
    x = keras.Input((6, 4), name="x")
    y = layers.Dense(2, name="head")(layers.Flatten()(layers.LSTM(3, return_sequences=True, name="lstm")(x)))
    model = keras.Model(x, y)
    assert xaicore.get_analyzer("lrp.epsilon(on_unsupported='gradient')").plan(model).fallbacks == 1
    assert xaicore.get_analyzer("gradient").plan(model).fallbacks == 0


def test_layers_inside_of_what_runs_whole_count_and_what_is_between_is_told() -> None:
    """Dense layers of 5 to 6, and twice of 6 to 6 and of 6 to 3, under each one's own rule."""
    model, _ = subclassed_and_flat(Raw)
    gradient, ruled = (xaicore.get_analyzer(text).plan(model) for text in ("gradient", "lrp.epsilon"))
    sizes = {"enter": (5, 6), "inside/twice": (6, 6), "leave": (6, 3)}
    times = {row.site: row.passes for row in gradient.rows}
    whole = gradient.rows[-1]
    by_hand = {site: 2 * a * b + 30 * (a + b) for site, (a, b) in sizes.items()}
    dense = [by_hand[site] for site in ("enter", "inside/twice", "inside/twice", "leave")]
    unit = sum(dense) + 30 * (5 + 3)
    assert list(times.values()) == pytest.approx([2 * n / unit for n in (*dense, 30 * (5 + 3))])
    assert gradient.passes == pytest.approx(2)
    assert ruled.passes > gradient.passes
    assert gradient.memory is ruled.memory is None
    assert whole.uncounted == "without what it computes between the layers inside, which nothing is known of"
    assert gradient.notes == (f"Cost of {whole.site}: {whole.uncounted}.",)


class Scan(layers.Layer):
    """A layer called in a loop of TensorFlow."""

    def __init__(self, **more: object) -> None:
        super().__init__(**more)
        self.inside = layers.Dense(4, name="inside")

    def build(self, shape: object) -> None:
        self.inside.build(shape)

    def call(self, x: object) -> object:
        return tf.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, self.inside(y)), (0, x))[1]

    def compute_output_shape(self, shape: object) -> object:
        return shape


class Unknown(layers.Layer):
    """A layer that no table knows, with a matrix."""

    def build(self, shape: object) -> None:
        self.matrix = self.add_weight(shape=(4, 4), name="matrix")

    def call(self, x: object) -> object:
        return keras.ops.matmul(x, self.matrix)


def test_totals_leave_nothing_out_without_a_word() -> None:
    x = keras.Input((4,), name="x")
    y = layers.Dense(2, name="head")(Unknown(name="own")(Scan(name="scan")(x)))
    plan = xaicore.get_analyzer("gradient").plan(keras.Model(x, y))
    by_site = {row.site: row for row in plan.rows}
    assert by_site["scan/inside"].passes is None
    assert "how often is not known" in by_site["scan/inside"].uncounted
    assert "with its weights" in by_site["own"].uncounted
    assert by_site["head"].uncounted == ""
    assert plan.passes is None
    assert len(plan.notes) == 3
