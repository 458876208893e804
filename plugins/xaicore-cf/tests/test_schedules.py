"""Schedules: how c = 1 / C goes round by round, beside Carlini and Wagner 2017, and what searches with them reach."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import xaicore
from xaicore.errors import InvalidParameter
from xaicore_cf.errors import NotTold, NumberToReach


def by_hand(c, hits):
    """Return c in each round, as the program of Carlini and Wagner 2017 has it."""
    low, high, found = 0.0, 1e10, []
    for hit in hits:
        found.append(c)
        if hit:
            high = min(high, c)
        else:
            low = max(low, c)
        c = (low + high) / 2 if high < 1e9 else c * 10
    return found


@pytest.mark.parametrize("hits", ["0000", "0011010101", "1111111111", "1000110010"])
def test_c_is_bisected_as_published(hits):
    """Two steps each round, a candidate valid at the first of them where the round is to meet something."""
    schedule = xaicore.get("cf.bisection(steps=2)", "schedule")
    assert xaicore.get(str(schedule), "schedule") == schedule
    weight, no = tf.constant([0.1], tf.float64), tf.constant([False])
    falls = tf.constant([[2.0], [1.0]], tf.float64)
    state, found = schedule.init(weight), []
    for hit in hits:
        found.append(1 / weight.numpy()[0])
        for step in (0, 1):
            np.testing.assert_allclose(schedule.scale(weight, state), (1 - step / 2) ** 0.5 / weight)
            turn = schedule.turn(weight, tf.constant([hit == "1" and step == 0]), no, falls[step], state)
            weight, state = turn.weight, turn.state
            assert turn.back.numpy()[0] == turn.anew.numpy()[0] == (step == 1)
    np.testing.assert_allclose(found, by_hand(10.0, [hit == "1" for hit in hits]), rtol=1e-12)
    assert turn.over.numpy()[0] == (len(hits) == 10)


@pytest.mark.parametrize(
    ("values", "ends"), [([8, 9, 4, 9, 4, 4], 4), ([8, 8, 7, 7, 6, 6], 6), ([1, 1, 2, 2, 0, 0], 4)]
)
def test_a_round_ends_at_a_look_since_which_the_objective_has_not_fallen(values, ends):
    """Three looks in six steps, at the second, fourth and sixth; rows look for themselves."""
    schedule = xaicore.get("cf.bisection(steps=6, looks=3)", "schedule")
    weight, no = tf.constant([0.1, 0.1], tf.float64), tf.constant([False, False])
    state = schedule.init(weight)
    for step, value in enumerate(values, 1):
        turn = schedule.turn(weight, no, no, tf.constant([value, -step], tf.float64), state)
        assert turn.anew.numpy().tolist() == [step == ends, step == 6]
        if step == ends:
            break
        weight, state = turn.weight, turn.state


def network(units=2, activation="softmax"):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units, activation=activation)])
    random = np.random.default_rng(3)
    model.set_weights([random.normal(size=(4, units)), random.normal(size=units)])
    return model, random.normal(size=(6, 4)).astype(np.float32)


@pytest.mark.parametrize("expression", ["cf.wachter", "cf.cem_pn(pertinent=None, schedule=cf.bisection(steps=150))"])
def test_a_row_does_not_depend_on_its_batch(expression):
    """Bit-equal: rows are filled up, and each has a schedule of its own; with held features and bounds."""
    model, x = network()
    analyzer = xaicore.get_analyzer(expression, features=[0, 3, 2], bounds=(-3, 3))
    together = analyzer.explain(model, x, "other", verbose=0)
    alone = analyzer.explain(model, x, "other", batch_size=1, verbose=0)
    np.testing.assert_array_equal(together.counterfactuals, alone.counterfactuals)
    np.testing.assert_array_equal(together.counterfactuals[:, 1], x[:, 1])
    assert np.abs(together.counterfactuals[:, [0, 2, 3]]).max() <= 3
    assert together.valid.any()


def test_methods_of_the_host_take_no_schedule():
    with pytest.raises(InvalidParameter, match="Leave schedule= away"):
        xaicore.get_analyzer("cf(schedule=cf.growing, optimizer=cf.bfgs)")


def test_a_mean_over_noisy_copies_is_one_of_changes():
    """SmoothGrad of a search is the mean change; whether counterfactuals are valid is not asked of it."""
    model, x = network()
    found = xaicore.get_analyzer("smoothgrad(cf, n=3)").explain(model, x, 1, verbose=0)
    assert np.isfinite(found.attributions).all()
    with pytest.raises(NotTold, match="averages changes"):
        xaicore.get_analyzer("smoothgrad(cf(raise_on_failure=True), n=3)").explain(model, x, 1, verbose=0)


def test_a_number_in_the_place_of_a_class_is_told_where_to_go():
    with pytest.raises(NumberToReach, match=r"cf\.interval"):
        xaicore.get_cost("cf.squared_error")(np.ones((3, 4)), outputs=np.ones((3, 1)), target=2.5)
