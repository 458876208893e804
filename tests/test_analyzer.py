"""An analyzer is a frozen value: it prints, compares, pipes, is written and read, and holds no model."""

from __future__ import annotations

import pathlib

import pytest

import xaicore
from xaicore.analyzer import AnalyzerBase, Filtered
from xaicore.backward import Backward
from xaicore.errors import InvalidParameter, ResultExists, UnreadableResult


def test_pipes_by_operator_and_by_text_are_equal() -> None:
    inner = xaicore.get_analyzer("smoothgrad", n=8)

    piped = inner | "absmax" | xaicore.get_filter("normalize")

    assert piped == xaicore.get_analyzer("smoothgrad(n=8) | absmax | normalize")
    assert hash(piped) == hash(xaicore.get_analyzer(str(piped)))
    assert piped.inner == inner


def test_pipes_that_cannot_be_written_are_refused() -> None:
    inner = xaicore.get_analyzer("gradient")
    with pytest.raises(InvalidParameter, match="filter"):
        Filtered(inner, ())
    with pytest.raises(InvalidParameter, match="filter"):
        Filtered(inner | "abs", (xaicore.get_filter("abs"),))


@pytest.mark.parametrize("expression", ["lrp.epsilon(epsilon=0.25, at='conv3')", "smoothgrad(lrp.z, n=3) | abs"])
def test_load_undoes_save(tmp_path: pathlib.Path, expression: str) -> None:
    analyzer = xaicore.get_analyzer(expression)
    path = tmp_path / "analyzer.npz"

    analyzer.save(path)

    assert AnalyzerBase.load(path) == analyzer
    with pytest.raises(ResultExists):
        analyzer.save(path)


def test_the_ending_is_added_as_for_results(tmp_path: pathlib.Path) -> None:
    analyzer = xaicore.get_analyzer("lrp.z")

    assert analyzer.save(tmp_path / "x") == tmp_path / "x.npz"

    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]
    assert AnalyzerBase.load(tmp_path / "x.npz") == analyzer


def test_other_files_are_no_analyzer(tmp_path: pathlib.Path) -> None:
    (tmp_path / "text.npz").write_text("lrp.epsilon")
    with pytest.raises(UnreadableResult):
        AnalyzerBase.load(tmp_path / "text.npz")


@pytest.mark.parametrize("rules", [3, (("affine", 3),), ("affine",), "lrp"])
def test_rules_have_to_be_rules(rules: object) -> None:
    with pytest.raises(InvalidParameter, match="rule"):
        Backward(rules)


def test_an_analyzer_is_frozen() -> None:
    with pytest.raises(AttributeError):
        xaicore.get_analyzer("gradient").at = "conv1"
