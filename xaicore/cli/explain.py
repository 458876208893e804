"""`xaicore explain`: a model and data from files, explanations and heatmaps into a folder."""

from __future__ import annotations

import contextlib
import pathlib
import re
import time
from typing import TYPE_CHECKING

import attrs
import click

from xaicore.cli.preprocess_grammar import GRAMMAR, parse
from xaicore.errors import TargetSyntax

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import keras
    import numpy as np

    from xaicore.cli.inputs import Inputs
    from xaicore.explanation import Explanation
    from xaicore.tabular import Columns

LABELS = 20  # in a message
SHOWN = 6  # samples, and targets of a sample, in the printed table; the files hold all
LIST_OF_INTEGERS = re.compile(r"\s*-?\d+\s*(,\s*-?\d+\s*)*")


@attrs.frozen(eq=False)
class Request:
    """What the user asked for, as read from the command line."""

    model_path: pathlib.Path
    input_paths: tuple[pathlib.Path, ...]
    expressions: tuple[str, ...]
    target: str | None
    preprocess: str | None
    head: str | None
    labels: pathlib.Path | None
    columns: pathlib.Path | None
    output: pathlib.Path
    batch_size: int | None
    overwrite: bool


@attrs.frozen(eq=False)
class Done:
    """One analyzer's result and the seconds that it took, the trace included.

    text: the analyzer as it was asked for; one of a table also knows its columns.
    """

    text: str
    explanation: Explanation
    seconds: float


@click.command(epilog=f"PREPROCESS is {GRAMMAR}. It is printed with the result: a wrong scale gives a wrong heatmap.")
@click.argument("model_path", metavar="MODEL", type=click.Path(path_type=pathlib.Path))
@click.argument("input_paths", metavar="INPUT...", nargs=-1, required=True, type=click.Path(path_type=pathlib.Path))
@click.option("--analyzer", "-a", "expressions", metavar="EXPR", multiple=True, required=True, help="May be repeated.")
@click.option("--target", "-t", metavar="T", help="Class (number or label), `max`, `all`, or `logit[3]-logit[5]`.")
@click.option("--head", metavar="NAME", help="Name or number of the output, where the model has several.")
@click.option("--preprocess", "-p", metavar="PREPROCESS", help="For pictures: size, channels, scaling.")
@click.option("--labels", metavar="FILE", type=click.Path(path_type=pathlib.Path), help="Names of classes, one a line.")
@click.option(
    "--columns", metavar="FILE", type=click.Path(path_type=pathlib.Path), help="For tables: how each column is given."
)
@click.option("--output", "-o", metavar="DIR", required=True, type=click.Path(path_type=pathlib.Path))
@click.option("--batch-size", "-b", metavar="N", type=click.IntRange(min=1), help="Samples per step; 32 by default.")
@click.option("--overwrite", is_flag=True, help="Replace results of the same names.")
def explain(**options: object) -> None:
    """Explain the predictions of MODEL (.keras or .h5) on INPUT (.npy, .npz, .csv or pictures).

    Writes one .npz with the explanation and PNG heatmaps for each analyzer into DIR; of counterfactuals of a table
    what changes, in its units, as .csv.
    """
    run(Request(**options))  # type: ignore[arg-type]  # click has converted each to the type that it was declared with


def run(request: Request) -> None:
    """Do all of it.  What can be wrong without the model is checked before TensorFlow starts."""
    import xaicore
    from xaicore.cli.inputs import read_inputs, read_labels
    from xaicore.cli.models import load_model
    from xaicore.cli.outputs import Folder
    from xaicore.cli.predictions import check_labels, predictions
    from xaicore.cli.tables import read_columns, told

    preprocess = None if request.preprocess is None else parse(request.preprocess)
    labels = () if request.labels is None else read_labels(request.labels)
    columns = None if request.columns is None else read_columns(request.columns)
    analyzers = [xaicore.get_analyzer(expression) for expression in request.expressions]
    texts = [str(a) for a in analyzers]
    if columns is not None:
        analyzers = [told(analyzer, columns) for analyzer in analyzers]
    target = read_target(request.target, labels)
    folder = Folder.prepare(request.output, texts, overwrite=request.overwrite)
    model = load_model(request.model_path)
    inputs = read_inputs(request.input_paths, preprocess, _sample_shape(model), columns)
    check_labels(labels, model)
    head = read_head(request.head)
    for analyzer in analyzers:
        analyzer.bind(model, head)  # an operation without a rule is found here, before the first file is written
    origin = _origin(request, inputs)
    done = []
    for stem, text, analyzer in zip(folder.stems, texts, analyzers, strict=True):
        start = time.perf_counter()
        with _labels_told(labels):
            explanation = analyzer.explain(model, inputs.x, target, output=head, batch_size=request.batch_size)
        done.append(Done(text, explanation, time.perf_counter() - start))
        folder.write(stem, explanation, inputs)
        made = {"analyzer": str(analyzer), "output": explanation.output, "seconds": round(done[-1].seconds, 3)}
        folder.write_origin(stem, {**made, **origin})
    _print(request, inputs, done, predictions(model, inputs, labels, SHOWN))
    click.echo(f"\n{len(folder.written)} files in {request.output}")


def read_target(text: str | None, labels: Sequence[str]) -> int | str | np.ndarray | None:
    """Return the target of a text: an integer, one integer per sample, the index of a label, or the text itself.

    An integer is always an index, also where labels look like integers.

    Raises:
        TargetSyntax: several classes have this label.
    """
    if text is None:
        return None
    if LIST_OF_INTEGERS.fullmatch(text):
        numbers = [int(n) for n in text.split(",")]
        if len(numbers) == 1:
            return numbers[0]
        import numpy as np

        return np.array(numbers)
    found = [i for i, label in enumerate(labels) if label == text]
    if len(found) > 1:  # ImageNet has two cranes, the bird and the machine
        raise TargetSyntax(
            f"Given the label {text!r}, which classes {', '.join(map(str, found))} have; expected the number of one."
        )
    return found[0] if found else text


@contextlib.contextmanager
def _labels_told(labels: Sequence[str]) -> Iterator[None]:
    """Name the labels where a text is no target: it was meant as one of them."""
    try:
        yield
    except TargetSyntax as error:
        if not labels:
            raise
        shown = ", ".join(labels[:LABELS]) + (f" and {len(labels) - LABELS} more" if len(labels) > LABELS else "")
        raise TargetSyntax(f"{error} Nor is it one of the labels: {shown}.") from error


def read_head(text: str | None) -> int | str | None:
    """Return the output that a text names: a number is an index, everything else a name."""
    return int(text) if text is not None and text.isdecimal() else text


def _sample_shape(model: keras.Model) -> tuple[int | None, ...] | None:
    """Return the shape of a sample of a model with one input, None where the model does not tell."""
    try:
        shape = model.input_shape
    except (AttributeError, ValueError):  # a subclassed model
        return None
    if not isinstance(shape, tuple) or not all(n is None or isinstance(n, int) for n in shape):
        return None  # several inputs
    return shape[1:]


def _origin(request: Request, inputs: Inputs) -> dict[str, object]:
    from xaicore.cli.models import sha256
    from xaicore.cli.versions import versions

    return {
        "model": {"file": str(request.model_path), "sha256": sha256(request.model_path)},
        "inputs": [{"file": str(path), "sha256": sha256(path)} for path in request.input_paths],
        "preprocess": inputs.preprocess,
        "target": "default" if request.target is None else request.target,
        "versions": versions(),
    }


def _print(request: Request, inputs: Inputs, done: Sequence[Done], predicted: Sequence[str]) -> None:
    from xaicore.cli.screen import console, table

    out = console()
    out.print(f"model       {request.model_path}")
    out.print(f"preprocess  {inputs.preprocess}")
    out.print(f"target      {'default' if request.target is None else request.target}")
    if predicted:
        out.print(f"prediction  {', '.join(predicted)}{', ...' if inputs.batch > SHOWN else ''}")
    out.print()
    numbers = ("sample", "score", "residual", "seconds")
    lines = table("analyzer", *numbers, number=numbers)
    for d in done:
        residual = d.explanation.residual
        for i, score in enumerate(d.explanation.scores[:SHOWN]):
            first = i == 0
            lines.add_row(
                d.text if first else "",
                str(d.explanation.ids[i]),
                _number(score),
                "-" if residual is None else _number(residual[i]),
                f"{d.seconds:.1f}" if first else "",
            )
        if inputs.batch > SHOWN:
            lines.add_row("", f"+{inputs.batch - SHOWN}", "...", "", "")
    out.print(lines)
    for d in done:
        if inputs.columns is not None:
            _print_changes(d, inputs.columns)


def _print_changes(done: Done, columns: Columns) -> None:
    from xaicore.cli.screen import console, table
    from xaicore.cli.tables import changed

    rows = changed(done.explanation, columns)
    if not rows:
        return
    lines = table("sample", "valid", "feature", "before", "after", number=("before", "after"))
    for row in [row for row in rows if row["sample"] < SHOWN and row["counterfactual"] == 0]:
        valid = "already" if row["already"] else "yes" if row["valid"] else "no"
        lines.add_row(str(row["sample"]), valid, row["feature"], str(row["before"]), str(row["after"]))
    console().print(lines)


def _number(value: np.ndarray) -> str:
    import numpy as np

    return ", ".join(f"{v:.4g}" for v in np.ravel(value)[:SHOWN]) + (", ..." if np.size(value) > SHOWN else "")
