"""The examples run, and their answers are what they say."""

from __future__ import annotations

import importlib.util
import pathlib

import numpy as np
import pytest

from xaicore.cli.demo import applicants
from xaicore.errors import PackageMissing

FOLDER = pathlib.Path(__file__).parents[2] / "examples"


def run(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main()


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
