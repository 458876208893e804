"""Several methods on one network and some photographs: what the page shows of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import attrs
import numpy as np

import xaicore
from xaicore.cli.describe import summary_of
from xaicore.cli.inputs import read_picture
from xaicore.cli.report import Map, Method, Prediction, Subject, seconds, signed
from xaicore.errors import UnknownName
from xaicore.heatmap import heatmap, magnify, png

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Sequence

    import keras

    from xaicore.analyzer import AnalyzerBase
    from xaicore.cli.preprocess import Preprocess

MOST_PREDICTIONS = 7
LEAST_SIDE = 224  # pixels on the page; smaller pictures are magnified in whole steps


@attrs.frozen(eq=False)
class Photograph:
    """A photograph as the network takes it.

    picture: (height, width, channels) 0..255, what the preprocessing cuts out.  pixels: the same in the network's size.
    x: (1, height, width, channels), what the network gets.
    """

    caption: str
    picture: np.ndarray
    pixels: np.ndarray
    x: np.ndarray


def photograph(path: pathlib.Path, preprocess: Preprocess) -> Photograph:
    """Read a photograph."""
    whole = read_picture(path)
    top, bottom, left, right = preprocess.crop or (0, whole.shape[0], 0, whole.shape[1])
    return Photograph(
        path.name, whole[top:bottom, left:right], preprocess.pixels(whole), preprocess.prepare(whole)[None]
    )


def predict(model: keras.Model, photo: Photograph, labels: Sequence[str]) -> tuple[int, Subject]:
    """Return the class that the network finds most probable, and what the page shows of the photograph."""
    probabilities = model.predict(photo.x, verbose=0)[0]
    order = probabilities.argsort()[::-1][:MOST_PREDICTIONS]
    target = int(order[0])
    return target, Subject(
        caption=photo.caption,
        target=labels[target],
        picture=png(photo.picture),
        sample=png(magnify(photo.pixels, LEAST_SIDE)),
        predictions=[Prediction(labels[i], float(probabilities[i]), explained=i == target) for i in order],
    )


def explain(
    expressions: Sequence[str],
    model: keras.Model,
    photos: Sequence[Photograph],
    targets: Sequence[int],
    say: Callable[[str], None],
) -> tuple[list[Method], list[str]]:
    """Return what each analyzer finds in the photographs, and a line for each whose plugin is not installed."""
    methods, left_out = [], []
    for expression in expressions:
        try:
            analyzer = xaicore.get_analyzer(expression)
        except UnknownName as error:  # not installed, or switched off
            left_out.append(f"{expression}: {error}")
            say(f"  left out: {error}")
            continue
        methods.append(_method(analyzer, model, photos, targets))
        residuals = " ".join(f"{signed(m.residual):>9}" for m in methods[-1].maps)
        say(f"  {residuals}  {seconds(methods[-1].seconds):>7}  {analyzer}")
    return methods, left_out


def _method(analyzer: AnalyzerBase, model: keras.Model, photos: Sequence[Photograph], targets: Sequence[int]) -> Method:
    """Return the maps of one analyzer, the seconds of a first call, which traces, and the mean of those after it."""
    start = time.perf_counter()
    first = analyzer.explain(model, photos[0].x, targets[0], verbose=0)
    middle = time.perf_counter()
    again = max(1, len(photos) - 1)  # one photograph is explained twice, for the time of a second call
    others = [analyzer.explain(model, p.x, t, verbose=0) for p, t in [*zip(photos, targets, strict=True)][-again:]]
    end = time.perf_counter()
    found = [first, *others][-len(photos) :]
    maps = []
    for photo, explanation in zip(photos, found, strict=True):
        attributions = np.asarray(explanation.attributions)[0]  # the networks have one input
        drawn = heatmap(attributions)
        residual = explanation.residual
        maps.append(
            Map(
                picture=png(magnify(drawn.colours(), LEAST_SIDE)),
                overlay=png(magnify(drawn.over(photo.pixels), LEAST_SIDE)),
                limit=drawn.limit,
                score=float(explanation.scores[0]),
                total=float(attributions.sum()),
                residual=None if residual is None else float(residual[0]),
            )
        )
    return Method(
        expression=str(analyzer),
        summary=summary_of(str(analyzer)),
        maps=maps,
        first_seconds=middle - start,
        seconds=(end - middle) / again,
        coverage=first.coverage,
    )
