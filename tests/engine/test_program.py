"""The program's own laws: sinks, taps, cuts; and what it must refuse or leave alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import xaicore
from networks import nested_and_flat, small_cnn
from xaicore.engine.program import Program
from xaicore.engine.target import Target, parse
from xaicore.errors import IntegerInput, InvalidParameter, RuleNeverMet, UnknownSite, UnsupportedOperation
from xaicore.inspect.head import strip_head
from xaicore.inspect.read import read_graph
from xaicore.testing.models import float64_twin, inputs_of

if TYPE_CHECKING:
    from xaicore.protocols import Pull


def _program(model: keras.Model) -> Program:
    graph = strip_head(read_graph(model))
    return Program(graph, graph)


def _target(model: keras.Model, index: int, batch: int) -> Target:
    bound = xaicore.get_analyzer("gradient").bind(model)
    parsed = parse(index, bound.output_specs, output=None, batch=batch, score="logit")
    return Target(parsed.spec, tf.constant(parsed.index[:, 0]))


def _pull(program: Program, model: keras.Model, x: list[np.ndarray], **how: object) -> Pull:
    target = _target(model, 1, len(x[0]))
    return tf.function(lambda *t: program.pull(t, target, **how), autograph=False)(*map(tf.constant, x))


def _ruled(program: Program, name: str) -> Program:
    rules, otherwise = xaicore.get_analyzer(name).rule_map()
    return program.with_rules(rules, otherwise=otherwise)


@pytest.mark.parametrize("name", ["lrp.z", "lrp.epsilon(epsilon=0.25)", "lrp.alpha2beta1", "lrp.zplus", "lrp.wsquare"])
def test_relevance_and_sinks_sum_to_the_score(name: str) -> None:
    """In float64, on shared layers and a residual add; 1e-9 leaves room for sums of some hundred terms."""
    twin = float64_twin(nested_and_flat()[0])
    x = inputs_of(twin, 4)

    pull = _pull(_ruled(_program(twin), name), twin, x, initial="score", sinks=True)
    total = sum(np.sum(r, axis=(1, 2, 3)) for r in pull.relevance) + sum(s.numpy() for s in pull.sinks.values())

    size = np.abs(pull.scores) + sum(np.abs(s) for s in pull.sinks.values())
    assert (np.abs(total - pull.scores) <= 1e-9 * size).all()


def test_relevance_that_falls_on_padding_is_accounted_for() -> None:
    """Flat by hand: a row of ones, padded by one on each side, under kernels of two ones that touch 5 places.

    Places 0 and 4 of the five lie half on padding, and each place has a fifth of the score.
    """
    x = keras.Input((4, 1), name="x")
    y = layers.Conv1D(1, 2, use_bias=False, kernel_initializer="ones", name="conv")(layers.ZeroPadding1D(1)(x))
    model = keras.Model(x, layers.Dense(1, use_bias=False, kernel_initializer="ones")(layers.Flatten()(y)))
    data = np.ones((2, 4, 1), np.float32)

    program = _ruled(_program(model), "lrp.flat")
    pull = program.pull((tf.constant(data),), _target(model, 1, 2), initial="score", sinks=True)

    np.testing.assert_allclose(pull.scores, [8, 8])
    np.testing.assert_allclose(pull.sinks["padding"], [1.6, 1.6], rtol=1e-6)  # a fifth of 8
    np.testing.assert_allclose(pull.relevance[0][..., 0], [[1.6] * 4] * 2, rtol=1e-6)


def test_sinks_come_out_of_a_loop_too() -> None:
    """The sweep is made of plain tensors: inside ``while_loop`` it returns what it returns outside."""
    model = small_cnn()
    x = tf.constant(inputs_of(model, 3))
    program, target = _ruled(_program(model), "lrp.epsilon(epsilon=0.25)"), _target(model, 1, 3)

    def once() -> tuple[tf.Tensor, tf.Tensor]:
        pull = program.pull((x,), target, initial="score", sinks=True)
        return pull.relevance[0], pull.sinks["bias"]

    @tf.function(autograph=False)
    def looped() -> tuple[tf.Tensor, tf.Tensor]:
        zeros = (tf.zeros_like(x), tf.zeros([3]))
        body = lambda k, r, b: (k + 1, r + once()[0], b + once()[1])  # noqa: E731  # one expression
        return tf.while_loop(lambda k, *_: k < 4, body, (0, *zeros))[1:]

    relevance, bias = tf.function(once, autograph=False)()

    for four, one in zip(looped(), (relevance, bias), strict=True):
        # Four equal terms are summed: exact but for the roundings of two additions.
        np.testing.assert_allclose(four, 4 * one, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["gradient", "lrp.epsilon(epsilon=0.01)"])
def test_a_cut_at_every_site_gives_the_whole(name: str) -> None:
    """The tail of the head is the whole, and the tail's relevance is what a tap sees there."""
    model = float64_twin(nested_and_flat()[0])
    x = inputs_of(model, 2)
    whole = _program(model) if name == "gradient" else _ruled(_program(model), name)
    initial = "one" if name == "gradient" else "score"
    sites = [str(n.site) for n in whole.graph.nodes]
    taps = _pull(whole, model, x, initial=initial, taps=sites).taps
    target = _target(model, 1, 2)

    for site in sites:
        head, tail = whole.cut(site)

        @tf.function(autograph=False)
        def cut(*t: tf.Tensor, head=head, tail=tail) -> tuple[tf.Tensor, tf.Tensor]:
            inner = head(t)
            pull = tail.given(inner[1:]).pull(inner[:1], target, initial=initial)
            return tail.outputs(inner), pull.relevance[0]

        outputs, relevance = cut(*map(tf.constant, x))
        # The same float64 operations in the same order; only fused kernels may round differently.
        np.testing.assert_allclose(outputs, model(x), rtol=1e-12)
        np.testing.assert_allclose(relevance, taps[site], rtol=1e-10, atol=1e-12)


def test_a_cut_at_an_input_is_the_whole() -> None:
    model = nested_and_flat()[0]
    x = inputs_of(model, 2)
    whole = xaicore.get_analyzer("gradient").explain(model, x, target=1, verbose=0)

    first = xaicore.get_analyzer("gradient", at="a").explain(model, x, target=1, verbose=0)

    np.testing.assert_array_equal(first.attributions, whole.attributions[0])


def test_the_unused_prefix_of_a_cut_is_not_traced() -> None:
    model = small_cnn()
    _, tail = _program(model).cut("pool")

    assert [str(n.site) for n in tail.graph.nodes] == ["conv2", "relu", "flatten", "head"]


def test_a_quantised_layer_is_refused_by_name() -> None:
    """Its ``quantized_call`` never meets a rule: the plain gradient would come back without a word."""
    x = keras.Input((4,))
    model = keras.Model(x, keras.layers.Dense(2, name="packed")(keras.layers.Dense(3, name="other")(x)))
    model.layers[-1].quantize("int8")

    with pytest.raises(UnsupportedOperation, match="packed"):
        xaicore.get_analyzer("lrp.epsilon").bind(model)


def test_a_rule_that_meets_nothing_is_refused() -> None:
    x = keras.Input((4,))
    model = keras.Model(x, keras.layers.Dense(2)(x))

    with pytest.raises(RuleNeverMet, match="relu"):
        xaicore.get_analyzer("gradient.guided_backprop").bind(model)


def test_an_operation_without_a_rule_is_refused_or_gets_its_gradient() -> None:
    x = keras.Input((4,))
    y = keras.ops.cumsum(keras.layers.Dense(4)(x), axis=-1)
    model = keras.Model(x, keras.layers.Dense(2)(y))

    with pytest.raises(UnsupportedOperation, match="cumsum"):
        xaicore.get_analyzer("lrp.epsilon").bind(model)
    rows = xaicore.get_analyzer("lrp.epsilon", on_unsupported="gradient").plan(model).rows
    assert [row.action for row in rows if row.operation == "Cumsum"] == ["gradient"]


def test_an_unknown_site_names_the_nearest() -> None:
    with pytest.raises(UnknownSite, match="conv1"):
        xaicore.get_analyzer("gradient", at="conv11").bind(small_cnn())


def test_a_part_that_the_user_named_has_to_be_met() -> None:
    x = keras.Input((4,))
    model = keras.Model(x, keras.layers.Dense(2)(keras.layers.Dense(3)(x)))

    with pytest.raises(RuleNeverMet, match="conv"):
        xaicore.get_analyzer("lrp.composite(conv=lrp.zplus)").bind(model)
    with pytest.raises(RuleNeverMet, match="names no site"):
        xaicore.get_analyzer("gradient(rules=(('block*', lrp.zplus), ('dense', lrp.z)))").bind(model)


def test_integers_are_explained_at_the_output_of_their_embedding() -> None:
    ids = keras.Input((6,), dtype="int32", name="tokens")
    y = keras.layers.GlobalAveragePooling1D(name="mean")(keras.layers.Embedding(10, 4, name="embedding")(ids))
    model = keras.Model(ids, keras.layers.Dense(3, name="head")(y))
    x = np.arange(12).reshape(2, 6) % 10

    with pytest.raises(IntegerInput, match="embedding"):
        xaicore.get_analyzer("lrp.z").explain(model, x, target=1, verbose=0)
    explanation = xaicore.get_analyzer("lrp.z", at="embedding").explain(model, x, target=1, verbose=0)

    assert explanation.attributions.shape == (2, 6, 4)
    # Without a bias in the way the relevance of the embedding sums to the logit; Dense starts with a bias of zero.
    np.testing.assert_allclose(explanation.attributions.sum(axis=(1, 2)), explanation.scores, rtol=1e-5)


# --------------------------------------------------------------------------------- where relevance starts and stops


def _composite(model: keras.Model, x: np.ndarray, **fields: object) -> xaicore.Explanation:
    return xaicore.get_analyzer("lrp.composite", rule="lrp.z", **fields).explain(model, x, target=1)


def test_relevance_starts_from_a_number_an_array_or_a_site() -> None:
    """The sweep is linear in what it starts from."""
    model = float64_twin(small_cnn())
    x = inputs_of(model, 3)
    score, one = _composite(model, x), _composite(model, x, initial="one")
    columns = (1, 2, 3)

    np.testing.assert_allclose(one.attributions * score.scores[:, None, None, None], score.attributions, rtol=1e-12)
    np.testing.assert_allclose(_composite(model, x, initial=3).attributions, 3 * one.attributions, rtol=1e-12)
    # Of the whole output: here of unit 1 alone, and of two units.
    np.testing.assert_allclose(
        _composite(model, x, initial=np.eye(5)[1]).attributions, one.attributions, rtol=1e-12, atol=1e-15
    )
    other = xaicore.explain("lrp.composite(rule=lrp.z, initial='one')", model, x, target=4)
    both = _composite(model, x, initial=np.eye(5)[1] + 2 * np.eye(5)[4]).attributions
    np.testing.assert_allclose(both, one.attributions + 2 * other.attributions, rtol=1e-9, atol=1e-12)
    # At a site: what is kept there on the way through, started from there, goes on as before.
    through = _composite(model, x, layers=["conv2"])
    for i in range(3):
        again = _composite(model, x[i : i + 1], initial={"conv2": through.layers["conv2"][i]})
        np.testing.assert_allclose(again.attributions, score.attributions[i : i + 1], rtol=1e-9, atol=1e-12)
    assert through.layers["conv2"].shape == (3, *model.get_layer("conv2").output.shape[1:])
    assert np.abs(through.attributions.sum(columns) - score.attributions.sum(columns)).max() == 0


def test_relevance_stops_where_it_is_told_to() -> None:
    model = float64_twin(small_cnn())
    x = inputs_of(model, 3)
    stopped = _composite(model, x, stop_at="conv2", layers="all", account=True)
    through = _composite(model, x, layers=["conv2"])
    np.testing.assert_array_equal(stopped.layers["conv2"], through.layers["conv2"])
    np.testing.assert_array_equal(stopped.attributions, 0)
    np.testing.assert_allclose(stopped.ledger["conv2"]["stopped"], through.layers["conv2"].sum((1, 2, 3)), rtol=1e-12)
    assert "conv1" not in stopped.ledger
    assert stopped.residual is None


def test_the_account_closes_at_every_site() -> None:
    """What arrives is passed on or has a name: in float64, to rounding."""
    model = float64_twin(nested_and_flat()[0])
    x = inputs_of(model, 4)
    found = xaicore.explain("lrp.composite(rule=lrp.epsilon(epsilon=0.1), account=True)", model, x, target=1)

    assert list(found.ledger) == [row["site"] for row in reversed(found.coverage)]
    for site, row in found.ledger.items():
        assert np.abs(row["missing"]).max() <= 1e-10 * max(1, np.abs(row["arrived"]).max()), site
    lost = sum(v for row in found.ledger.values() for k, v in row.items() if k not in {"arrived", "passed", "missing"})
    total = sum(a.sum((1, 2, 3)) for a in found.arrays) + lost
    np.testing.assert_allclose(total, found.scores, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("fields", "error", "match"),
    [
        ({"layers": ["nowhere"]}, UnknownSite, "nowhere"),
        ({"stop_at": "nowhere"}, UnknownSite, "nowhere"),
        ({"initial": {"nowhere": 1}}, UnknownSite, "nowhere"),
        ({"initial": "two"}, InvalidParameter, "mapping from sites"),
        ({"initial": True}, InvalidParameter, "initial=True"),
        ({"layers": 3}, InvalidParameter, "text of a site"),
    ],
)
def test_what_is_asked_of_sites_is_checked(fields: dict[str, object], error: type[Exception], match: str) -> None:
    model = small_cnn()
    with pytest.raises(error, match=match):
        _composite(model, inputs_of(model, 1), **fields)
