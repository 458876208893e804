"""The Adult data as a small network of DiCE's takes it: 32,561 answers to the US census of 1994, as 29 numbers.

Age and hours come first, each scaled to 0..1 by its smallest and largest value; then six categories, one number per
value, the values of each in alphabetical order.  Rare values are merged before, as the network's authors did; that
the encoding is theirs shows in the network's accuracy.
"""

from __future__ import annotations

import csv
import warnings
from typing import TYPE_CHECKING

import attrs
import numpy as np

from xaicore.errors import UnreadableInput

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Mapping, Sequence

    import keras

COLUMNS = 15
INCOME = 14
ABOVE = ">50K"


@attrs.frozen
class Number:
    """A column of numbers: its name, its place in a row, and its unit."""

    name: str
    column: int
    unit: str


@attrs.frozen
class Category:
    """A column of words: its name, its place in a row, and value -> the value that it is merged into."""

    name: str
    column: int
    merged: Mapping[str, str]

    def words(self, rows: Sequence[Sequence[str]]) -> list[str]:
        """Return the merged value of each row."""
        return [self.merged.get(row[self.column], row[self.column]) for row in rows]


def _into(merged: Mapping[str, str]) -> dict[str, str]:
    """Return value -> merged value, from merged value -> values as one text."""
    return {value: into for into, values in merged.items() for value in values.split()}


NUMBERS = (Number("age", 0, "years"), Number("hours", 12, "a week"))
CATEGORIES = (
    Category(
        "workclass",
        1,
        _into(
            {
                "Government": "Federal-gov Local-gov State-gov",
                "Other/Unknown": "? Never-worked Without-pay",
                "Self-Employed": "Self-emp-inc Self-emp-not-inc",
            }
        ),
    ),
    Category(
        "education",
        3,
        _into({"Assoc": "Assoc-acdm Assoc-voc", "School": "Preschool 1st-4th 5th-6th 7th-8th 9th 10th 11th 12th"}),
    ),
    Category(
        "marital status",
        5,
        _into({"Married": "Married-civ-spouse Married-AF-spouse Married-spouse-absent", "Single": "Never-married"}),
    ),
    Category(
        "occupation",
        6,
        _into(
            {
                "Blue-Collar": "Craft-repair Farming-fishing Handlers-cleaners Machine-op-inspct Transport-moving",
                "Other/Unknown": "? Armed-Forces",
                "Professional": "Prof-specialty",
                "Service": "Other-service Priv-house-serv Protective-serv Tech-support",
                "White-Collar": "Adm-clerical Exec-managerial",
            }
        ),
    ),
    Category("race", 8, _into({"Other": "Amer-Indian-Eskimo Asian-Pac-Islander Black"})),
    Category("gender", 9, {}),
)


@attrs.frozen(eq=False)
class Adult:
    """The data.

    x: float32 (n, features).  above: bool (n,), whether the income is above 50,000 dollars a year.
    low, high: (numbers,), what 0 and 1 stand for.  values: of each category, in the order of the features.
    """

    x: np.ndarray
    above: np.ndarray
    low: np.ndarray
    high: np.ndarray
    values: tuple[tuple[str, ...], ...]

    def numbers(self, x: np.ndarray) -> np.ndarray:
        """Return age and hours in their units, to 0.001: (..., features) -> float64 (..., numbers).

        A float32 of 0..1 holds an age to 0.00001 years, so that whole numbers come back whole.
        """
        found = self.low + x[..., : len(self.low)].astype(np.float64) * (self.high - self.low)
        rounded: np.ndarray = np.round(found, 3)
        return rounded

    def with_numbers(self, x: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Return x with other ages and hours, given in their units: (..., features)."""
        scaled = (numbers - self.low) / (self.high - self.low)
        return np.concatenate([scaled, x[..., len(self.low) :]], axis=-1).astype(np.float32)

    def words(self, x: np.ndarray) -> dict[str, str]:
        """Return category -> value of one sample, (features,)."""
        ends = len(self.low) + np.cumsum([len(v) for v in self.values])
        groups = zip(CATEGORIES, self.values, ends, strict=True)
        return {c.name: v[int(x[end - len(v) : end].argmax())] for c, v, end in groups}


def read(path: pathlib.Path) -> Adult:
    """Return the data of ``adult.data``.

    Raises:
        UnreadableInput: the file is no such table.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = [row for row in csv.reader(stream, skipinitialspace=True) if row]
    except (OSError, ValueError, csv.Error) as error:
        raise UnreadableInput(f"Cannot read the Adult data {path}: {error}") from error
    if not rows or any(len(row) != COLUMNS for row in rows):
        raise UnreadableInput(f"{path} is not the Adult data: expected rows of {COLUMNS} columns.")
    try:
        numbers = np.array([[float(row[n.column]) for n in NUMBERS] for row in rows])
    except ValueError as error:
        raise UnreadableInput(f"{path} is not the Adult data: {error} in a column of numbers.") from error
    low, high = numbers.min(axis=0), numbers.max(axis=0)
    columns, values = [(numbers - low) / (high - low)], []
    for category in CATEGORIES:
        words = np.array(category.words(rows))
        values.append(tuple(sorted(set(words.tolist()))))
        columns.append(words[:, None] == np.array(values[-1]))
    x = np.concatenate(columns, axis=1).astype(np.float32)
    return Adult(x, np.array([row[INCOME] == ABOVE for row in rows]), low, high, tuple(values))


def load_network(path: pathlib.Path) -> keras.Model:
    """Return the network, (batch, 29) -> (batch, 1), the probability of an income above 50,000 dollars a year."""
    from xaicore.cli.models import load_model

    with warnings.catch_warnings():  # an old file, whose layers name the shape of their input
        warnings.filterwarnings("ignore", "Do not pass an `input_shape`", UserWarning)
        return load_model(path)
