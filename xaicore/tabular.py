"""Rows of a table as a model takes them, and back: numbers scaled, categories as columns of which one is 1."""

from __future__ import annotations

import csv
import math
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Real
from typing import Any

import attrs
import numpy as np

from xaicore.errors import InvalidArgument, UnreadableInput


def _finite(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise InvalidArgument(f"Given {value!r:.40} for a column; expected a finite number.")
    return float(value)


def _values(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InvalidArgument(f"Given values={value!r:.80}; expected a list of the category's values.")
    found = tuple(str(one) for one in value)
    if len(set(found)) != len(found) or len(found) == 1:
        raise InvalidArgument(f"Given values={value!r:.80}; expected at least two, all different.")
    return found


@attrs.frozen
class Column:
    """One column of a table: a number, ``(value - shift) / scale``, or a category.

    Args:
        name: Its header in the table.
        low: With ``high``: the value that becomes 0, and the one that becomes 1.
        high: See ``low``.
        mean: With ``std``: the value that becomes 0, and the length of the unit.
        std: See ``mean``; above 0.
        integer: Only whole numbers occur.
        minimum: The smallest value that a counterfactual may take, in the units of the table.
        maximum: The largest.
        values: Of a category, in the order of the model's columns.

    Raises:
        InvalidArgument: two of the ways to say it, or half of one.
    """

    name: str
    low: float | None = attrs.field(default=None, converter=_finite)
    high: float | None = attrs.field(default=None, converter=_finite)
    mean: float | None = attrs.field(default=None, converter=_finite)
    std: float | None = attrs.field(default=None, converter=_finite)
    integer: bool = attrs.field(default=False, validator=attrs.validators.instance_of(bool))
    minimum: float | None = attrs.field(default=None, converter=_finite)
    maximum: float | None = attrs.field(default=None, converter=_finite)
    values: tuple[str, ...] = attrs.field(default=(), converter=_values)

    def __attrs_post_init__(self) -> None:
        """Refuse what says nothing, or two things."""
        pairs = [(self.low, self.high), (self.mean, self.std)]
        given = [pair for pair in pairs if pair != (None, None)]
        whole = all(None not in pair for pair in given)
        if not isinstance(self.name, str) or not self.name or len(given) + bool(self.values) > 1 or not whole:  # type: ignore[redundant-expr]  # not everybody runs mypy
            raise InvalidArgument(
                f"Given the column {self!r:.200}; expected a name, and for a number low and high, or mean and std, or "
                "neither (taken as it is); for a category values."
            )
        if self.scale <= 0 or not math.isfinite(self.scale):
            raise InvalidArgument(f"Given the column {self.name!r} with a scale of {self.scale:g}; expected above 0.")
        least, most = self.ends
        if least > most or (self.values and (least, most) != (-math.inf, math.inf)):
            raise InvalidArgument(
                f"Given the column {self.name!r} with minimum={self.minimum} and maximum={self.maximum}; expected "
                "minimum <= maximum, of a number."
            )

    @property
    def ends(self) -> tuple[float, float]:
        """The smallest and the largest value that it may take, infinite where none is given."""
        return (
            -math.inf if self.minimum is None else self.minimum,
            math.inf if self.maximum is None else self.maximum,
        )

    @property
    def shift(self) -> float:
        """The value that becomes 0."""
        return self.low if self.low is not None else self.mean if self.mean is not None else 0.0

    @property
    def scale(self) -> float:
        """What a change of 1 is in the units of the table."""
        if self.low is not None and self.high is not None:
            return self.high - self.low
        return 1.0 if self.std is None else self.std

    @property
    def digits(self) -> int:
        """Decimals that a float32 of the model holds; of whole numbers none is cut off."""
        held = 5 - math.floor(math.log10(max(abs(self.shift), self.scale)))
        return max(held, 0) if self.integer else held

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features that it becomes: its own, or ``name=value`` of each value."""
        return tuple(f"{self.name}={value}" for value in self.values) or (self.name,)

    def __str__(self) -> str:
        """Return what is done to it, in a few words."""
        if self.values:
            return f"{self.name} one of {len(self.values)}"
        if self.low is not None:
            return f"{self.name} {self.low:g}..{self.high:g} to 0..1"
        return self.name if self.mean is None else f"{self.name} minus {self.mean:g} over {self.std:g}"


def _columns(value: Any) -> tuple[Column, ...]:
    found = tuple(value)
    names = [column.name for column in found if isinstance(column, Column)]
    if len(names) != len(found) or not names or len(set(names)) != len(names):
        raise InvalidArgument(f"Given the columns {names}; expected at least one, all with names of their own.")
    return found


@attrs.frozen
class Columns:
    """The columns of a table, in the order of the model's features."""

    columns: tuple[Column, ...] = attrs.field(converter=_columns)

    @classmethod
    def of(cls, described: Iterable[Mapping[str, Any]]) -> Columns:
        """Return columns of mappings, as a YAML or JSON file holds them.

        Raises:
            InvalidArgument: a column has an unknown key, or breaks its rules.
        """
        if isinstance(described, str | Mapping) or not all(isinstance(one, Mapping) for one in described):
            raise InvalidArgument(
                "Given columns that are no list of mappings; expected [{name: age, low: 17, high: 90}]."
            )
        known = [field.name for field in attrs.fields(Column)]
        made = []
        for one in described:
            strange = [key for key in one if key not in known]
            if strange or "name" not in one:
                raise InvalidArgument(
                    f"Given the column {dict(one)!r:.120}; expected a name, and of {', '.join(known[1:])}."
                )
            made.append(Column(**{str(key): value for key, value in one.items()}))
        return cls(made)

    @property
    def described(self) -> list[dict[str, Any]]:
        """The columns as mappings, for a YAML or JSON file: ``Columns.of(columns.described) == columns``."""
        fields = attrs.fields(Column)
        given = [
            {f.name: getattr(one, f.name) for f in fields if getattr(one, f.name) != f.default} for one in self.columns
        ]
        return [{key: list(value) if key == "values" else value for key, value in one.items()} for one in given]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the model's features."""
        return tuple(name for column in self.columns for name in column.features)

    @property
    def categories(self) -> tuple[tuple[str, ...], ...]:
        """The features of each category."""
        return tuple(column.features for column in self.columns if column.values)

    @property
    def integers(self) -> dict[str, float]:
        """Feature -> what a change by 1 in the table is for the model."""
        return {column.name: 1 / column.scale for column in self.columns if column.integer and not column.values}

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Smallest and largest values of the features, as the model takes them; None where no column has any."""
        if all(column.ends == (-math.inf, math.inf) for column in self.columns):
            return None
        pairs = [
            (0.0, 1.0) if column.values else tuple((end - column.shift) / column.scale for end in column.ends)
            for column in self.columns
            for _ in column.features
        ]
        low, high = np.array(pairs).T
        return low, high

    def encode(self, rows: Sequence[Mapping[str, Any]], *, first: int = 0) -> np.ndarray:
        """Return the rows of a table as the model takes them, float32 (batch, features); further columns are left out.

        Args:
            rows: Mappings from columns to values.
            first: The number of the first row, for messages about a part of a table.

        Raises:
            UnreadableInput: a column is missing, a number is none, or not whole where the column is, or a value is none
                of the category's.
            InvalidArgument: the rows are no mappings.
        """
        if isinstance(rows, Mapping) or not all(isinstance(row, Mapping) for row in rows):
            raise InvalidArgument(
                f"Given rows as {type(rows).__name__}; expected a list of mappings from columns to values, which of a "
                'table of pandas is frame.to_dict("records").'
            )
        encoded = np.zeros((len(rows), len(self.names)), np.float32)
        place = 0
        for column in self.columns:
            for i, row in enumerate(rows):
                number = first + i
                if column.name not in row:
                    raise UnreadableInput(
                        f"Row {number} has no column {column.name!r}; it has {', '.join(map(str, row))}."
                    )
                value = row[column.name]
                if column.values:
                    encoded[i, place + self._place(column, value, number)] = 1
                else:
                    encoded[i, place] = (self._number(column, value, number) - column.shift) / column.scale
            place += len(column.features)
        return encoded

    @staticmethod
    def _place(column: Column, value: Any, row: int) -> int:
        text = str(value).strip()
        if text not in column.values:
            raise UnreadableInput(
                f"Row {row} has {text!r} in the column {column.name!r}; expected one of {', '.join(column.values)}."
            )
        return column.values.index(text)

    @staticmethod
    def _number(column: Column, value: Any, row: int) -> float:
        try:
            number = math.nan if isinstance(value, str) and "_" in value else float(value)  # Python reads 1_000
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise UnreadableInput(f"Row {row} has {value!r} in the column {column.name!r}; expected a finite number.")
        if column.integer and not number.is_integer():
            raise UnreadableInput(
                f"Row {row} has {value!r} in the column {column.name!r}; expected a whole number, since it is integer."
            )
        return number

    def decode(self, x: np.ndarray) -> list[dict[str, Any]]:
        """Return the rows of a table that (batch, features) stand for, numbers in its units.

        Numbers are rounded to a millionth of what 0 and 1 stand for: a float32 knows no more.  A category of which no
        value is above 0, as where a pertinent positive goes without it, is None.

        Raises:
            InvalidArgument: there are not as many features as the columns make.
        """
        if np.ndim(x) != 2 or np.shape(x)[1] != len(self.names):  # noqa: PLR2004  # (batch, features)
            raise InvalidArgument(
                f"Given features of shape {np.shape(x)}; expected (batch, {len(self.names)}), as the columns make them."
            )
        rows: list[dict[str, Any]] = [{} for _ in x]
        place = 0
        for column in self.columns:
            part = np.asarray(x, np.float64)[:, place : place + len(column.features)]
            for row, own in zip(rows, part, strict=True):
                row[column.name] = _decoded(column, own)
            place += len(column.features)
        return rows


def _decoded(column: Column, own: np.ndarray) -> str | float | None:
    """Return the value that the features of one column stand for."""
    if column.values:
        return column.values[int(own.argmax())] if own.max() > 0 else None
    return round(float(own[0] * column.scale + column.shift), column.digits) + 0.0  # 0 has no sign


def read_table(path: str | pathlib.Path) -> list[dict[str, str]]:
    """Return the rows of a .csv file with a header.

    Raises:
        UnreadableInput: there is no such file, no row, a row of another length, or a column twice.
    """
    return list(table_rows(path))


def table_rows(path: str | pathlib.Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a .csv file as they are read; raises as ``read_table``."""
    number = -1
    try:
        with pathlib.Path(path).open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, skipinitialspace=True, strict=True)
            _check_header(path, list(reader.fieldnames or ()))
            for number, row in enumerate(reader):
                if None in row or None in row.values():
                    raise UnreadableInput(
                        f"Row {number} of {path} (line {reader.line_num}) has another number of fields than the header."
                    )
                yield row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        if isinstance(error, UnreadableInput):
            raise
        advice = " Save it as UTF-8." if isinstance(error, UnicodeDecodeError) else ""
        raise UnreadableInput(f"Cannot read the table {path}: {error}.{advice}") from error
    if number < 0:
        raise UnreadableInput(f"{path} has no rows below its header.")


def _check_header(path: str | pathlib.Path, header: Sequence[str]) -> None:
    if len(set(header)) != len(header):
        twice = sorted({name for name in header if header.count(name) > 1})
        raise UnreadableInput(f"{path} has several columns called {', '.join(map(repr, twice))}; name each once.")
    other = next((mark for mark in (";", "\t") if len(header) == 1 and mark in header[0]), None)
    if other is not None:
        raise UnreadableInput(
            f"{path} has one column, {header[0]!r:.80}; it seems to be separated by {other!r}. Save it with commas."
        )


def changes(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what differs between rows: sample, feature, before, after.

    Numbers that agree to six digits do not differ, but whole ones, which are told exactly.
    """
    found = []
    for sample, (old, new) in enumerate(zip(before, after, strict=True)):
        for name, value in new.items():
            if _differ(old[name], value):
                found.append({"sample": sample, "feature": name, "before": old[name], "after": value})
    return found


def _differ(old: Any, new: Any) -> bool:
    if not (isinstance(old, Real) and isinstance(new, Real)):
        return bool(old != new)
    if float(old).is_integer() and float(new).is_integer():
        return float(old) != float(new)
    return f"{float(old):.6g}" != f"{float(new):.6g}"
