"""What happens to a picture before the model sees it, as a value with a text of its own.

    64x64,gray,scale=-1..1
    224x224,rgb,mean=127,std=128
    224x224,rgb,order=bgr,mean=(103.939,116.779,123.68)
    64x64,gray,crop=(60,190,165,285),scale=-1..1
    32x32,rgb,raw

Nothing is guessed: size, channels and scaling have to be named, because a wrong scale gives a wrong heatmap
without a word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from xaicore.errors import InvalidArgument

if TYPE_CHECKING:
    import numpy as np

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, what Pillow and OpenCV take for gray
CHANNELS = {"gray": 1, "rgb": 3}


@attrs.frozen
class Preprocess:
    """From pixels in 0..255 to what the model takes, in this order: crop, channels, size, order, scale, mean and std.

    size: (height, width) after resizing (bilinear over the whole area, without regard to the aspect).
    channels: "gray" (BT.601 luma) or "rgb".
    scale: 0..255 becomes low..high; None leaves 0..255.
    mean, std: (x - mean) / std after the scale, one number or one per channel in the order that the model sees.
    order: "rgb", or "bgr" for models that take blue first.
    crop: rows top to bottom and columns left to right of the picture, before anything else.
    """

    size: tuple[int, int]
    channels: str
    scale: tuple[float, float] | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    order: str = "rgb"
    crop: tuple[int, int, int, int] | None = None

    def __str__(self) -> str:
        """Return the canonical text: ``preprocess_grammar.parse(str(p)) == p``."""
        words = [f"{self.size[0]}x{self.size[1]}", self.channels]
        if self.order != "rgb":
            words.append(f"order={self.order}")
        if self.crop is not None:
            words.append(f"crop={_tuple(self.crop)}")
        if self.scale is not None:
            words.append(f"scale={_number(self.scale[0])}..{_number(self.scale[1])}")
        if self.mean != (0.0,):
            words.append(f"mean={_tuple(self.mean)}")
        if self.std != (1.0,):
            words.append(f"std={_tuple(self.std)}")
        if self.scale is None and self.mean == (0.0,) and self.std == (1.0,):
            words.append("raw")
        return ",".join(words)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one prepared sample: (height, width, channels)."""
        return (*self.size, CHANNELS[self.channels])

    def pixels(self, picture: np.ndarray) -> np.ndarray:
        """Return the picture cropped, in its channels and size, as a person sees it.

        Args:
            picture: (height, width, 1 or 3), 0..255, red first.

        Returns:
            float32 (*size, 1 or 3), 0..255, red first.

        Raises:
            InvalidArgument: the crop lies outside the picture.
        """
        import numpy as np

        picture = np.asarray(picture, np.float32)
        if self.crop is not None:
            picture = _crop(picture, self.crop)
        if self.channels == "gray" and picture.shape[-1] == CHANNELS["rgb"]:
            picture = picture @ np.array(LUMA, np.float32)[:, None]
        if self.channels == "rgb" and picture.shape[-1] == CHANNELS["gray"]:
            picture = np.repeat(picture, CHANNELS["rgb"], axis=-1)
        return _resize(picture, self.size)

    def prepare(self, picture: np.ndarray) -> np.ndarray:
        """Return one sample for the model: float32, shape ``self.shape``.  ``picture`` as for ``pixels``."""
        import numpy as np

        x = self.pixels(picture).astype(np.float64)
        if self.order == "bgr":
            x = x[..., ::-1]
        if self.scale is not None:
            low, high = self.scale
            x = low + x / 255.0 * (high - low)
        prepared: np.ndarray = ((x - np.array(self.mean)) / np.array(self.std)).astype(np.float32)
        return prepared


def _crop(picture: np.ndarray, crop: tuple[int, int, int, int]) -> np.ndarray:
    top, bottom, left, right = crop
    height, width = picture.shape[:2]
    if bottom > height or right > width:
        raise InvalidArgument(
            f"crop={_tuple(crop)} reaches outside the picture of {height} rows and {width} columns. "
            "Expected crop=(TOP,BOTTOM,LEFT,RIGHT) in pixels of the picture."
        )
    return picture[top:bottom, left:right]


def _resize(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize each channel as floats: going through 8 bits would round twice."""
    import numpy as np
    from PIL import Image

    if picture.shape[:2] == size:
        return picture
    planes = [Image.fromarray(np.ascontiguousarray(picture[..., c])) for c in range(picture.shape[-1])]
    resized = [np.asarray(p.resize(size[::-1], Image.Resampling.BILINEAR)) for p in planes]
    return np.stack(resized, axis=-1)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _tuple(values: tuple[float, ...]) -> str:
    return _number(values[0]) if len(values) == 1 else "(" + ",".join(_number(v) for v in values) + ")"
