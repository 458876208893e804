"""`xaicore explain --reference`: data from a file, for analyzers that are fitted and where an expression names it."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from click.testing import CliRunner

import xaicore
from xaicore.cli.group import group
from xaicore.cli.reference import asked, takes
from xaicore.cli.tables import read_columns, read_rows
from xaicore.errors import InvalidArgument

# A category's columns have no deviation where a value is rare: the command goes on and says so.
pytestmark = pytest.mark.filterwarnings("default:.*have a deviation of 0")

COLUMNS = """
- {name: age, low: 20, high: 60, integer: true}
- {name: hours, mean: 40, std: 10}
- {name: job, values: [clerk, driver, teacher]}
"""
ROWS = "name,age,hours,job\nAnn,25,38,clerk\nBob,30,45,driver\nCid,41,20,teacher\n"
# Other columns, in another order: a name, and the class.
SEEN = "class,job,hours,age\n" + "".join(
    f"{i % 2},{('clerk', 'driver', 'teacher')[i % 3]},{30 + i},{22 + 3 * i}\n" for i in range(12)
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A linear network, rows to explain, and rows that it has seen."""
    folder = tmp_path_factory.mktemp("reference")
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1, activation="sigmoid")])
    model.set_weights([np.array([[3.0], [1.0], [-1.0], [-1.0], [1.0]]), np.array([-2.5])])
    model.save(folder / "model.keras")
    (folder / "columns.yaml").write_text(COLUMNS)
    (folder / "rows.csv").write_text(ROWS)
    (folder / "seen.csv").write_text(SEEN)
    return folder


def explain(files, *options, output, reference="seen.csv"):
    given = ["--columns", files / "columns.yaml", "--reference", files / reference]
    arguments = ["explain", files / "model.keras", files / "rows.csv", *given, *options, "-o", output]
    return CliRunner().invoke(group, [str(a) for a in arguments])


def in_python(files, analyzer, **how):
    """Return the explanation of the same rows, by the calls that a program makes."""
    columns = read_columns(files / "columns.yaml")
    model = keras.models.load_model(files / "model.keras")
    x, seen = (read_rows(files / name, columns) for name in ("rows.csv", "seen.csv"))
    known = {"names": columns.names, "categories": columns.categories, "integers": columns.integers}
    made = analyzer(model, seen, known)
    return made.explain(model, x, verbose=0, **how)


def test_costs_know_the_data_of_the_file(files, tmp_path):
    """The distance is that of `fit` in Python: in deviations of the reference, not in ones."""
    result = explain(files, "-a", "cf.wachter", "-t", "1", output=tmp_path)
    assert result.exit_code == 0, result.output
    assert "12 rows, for cf.wachter" in " ".join(result.stdout.split())  # lines end at some width
    found = xaicore.Explanation.load(tmp_path / "cf.wachter.npz")

    def fitted(model, seen, known):
        return xaicore.get_analyzer("cf.wachter", **known).fit(model, seen)

    expected = in_python(files, fitted, target=1)
    np.testing.assert_array_equal(found.counterfactuals, expected.counterfactuals)
    np.testing.assert_array_equal(found.distance, expected.distance)
    told = json.loads((tmp_path / "cf.wachter.json").read_text())
    assert told["reference"]["file"].endswith("seen.csv")
    assert len(told["reference"]["sha256"]) == 64
    assert "before" in result.stdout


def test_an_expression_names_the_rows(files, tmp_path):
    """`reference` stands for the rows, and in the names of files and in what is printed it stays a word."""
    text = "ig.expected_gradients(baseline=ig.reference(samples=reference), n_steps=24)"
    result = explain(files, "-a", text, "-a", "gradient", output=tmp_path)
    assert result.exit_code == 0, result.output
    assert "samples=reference" in result.stdout
    (path,) = tmp_path.glob("ig*.npz")
    assert "sha256" not in path.name
    found = xaicore.Explanation.load(path)

    def named(model, seen, known):
        baseline = xaicore.get("ig.reference", "baseline", samples=seen)
        return xaicore.get_analyzer("ig.expected_gradients", baseline=baseline, n_steps=24)

    expected = in_python(files, named)
    np.testing.assert_array_equal(found.attributions, expected.attributions)
    assert found.analyzer == expected.analyzer


def test_arrays_are_references_too(files, tmp_path):
    seen = read_rows(files / "seen.csv", read_columns(files / "columns.yaml"))
    np.save(files / "seen.npy", seen)
    for name in ("seen.csv", "seen.npy"):
        output = tmp_path / name
        result = explain(files, "-a", "cf(cost=cf.density, max_iter=20)", "-t", "1", output=output, reference=name)
        assert result.exit_code == 0, result.output
    one, other = (xaicore.Explanation.load(next((tmp_path / name).glob("*.npz"))) for name in ("seen.csv", "seen.npy"))
    np.testing.assert_array_equal(one.counterfactuals, other.counterfactuals)


def test_a_file_names_the_reference(files):
    (files / "run.yaml").write_text(
        "model: model.keras\ndata: {files: [rows.csv], columns: columns.yaml, reference: seen.csv}\ntarget: 1\n"
        "analyzers: ['cf.wachter(max_iter=50)', 'ig(baseline=ig.reference(samples=reference))']\noutput: answers\n"
    )
    result = CliRunner().invoke(group, ["run", str(files / "run.yaml")])
    assert result.exit_code == 0, result.output
    assert len(list((files / "answers").glob("*.npz"))) == 2

    (files / "run.yaml").write_text(
        "model: model.keras\ndata: {files: [rows.csv], columns: columns.yaml}\n"
        "analyzers: ['ig(baseline=ig.reference(samples=reference))']\noutput: others\n"
    )
    result = CliRunner().invoke(group, ["run", str(files / "run.yaml")])
    assert "run.yaml:3: analyzers[0]" in result.output
    assert "give it by --reference" in result.output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("age,hours\n20,40\n", "seen2.csv has no column 'job'"),
        (
            "25,38,clerk\n30,45,driver\n",
            "has no column 'age', 'hours', 'job'; its first line names '25', '38', 'clerk'",
        ),
        ("age,hours,job\n20,x,clerk\n", "seen2.csv: Row 0 has 'x' in the column 'hours'; expected a finite number"),
        ("age,hours,job\n20,,clerk\n", "Row 0 has '' in the column 'hours'"),
        ("age,hours,job\n20,4,nurse\n", "Row 0 has 'nurse' in the column 'job'; expected one of clerk"),
        ("age,hours,job\n", "has no rows below its header"),
        ("", "has no rows below its header"),
        ("age;hours;job\n20;40;clerk\n", "seems to be separated by ';'"),
        (None, "--reference: there is no file"),
    ],
)
def test_references_that_are_none(files, tmp_path, text, message):
    path = files / "seen2.csv"
    path.unlink(missing_ok=True)
    if text is not None:
        path.write_text(text)
    result = explain(files, "-a", "cf.wachter", "-t", "1", output=tmp_path / "out", reference="seen2.csv")
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((0, 5)), "at least one, of finite numbers"),
        (np.full((2, 5), np.nan), "at least one, of finite numbers"),
        (np.array([["a"]]), "at least one, of finite numbers"),
        (np.zeros((4, 3), np.float32), "bad.npy holds rows of shape (3,); the model takes (5,)"),
    ],
)
def test_arrays_that_are_none(files, tmp_path, array, message):
    np.save(files / "bad.npy", array)
    for text in ("cf.wachter", "ig(baseline=ig.reference(samples=reference))"):
        result = explain(files, "-a", text, "-t", "1", output=tmp_path / "out", reference="bad.npy")
        assert result.exit_code == 2, result.output
        assert message in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "text", ["gradient", "lrp.epsilon | abs", "cf(cost=cf.l1)", "ig.expected_gradients", "cf(cost=cf.lmad(mad=[1.0]))"]
)
def test_a_file_that_nobody_looks_at_is_refused(files, tmp_path, text):
    result = explain(files, "-a", text, "-t", "1", output=tmp_path / "out")
    assert result.exit_code == 2
    assert "takes no reference data" in result.output
    assert "baseline=ig.reference(samples=reference)" in result.output


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cf.wachter", True),
        ("cf.dice", True),
        ("cf.prototype_guided", True),
        ("cf(cost=cf.l2 + 0.1*cf.density)", True),
        ("cf(plausibility=cf.density)", True),
        ("cf.wachter | abs", True),
        ("lrp.pattern_net", True),
        ("smoothgrad(lrp.pattern_net) | absmax", True),
        ("cf", False),
        ("ig", False),
    ],
)
def test_who_takes_data(text, expected):
    assert takes(xaicore.get_analyzer(text)) == expected


def test_a_name_without_a_file_is_refused():
    with pytest.raises(InvalidArgument, match="give it by --reference"):
        asked("ig(baseline=ig.reference(samples=reference))", None)
    assert asked("gradient | abs", None).text == str(xaicore.get_analyzer("gradient | abs"))


@pytest.mark.parametrize("text", ["cf.prototype_guided(max_iter=5)", "lrp.pattern_net"])
def test_a_method_that_needs_data_names_the_option(files, tmp_path, text):
    arguments = ["explain", files / "model.keras", files / "rows.csv", "--columns", files / "columns.yaml"]
    result = CliRunner().invoke(group, [str(a) for a in [*arguments, "-a", text, "-t", "1", "-o", tmp_path / "out"]])
    assert result.exit_code == 2
    assert "On the command line: --reference FILE." in result.output
