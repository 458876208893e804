"""Heatmaps: signs keep their colour, zero is the middle, both signs look equally strong."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from xaicore.heatmap import ANCHORS, colour, heatmap, is_picture, magnify, png, with_bar


def test_zero_is_the_middle_colour_and_the_ends_are_the_ends():
    np.testing.assert_array_equal(colour(np.array([-1.0, 0.0, 1.0])), [ANCHORS[0], ANCHORS[4], ANCHORS[8]])


def test_lightness_is_symmetric_about_zero():
    """CIE lightness from sRGB, the published formula; 5 of 100 is hardly seen between two patches side by side."""
    ends = np.linspace(0.0, 1.0, 33)
    np.testing.assert_allclose(_lightness(colour(ends)), _lightness(colour(-ends)), atol=5)
    assert (np.diff(_lightness(colour(ends))) < 0).all()  # stronger is always darker


def test_channels_are_summed_and_the_limit_is_symmetric():
    attributions = np.zeros((4, 4, 3))
    attributions[0, 0] = [1, 2, -5]
    attributions[1, 1] = [1, 0, 0]
    found = heatmap(attributions, limit=2.0)
    assert found.values[0, 0] == -2
    np.testing.assert_array_equal(found.colours()[0, 0], ANCHORS[0])
    np.testing.assert_array_equal(found.colours()[1, 1], ANCHORS[6])  # half of the limit
    np.testing.assert_array_equal(found.colours()[2, 2], ANCHORS[4])


def test_the_default_limit_ignores_a_lonely_outlier_and_survives_zeros():
    values = np.ones((100, 100))
    values[0, 0] = 1e6
    assert heatmap(values).limit == 1.0
    assert (heatmap(np.zeros((4, 4))).colours() == ANCHORS[4]).all()
    lonely = np.zeros((100, 100))
    lonely[0, 0] = -3.0
    assert heatmap(lonely).limit == 3.0  # the quantile is 0 there, the largest value is not


def test_an_overlay_shows_the_picture_where_nothing_is_attributed():
    picture = np.random.default_rng(0).uniform(0, 255, (4, 4, 3))
    attributions = np.zeros((4, 4))
    attributions[0, 0] = 1.0
    over = heatmap(attributions).over(picture)
    np.testing.assert_array_equal(over[0, 0], ANCHORS[8])
    gray = 110 + 0.55 * (picture @ [0.299, 0.587, 0.114])
    np.testing.assert_allclose(over[1:, 1:, 0], gray[1:, 1:], atol=0.5)  # rounded to whole numbers


def test_what_is_no_picture_is_refused():
    assert [is_picture(s) for s in [(4, 4), (4, 4, 3), (4,), (1, 4), (2, 4, 4, 3), ()]] == [1, 1, 0, 0, 0, 0]
    with pytest.raises(ValueError, match="no picture"):
        heatmap(np.zeros((30,)))


def test_png_holds_the_same_pixels():
    picture = np.random.default_rng(0).integers(0, 256, (5, 4, 3), np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png(picture)))), picture)
    assert np.asarray(Image.open(io.BytesIO(png(picture[..., :1])))).shape == (5, 4)


def test_magnify_repeats_pixels_and_the_bar_is_beside():
    big = magnify(np.arange(12, dtype=np.uint8).reshape(2, 2, 3), least=64)
    assert big.shape == (64, 64, 3)
    np.testing.assert_array_equal(big[::32, ::32], np.arange(12).reshape(2, 2, 3))
    barred = with_bar(big, 0.5)
    np.testing.assert_array_equal(barred[:, :64], big)
    assert barred.shape[0] == 64
    assert barred.shape[1] > 64


def _lightness(colours):
    linear = np.where((c := colours / 255.0) <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    y = linear @ [0.2126, 0.7152, 0.0722]
    return np.where(y > (6 / 29) ** 3, 116 * np.cbrt(y) - 16, y * (29 / 3) ** 3)
