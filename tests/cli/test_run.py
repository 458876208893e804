"""`xaicore run`: a YAML file that works, and every mistake in one with its file, line and key."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from keras import layers

import xaicore
from xaicore.cli.group import group
from xaicore.cli.specification import Data, Specification, read
from xaicore.errors import InvalidSpecification

GOOD = """\
model: model.keras
data:
  files: [x.npy]
target: 1
analyzers:
  - gradient.gradient
  - lrp.epsilon(epsilon=0.25) | abs
"""


@pytest.fixture
def folder(tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(5, activation="relu"), layers.Dense(3)])
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(6, 4)).astype("float32"))
    return tmp_path


def written(folder, text, name="run.yaml"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_run_from_anywhere(folder):
    """Paths are relative to the file; results are what `explain` gives."""
    result = CliRunner().invoke(group, ["run", str(written(folder, GOOD))])
    assert result.exit_code == 0, result.output
    model = keras.models.load_model(folder / "model.keras")
    for expression, stem in (("gradient", "gradient.gradient"), ("lrp.epsilon(epsilon=0.25) | abs", "lrp.epsilon*")):
        (path,) = (folder / "results").glob(f"{stem}.npz")
        found = xaicore.Explanation.load(path)
        expected = xaicore.get_analyzer(expression).explain(model, np.load(folder / "x.npy"), 1, verbose=0)
        np.testing.assert_array_equal(found.attributions, expected.attributions)


def test_results_that_are_there_are_left_alone_unless_asked(folder):
    path = written(folder, GOOD)
    assert CliRunner().invoke(group, ["run", str(path)]).exit_code == 0
    before = {p: p.read_bytes() for p in (folder / "results").iterdir()}
    again = CliRunner().invoke(group, ["run", str(path)])
    assert again.exit_code == 2
    assert "already holds results" in again.stderr
    assert {p: p.read_bytes() for p in (folder / "results").iterdir()} == before
    assert CliRunner().invoke(group, ["run", str(path), "--overwrite"]).exit_code == 0


def test_everything_that_can_be_said(tmp_path):
    text = GOOD.replace("target: 1", "target: [0, 2]\nhead: 0\nlabels: l.txt\noutput: a/b\nbatch_size: 3")
    found, _ = read(written(tmp_path, text.replace("[x.npy]", "x.png").replace("data:", "data:\n  preprocess: 8x8")))
    assert found == Specification(
        model="model.keras",
        data=Data(("x.png",), "8x8"),
        analyzers=("gradient.gradient", "lrp.epsilon(epsilon=0.25) | abs"),
        target=(0, 2),
        head=0,
        labels="l.txt",
        output="a/b",
        batch_size=3,
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("model: model.keras\n", ""), r"run.yaml:1: model: missing"),
        (("target: 1", "tarket: 1"), r"run.yaml:4: tarket: unknown key tarket; known keys: model, data, analyzers"),
        (("  files", "  fils"), r"run.yaml:3: data.fils: unknown key fils; known keys: files, preprocess"),
        (("target: 1", "target: 1.5"), r"run.yaml:4: target: given 1.5; expected an integer, a list"),
        (("target: 1", "target: yes"), r"run.yaml:4: target: given True; expected an integer, a list"),
        (("target: 1", "batch_size: '50'"), r"run.yaml:4: batch_size: given '50'; expected an integer"),
        (("target: 1", "batch_size: true"), r"run.yaml:4: batch_size: given True; expected an integer"),
        (("target: 1", "labels: 3"), r"run.yaml:4: labels: given 3; expected text"),
        (("model.keras", "yes"), r"run.yaml:1: model: given True; expected text"),
        (("model.keras", "3"), r"run.yaml:1: model: given 3; expected text"),
        (("model.keras", "null"), r"run.yaml:1: model: given None; expected text"),
        (("target: 1", "output: 1.5"), r"run.yaml:4: output: given 1.5; expected text"),
        (("model.keras", '"a\\0b"'), r"run.yaml:1: model: .*NUL"),
        (("[x.npy]", '["a\\0b"]'), r"run.yaml:3: data.files: .*NUL"),
        (("model.keras", "a\0b"), r"run.yaml: no safe YAML: .*x0000"),
        (("target: 1", "target: " + "[" * 3000 + "]" * 3000), r"run.yaml: nested too deeply"),
        (("data:\n  files: [x.npy]", "data: x.npy"), r"^[^<>]*run.yaml:2: data: expected the keys files, preprocess"),
        (("[x.npy]", "{a: 1}"), r"run.yaml:3: data.files: given {'a': 1}; expected a list of texts"),
        (("gradient.gradient", "gradient.gradiant"), r"run.yaml:6: analyzers\[0\]: .*Nearest"),
        (("epsilon=0.25", "epsilon=-1"), r"run.yaml:7: analyzers\[1\]: .*Given epsilon=-1; expected a finite number"),
        (("target: 1", "model: b.keras"), r"run.yaml:4: the key 'model' is there twice"),
        (("target: 1", "target: &a 1\nhead: *a"), r"run.yaml:5: aliases"),
        (("target: 1", "target: !!python/object/apply:os.getcwd []"), r"run.yaml:4: no safe YAML"),
        (("target: 1", "target: [1"), r"run.yaml:\d+: no safe YAML"),
        (("target: 1", "output: ../elsewhere"), r"run.yaml:4: output: given '../elsewhere', outside of"),
        (("target: 1", "output: /tmp"), r"run.yaml:4: output: given '/tmp', outside of"),
        (("target: 1", "1: 1"), r"run.yaml:4: given the key 1; expected text"),
        ((GOOD, ""), r"run.yaml:1: the file is empty"),
        ((GOOD, "- a\n"), r"run.yaml:1: expected the keys model, data, analyzers"),
        (
            (GOOD, GOOD[: GOOD.index("  - g")].replace("analyzers:", "analyzers: []")),
            r"run.yaml:5: analyzers: given an empty",
        ),
    ],
)
def test_mistakes_are_told_with_file_line_and_key(tmp_path, change, message):
    path = written(tmp_path, GOOD.replace(*change))
    with pytest.raises(InvalidSpecification, match=message):
        read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("model.keras", "absent.keras"), "run.yaml:1: model: there is no file"),
        (("x.npy", "absent.npy"), "run.yaml:3: data.files[0]: there is no file"),
        (("target: 1", "labels: absent.txt"), "run.yaml:4: labels: there is no file"),
        (("[x.npy]", "[x.npy]\n  columns: absent.yaml"), "run.yaml:4: data.columns: there is no file"),
        (("[x.npy]", "[x.npy]\n  preprocess: 8x8,rgb,scale=0..2..1"), "run.yaml:4: data.preprocess: "),
        (
            ("[x.npy]", "[x.npy]\n  preprocess: 8x8,rgb,raw"),
            "run.yaml:4: data.preprocess: --preprocess is for pictures",
        ),
        (("target: 1", "batch_size: 0"), "run.yaml:4: batch_size: given 0; expected an integer of at least 1"),
        (("target: 1", "target: 99"), "run.yaml:4: target: "),
        (("target: 1", "target: foo"), "run.yaml:4: target: "),
        (("target: 1", "head: nowhere"), "run.yaml:4: head: "),
        (("target: 1", "labels: x.npy"), "run.yaml:4: labels: "),
        (("target: 1", "output: x.npy"), "run.yaml:4: output: "),
        (("[x.npy]", "[wide.npy]"), "run.yaml:2: data: "),
    ],
)
def test_mistakes_that_show_in_the_run_are_told_the_same_way(folder, change, message):
    np.save(folder / "wide.npy", np.ones((2, 7), np.float32))
    path = written(folder, GOOD.replace(*change))
    result = CliRunner().invoke(group, ["run", str(path)])
    assert result.exit_code == 2, result.output
    assert f"Error: {path.parent}/{message}" in result.stderr
    assert not (folder / "results").exists()


def test_a_file_that_is_not_there(tmp_path):
    result = CliRunner().invoke(group, ["run", str(tmp_path / "none.yaml")])
    assert result.exit_code == 2
    assert "Expected a YAML file" in result.stderr
