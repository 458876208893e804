"""Preprocessing: its text is canonical, its numbers are those of the formula, every mistake is named."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xaicore.cli.preprocess import Preprocess
from xaicore.cli.preprocess_grammar import parse
from xaicore.errors import InvalidArgument, XaicoreError

PICTURE = np.random.default_rng(0).integers(0, 256, (6, 5, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("64x64,gray,scale=-1..1", "64x64,gray,scale=-1..1"),
        ("gray, scale=-1.0..1e0 ,64x64", "64x64,gray,scale=-1..1"),
        ("224x224,rgb,mean=127,std=128,order=bgr", "224x224,rgb,order=bgr,mean=127,std=128"),
        ("8x9,rgb,mean=(103.939,116.779,123.68)", "8x9,rgb,mean=(103.939,116.779,123.68)"),
        ("8x9,rgb,scale=0..1,std=(.5,.5,.5)", "8x9,rgb,scale=0..1,std=0.5"),
        ("8x9,rgb,order=rgb,raw", "8x9,rgb,raw"),
        ("8x9,gray,crop=( 1, 5,0,4 ),raw", "8x9,gray,crop=(1,5,0,4),raw"),
    ],
)
def test_text_becomes_canonical_and_comes_back(text, canonical):
    assert str(parse(text)) == canonical
    assert parse(canonical) == parse(text)


numbers = st.floats(-1e6, 1e6).map(lambda v: round(v, 6) + 0.0)


@st.composite
def preprocessings(draw):
    channels = draw(st.sampled_from(["gray", "rgb"]))
    counts = [1] if channels == "gray" else [1, 3]

    def several(element):
        values = tuple(draw(st.lists(element, min_size=(n := draw(st.sampled_from(counts))), max_size=n)))
        return values[:1] if len(set(values)) == 1 else values

    top, left = draw(st.integers(0, 9)), draw(st.integers(0, 9))
    return Preprocess(
        size=(draw(st.integers(1, 999)), draw(st.integers(1, 999))),
        channels=channels,
        scale=draw(st.none() | st.tuples(numbers, numbers).filter(lambda p: p[0] != p[1])),
        mean=several(numbers),
        std=several(st.floats(1e-3, 1e6)),
        order="rgb" if channels == "gray" else draw(st.sampled_from(["rgb", "bgr"])),
        crop=draw(st.none() | st.just((top, top + 3, left, left + 1))),
    )


@given(preprocessings())
def test_every_value_is_its_own_text(value):
    assert parse(str(value)) == value


@given(st.text("0123456789x,=.()-+ abgrscalemnordtwp", max_size=60))
def test_garbage_raises_only_our_error(text):
    with contextlib.suppress(XaicoreError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no word of the grammar"),
        ("gray,raw", "size is missing"),
        ("8x8,raw", "channels are missing"),
        ("8x8,gray", "scaling is missing"),
        ("8x8,gray,order=bgr", "scaling is missing"),
        ("8x8,gray,raw,scale=0..1", "`raw` contradicts `scale`"),
        ("8x8,gray,scale=0..1,scale=0..1", "given twice"),
        ("8x8,4x4,gray,raw", "`size` is given twice"),
        ("8x8,rgb,gray,raw", "`channels` is given twice"),
        ("8x8,gray,raw,order=bgr", "no order"),
        ("8x8,rgb,order=grb,raw", "expected `rgb` or `bgr`"),
        ("8x8,gray,scale=0-1", "expected LOW..HIGH"),
        ("8x8,gray,scale=1..1", "ends are equal"),
        ("8x8,gray,scale=0..inf", "not finite"),
        ("8x8,gray,mean=grey", "is no number"),
        ("8x8,gray,mean=(1,2,3)", "one for each of 1 channels"),
        ("8x8,rgb,mean=(1,2)", "one for each of 3 channels"),
        ("8x8,gray,std=0", "above 0"),
        ("0x8,gray,raw", "no pixel"),
        ("8x8,gray,raw,crop=(5,1,0,4)", "top is above bottom"),
        ("8x8,gray,raw,crop=5", "four pixel counts"),
        ("8x8,gray,raw,flip=1", "no word of the grammar"),
    ],
)
def test_each_mistake_is_named(text, said):
    with pytest.raises(InvalidArgument, match="Expected HEIGHTxWIDTH") as caught:
        parse(text)
    assert said in str(caught.value)


# The tolerances below are float32's resolution at 255: the results are stored in float32.


def test_scale_maps_0_to_low_and_255_to_high():
    x = parse("6x5,rgb,scale=-1..1").prepare(PICTURE)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, PICTURE.astype(np.float64) / 127.5 - 1, atol=2e-7)


def test_mean_and_std_follow_the_scale_in_the_order_that_the_model_sees():
    x = parse("6x5,rgb,order=bgr,scale=0..1,mean=(.1,.2,.3),std=(1,2,4)").prepare(PICTURE)
    expected = (PICTURE[..., ::-1] / 255.0 - [0.1, 0.2, 0.3]) / [1, 2, 4]
    np.testing.assert_allclose(x, expected, atol=2e-7)


def test_gray_is_the_luma_of_bt601_and_pixels_keep_red_first():
    gray = parse("6x5,gray,raw").prepare(PICTURE)
    np.testing.assert_allclose(gray[..., 0], PICTURE @ np.array([0.299, 0.587, 0.114]), atol=5e-5)
    np.testing.assert_array_equal(parse("6x5,rgb,order=bgr,raw").pixels(PICTURE), PICTURE)


def test_a_gray_picture_serves_a_colour_model():
    x = parse("6x5,rgb,raw").prepare(PICTURE[..., :1])
    assert all(np.array_equal(x[..., c], PICTURE[..., 0]) for c in range(3))


def test_crop_takes_rows_then_columns_and_has_to_lie_inside():
    x = parse("3x2,rgb,raw,crop=(1,4,2,4)").prepare(PICTURE)
    np.testing.assert_array_equal(x, PICTURE[1:4, 2:4])
    with pytest.raises(InvalidArgument, match="6 rows and 5 columns"):
        parse("3x2,rgb,raw,crop=(1,7,2,4)").prepare(PICTURE)


def test_halving_averages_and_keeps_fractions():
    """Bilinear with support scaled to the reduction: far from the border, a ramp stays a ramp."""
    ramp = np.arange(16, dtype=np.float32)[None, :, None].repeat(16, axis=0) * 0.5
    x = parse("8x8,gray,raw").prepare(ramp)
    np.testing.assert_allclose(x[4, 2:-2, 0], np.arange(8)[2:-2] + 0.25, atol=1e-5)
