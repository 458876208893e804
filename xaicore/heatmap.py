"""Signed attributions as pictures: blue lowers the score, red raises it, white is zero.

The colour map is symmetric about zero, so that equal strength looks equally strong in both signs, and the
limit that the colours stand for belongs to every picture.
"""

from __future__ import annotations

import io

import attrs
import numpy as np
from PIL import Image, ImageDraw, ImageFont

# From -1 to 1 at equal distances; lightness falls alike on both sides of white.
ANCHORS = (
    (24, 48, 104),
    (42, 92, 160),
    (112, 162, 205),
    (198, 219, 234),
    (250, 250, 249),
    (243, 209, 193),
    (220, 140, 115),
    (183, 62, 58),
    (112, 16, 38),
)
QUANTILE = 0.995  # a few outliers would make all else white; the limit is printed beside the picture
CHANNEL_RANKS = {3}
LUMA = (0.299, 0.587, 0.114)


@attrs.frozen(eq=False)
class Heatmap:
    """One map and the value that the ends of its colours stand for.

    values: (height, width), the attributions summed over the channels.
    limit: the colours reach from -limit to limit; what lies outside has the colour of the end.
    """

    values: np.ndarray
    limit: float

    def colours(self) -> np.ndarray:
        """Return the map as uint8 (height, width, 3)."""
        return colour(self._unit())

    def over(self, picture: np.ndarray) -> np.ndarray:
        """Return the map over a pale gray version of the picture: the stronger, the less of the picture.

        Args:
            picture: (height, width, 1 or 3), 0..255.
        """
        gray = picture @ np.array(LUMA)[:, None] if picture.shape[-1] == len(LUMA) else picture
        pale = 110.0 + 0.55 * np.asarray(gray, np.float64)
        unit = self._unit()
        strength = np.sqrt(np.abs(unit))[..., None]
        mixed: np.ndarray = np.rint(pale * (1 - strength) + self.colours() * strength)
        return mixed.clip(0, 255).astype(np.uint8)

    def _unit(self) -> np.ndarray:
        return np.clip(self.values / self.limit, -1.0, 1.0) if self.limit > 0 else np.zeros_like(self.values)


def heatmap(attributions: np.ndarray, limit: float | None = None) -> Heatmap:
    """Return the map of one sample.

    Args:
        attributions: (height, width) or (height, width, channels); channels are summed.
        limit: Value at the ends of the colours; by default the 99.5 % quantile of the absolute values.

    Raises:
        ValueError: the attributions are no picture; ask ``is_picture`` first.
    """
    if not is_picture(attributions.shape):
        raise ValueError(f"Attributions of shape {attributions.shape} are no picture.")
    values = np.asarray(attributions, np.float64)
    values = values.sum(axis=-1) if values.ndim in CHANNEL_RANKS else values
    if limit is None:
        strength = np.abs(values)
        limit = float(np.quantile(strength, QUANTILE)) or float(strength.max(initial=0.0))
    return Heatmap(values, limit)


def is_picture(shape: tuple[int, ...]) -> bool:
    """Return whether attributions of one sample can be drawn: two axes longer than 1, and perhaps channels."""
    return len(shape) in {2, *CHANNEL_RANKS} and min(shape[:2]) > 1


def colour(unit: np.ndarray) -> np.ndarray:
    """Return the colours of values in [-1, 1] as uint8 (*shape, 3)."""
    at = np.linspace(-1.0, 1.0, len(ANCHORS))
    anchors = np.array(ANCHORS, np.float64)
    return np.stack([np.rint(np.interp(unit, at, anchors[:, c])) for c in range(3)], axis=-1).astype(np.uint8)


def magnify(picture: np.ndarray, least: int = 256) -> np.ndarray:
    """Repeat the pixels until the shorter side has ``least``: a small picture stays itself on a screen."""
    factor = max(1, -(-least // min(picture.shape[:2])))
    return np.repeat(np.repeat(picture, factor, axis=0), factor, axis=1)


def with_bar(picture: np.ndarray, limit: float) -> np.ndarray:
    """Return the picture with its bar of colours and the three values beside it, uint8 (height, width + 76, 3)."""
    height = picture.shape[0]
    margin, thickness, room = 10, 12, 76
    strip = colour(np.repeat(np.linspace(1.0, -1.0, height - 2 * margin)[:, None], thickness, axis=1))
    canvas = Image.new("RGB", (room, height), "white")
    canvas.paste(Image.fromarray(strip), (margin, margin))
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=11)
    rows = ((margin, f"{limit:+.2g}"), (height // 2, "0"), (height - margin, f"{-limit:+.2g}"))
    for y, text in rows if limit > 0 else rows[1:2]:
        draw.text((margin + thickness + 5, y), text, fill=(60, 60, 60), font=font, anchor="lm")
    return np.concatenate([picture, np.asarray(canvas)], axis=1)


def png(picture: np.ndarray) -> bytes:
    """Return a picture, (height, width, 1 or 3) of 0..255, as the bytes of a PNG file."""
    array = np.rint(picture).clip(0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array).save(stream, "PNG", optimize=True)
    return stream.getvalue()
