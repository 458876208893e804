"""Batches that do not fit into the memory, and what is told at the end of a stream."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import xaicore
from xaicore.errors import MemoryWarning, OutOfMemory, ToleranceWarning


def test_a_batch_that_does_not_fit_is_halved(model, x, monkeypatch):
    """Ten, five, two: with a word each time, and the same numbers."""
    from xaicore.binding import Bound

    expected = xaicore.explain("smoothgrad(n=2)", model, x, 1)
    own = Bound.batch

    def small(self, inputs, parsed, ids):
        if len(ids) > 2:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        return own(self, inputs, parsed, ids)

    monkeypatch.setattr(Bound, "batch", small)
    with pytest.warns(MemoryWarning) as told:
        found = xaicore.explain("smoothgrad(n=2)", model, x, 1)
    assert [str(w.message)[:24] for w in told] == ["10 samples at once do no", "5 samples at once do not"]
    np.testing.assert_allclose(found.attributions, expected.attributions, atol=1e-6)
    np.testing.assert_array_equal(found.rows_at_once, np.full(10, 2))


def _full_beyond(monkeypatch, rows, *, first=0):
    """Let the memory be full for more than so many samples at once, from one sample on."""
    from xaicore.binding import Bound

    own = Bound.batch

    def small(self, inputs, parsed, ids):
        if len(ids) > rows and ids[0] >= first:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        return own(self, inputs, parsed, ids)

    monkeypatch.setattr(Bound, "batch", small)


def test_a_later_batch_that_does_not_fit_loses_nothing(model, x, monkeypatch):
    """The batches before it ran whole, and the result tells so."""
    expected = xaicore.explain("gradient", model, x, 1, batch_size=4)
    _full_beyond(monkeypatch, 2, first=4)
    with pytest.warns(MemoryWarning):
        found = xaicore.explain("gradient", model, x, 1, batch_size=4)
    np.testing.assert_allclose(found.attributions, expected.attributions, atol=1e-6)
    assert found.rows_at_once.tolist() == [4, 4, 4, 4, 2, 2, 2, 2, 2, 2]


def test_parts_in_a_sink_fit_together_also_when_a_later_one_was_halved(model, x, monkeypatch):
    _full_beyond(monkeypatch, 2, first=4)
    parts = []
    with pytest.warns(MemoryWarning):
        xaicore.explain("gradient", model, x, 1, batch_size=4, sink=parts.append)
    assert xaicore.Explanation.concat(parts).rows_at_once.tolist() == [4, 4, 4, 4, 2, 2, 2, 2, 2, 2]


def test_one_sample_that_does_not_fit_runs_with_fewer_points_at_once(model, x, monkeypatch):
    from xaicore.binding import Bound

    expected = xaicore.explain("ig(n_steps=8)", model, x[:2], 1)
    own = Bound.batch

    def small(self, inputs, parsed, ids):
        if self.analyzer.inner.internal_batch_size != 2:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        return own(self, inputs, parsed, ids)

    monkeypatch.setattr(Bound, "batch", small)
    with pytest.warns(MemoryWarning) as told:
        found = xaicore.explain("ig(n_steps=8) | abs", model, x[:2], 1)
    said = [str(w.message).split(" at once")[0] for w in told]
    assert said == ["2 samples", "8 points of one sample", "4 points of one sample"]
    np.testing.assert_allclose(found.attributions, np.abs(expected.attributions), atol=1e-6)
    assert found.internal_batch_size.tolist() == [2, 2]
    assert found.analyzer == "ig.gausslegendre(n_steps=8) | filter.abs"


@pytest.mark.parametrize("method", ["gradient", "ig(n_steps=2)"])
def test_one_sample_that_does_not_fit_is_an_error(model, x, monkeypatch, method):
    _full_beyond(monkeypatch, 0)
    with pytest.warns(MemoryWarning), pytest.raises(OutOfMemory, match="nothing is left to halve"):
        xaicore.explain(method, model, x[:2], 1)


def test_an_unmet_tolerance_is_told_once_when_parts_go_to_a_sink(model, x):
    parts = []
    with pytest.warns(ToleranceWarning, match="3 of 3 parts that went to the sink") as told:
        xaicore.explain("ig.adaptive(tolerance=1e-9, max_steps=9)", model, x, 1, batch_size=4, sink=parts.append)
    assert len(told) == 1
    assert len(parts) == 3
