"""How the attributions of one sample are drawn: as a picture, as bars, along a series, behind words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import attrs
import numpy as np

from xaicore.errors import InvalidArgument, PackageMissing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from xaicore.heatmap import Heatmap


class Drawing(Protocol):
    """How one sample is drawn: inches and number of its panels, and the panels themselves."""

    width: float
    height: float
    columns: int

    def row(self, axes: Sequence[Axes], sample: int) -> None:
        """Draw a sample."""
        ...


class Picture:
    """The picture, its map, and the map over the picture."""

    width, height = 3.0, 2.6

    def __init__(self, maps: np.ndarray, data: np.ndarray | None) -> None:
        self.maps, self.data = maps, data
        self.columns = 1 if data is None else 3

    def row(self, axes: Sequence[Axes], sample: int) -> None:
        """Draw a sample."""
        from xaicore.heatmap import ANCHORS

        _, colours = matplotlib_parts()
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


class Bars:
    """The strongest features as bars, the strongest on top."""

    width, height, columns = 5.0, 3.2, 1

    def __init__(self, maps: np.ndarray, data: np.ndarray | None, names: Sequence[str], most: int) -> None:
        if most < 1:
            raise InvalidArgument(f"Given most={most}; expected at least one bar.")
        self.maps, self.data, self.names, self.most = maps, data, names, most

    def row(self, axes: Sequence[Axes], sample: int) -> None:
        """Draw a sample."""
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


class Series:
    """Channels over time, each point in the colour of its attribution."""

    width, height, columns = 7.0, 2.0, 1

    def __init__(self, maps: np.ndarray, data: np.ndarray | None, names: Sequence[str] | None) -> None:
        if data is not None and maps.shape[-1] not in {1, data.shape[-1]}:
            raise InvalidArgument(
                f"Given data of {data.shape[-1]} channels for attributions of {maps.shape[-1]}; expected the same "
                "number, or one map for all."
            )
        self.maps, self.data = maps, data
        self.names = None if names is None else names_of(names, (maps if data is None else data).shape[-1])

    def row(self, axes: Sequence[Axes], sample: int) -> None:
        """Draw a sample."""
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


class Text:
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
        """Draw a sample."""
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


def matplotlib_parts() -> tuple[Any, Any]:
    """Return the class of figures and the module of colours; no figure gets into pyplot's list."""
    try:
        from matplotlib import colors
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PackageMissing(
            'Figures need matplotlib, which is not installed. Run: pip install "xaicore[cli]"'
        ) from error
    return Figure, colors


def names_of(names: Sequence[str] | None, count: int) -> Sequence[str]:
    """Return a name for each feature; numbers where none are given."""
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
