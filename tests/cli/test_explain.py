"""`xaicore explain` from files to files, and what it refuses."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import xaicore
from xaicore.cli.explain import read_head, read_target
from xaicore.cli.group import group
from xaicore.errors import TargetSyntax


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A tiny convolutional network, three arrays, a picture and labels."""
    folder = tmp_path_factory.mktemp("files")
    keras.utils.set_random_seed(0)
    model = keras.Sequential([
        keras.Input((8, 8, 3)),
        keras.layers.Conv2D(4, 3, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(3, activation="softmax"),
    ])  # fmt: skip
    model.save(folder / "model.keras")
    random = np.random.default_rng(0)
    np.save(folder / "x.npy", random.normal(size=(3, 8, 8, 3)).astype("float32"))
    Image.fromarray(random.integers(0, 256, (16, 12, 3), np.uint8)).save(folder / "photo.png")
    (folder / "labels.txt").write_text("cat\ndog\nfox\n")
    return folder


def explain(files, data, *options, output):
    arguments = ["explain", str(files / "model.keras"), str(files / data), *options, "-o", str(output)]
    return CliRunner().invoke(group, [str(a) for a in arguments])


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_arrays_become_explanations_and_heatmaps(files, tmp_path):
    options = ("-a", "gradient.gradient", "-a", "lrp.epsilon(epsilon=0.25)", "-t", "1")
    result = explain(files, "x.npy", *options, output=tmp_path)
    assert result.exit_code == 0, result.output
    stems = ("gradient.gradient", "lrp.epsilon-epsilon-0.25")
    assert names(tmp_path) == sorted(f"{s}{e}" for s in stems for e in (".npz", ".json", "-0.png", "-1.png", "-2.png"))
    model, x = keras.models.load_model(files / "model.keras"), np.load(files / "x.npy")
    expected = xaicore.get_analyzer("lrp.epsilon", epsilon=0.25).explain(model, x, 1)
    found = xaicore.Explanation.load(tmp_path / "lrp.epsilon-epsilon-0.25.npz")
    np.testing.assert_array_equal(found.attributions, expected.attributions)  # same graph, same batch, same bits
    assert "preprocess  none (arrays taken as they are)" in result.stdout
    assert "lrp.epsilon(epsilon=0.25)" in result.stdout
    assert "10 files" in result.stdout


def test_a_picture_is_preprocessed_as_named_and_that_is_kept_with_the_result(files, tmp_path):
    options = (
        "-a",
        "gradient.gradient",
        "-p",
        "8x8,rgb,order=bgr,scale=-1..1",
        "-t",
        "fox",
        "--labels",
        files / "labels.txt",
    )
    result = explain(files, "photo.png", *options, output=tmp_path)
    assert result.exit_code == 0, result.output
    assert "preprocess  8x8,rgb,order=bgr,scale=-1..1" in result.stdout
    assert any(f"prediction  {label} 0." in result.stdout for label in ("cat", "dog", "fox"))
    origin = json.loads((tmp_path / "gradient.gradient.json").read_text())
    assert origin["preprocess"] == "8x8,rgb,order=bgr,scale=-1..1"
    assert origin["target"] == "fox"
    assert origin["output"] == xaicore.Explanation.load(tmp_path / "gradient.gradient.npz").output != ""
    assert xaicore.Explanation.load(tmp_path / "gradient.gradient.npz").target == 2


def test_the_batch_size_does_not_show(files, tmp_path):
    for size in ("1", "3"):
        result = explain(files, "x.npy", "-a", "gradient.gradient", "-b", size, output=tmp_path / size)
        assert result.exit_code == 0, result.output
    one, three = (xaicore.Explanation.load(tmp_path / s / "gradient.gradient.npz") for s in ("1", "3"))
    np.testing.assert_allclose(one.attributions, three.attributions, atol=1e-6)  # float32, numbers of size 1


def test_every_class_gets_a_heatmap(files, tmp_path):
    result = explain(files, "x.npy", "-a", "gradient.gradient", "-t", "all", output=tmp_path)
    assert result.exit_code == 0, result.output
    assert len([n for n in names(tmp_path) if n.endswith(".png")]) == 3 * 3


@pytest.mark.parametrize(
    ("data", "options", "said"),
    [
        ("photo.png", (), "Pictures need --preprocess"),
        ("photo.png", ("-p", "8x8,rgb"), "scaling is missing"),
        ("photo.png", ("-p", "9x8,rgb,raw"), "the model takes (8, 8, 3)"),
        ("x.npy", ("-p", "8x8,rgb,raw"), "--preprocess is for pictures"),
        ("x.npy", ("-t", "3"), "3"),
        ("x.npy", ("-t", "wolf", "--labels", "labels.txt"), "wolf"),
        ("x.npy", ("-t", "0,1"), "3"),
        ("x.npy", ("-a", "lrp.nonsense"), "lrp.nonsense"),
        ("x.npy", ("--labels", "absent.txt"), "Cannot read the labels"),
        ("absent.npy", (), "no input file"),
    ],
)
def test_mistakes_are_named_and_write_nothing(files, tmp_path, data, options, said, monkeypatch):
    monkeypatch.chdir(files)
    analyzer = () if "-a" in options else ("-a", "gradient.gradient")
    result = explain(files, data, *analyzer, *options, output=tmp_path / "out")
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("Error: ")
    assert said in result.stderr
    assert not (tmp_path / "out").exists()


def test_labels_of_another_model_are_refused(files, tmp_path):
    (tmp_path / "two.txt").write_text("cat\ndog\n")
    result = explain(
        files, "x.npy", "-a", "gradient.gradient", "--labels", tmp_path / "two.txt", output=tmp_path / "out"
    )
    assert result.exit_code == 2
    assert "2 names; the model has 3 outputs" in result.stderr


def test_results_are_not_replaced_unasked(files, tmp_path):
    options = ("-a", "gradient.gradient")
    assert explain(files, "x.npy", *options, output=tmp_path).exit_code == 0
    before = (tmp_path / "gradient.gradient.npz").read_bytes()
    again = explain(files, "x.npy", *options, "-t", "1", output=tmp_path)
    assert again.exit_code == 2
    assert "already holds results" in again.stderr
    assert (tmp_path / "gradient.gradient.npz").read_bytes() == before
    assert explain(files, "x.npy", *options, "-t", "1", "--overwrite", output=tmp_path).exit_code == 0
    assert xaicore.Explanation.load(tmp_path / "gradient.gradient.npz").target == 1


def test_a_model_with_code_and_pickled_data_are_refused(files, tmp_path):
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Lambda(lambda x: x)])
    model.save(tmp_path / "model.keras")
    result = explain(tmp_path, files / "x.npy", "-a", "gradient.gradient", output=tmp_path / "out")
    assert (result.exit_code, "carries Python code" in result.stderr) == (2, True)
    np.savez(tmp_path / "x.npz", x=np.array([{}], dtype=object))
    result = explain(files, tmp_path / "x.npz", "-a", "gradient.gradient", output=tmp_path / "out")
    assert (result.exit_code, "pickled Python objects" in result.stderr) == (2, True)


def test_plan_shows_every_operation(files):
    result = CliRunner().invoke(group, ["plan", str(files / "model.keras"), "-a", "lrp.epsilon"])
    assert result.exit_code == 0, result.output
    model = keras.models.load_model(files / "model.keras")
    for row in xaicore.get_analyzer("lrp.epsilon").plan(model).rows:
        assert any(row.site in line and row.action in line for line in result.stdout.splitlines())


def test_targets_are_read_as_written():
    labels = ("cat", "dog", "7")
    assert [read_target(t, labels) for t in (None, "7", "-1", "dog", "max", "logit[0]-logit[1]")] == [
        None, 7, -1, 1, "max", "logit[0]-logit[1]",
    ]  # fmt: skip
    np.testing.assert_array_equal(read_target("0, 2,1", labels), [0, 2, 1])
    assert [read_head(t) for t in (None, "1", "gender")] == [None, 1, "gender"]


def test_a_target_that_is_no_label_lists_the_labels(files, tmp_path):
    options = ("-a", "gradient", "-t", "wolf", "--labels", files / "labels.txt")
    result = explain(files, "x.npy", *options, output=tmp_path / "out")
    assert result.exit_code == 2
    assert "Nor is it one of the labels: cat, dog, fox." in result.stderr


def test_a_label_of_two_classes_is_no_target():
    labels = ("crane", "dog", "crane")
    assert read_target("dog", labels) == 1
    with pytest.raises(TargetSyntax, match="classes 0, 2 have"):
        read_target("crane", labels)
