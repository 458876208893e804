"""The examples run, and their answers are what they say."""

from __future__ import annotations

import csv
import importlib.util
import pathlib
import re
import shlex

import numpy as np
import pytest
from click.testing import CliRunner

from xaicore.cli.demo import applicants
from xaicore.cli.group import group
from xaicore.errors import PackageMissing

FOLDER = pathlib.Path(__file__).parents[2] / "examples"


def module_of(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(name):
    return module_of(name).main()


def commands(script):
    """Return the commands that the list shows for a script's files, each as words."""
    text = (FOLDER / "README.md").read_text().replace("\\\n", " ")
    (shown,) = re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL)
    paragraph = next(part for part in shown.split("\n\n") if f"{script}.py" in part)
    return [shlex.split(line)[1:] for line in paragraph.splitlines() if "xaicore" in line]


@pytest.mark.filterwarnings("default:.*have a deviation of 0")
@pytest.mark.parametrize(("script", "unit"), [("breast_cancer", "worst texture"), ("adult", "education")])
def test_the_command_line_takes_the_files(script, unit, tmp_path, monkeypatch):
    """The commands of the list, as they are printed there."""
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    module = module_of(script)
    try:
        module.write(tmp_path / {"breast_cancer": "cancer"}.get(script, script))
    except PackageMissing as error:
        pytest.skip(str(error))
    (command,) = commands(script)
    result = CliRunner().invoke(group, command)
    assert result.exit_code == 0, result.output
    assert unit in result.stdout
    (path,) = tmp_path.glob("*/result/*.csv")
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {"True"} == {row["valid"] for row in rows}
    if script == "adult":
        assert all(float(row["after"]).is_integer() for row in rows if row["feature"] in {"age", "hours"})
        assert {row["feature"] for row in rows} <= {"", "age", "hours", "workclass", "education", "occupation"}


def test_breast_cancer(capsys):
    pytest.importorskip("sklearn")
    pytest.importorskip("pandas")
    explanation = run("breast_cancer")
    assert explanation.valid.all()
    assert np.median((explanation.attributions != 0).sum(1)) <= 6
    assert "worst texture" in capsys.readouterr().out


def test_adult(capsys):
    pytest.importorskip("pandas")
    try:
        applicants.find()
    except PackageMissing as error:
        pytest.skip(str(error))
    explanation = run("adult")
    assert explanation.valid.mean() > 0.9
    assert "What was held is held: True." in capsys.readouterr().out
    one_hot = explanation.counterfactuals[:, 2:]
    assert set(np.unique(one_hot)) <= {0.0, 1.0}


def test_every_example_is_in_the_list():
    listed = (FOLDER / "README.md").read_text()
    assert all(f"`{path.name}`" in listed for path in FOLDER.glob("*.py"))
