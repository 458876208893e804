"""Nested, shared, multi-input, residual and subclassed models give what the same weights written flat give."""

from __future__ import annotations

import attrs
import keras
import numpy as np
import pytest
import tensorflow as tf

import xaicore
from networks import Raw, Symbolic, nested_and_flat, small_cnn, subclassed_and_flat
from xaicore.testing.models import inputs_of

# Equal operations on equal numbers, up to the order in which float32 sums are taken.
SAME = 1e-6
NAMES = ("gradient", "guided_backprop", "lrp.epsilon(epsilon=0.01)", "lrp.alpha1beta0", "lrp.flat")


def _expression(name: str) -> str:
    return f"gradient.{name}" if name == "guided_backprop" else name


def _attributions(expression: str, model: keras.Model, x: object) -> list[np.ndarray]:
    return keras.tree.flatten(xaicore.get_analyzer(expression).explain(model, x, target=1, verbose=0).attributions)


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    return float(np.abs(a - b).max()) <= SAME * float(np.abs(b).max())


@pytest.mark.parametrize("name", NAMES)
def test_nested_backbone_called_twice_with_two_inputs_equals_flat(name: str) -> None:
    nested, flat = nested_and_flat()
    x = inputs_of(flat, 3)

    found, expected = _attributions(_expression(name), nested, x), _attributions(_expression(name), flat, x)

    assert all(_close(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_subclassed_model_equals_flat(name: str) -> None:
    model, flat = subclassed_and_flat(Symbolic)
    x = inputs_of(flat, 3)

    assert _close(_attributions(_expression(name), model, x)[0], _attributions(_expression(name), flat, x)[0])


@pytest.mark.parametrize("name", NAMES)
def test_model_that_is_no_graph_equals_flat_with_the_gradient_between_its_layers(name: str) -> None:
    """``tf.add`` cannot get the rule of an Add layer: in the flat model it is told to take the gradient too."""
    model, flat = subclassed_and_flat(Raw)
    x = inputs_of(flat, 3)
    analyzer = xaicore.get_analyzer(_expression(name))
    rules, otherwise = analyzer.rule_map()
    same = attrs.evolve(
        analyzer,
        rules=(("sum", None), *rules),
        initial="score" if analyzer.claims else "one",
        on_unsupported="raise" if otherwise == "unsupported" else "gradient",
    )

    expected = same.explain(flat, x, target=1, verbose=0).attributions
    assert _close(_attributions(_expression(name), model, x)[0], expected)


def test_gradient_equals_tensorflow_s_own() -> None:
    """``tf.gradients`` of the logit, with the head stripped by hand, is the oracle."""
    model = small_cnn()
    x = inputs_of(model, 3)
    body = keras.Function(model.inputs, model.get_layer("flatten").output)
    head = model.get_layer("head")

    @tf.function(autograph=False)
    def own(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        logits = tf.matmul(body([x]), head.kernel.value) + head.bias.value
        return tf.gradients(logits[:, 2], x)[0], logits[:, 2]

    explanation = xaicore.get_analyzer("gradient").explain(model, x, target=2, verbose=0)
    gradient, logit = own(tf.constant(x))

    assert _close(explanation.attributions, gradient.numpy())
    assert _close(explanation.scores, logit.numpy())


def test_sites_are_in_execution_order_and_name_the_call() -> None:
    nested, _ = nested_and_flat()

    sites = [row.site for row in xaicore.get_analyzer("gradient").plan(nested).rows]

    assert sites.count("backbone/conv") == 1
    assert sites.count("backbone/conv[1]") == 1
    assert sites.index("backbone/conv") < sites.index("backbone/shared") < sites.index("join") < sites.index("head")


def test_reading_a_subclassed_model_takes_its_nodes_back() -> None:
    model, _ = subclassed_and_flat(Symbolic)
    before = [(len(x._inbound_nodes), len(x._outbound_nodes)) for x in model._flatten_layers()]

    xaicore.get_analyzer("lrp.epsilon").explain(model, np.ones((2, 5), np.float32), target=0, verbose=0)

    assert before == [(len(x._inbound_nodes), len(x._outbound_nodes)) for x in model._flatten_layers()]


def test_coverage_names_the_raw_operations_of_a_model_that_is_no_graph() -> None:
    model, _ = subclassed_and_flat(Raw)

    rows = {row.site: row for row in xaicore.get_analyzer("lrp.epsilon").plan(model).rows}

    assert rows["raw/enter"].action == rows["raw/twice"].action == rows["raw/twice[1]"].action == "rule"
    assert rows["raw"].action == "gradient"
    assert "run whole" in rows["raw"].why
    assert "'raw' refuses symbolic tensors: ValueError" in rows["raw"].why
