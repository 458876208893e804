"""Files of results: readable names, never the same twice, nothing replaced unasked."""

from __future__ import annotations

import re
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from xaicore.cli.inputs import Inputs
from xaicore.cli.outputs import Folder, stems
from xaicore.errors import ResultExists, UnwritableResult


class FakeExplanation(types.SimpleNamespace):
    def save(self, path, *, overwrite=False):
        if path.exists() and not overwrite:
            raise ResultExists(str(path))
        path.write_bytes(b"npz")


def explanation(attributions, scores=None):
    return FakeExplanation(attributions=attributions, scores=np.zeros(2) if scores is None else scores)


def names(folder):
    return sorted(p.name for p in folder.path.iterdir())


@pytest.mark.parametrize(
    ("expressions", "expected"),
    [
        (["lrp.epsilon"], ("lrp.epsilon",)),
        (["smoothgrad(lrp.epsilon(epsilon=0.25), n=8) | absmax"], ("smoothgrad-lrp.epsilon-epsilon-0.25-n-8-absmax",)),
        (["lrp.z", "lrp.z", "lrp.z"], ("lrp.z", "lrp.z~2", "lrp.z~3")),
    ],
)
def test_names_say_what_they_hold(expressions, expected):
    assert stems(expressions) == expected


@given(st.lists(st.sampled_from(["lrp.z", "a" * 200, "a" * 201, "f(x, '../../etc')", "lrp.z(a=1)", "lrp.z(a='1')"])))
def test_names_are_distinct_short_and_stay_in_the_folder(expressions):
    found = stems(expressions)
    assert len(set(found)) == len(expressions)
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9._~-]{0,89}", stem) for stem in found)


def test_each_picture_gets_a_heatmap_and_the_explanation_a_file(tmp_path):
    folder = Folder.prepare(tmp_path / "new" / "out", ["lrp.z"], overwrite=False)
    pictures = (np.zeros((4, 6, 3)),) * 2
    folder.write("lrp.z", explanation(np.ones((2, 4, 6, 3))), Inputs(np.ones((2, 4, 6, 3)), pictures, "x"))
    assert names(folder) == ["lrp.z-0.png", "lrp.z-1.png", "lrp.z.npz"]
    assert [p.name for p in folder.written] == ["lrp.z.npz", "lrp.z-0.png", "lrp.z-1.png"]
    with Image.open(tmp_path / "new" / "out" / "lrp.z-0.png") as image:
        assert image.height == 256  # 4 rows, each 64 pixels high
        assert image.width > 2 * 6 * 64  # the map over the picture, the map alone, the bar


def test_several_targets_and_several_inputs_are_told_apart_and_vectors_are_not_drawn(tmp_path):
    attributions = {"left eye": np.ones((2, 3, 4, 4)), "age": np.ones((2, 3, 5))}
    folder = Folder.prepare(tmp_path, ["lrp.z"], overwrite=False)
    folder.write("lrp.z", explanation(attributions, np.zeros((2, 3))), Inputs({"x": np.ones((2, 1))}, (), "x"))
    assert names(folder)[0] == "lrp.z-0-left-eye-target0.png"
    assert len(names(folder)) == 2 * 3 + 1


@pytest.mark.parametrize("name", ["lrp.z.npz", "lrp.z-0.png", "lrp.z-12-left-target0.png", "lrp.z.json"])
def test_nothing_is_replaced_unasked(tmp_path, name):
    (tmp_path / name).write_text("precious")
    with pytest.raises(ResultExists, match=re.escape(name)):
        Folder.prepare(tmp_path, ["lrp.z"], overwrite=False)
    assert (tmp_path / name).read_text() == "precious"
    Folder.prepare(tmp_path, ["lrp.z"], overwrite=True)


@pytest.mark.parametrize("name", ["lrp.zplus.npz", "lrp.z-notes.png", "lrp.z.npz.bak", "photo.png"])
def test_files_of_others_do_not_disturb(tmp_path, name):
    (tmp_path / name).write_text("precious")
    folder = Folder.prepare(tmp_path, ["lrp.z"], overwrite=False)
    folder.write_origin("lrp.z", {"target": "max"})
    assert names(folder) == sorted(["lrp.z.json", name])


def test_a_file_where_the_folder_should_be_is_named(tmp_path):
    (tmp_path / "out").write_text("precious")
    with pytest.raises(ResultExists, match="is a file"):
        Folder.prepare(tmp_path / "out", ["lrp.z"], overwrite=True)


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path):
    folder = Folder.prepare(tmp_path, ["lrp.z"], overwrite=False)
    (tmp_path / "lrp.z.json").write_text("precious")
    with pytest.raises(ResultExists):
        folder.write_origin("lrp.z", {})
    assert (tmp_path / "lrp.z.json").read_text() == "precious"


@pytest.mark.parametrize("inside", ["taken/out", "taken/deep/out"])
def test_a_folder_that_cannot_be_made_is_told_before_anything_is_computed(tmp_path, inside):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(UnwritableResult, match=r"--output .* cannot be written"):
        Folder.prepare(tmp_path / inside, ["lrp.z"], overwrite=False)
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


def test_nothing_is_left_behind_by_finding_out(tmp_path):
    Folder.prepare(tmp_path / "a" / "b", ["lrp.z"], overwrite=False)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fails_later_is_an_error_of_ours(tmp_path, monkeypatch):
    folder = Folder.prepare(tmp_path, ["lrp.z"], overwrite=False)
    monkeypatch.setattr("pathlib.Path.open", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(UnwritableResult, match="No space left"):
        folder.write_origin("lrp.z", {})
