"""What would have to be otherwise in a sample of tissue for a network to call it benign?  30 numbers, in their units.

The data are scikit-learn's copy of the Wisconsin diagnostic breast cancer table.

    python examples/breast_cancer.py [FOLDER]    with a folder: files for the command line in place of the search
"""

from __future__ import annotations

import csv
import json
import pathlib
import sys

import keras
import numpy as np
from sklearn.datasets import load_breast_cancer

import xaicore
from xaicore.tabular import Column, Columns

BENIGN = 1
TEST = 100


def train(x: np.ndarray, y: np.ndarray) -> keras.Model:
    """Return a small network that has learnt the table."""
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(n, activation="relu") for n in (32, 16)]
    model = keras.Sequential([keras.Input((x.shape[1],)), *hidden, keras.layers.Dense(2, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=30, verbose=0)
    return model


def data() -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the names of the columns, rows and classes to learn from, and those that are kept apart."""
    table = load_breast_cancer()
    order = np.random.default_rng(0).permutation(len(table.data))
    test, rest = order[:TEST], order[TEST:]
    names = [str(name) for name in table.feature_names]
    return names, table.data[rest], table.target[rest], table.data[test], table.target[test]


def described(names: list[str], rows: np.ndarray) -> Columns:
    """Return the preprocessing, with names and a way back; no number of the table is below 0."""
    scales = zip(names, rows.mean(0), rows.std(0), strict=True)
    return Columns([Column(name, mean=mean, std=std, minimum=0) for name, mean, std in scales])


def mappings(names: list[str], rows: np.ndarray) -> list[dict[str, float]]:
    """Return rows as mappings from columns to values."""
    return [dict(zip(names, row.tolist(), strict=True)) for row in rows]


def write(folder: pathlib.Path) -> None:
    """Write the network, its columns, rows to explain, and those that it learnt from as reference data."""
    folder.mkdir(parents=True, exist_ok=True)
    names, rest, classes, test, test_classes = data()
    columns = described(names, rest)
    train(columns.encode(mappings(names, rest)), classes).save(folder / "cancer.keras")
    (folder / "columns.json").write_text(json.dumps(columns.described, indent=1), encoding="utf-8")
    for name, rows, targets in (("test.csv", test, test_classes), ("training.csv", rest, classes)):
        with (folder / name).open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow([*names, "class"])
            writer.writerows([*row, target] for row, target in zip(rows.tolist(), targets.tolist(), strict=True))
    print(f"In {folder}: cancer.keras, columns.json, test.csv, training.csv")


def main() -> xaicore.Explanation:
    """Print what changes; return the explanation."""
    names, rest, classes, test, _ = data()
    columns = described(names, rest)

    def encoded(rows: np.ndarray) -> np.ndarray:
        return columns.encode(mappings(names, rows))

    model = train(encoded(rest), classes)
    x = encoded(test)
    x = x[model.predict(x, verbose=0).argmax(1) != BENIGN]

    # L1 in units of each feature's deviation, which the search takes from the data; nothing beyond what occurs in them.
    seen = encoded(rest)
    search = xaicore.get_analyzer("cf", cost="cf.lmad", names=names, bounds=(seen.min(0), seen.max(0)))
    explanation = search.fit(model, seen).explain(model, x, target=BENIGN, batch_size=len(x), verbose=0)

    print(f"{explanation.valid.sum()} of {len(x)} malignant samples have a benign counterfactual.")
    print(f"Features that change, median: {np.median((explanation.attributions != 0).sum(1)):.0f} of {len(names)}.")
    print(explanation.split(3)[0].to_frame(columns).to_string(index=False))
    return explanation


if __name__ == "__main__":
    write(pathlib.Path(sys.argv[1])) if sys.argv[1:] else main()
