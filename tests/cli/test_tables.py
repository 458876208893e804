"""`xaicore explain` on a table: columns from a file, answers in the table's units; and what it refuses."""

from __future__ import annotations

import csv

import keras
import numpy as np
import pytest
from click.testing import CliRunner

import xaicore
from xaicore.cli.group import group

COLUMNS = """
- {name: age, low: 20, high: 60, integer: true}
- {name: hours, mean: 40, std: 10}
- {name: job, values: [clerk, driver, teacher]}
"""
ROWS = "name,age,hours,job\nAnn,25,38,clerk\nBob,30,45,driver\nCid,41,20,teacher\n"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A linear network that likes age, hours and teachers; three rows."""
    folder = tmp_path_factory.mktemp("table")
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1, activation="sigmoid")])
    model.set_weights([np.array([[3.0], [1.0], [-1.0], [-1.0], [1.0]]), np.array([-2.5])])
    model.save(folder / "model.keras")
    (folder / "columns.yaml").write_text(COLUMNS)
    (folder / "rows.csv").write_text(ROWS)
    return folder


def explain(files, *options, output, data="rows.csv", columns="columns.yaml"):
    given = ["--columns", files / columns] if columns else []
    arguments = ["explain", files / "model.keras", files / data, *given, *options, "-o", output]
    return CliRunner().invoke(group, [str(a) for a in arguments])


def test_answers_in_the_units_of_the_table(files, tmp_path):
    result = explain(files, "-a", "cf(cost=cf.l1, features=['age', 'job'], starts=3)", "-t", "1", output=tmp_path)
    assert result.exit_code == 0, result.output
    assert "age 20..60 to 0..1; hours minus 40 over 10; job one of 3" in result.stdout
    (path,) = tmp_path.glob("*.csv")
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["feature"] for row in rows} <= {"age", "job"}
    assert all(float(row["after"]).is_integer() for row in rows if row["feature"] == "age")
    assert all(row["after"] in {"clerk", "driver", "teacher"} for row in rows if row["feature"] == "job")
    assert {row["sample"] for row in rows} >= {"0", "1"}
    (saved,) = tmp_path.glob("*.npz")
    found = xaicore.Explanation.load(saved)
    assert found.valid.all()
    np.testing.assert_array_equal(found.attributions[:, 1], 0)
    for row in rows:
        assert row["after"] in result.stdout


def test_of_many_columns_the_first_are_printed_and_all_are_kept(tmp_path):
    names = [f"x{i}" for i in range(9)]
    model = keras.Sequential([keras.Input((9,)), keras.layers.Dense(1)])
    model.save(tmp_path / "model.keras")
    (tmp_path / "columns.yaml").write_text("".join(f"- {{name: {name}}}\n" for name in names))
    (tmp_path / "rows.csv").write_text(",".join(names) + "\n" + ",".join("123456789") + "\n")
    result = explain(tmp_path, "-a", "gradient", output=tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "preprocess  x0; x1; x2; x3; x4; x5; and 3 more columns" in result.stdout
    assert '"; '.join(names).replace('"', "") in (tmp_path / "out" / "gradient.gradient.json").read_text()


def rows_of(folder):
    (path,) = folder.glob("*.csv")
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_values_stay_within_what_the_columns_allow(files, tmp_path):
    """No work of less than 0 and more than 50 hours, though the network likes more; an own bound comes first."""
    text = COLUMNS.replace("std: 10", "std: 10, minimum: 0, maximum: 50")
    (files / "bounded.yaml").write_text(text)
    for name, options, most in (("own", "", 50), ("given", ", bounds=(0, 1)", 50), ("wide", ", bounds=(-9, 9)", 130)):
        result = explain(
            files,
            *("-a", f"cf(cost=cf.l1, features=['hours']{options}, max_iter=300)", "-t", "1"),
            output=tmp_path / name,
            columns="bounded.yaml",
        )
        assert result.exit_code == 0, result.output
        found = [float(row["after"]) for row in rows_of(tmp_path / name) if row["feature"]]
        assert max(found) <= most
        assert name != "wide" or max(found) > 50


def test_several_of_each_row_are_all_told(files, tmp_path):
    result = explain(files, "-a", "cf.dice(n=3, max_iter=300)", "-t", "1", output=tmp_path)
    assert result.exit_code == 0, result.output
    rows = rows_of(tmp_path)
    assert {(row["sample"], row["counterfactual"]) for row in rows} >= {("0", "0"), ("0", "1"), ("0", "2")}
    assert "counterfactual" in result.stdout
    assert "of 3 samples have 3 valid counterfactuals." in result.stdout


def test_each_of_several_targets_has_its_changes(files, tmp_path):
    """Three classes of which the first is predicted where hours are low: it is there already, the others are not."""
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3, activation="softmax")])
    model.set_weights([np.array([[0.0] * 3, [-3, 3, 0], [0] * 3, [0] * 3, [0] * 3]), np.array([-1.0, -1, 0])])
    model.save(files / "three.keras")
    text = f"age,hours,job\n{25},{20},clerk\n"
    (files / "low.csv").write_text(text)
    arguments = [files / "three.keras", files / "low.csv", "--columns", files / "columns.yaml", "-t", "all"]
    result = CliRunner().invoke(
        group, [str(a) for a in ["explain", *arguments, "-a", "cf(cost=cf.l1, max_iter=300)", "-o", tmp_path]]
    )
    assert result.exit_code == 0, result.output
    rows = rows_of(tmp_path)
    assert [(row["counterfactual"], row["already"], row["feature"]) for row in rows] == [
        ("0", "True", ""),
        ("1", "False", "hours"),
        ("2", "False", "hours"),
    ]
    assert {row["before"] for row in rows} == {"", "20.0"}


def test_other_methods_explain_tables_too(files, tmp_path):
    result = explain(files, "-a", "gradient", output=tmp_path)
    assert result.exit_code == 0, result.output
    assert not list(tmp_path.glob("*.csv"))


def test_a_specification_names_the_columns(files, tmp_path):
    (files / "run.yaml").write_text(
        "model: model.keras\ndata: {files: [rows.csv], columns: columns.yaml}\ntarget: 1\n"
        "analyzers: ['cf(max_iter=100)']\noutput: answers\n"
    )
    result = CliRunner().invoke(group, ["run", str(files / "run.yaml")])
    assert result.exit_code == 0, result.output
    assert list((files / "answers").glob("*.csv"))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (None, "needs --columns"),
        ("rows.csv", "no list"),
        ("absent.yaml", "Cannot read the columns"),
        ("broken.yaml", "Cannot read the columns"),
        ("short.yaml", "--columns makes 1 features (age, ...); the model takes (5,)"),
        ("object.yaml", "Cannot read the columns"),
    ],
)
def test_columns_that_do_not_fit(files, tmp_path, columns, message):
    (files / "broken.yaml").write_text("[{")
    (files / "short.yaml").write_text("- {name: age}")
    (files / "object.yaml").write_text("- !!python/object/apply:os.getcwd []")
    result = explain(files, "-a", "gradient", output=tmp_path / "out", columns=columns)
    assert result.exit_code != 0
    assert message in result.output
    assert not (tmp_path / "out").exists()


def test_columns_are_for_tables(files, tmp_path):
    np.save(files / "x.npy", np.zeros((2, 5), np.float32))
    result = explain(files, "-a", "gradient", output=tmp_path / "out", data="x.npy")
    assert "--columns is for tables" in result.output
    result = explain(files, "-a", "gradient", "-p", "4x4,gray,raw", output=tmp_path / "out")
    assert "--preprocess is for pictures" in result.output
