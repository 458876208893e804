"""Figures: what is drawn, in which colours, and what cannot be drawn."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from xaicore import Explanation
from xaicore.errors import InvalidArgument, ResultExists, UnwritableResult

mpl.use("agg")
R = np.random.default_rng(0)


def explained(*shape, **more):
    return Explanation(R.normal(size=shape), R.normal(size=shape[0]), analyzer="lrp.epsilon", **more)


def test_pictures_have_a_map_centred_on_zero_and_an_overlay():
    e, x = explained(3, 12, 10, 3), R.random((3, 12, 10, 3))
    figure = e.plot(x)
    assert isinstance(figure, Figure)
    panels = [a for a in figure.axes if a.images]
    assert len(panels) == 9
    shown = panels[1].images[0]
    assert shown.norm.vmin == -shown.norm.vmax
    np.testing.assert_allclose(shown.get_array(), e.attributions[0].sum(-1))
    assert len([a for a in e.plot().axes if a.images]) == 3  # maps alone
    assert "lrp.epsilon" in figure.get_suptitle()


@pytest.mark.parametrize(
    ("shape", "data"),
    [
        ((2, 8, 9, 1), (2, 8, 9)),  # gray, without channels
        ((2, 8, 9, 3), (2, 8, 9, 4)),
        ((2, 8, 9, 1), (2, 8, 9, 2)),
        ((2, 1, 9, 3), (2, 1, 9, 3)),  # a row
        ((2, 8, 1, 1), (2, 8, 1)),
        ((2, 1, 1, 1), (2, 1, 1, 1)),
    ],
)
def test_pictures_of_any_channels_and_size_have_their_map_and_overlay(shape, data):
    e, x = explained(*shape), R.normal(size=data)
    panels = [a for a in e.plot(x).axes if a.images]
    assert [a.images[0].get_array().shape[:2] for a in panels] == [shape[1:3]] * 6
    np.testing.assert_allclose(panels[1].images[0].get_array(), e.attributions[0].sum(-1))
    gray = panels[0].images[0].get_array().astype(float)
    values = x[0].reshape(*shape[1:3], -1)
    if values.shape[-1] != 3 and gray.size > 1:  # what is brighter has more
        assert np.corrcoef(gray.ravel(), values.mean(-1).ravel())[0, 1] > 0.99


def test_features_of_one_name_are_bars_of_their_own():
    e = explained(1, 4)
    (axes,) = e.plot(names=["a", "a", "b", "a"]).axes
    assert sorted(bar.get_y() + bar.get_height() / 2 for bar in axes.patches) == [0, 1, 2, 3]
    np.testing.assert_allclose(sorted(bar.get_width() for bar in axes.patches), np.sort(e.attributions[0]))
    assert sorted(t.get_text() for t in axes.get_yticklabels()) == ["a", "a", "a", "b"]


def test_samples_may_be_an_array_or_one_number():
    e = explained(3, 4)
    assert len(e.plot(samples=np.array([2, 0])).axes) == 2
    assert len(e.plot(samples=1).axes) == 1


def test_a_single_series_may_come_without_channels():
    e, x = explained(2, 20, 1), R.normal(size=(2, 20))
    np.testing.assert_allclose(e.plot(x).axes[0].collections[0].get_offsets()[:, 1], x[0])


def test_features_are_bars_the_strongest_on_top():
    e = explained(2, 30)
    axes = e.plot(names=[f"f{i}" for i in range(30)], most=5, samples=[1]).axes
    assert len(axes) == 1
    bars = axes[0].patches
    assert len(bars) == 5
    order = np.argsort(-np.abs(e.attributions[1]))[:5]
    assert [t.get_text() for t in axes[0].get_yticklabels()] == [f"f{i}" for i in order[::-1]]
    widths = [bar.get_width() for bar in bars]
    np.testing.assert_allclose(widths, e.attributions[1][order[::-1]])
    for bar in bars:
        red, _, blue, _ = bar.get_facecolor()
        assert (red > blue) == (bar.get_width() > 0)


def test_series_are_coloured_along_the_line():
    e, x = explained(2, 40, 2), R.normal(size=(2, 40, 2))
    axes = e.plot(x, names=["left", "right"]).axes
    assert len(axes) == 2
    assert len(axes[0].lines) == 2
    np.testing.assert_allclose(axes[0].collections[1].get_offsets()[:, 1], x[0, :, 1])
    assert [t.get_text() for t in axes[0].get_legend().get_texts()] == ["left", "right"]


def test_words_are_written_in_colours():
    e = explained(2, 5, 4)
    figure = e.plot(tokens=[["a", "very", "good", "film"], ["bad"]])
    texts = [t for t in figure.axes[0].texts if t.get_text()]
    assert [t.get_text() for t in texts] == ["a", "very", "good", "film"]
    values = e.attributions[0].sum(-1)
    for text, value in zip(texts, values, strict=False):
        red, _, blue, _ = text.get_bbox_patch().get_facecolor()
        assert (red >= blue) == (value >= 0)


def test_figures_are_saved_and_nothing_is_overwritten(tmp_path):
    e = explained(1, 6, 6, 1)
    path = e.save_png(tmp_path / "map")
    assert path.read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(ResultExists):
        e.save_png(path)
    e.save_png(path, overwrite=True)
    with pytest.raises(UnwritableResult):
        e.save_png(tmp_path / "nowhere" / "map.png")


@pytest.mark.parametrize(
    ("shape", "how", "message"),
    [
        ((2, 3, 3, 3, 3), {}, "expected pictures"),
        ((2, 4), {"names": ["a"]}, "1 names for 4 features"),
        ((2, 4), {"samples": [2]}, "0 to 1"),
        ((2, 4), {"x": np.ones((3, 4))}, r"data of shape \(3, 4\)"),
        ((2, 4), {"x": np.ones((2, 3))}, r"data of shape \(2, 3\)"),
        ((2, 4), {"x": np.ones((2, 4, 1))}, r"data of shape \(2, 4, 1\)"),
        ((2, 4), {"x": np.full((2, 4), "a")}, "expected numbers"),
        ((2, 4), {"most": 0}, "at least one bar"),
        ((2, 4), {"samples": "first"}, "0 to 1"),
        ((2, 9, 8, 3), {"x": np.ones((2, 18, 16, 3))}, r"(?s)data of shape \(2, 18, 16, 3\).*filter\.resize"),
        ((2, 20, 3), {"x": np.ones((2, 10, 3))}, r"data of shape \(2, 10, 3\)"),
        ((2, 20, 3), {"x": np.ones((2, 20, 2))}, "2 channels for attributions of 3"),
        ((2, 4), {"tokens": [["a"]]}, "1 texts"),
    ],
)
def test_what_cannot_be_drawn(shape, how, message):
    with pytest.raises(InvalidArgument, match=message):
        explained(*shape).plot(**how)


def test_one_target_at_a_time_is_drawn():
    many = Explanation(R.normal(size=(2, 3, 8, 8, 1)), R.normal(size=(2, 3)))
    with pytest.raises(InvalidArgument, match="one target per sample"):
        many.plot()
