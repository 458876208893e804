"""Figures of explanations: pictures, named features, time series, text.  Red raises the score, blue lowers it."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from xaicore.drawings import Bars, Drawing, Picture, Series, Text, matplotlib_parts, names_of
from xaicore.errors import InvalidArgument, ResultExists, UnwritableResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from xaicore.explanation import Explanation

_MOST = 8  # samples in one figure
_PICTURE, _SERIES, _VECTOR = 3, 2, 1  # axes of one sample; a picture may come without channels


def plot(
    explanation: Explanation,
    x: object = None,
    *,
    tokens: Sequence[Sequence[str]] | None = None,
    names: Sequence[str] | None = None,
    samples: Sequence[int] | None = None,
    most: int = 20,
) -> Figure:
    """Return a figure; see ``Explanation.plot``."""
    figure_of, _ = matplotlib_parts()
    maps = _maps(explanation)
    chosen = list(range(min(len(maps), _MOST))) if samples is None else _chosen(samples, len(maps))
    draw: Drawing
    if tokens is not None:
        draw = Text(maps, tokens)
    else:
        data = None if x is None else _data(x, maps)
        draw = _drawing(maps, data, names, most)
    columns = draw.columns
    figure = figure_of(figsize=(draw.width * columns, draw.height * len(chosen)), layout="constrained")
    axes = figure.subplots(len(chosen), columns, squeeze=False)
    for row, sample in zip(axes, chosen, strict=True):
        draw.row(row, sample)
        row[0].set_title(f"sample {explanation.ids[sample]}: {float(explanation.scores[sample]):.3g}", fontsize=9)
    figure.suptitle(explanation.analyzer, fontsize=9)
    return figure  # type: ignore[no-any-return]


def _drawing(maps: np.ndarray, data: np.ndarray | None, names: Sequence[str] | None, most: int) -> Drawing:
    """Return what draws attributions by their number of axes."""
    rank = maps.ndim - 1
    if rank == _VECTOR:
        return Bars(maps, data, names_of(names, maps.shape[1]), most)
    if rank == _SERIES:
        return Series(maps, data, names)
    if rank == _PICTURE:
        return Picture(maps, data)
    raise InvalidArgument(
        f"Given attributions of shape {maps.shape}; expected pictures (batch, height, width, channels), series "
        "(batch, time, channels) or vectors (batch, features). Explain one target at a time for a figure."
    )


def save_png(
    explanation: Explanation, path: str | pathlib.Path, *, overwrite: bool = False, **how: Any
) -> pathlib.Path:
    """Write the figure as a PNG file and return its path; see ``Explanation.save_png``."""
    path = pathlib.Path(path)
    path = path if path.suffix == ".png" else path.with_name(f"{path.name}.png")
    if path.exists() and not overwrite:
        raise ResultExists(f"{path} is there already, and it is left as it is. overwrite=True replaces it.")
    if not path.parent.is_dir():
        raise UnwritableResult(f"{path.parent} is no folder; nothing was written.")
    plot(explanation, **how).savefig(path, dpi=120)
    return path


def _maps(explanation: Explanation) -> np.ndarray:
    if len(explanation.arrays) != 1 or explanation.scores.ndim != 1:
        raise InvalidArgument(
            f"The explanation has {len(explanation.arrays)} arrays of attributions and scores of shape "
            f"{explanation.scores.shape}; expected one array and one target per sample."
        )
    return np.asarray(explanation.arrays[0])


def _chosen(samples: Sequence[int], count: int) -> list[int]:
    chosen = np.atleast_1d(np.asarray(samples))
    if not chosen.size or chosen.dtype.kind not in "iu" or chosen.min() < 0 or chosen.max() >= count:
        raise InvalidArgument(f"Given samples={samples}; expected numbers from 0 to {count - 1}.")
    return [int(i) for i in chosen]


def _data(x: object, maps: np.ndarray) -> np.ndarray:
    """Return the explained data beside its attributions: the same samples and positions, channels in any number."""
    found = np.asarray(x)
    given = found.shape
    if found.ndim == maps.ndim - 1 and maps.ndim > _VECTOR + 1:
        found = found[..., None]  # gray pictures and single series may come without channels
    kept = maps.ndim if maps.ndim == _VECTOR + 1 else -1  # of what has positions, channels may differ
    if found.ndim != maps.ndim or found.shape[:kept] != maps.shape[:kept] or found.dtype.kind not in "biuf":
        raise InvalidArgument(
            f"Given {found.dtype} data of shape {given} for attributions of shape {maps.shape}; expected numbers "
            "of the same samples and positions. A map of another size is brought to that of the input by "
            "`upsample=True` or `| filter.resize(size=...)`."
        )
    return found
