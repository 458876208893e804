"""What every registered optimizer keeps to in a search: bounds, held features, seeds, batches, and what it is given."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import xaicore

# How a name is asked for where it cannot do alone, and settings in which held features are hardest to hold.
GIVEN = {
    "cf.keras": ('cf.keras(optimizer="nadam")', 'cf.keras(optimizer="adamw")'),
    "cf.sgd": ("cf.sgd", "cf.sgd(momentum=0.8, nesterov=True)"),
    "cf.adamw": ("cf.adamw", "cf.adamw(weight_decay=0.5)"),
}
EVERY = tuple(
    one
    for row in xaicore.available("optimizer")
    if row.name.startswith("cf.")
    for one in GIVEN.get(row.name, (row.name,))
)
OF_HOST = ("cf.bfgs", "cf.cg", "cf.lbfgs", "cf.nelder_mead", "cf.powell", "cf.evolution")
FREE = (0, 2, 3, 5)
LOW, HIGH = np.full(6, -1.5, np.float32), np.linspace(1, 2, 6, dtype=np.float32)
every_optimizer = pytest.mark.parametrize("optimizer", EVERY)


class Recorder(layers.Layer):
    """Hands its input on and writes down what the model is called with."""

    note = None

    def call(self, x):
        tf.numpy_function(self.note, [x], [])
        return x


def network(scale=1.0, record=None, dtype="float32"):
    """Return a small network that bends, of features ``scale`` times as large."""
    x = keras.Input((6,), dtype=dtype)
    last = x
    if record is not None:
        last = Recorder(dtype=dtype)
        last.note = lambda rows: record.append(np.array(rows))
        last = last(x)
    hidden = layers.Dense(8, activation="tanh", dtype=dtype)(last)
    model = keras.Model(x, layers.Dense(2, activation="softmax", dtype=dtype)(hidden))
    random = np.random.default_rng(3)
    kernel, bias, top, end = (random.normal(size=w.shape) for w in model.get_weights())
    model.set_weights([kernel / scale / 2, bias / 4, top, end / 4])
    return model


def data(scale=1.0, batch=5):
    return (scale * np.random.default_rng(4).normal(size=(batch, 6)).clip(-1.4, 0.9)).astype(np.float32)


@functools.cache
def found_by(optimizer, **given):
    model, x = network(), data()
    search = {"bounds": (LOW, HIGH), "features": FREE, "max_iter": 150, **given}
    target = 1 - model.predict(x, verbose=0).argmax(1)
    return xaicore.get_analyzer("cf", optimizer=optimizer, **search).explain(model, x, target, verbose=0)


def test_no_optimizer_is_left_out():
    assert {one.partition("(")[0] for one in EVERY} >= {"cf.adam", "cf.keras", *OF_HOST}


@every_optimizer
@pytest.mark.parametrize("cost", ["cf.l1", "cf.l2"])
def test_the_model_is_asked_within_bounds_and_held_features_alone(optimizer, cost):
    """At every question; but for the samples themselves nothing else is put to the model."""
    met, x = [], data()
    model = network(record=met)
    target = 1 - model.predict(x, verbose=0).argmax(1)
    search = xaicore.get_analyzer(
        "cf", optimizer=optimizer, cost=cost, bounds=(LOW, HIGH), features=FREE, max_iter=60, starts=2, noise=3.0
    )
    met.clear()
    found = search.explain(model, x, target, verbose=0)
    every = np.concatenate(met)
    assert len(met) > 5
    assert (every >= LOW).all()
    assert (every <= HIGH).all()
    held = [i for i in range(6) if i not in FREE]
    known = {row.tobytes() for row in x[:, held]}
    assert {row.tobytes() for row in np.ascontiguousarray(every[:, held])} <= known
    np.testing.assert_array_equal(found.counterfactuals[:, held].view(np.int32), x[:, held].view(np.int32))


@every_optimizer
def test_the_same_again_and_another_batch(optimizer):
    """Bits under a seed; 1e-3 of the distance in another batch: line searches turn on the last bits of float32."""
    model, x, first = network(), data(), found_by(optimizer)
    target = 1 - model.predict(x, verbose=0).argmax(1)
    search = xaicore.get_analyzer("cf", optimizer=optimizer, bounds=(LOW, HIGH), features=FREE, max_iter=150)
    again = search.explain(model, x, target, verbose=0)
    np.testing.assert_array_equal(first.counterfactuals, again.counterfactuals)
    np.testing.assert_array_equal(first.iterations, again.iterations)
    alone = search.explain(model, x, target, verbose=0, batch_size=2)
    np.testing.assert_array_equal(first.valid, alone.valid)
    np.testing.assert_allclose(alone.distance, first.distance, rtol=1e-3)


@every_optimizer
def test_the_nearest_valid_point_met_is_returned(optimizer):
    """None of the points that the model was asked for is valid and nearer, by more than float32 rounds."""
    met, x = [], data(batch=1)
    model = network(record=met)
    target = 1 - model.predict(x, verbose=0).argmax(1)
    search = xaicore.get_analyzer("cf", optimizer=optimizer, cost="cf.l2", max_iter=60, margin=0.0)
    met.clear()
    found = search.explain(model, x, target, verbose=0)
    every = np.concatenate(met)
    said = model.predict(every, verbose=0)
    valid = said[:, target[0]] - said[:, 1 - target[0]] > 1e-6
    distance = ((every - x) ** 2).sum(1)
    assert found.valid.all()
    assert found.distance[0] <= distance[valid].min() * (1 + 1e-5)
    assert model.predict(found.counterfactuals, verbose=0).argmax(1) == target


@every_optimizer
def test_without_a_valid_point_the_best_effort_is_returned(optimizer):
    """Bounds too narrow for the class: the point of smallest prediction cost, and no worse than the sample."""
    model, x = network(), data()
    target = 1 - model.predict(x, verbose=0).argmax(1)
    search = xaicore.get_analyzer("cf", optimizer=optimizer, bounds=(x.min(0), x.max(0)), tol=1e-7, max_iter=15)
    found = search.explain(model, x, target, verbose=0)
    assert not found.valid.any()
    before = model.predict(x, verbose=0)[np.arange(5), target]
    assert (found.outputs[np.arange(5), target] > before).all()


@every_optimizer
def test_a_sample_at_the_target_is_returned_as_it_is(optimizer):
    """Bits, beside one that is searched, and outside of bounds too."""
    model, x = network(), data()
    target = model.predict(x, verbose=0).argmax(1)
    target[0] = 1 - target[0]
    search = xaicore.get_analyzer("cf", optimizer=optimizer, bounds=(-1.0, 0.5), starts=2, max_iter=40)
    found = search.explain(model, x, target, verbose=0)
    assert found.already.tolist() == [False, True, True, True, True]
    np.testing.assert_array_equal(found.counterfactuals[1:], x[1:])
    assert (found.iterations[1:] == 0).all()


@every_optimizer
def test_model_sample_and_optimizer_are_as_they_were(optimizer):
    model, x = network(), data()
    model.compile("adam", "sparse_categorical_crossentropy")
    instance = xaicore.get_optimizer(optimizer)
    weights, rows, text, state = model.get_weights(), x.copy(), str(instance), len(model.optimizer.variables)
    xaicore.get_analyzer("cf", optimizer=instance, max_iter=30).explain(model, x, "other", verbose=0)
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(x, rows)
    assert (str(instance), len(model.optimizer.variables)) == (text, state)


@pytest.mark.parametrize("optimizer", OF_HOST)
def test_optimizers_of_the_host_do_not_mind_the_units(optimizer):
    """Features a thousand times as large, of which the size of the sample, bounds, or a reference tell the units.

    All are found, and told the units no farther than 1.2 times as far away: stopping rules and the last bits differ.
    The size of a feature in one sample says less of its units, and Nelder and Mead's method stops early: 3 times.
    """
    model, x = network(), data()
    large = network(1000.0)
    target = 1 - model.predict(x, verbose=0).argmax(1)
    rows = np.random.default_rng(5).normal(size=(50, 6)).astype(np.float32)
    for told in ({}, {"bounds": (-3 * np.ones(6), 3 * np.ones(6))}, {"reference": rows}):
        of_large = {name: 1000 * np.array(value) for name, value in told.items()}
        of_large = {name: tuple(value) if name == "bounds" else value for name, value in of_large.items()}
        search = functools.partial(xaicore.get_analyzer, "cf", cost="cf.l1", optimizer=optimizer, max_iter=300)
        times = 1.2 if told and optimizer != "cf.nelder_mead" else 3
        small = search(**told).explain(model, x, target, verbose=0)
        found = search(**of_large).explain(large, 1000 * x, target, verbose=0)
        assert small.valid.all(), told
        assert found.valid.all(), told
        assert np.median(found.distance / 1000) <= times * np.median(small.distance), told


def test_a_keras_optimizer_given_as_an_instance_is_not_touched():
    instance = keras.optimizers.AdamW(0.05, weight_decay=0.1)
    config = instance.get_config()
    model, x = network(), data()
    analyzer = xaicore.get_analyzer("cf", optimizer=xaicore.get_optimizer("cf.keras", optimizer=instance), max_iter=30)
    found = analyzer.explain(model, x, "other", verbose=0)
    assert found.valid.any()
    assert instance.get_config() == config
    assert not instance.built
    assert int(instance.iterations) == 0
