"""Results in alibi's fields, against what was asked for and what NumPy computes."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from keras import layers

import xaicore
from xaicore.testing.models import randomise

X = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")


@pytest.fixture(scope="module")
def model():
    x = keras.Input((4,), name="x")
    hidden = layers.Dense(6, activation="tanh", name="hidden")(x)
    return randomise(keras.Model(x, layers.Dense(3, activation="softmax")(hidden)))


def test_meta_tells_of_the_analyzer(model):
    text = "ig.riemann_left(n_steps=7, internal_batch_size=100, at='hidden') | abs"
    meta = xaicore.explain(text, model, X, target_fn=lambda p: p.argmax(1)).meta
    assert set(meta) == {"name", "type", "explanations", "params", "version"}
    assert (meta["name"], meta["type"], meta["explanations"]) == ("ig.riemann_left", ["whitebox"], ["local"])
    params = meta["params"]
    assert params["method"] == "ig.riemann_left"
    assert (params["n_steps"], params["internal_batch_size"], params["layer"]) == (7, 100, "hidden")
    assert "lambda" in params["target_fn"]
    assert params["filters"] == ["filter.abs"]
    assert json.loads(json.dumps(meta)) == meta


def test_meta_has_what_nobody_gave(model):
    params = xaicore.explain("ig.simpson", model, X, 1).meta["params"]
    assert (params["n_steps"], params["layer"], params["target_fn"]) == (51, None, None)
    assert xaicore.explain("perturbation.ablation", model, X, 1).meta["type"] == ["blackbox"]


def test_data_is_kept_where_it_is_asked_for(model, tmp_path):
    base = np.random.default_rng(1).normal(size=X.shape)
    analyzer = xaicore.get_analyzer("ig", baseline=base)
    data = analyzer.explain(model, X, 1, batch_size=2).data
    assert set(data) == {
        "attributions", "X", "forward_kwargs", "baselines", "predictions", "deltas", "target", "scores"
    }  # fmt: skip
    assert data["X"] is data["baselines"] is data["predictions"] is data["forward_kwargs"] is None

    found = analyzer.explain(model, X, 1, batch_size=2, keep_data=True)
    np.testing.assert_array_equal(found.data["X"][0], X)
    np.testing.assert_array_equal(found.data["baselines"][0], base.astype("float32"))
    np.testing.assert_allclose(found.data["predictions"], model.predict(X, verbose=0), atol=1e-6)
    assert found.data["forward_kwargs"] == {}
    np.testing.assert_array_equal(found.data["deltas"], found.residual)

    path = found.save(tmp_path / "kept")
    assert xaicore.load(path) == found
    assert xaicore.load(path).meta == found.meta
    assert xaicore.Explanation.concat(found.split(2)) == found
    parts = []
    xaicore.explain(analyzer, model, X, 1, batch_size=2, keep_data=True, sink=parts.append)
    np.testing.assert_array_equal(xaicore.Explanation.concat(parts).data["X"][0], X)


def test_several_baselines_are_an_axis(model):
    kept = xaicore.explain("ig(n_steps=2, baseline=ig.several(baselines=(0, 0.5)))", model, X, 1, keep_data=True).data
    assert kept["baselines"][0].shape == (5, 2, 4)
    np.testing.assert_array_equal(kept["baselines"][0][:, 1], np.full((5, 4), 0.5, np.float32))
