"""What a convolution reads, place by place."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from xaicore.errors import InvalidArgument
from xaicore.inspect.arguments import a_tensor, a_text, either, refuse, several, takes
from xaicore.inspect.untouched import untouched

_RANKS = (1, 2, 3)


def _length(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise refuse(name, value, "a whole number from 1 on, or a list of one for each axis")


_lengths = several(_length, "a list of a whole number for each axis")
_one_or_each = either(_lengths, _length)


@takes(x=a_tensor, kernel_shape=_lengths, strides=_one_or_each, rates=_one_or_each, padding=a_text)
def extract_conv_patches(
    x: Any,  # symbolic, eager or an array
    kernel_shape: Sequence[int],
    strides: Sequence[int] | int = 1,
    rates: Sequence[int] | int = 1,
    padding: str = "valid",
) -> object:
    """Return what a convolution reads at each place: (batch, *output, kernel positions * channels).

    A convolution is ``patches @ kernel.reshape(-1, filters)``: kernel positions vary slowest, channels fastest.

    Args:
        x: (batch, *spatial, channels), of one to three spatial axes, with known lengths.
        kernel_shape: Lengths of the kernel.
        strides: Steps between places; one for all axes, or one for each.
        rates: Steps between the kernel's positions (dilation), likewise.
        padding: "valid", "same", or "causal" (one axis), in any case of letters.

    Raises:
        InvalidArgument: Lengths that do not fit together, an unknown padding.
    """
    x = x if hasattr(x, "shape") else np.asarray(x)
    spatial = tuple(x.shape[1:-1])
    rank = len(kernel_shape)
    if len(spatial) != rank or rank not in _RANKS or None in spatial:
        raise InvalidArgument(
            f"Given x of shape {tuple(x.shape)} and kernel_shape={tuple(kernel_shape)}; "
            "expected (batch, *spatial, channels) with one known length for each of the kernel's one to three axes."
        )
    steps, gaps = (tuple(v) if isinstance(v, Sequence) else (v,) * rank for v in (strides, rates))
    if len(steps) != rank or len(gaps) != rank:
        raise InvalidArgument(f"Given strides={strides} and rates={rates} for {rank} axes; expected one for each.")
    reach = [gap * (size - 1) for gap, size in zip(gaps, kernel_shape, strict=True)]
    pads = [_padding(padding.lower(), *axis) for axis in zip(spatial, steps, reach, strict=True)]
    counts = [
        (size + sum(pad) - far - 1) // step + 1
        for size, pad, far, step in zip(spatial, pads, reach, steps, strict=True)
    ]
    if min(counts) < 1 or (padding.lower() == "causal" and rank > 1):
        raise InvalidArgument(
            f"Given kernel_shape={tuple(kernel_shape)} with rates {gaps}, padding={padding!r} and x of shape "
            f"{tuple(x.shape)}; expected a kernel that fits into x, and causal padding of one axis only."
        )
    with untouched(x):
        if any(map(any, pads)):
            x = keras.ops.pad(x, [(0, 0), *pads, (0, 0)])
        return keras.ops.concatenate(list(_at_positions(x, kernel_shape, steps, gaps, counts)), axis=-1)


def _at_positions(
    x: Any,
    kernel_shape: Sequence[int],
    steps: Sequence[int],
    gaps: Sequence[int],
    counts: Sequence[int],
) -> Iterator[object]:
    """Yield, for each position of a kernel, what stands at it wherever the kernel is put."""
    for position in itertools.product(*map(range, kernel_shape)):
        starts = [k * gap for k, gap in zip(position, gaps, strict=True)]
        axes = (slice(a, a + (n - 1) * s + 1, s) for a, n, s in zip(starts, counts, steps, strict=True))
        yield x[(slice(None), *axes, slice(None))]


def _padding(padding: str, size: int, step: int, reach: int) -> tuple[int, int]:
    if padding == "valid":
        return 0, 0
    if padding == "causal":
        return reach, 0
    if padding != "same":
        raise InvalidArgument(f"Given padding={padding!r}; expected 'valid', 'same' or 'causal'.")
    total = max(0, (-(-size // step) - 1) * step + reach + 1 - size)
    return total // 2, total - total // 2
