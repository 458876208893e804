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

LABELS = 20  # in a message
SHOWN = 6  # predictions, and columns of a table, in print
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
    reference: pathlib.Path | None
    output: pathlib.Path
    batch_size: int | None
    overwrite: bool


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
@click.option(
    "--reference",
    metavar="FILE",
    type=click.Path(path_type=pathlib.Path),
    help="Reference data, as INPUT: .csv with the same --columns, .npy or .npz.",
)
@click.option("--output", "-o", metavar="DIR", required=True, type=click.Path(path_type=pathlib.Path))
@click.option("--batch-size", "-b", metavar="N", type=click.IntRange(min=1), help="Samples per step; 32 by default.")
@click.option("--overwrite", is_flag=True, help="Replace results of the same names.")
def explain(**options: object) -> None:
    """Explain the predictions of MODEL (.keras or .h5) on INPUT (.npy, .npz, .csv or pictures).

    Writes one .npz with the explanation and PNG heatmaps for each analyzer into DIR; of counterfactuals of a table
    what changes, in its units, as .csv.

    Methods that know data learn them from --reference: costs of counterfactuals (`cf.wachter`), patterns.  In others
    `reference` stands for its rows: `ig.expected_gradients(baseline=ig.reference(samples=reference))`.
    """
    run(Request(**options))  # type: ignore[arg-type]  # click has converted each to the type that it was declared with


def run(request: Request) -> None:
    """Do all of it.  What can be wrong without the model is checked before TensorFlow starts."""
    from xaicore.cli.inputs import read_inputs, read_labels
    from xaicore.cli.models import load_model
    from xaicore.cli.outputs import Folder
    from xaicore.cli.predictions import check_labels, predictions
    from xaicore.cli.reference import asked, check_shape, check_taken, fitted, option_told, read_reference, told_of
    from xaicore.cli.shown import Done, show
    from xaicore.cli.tables import read_columns, told

    preprocess = None if request.preprocess is None else parse(request.preprocess)
    labels = () if request.labels is None else read_labels(request.labels)
    columns = None if request.columns is None else read_columns(request.columns)
    reference = None if request.reference is None else read_reference(request.reference, columns)
    found = [asked(expression, reference) for expression in request.expressions]
    check_taken(found, reference)
    target = read_target(request.target, labels)
    folder = Folder.prepare(request.output, [one.text for one in found], overwrite=request.overwrite)
    model = load_model(request.model_path)
    shape = _sample_shape(model)
    inputs = read_inputs(request.input_paths, preprocess, shape, columns)
    check_labels(labels, model)
    head = read_head(request.head)
    check_shape(reference, shape)
    analyzers = [fitted(told(one.analyzer, columns), model, reference) for one in found]
    for analyzer in analyzers:
        with option_told():
            analyzer.bind(model, head)  # an operation without a rule is found here, before the first file is written
    origin = _origin(request, inputs)
    done = []
    for stem, one, analyzer in zip(folder.stems, found, analyzers, strict=True):
        start = time.perf_counter()
        with _labels_told(labels), option_told():
            explanation = analyzer.explain(model, inputs.x, target, output=head, batch_size=request.batch_size)
        done.append(Done(one.text, explanation, time.perf_counter() - start))
        folder.write(stem, explanation, inputs)
        made = {"analyzer": str(analyzer), "output": explanation.output, "seconds": round(done[-1].seconds, 3)}
        folder.write_origin(stem, {**made, **origin})
    shown = predictions(model, inputs, labels, SHOWN)
    show(_facts(request, inputs, told_of(reference, found), shown), done, inputs.columns)
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


def _facts(request: Request, inputs: Inputs, reference: str, predicted: Sequence[str]) -> Sequence[tuple[str, str]]:
    """Return what was done to what, by name."""
    return (
        ("model", str(request.model_path)),
        ("preprocess", _shortened(inputs)),
        ("reference", reference),
        ("target", "default" if request.target is None else request.target),
        ("prediction", ", ".join(predicted) + (", ..." if predicted and inputs.batch > SHOWN else "")),
    )


def _shortened(inputs: Inputs) -> str:
    """Return what was done to the input; of a table with many columns the first, the file of the result has all."""
    parts = [] if inputs.columns is None else inputs.preprocess.split("; ")
    if len(parts) <= SHOWN:
        return inputs.preprocess
    return f"{'; '.join(parts[:SHOWN])}; and {len(parts) - SHOWN} more columns"


def _origin(request: Request, inputs: Inputs) -> dict[str, object]:
    from xaicore.cli.models import sha256
    from xaicore.cli.versions import versions

    def file_of(path: pathlib.Path) -> dict[str, str]:
        return {"file": str(path), "sha256": sha256(path)}

    return {
        "model": file_of(request.model_path),
        "inputs": [file_of(path) for path in request.input_paths],
        "preprocess": inputs.preprocess,
        "reference": None if request.reference is None else file_of(request.reference),
        "target": "default" if request.target is None else request.target,
        "versions": versions(),
    }
