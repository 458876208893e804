"""Figures of explanations: pictures, named features, time series, text.  Red raises the score, blue lowers it."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import attrs
import numpy as np

from xaicore.errors import InvalidArgument, PackageMissing, ResultExists, UnwritableResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xaicore.explanation import Explanation
    from xaicore.heatmap import Heatmap

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
    figure_of, _ = _matplotlib()
    maps = _maps(explanation)
    chosen = list(range(min(len(maps), _MOST))) if samples is None else _chosen(samples, len(maps))
    draw: _Drawing
    if tokens is not None:
        draw = _Text(maps, tokens)
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


def _drawing(maps: np.ndarray, data: np.ndarray | None, names: Sequence[str] | None, most: int) -> _Drawing:
    """Return what draws attributions by their number of axes."""
    rank = maps.ndim - 1
    if rank == _VECTOR:
        return _Bars(maps, data, _names(names, maps.shape[1]), most)
    if rank == _SERIES:
        return _Series(maps, data, names)
    if rank == _PICTURE:
        return _Picture(maps, data)
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


class _Drawing(Protocol):
    """How one sample is drawn: inches and number of its panels, and the panels themselves."""

    width: float
    height: float
    columns: int

    def row(self, axes: Sequence[Axes], sample: int) -> None:
        """Draw a sample."""
        ...


class _Picture:
    """The picture, its map, and the map over the picture."""

    width, height = 3.0, 2.6

    def __init__(self, maps: np.ndarray, data: np.ndarray | None) -> None:
        self.maps, self.data = maps, data
        self.columns = 1 if data is None else 3

    def row(self, axes: Sequence[Axes], sample: int) -> None:
        from xaicore.heatmap import ANCHORS

        _, colours = _matplotlib()
        found = _heat(self.maps[sample])
        scale = colours.LinearSegmentedColormap.from_list("xaicore", np.array(ANCHORS) / 255)
        limit = found.limit or 1.0
        at = 0 if self.data is None else 1
        shown = axes[at].imshow(found.values, cmap=scale, vmin=-limit, vmax=limit, interpolation="nearest")
        axes[at].figure.colorbar(shown, ax=axes[at], shrink=0.8)
        if self.data is not None:
            picture = _levels(self.data[sample])
            axes[0].imshow(picture[..., 0] if picture.shape[-1] == 1 else picture, cmap="gray")
            axes[2].imshow(found.over(picture))
        for one in axes:
            one.set_axis_off()


class _Bars:
    """The strongest features as bars, the strongest on top."""

    width, height, columns = 5.0, 3.2, 1

    def __init__(self, maps: np.ndarray, data: np.ndarray | None, names: Sequence[str], most: int) -> None:
        if most < 1:
            raise InvalidArgument(f"Given most={most}; expected at least one bar.")
        self.maps, self.data, self.names, self.most = maps, data, names, most

    def row(self, axes: Sequence[Axes], sample: int) -> None:
        values = self.maps[sample]
        order = np.argsort(-np.abs(values))[: self.most][::-1]
        labels = [
            self.names[i] if self.data is None else f"{self.names[i]} = {float(self.data[sample][i]):.3g}"
            for i in order
        ]
        # By place and not by label: two features may have one name.
        axes[0].barh(range(len(order)), values[order], color=_signs(values[order]), tick_label=labels)
        axes[0].axvline(0, color="0.4", linewidth=0.8)
        axes[0].tick_params(labelsize=7)


class _Series:
    """Channels over time, each point in the colour of its attribution."""

    width, height, columns = 7.0, 2.0, 1

    def __init__(self, maps: np.ndarray, data: np.ndarray | None, names: Sequence[str] | None) -> None:
        if data is not None and maps.shape[-1] not in {1, data.shape[-1]}:
            raise InvalidArgument(
                f"Given data of {data.shape[-1]} channels for attributions of {maps.shape[-1]}; expected the same "
                "number, or one map for all."
            )
        self.maps, self.data = maps, data
        self.names = None if names is None else _names(names, (maps if data is None else data).shape[-1])

    def row(self, axes: Sequence[Axes], sample: int) -> None:
        from xaicore.heatmap import colour

        values = self.maps[sample]
        lines = values if self.data is None else self.data[sample]
        time = np.arange(len(lines))
        limit = np.abs(values).max() or 1.0
        for channel in range(lines.shape[-1]):
            strength = values[:, min(channel, values.shape[-1] - 1)] / limit
            label = None if self.names is None else self.names[channel]
            axes[0].plot(time, lines[:, channel], color="0.75", linewidth=0.8, zorder=1, label=label)
            axes[0].scatter(time, lines[:, channel], c=colour(strength) / 255, s=14, edgecolors="0.6", linewidths=0.2)
        if self.names is not None:
            axes[0].legend(fontsize=7)


class _Text:
    """Words in the colour of their attribution."""

    width, height, columns = 8.0, 1.2, 1

    def __init__(self, maps: np.ndarray, tokens: Sequence[Sequence[str]]) -> None:
        values = maps.sum(tuple(range(2, maps.ndim)))
        if len(tokens) != len(maps) or any(len(one) > values.shape[1] for one in tokens):
            raise InvalidArgument(
                f"Given {len(tokens)} texts of up to {max(map(len, tokens), default=0)} tokens for attributions of "
                f"shape {maps.shape}; expected a list of at most {values.shape[1]} tokens for each sample."
            )
        self.values, self.tokens = values, tokens

    def row(self, axes: Sequence[Axes], sample: int) -> None:
        from xaicore.heatmap import colour

        axes[0].set_axis_off()
        words, values = self.tokens[sample], self.values[sample]
        limit = np.abs(values).max() or 1.0
        left, line = 0.0, 0
        for word, value in zip(words, values, strict=False):
            length = 0.011 * (len(word) + 2)  # of a row of 90 letters
            if left + length > 1:
                left, line = 0.0, line + 1
            box = {"facecolor": colour(np.array(value / limit)) / 255, "edgecolor": "none", "pad": 1.5}
            axes[0].text(
                left,
                1 - 0.25 * line,
                word,
                bbox=box,
                family="monospace",
                fontsize=8,
                va="top",
                transform=axes[0].transAxes,
            )
            left += length


def _matplotlib() -> tuple[Any, Any]:
    """Return the class of figures and the module of colours; no figure gets into pyplot's list."""
    try:
        from matplotlib import colors
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PackageMissing(
            'Figures need matplotlib, which is not installed. Run: pip install "xaicore[cli]"'
        ) from error
    return Figure, colors


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


def _names(names: Sequence[str] | None, count: int) -> Sequence[str]:
    if names is None:
        return [f"feature {i}" for i in range(count)]
    if len(names) != count:
        raise InvalidArgument(f"Given {len(names)} names for {count} features; expected one each.")
    return list(names)


def _heat(attributions: np.ndarray) -> Heatmap:
    """Return the map of one sample; also one of a single row or column, which ``heatmap`` takes for no picture."""
    from xaicore.heatmap import heatmap

    height, width = (2 if n == 1 else 1 for n in attributions.shape[:2])
    found = heatmap(attributions.repeat(height, 0).repeat(width, 1))
    return attrs.evolve(found, values=found.values[::height, ::width])


def _levels(picture: np.ndarray) -> np.ndarray:
    """Return a picture of any range in 0..255: as it is where it is in 0..255 or 0..1, stretched otherwise.

    What is neither gray nor coloured is shown by the mean over its channels.
    """
    values = np.asarray(picture, np.float64)
    values = values if values.shape[-1] in {1, 3} else values.mean(-1, keepdims=True)
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 1:
        values = 255 * values
    elif low < 0 or high > 255:  # noqa: PLR2004  # levels of a byte
        values = 255 * (values - low) / ((high - low) or 1.0)
    return np.rint(values).astype(np.uint8)


def _signs(values: np.ndarray) -> list[Any]:
    from xaicore.heatmap import colour

    return list(colour(np.where(values < 0, -0.7, 0.7)) / 255)
