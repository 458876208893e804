"""Reference data on the command line: the rows of a file, for analyzers that are fitted, and where they are named."""

from __future__ import annotations

import contextlib
import pathlib
from typing import TYPE_CHECKING, Any

import attrs

from xaicore.errors import InputMistake, InputShape, InvalidArgument, InvalidParameter, NotFitted
from xaicore.expression import ArrayRef, Call, Pipe, Scaled, Sum, parse, unparse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import keras
    import numpy as np

    from xaicore.analyzer import AnalyzerBase
    from xaicore.expression import Value
    from xaicore.tabular import Columns

NAME = "reference"  # in an expression: the rows of the file
EXAMPLE = "ig.expected_gradients(baseline=ig.reference(samples=reference))"


@attrs.frozen(eq=False)
class Reference:
    """The rows of a file, as the model takes them.  ``rows`` is an array, or a dict by the name of an input."""

    path: pathlib.Path
    rows: np.ndarray | dict[str, np.ndarray]

    @property
    def count(self) -> int:
        """The number of rows."""
        first = next(iter(self.rows.values())) if isinstance(self.rows, dict) else self.rows
        return len(first)


@attrs.frozen(eq=False)
class Asked:
    """An analyzer as it was asked for: its canonical text, in which ``reference`` stands for the rows."""

    text: str
    analyzer: AnalyzerBase
    named: bool

    @property
    def takes_rows(self) -> bool:
        """Whether it has the rows, or will have them by ``fit``."""
        return self.named or takes(self.analyzer)


def read_reference(path: pathlib.Path, columns: Columns | None) -> Reference:
    """Return the rows of a table or an array file, in the units of what is explained.

    Raises:
        UnreadableInput: the file is missing, or a row is none of the table.
        InvalidArgument: it is neither, has no rows, or is a table without columns.
    """
    from xaicore.cli.inputs import ARRAYS, TABLE, read_array
    from xaicore.cli.tables import read_rows

    if not path.is_file():
        raise InvalidArgument(f"--reference: there is no file {path}.")
    if path.suffix.lower() not in {*ARRAYS, TABLE}:
        raise InvalidArgument(
            f"--reference {path} ends in {path.suffix or 'nothing'!r}; expected a table ({TABLE}) or an array "
            f"({', '.join(ARRAYS)}), as the model takes it."
        )
    if path.suffix.lower() != TABLE:
        return _of_numbers(Reference(path, read_array(path)))
    if columns is None:
        raise InvalidArgument(f"--reference {path} is a table, and needs --columns, as the rows that are explained do.")
    return Reference(path, read_rows(path, columns))


def _of_numbers(reference: Reference) -> Reference:
    import numpy as np

    arrays = reference.rows.values() if isinstance(reference.rows, dict) else [reference.rows]
    for array in arrays:
        if not array.ndim or not len(array) or array.dtype.kind not in "fiub" or not np.isfinite(array).all():
            raise InvalidArgument(
                f"--reference {reference.path} holds an array of {array.dtype}, {array.shape}; expected samples, "
                "(rows, *features), at least one, of finite numbers."
            )
    return reference


def asked(expression: str, reference: Reference | None) -> Asked:
    """Return the analyzer of an expression in which ``reference`` stands for the rows of a file.

    Raises:
        InvalidArgument: it is named and there is none, or it holds several arrays.
        NameMistake: as ``xaicore.get_analyzer``.
    """
    import xaicore
    from xaicore.values import Array

    tree = parse(expression)
    if not names_rows(tree):
        analyzer = xaicore.get_analyzer(expression)
        return Asked(str(analyzer), analyzer, named=False)
    if reference is None:
        raise InvalidArgument(
            f"{expression!r} names `{NAME}`, the rows of a file; give it by --reference, a table or an array."
        )
    if isinstance(reference.rows, dict):
        raise InvalidArgument(
            f"{expression!r} names `{NAME}`, and --reference {reference.path} holds {len(reference.rows)} arrays, "
            f"{', '.join(reference.rows)}; expected one."
        )
    rows = Array(reference.rows)
    analyzer = xaicore.get(unparse(_replaced(tree, ArrayRef(rows.digest))), "analyzer", arrays={rows.digest: rows})
    return Asked(str(analyzer).replace(f'array("{rows.digest}")', NAME), analyzer, named=True)


def check(expression: str, reference: str | None) -> None:
    """Raise what ``asked`` would, without the rows of the file."""
    import numpy as np

    asked(expression, None if reference is None else Reference(pathlib.Path(reference), np.zeros((1, 1), np.float32)))


def check_taken(found: Sequence[Asked], reference: Reference | None) -> None:
    """Refuse a file that none of the analyzers looks at.

    Raises:
        InvalidArgument: it says how to name the rows.
    """
    if reference is None or any(one.takes_rows for one in found):
        return
    raise InvalidArgument(
        f"--reference {reference.path}: {', '.join(one.text for one in found)} takes no reference data. "
        "Counterfactuals whose costs know data (cf.lmad, cf.density, ...) and patterns do; elsewhere say where it "
        f"goes, `{EXAMPLE}`. Or leave it out."
    )


def told_of(reference: Reference | None, found: Sequence[Asked]) -> str:
    """Return the file, its number of rows, and which of the analyzers know them; nothing where there is none."""
    if reference is None:
        return ""
    return f"{reference.path}, {reference.count} rows, for {', '.join(one.text for one in found if one.takes_rows)}"


def check_shape(reference: Reference | None, shape: tuple[int | None, ...] | None) -> None:
    """Refuse rows of another shape than that of a sample, where the model tells it.

    Raises:
        InputShape: it says both shapes.
    """
    from xaicore.cli.inputs import fits

    if reference is None or shape is None:
        return
    rows = reference.rows
    if not isinstance(rows, dict) and not fits(rows.shape[1:], shape):
        raise InputShape(f"--reference {reference.path} holds rows of shape {rows.shape[1:]}; the model takes {shape}.")


def fitted(analyzer: AnalyzerBase, model: keras.Model, reference: Reference | None) -> AnalyzerBase:
    """Return the analyzer with the rows: what it, or an analyzer inside, learns of them by ``fit``; else as it is.

    Raises:
        InputMistake: the model does not take such rows.
    """
    if reference is None or not takes(analyzer):
        return analyzer
    fit = getattr(analyzer, "fit", None)
    if fit is None:
        return attrs.evolve(analyzer, inner=fitted(analyzer.inner, model, reference))  # type: ignore[attr-defined, misc]
    try:
        found: AnalyzerBase = fit(model, reference.rows)
    except InputMistake as error:
        raise InvalidArgument(f"--reference {reference.path}: {error}") from error
    return found


@contextlib.contextmanager
def option_told() -> Iterator[None]:
    """Name the option where an analyzer asks for data: it names the call in Python."""
    try:
        yield
    except (InvalidParameter, NotFitted) as error:
        if "fit(model, data)" not in str(error):
            raise
        raise type(error)(f"{error} On the command line: --reference FILE.") from error


def takes(analyzer: object) -> bool:
    """Tell whether an analyzer, or the one inside, makes something of data.

    One that has a field ``reference`` hands it to its parts; then a part has to want it.
    """
    if not callable(getattr(analyzer, "fit", None)):
        inner = getattr(analyzer, "inner", None)
        return inner is not None and takes(inner)
    own = _fields(analyzer)
    return NAME not in own or any(_wants(value) for key, value in own.items() if key != NAME)


def _fields(part: object) -> Mapping[str, object]:
    if not attrs.has(type(part)):
        return {}
    return {field.name: getattr(part, field.name) for field in attrs.fields(type(part))}  # type: ignore[arg-type]  # it is one


def _wants(part: object) -> bool:
    """Tell whether a part, or one inside, has room for data of its own; deviations that are given take it."""
    if isinstance(part, tuple | list):
        return any(map(_wants, part))
    own = _fields(part)
    empty = NAME in own and own[NAME] is None and own.get("mad") is None
    return empty or any(_wants(value) for value in own.values())


def names_rows(value: Value) -> bool:
    """Tell whether ``reference`` stands somewhere in a tree."""
    return bool(_replaced(value, None) != value)


def _replaced(value: Value, by: Value) -> Any:
    """Return a tree with another value where the bare name stands as an argument."""

    def inside(one: Value) -> Any:
        return by if one == Call(NAME, (), ()) else _replaced(one, by)

    match value:
        case Call():
            return Call(
                value.name, tuple(map(inside, value.arguments)), tuple((k, inside(v)) for k, v in value.keywords)
            )
        case Pipe():
            return Pipe(_replaced(value.first, by), tuple(_replaced(one, by) for one in value.filters))
        case Sum():
            return Sum(tuple(_replaced(one, by) for one in value.terms))
        case Scaled():
            return Scaled(value.factor, _replaced(value.term, by))
        case list() | tuple():
            return type(value)(map(inside, value))
        case dict():
            return {key: inside(one) for key, one in value.items()}
    return value
