"""The result: frozen, whole, equal to its parts put together and to what comes back from its file."""

from __future__ import annotations

import copy
import gc
import json
import pathlib
import pickle
import subprocess
import sys
import zipfile

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xaicore.errors import InvalidArgument, InvalidExplanation, ResultExists, UnreadableResult, UnwritableResult
from xaicore.explanation import Explanation, concat, split

ROW = {"site": "backbone/conv", "operation": "Conv2D", "action": "rule", "rule": "lrp.epsilon", "why": "meets conv"}


def make(batch=4, **changes):
    random = np.random.default_rng(0)
    fields = {
        "attributions": random.normal(size=(batch, 3)).astype(np.float32),
        "scores": random.normal(size=batch).astype(np.float32),
        "target": np.arange(batch),
        "ids": np.arange(batch),
        "extras": {"residual": random.normal(size=batch), "steps": np.arange(batch)},
        "analyzer": "lrp.epsilon(epsilon=0.25)",
        "model": "0123",
        "coverage": (ROW,),
    }
    return Explanation(**{**fields, **changes})


@st.composite
def explanations(draw):
    """Draw any explanation: nested inputs, k targets, any numeric dtype, NaN and infinity, any text."""
    axes = (draw(st.integers(1, 4)), *draw(st.sampled_from([(), (2,)])))
    numbers = st.sampled_from([np.float16, np.float32, np.float64, np.int64, np.bool_])

    def arrays(leading):
        shape = hnp.array_shapes(min_dims=0, max_dims=2, max_side=3).map(lambda features: (*leading, *features))
        return numbers.flatmap(lambda dtype: hnp.arrays(dtype, shape))

    nest = st.recursive(
        arrays(axes),
        lambda inner: (
            st.lists(inner, min_size=1, max_size=2) | st.dictionaries(st.text(), inner, min_size=1, max_size=2)
        ),
        max_leaves=3,
    )
    integers = hnp.arrays(np.int64, axes, elements=st.integers(-5, 5))
    return Explanation(
        draw(nest),
        draw(hnp.arrays(np.float64, axes)),
        draw(st.none() | st.integers(0, 9) | st.text() | integers),
        draw(hnp.arrays(np.int64, axes[:1], elements=st.integers(0, 99))),
        draw(st.dictionaries(st.text(), arrays(axes[:1]), max_size=2)),
        draw(st.text()),
        draw(st.text()),
        draw(st.lists(st.just(ROW), max_size=2)),
        draw(st.text()),
    )


@given(explanations(), st.data())
def test_parts_put_together_are_the_whole(explanation, data):
    batch = len(explanation.ids)
    parts = data.draw(st.integers(1, batch))

    assert concat(split(explanation)) == explanation
    assert concat(split(explanation, parts)) == explanation
    assert [len(part.ids) for part in split(explanation)] == [1] * batch


@settings(deadline=None)  # the disk decides how long it takes
@given(explanations())
def test_a_file_gives_back_what_was_saved(tmp_path_factory, explanation):
    path = tmp_path_factory.mktemp("result") / "e.npz"

    explanation.save(path)

    assert Explanation.load(path) == explanation


@given(explanations())
def test_copies_are_equal_and_read_only(explanation):
    for other in (copy.copy(explanation), copy.deepcopy(explanation), pickle.loads(pickle.dumps(explanation))):
        assert other == explanation
        assert hash(other) == hash(explanation)
        assert not other.scores.flags.writeable


def test_sizes_of_parts():
    explanation = make(5)

    assert [len(p.ids) for p in split(explanation, 2)] == [3, 2]
    assert [p.ids.tolist() for p in split(explanation, [1, 4])] == [[0], [1, 2, 3, 4]]


def test_parts_of_a_size():
    explanation = make(5)

    assert [len(part) for part in explanation.split(2)] == [2, 2, 1]
    assert Explanation.concat(explanation.split(2)) == explanation


@pytest.mark.parametrize("sizes", [0, -1, 6, [1, 2], [5, 0], [6, -1], []])
def test_sizes_that_do_not_sum_to_the_samples_are_refused(sizes):
    with pytest.raises(InvalidArgument, match="5 samples"):
        split(make(5), sizes)


def test_different_integers_become_a_target_per_sample():
    assert concat([make(1, target=3), make(1, target=3)]).target == 3
    assert concat([make(1, target=3), make(2, target=5)]).target.tolist() == [3, 5, 5]
    assert concat([make(1, target=3), make(2, target=np.array([1, 2]))]).target.tolist() == [3, 1, 2]


@pytest.mark.parametrize(
    "change",
    [
        {"analyzer": "gradient"},
        {"model": "other"},
        {"coverage": ()},
        {"target": "logit[1]"},
        {"extras": {}},
        {"attributions": np.zeros((4, 2))},
        {"attributions": [np.zeros((4, 3))]},
        {"attributions": {"a": np.zeros((4, 3))}},
    ],
)
def test_only_explanations_of_one_kind_are_joined(change):
    with pytest.raises(InvalidExplanation):
        concat([make(), make(**change)])


def test_nothing_cannot_be_joined():
    with pytest.raises(InvalidExplanation, match="at least one"):
        concat([])


@pytest.mark.parametrize(
    "change",
    [
        {"scores": np.zeros(3)},
        {"ids": np.arange(3)},
        {"target": np.arange(3)},
        {"extras": {"residual": np.zeros(3)}},
        {"extras": {"residual": np.float32(3)}},
        {"attributions": np.zeros((3, 3))},
        {"attributions": []},
        {"attributions": np.array(["a"] * 4)},
        {"scores": np.zeros((4, 2))},  # two targets per sample, and attributions of (4, 3)
        {"scores": np.zeros((4, 1, 1))},
        {"target": 0.5},
    ],
)
def test_arrays_that_do_not_fit_are_refused(change):
    with pytest.raises(InvalidExplanation):
        make(**change)


def test_arrays_are_frozen_and_the_users_own_are_not():
    mine = np.zeros((4, 3), np.float32)
    explanation = make(attributions=[mine])
    view = make(attributions=np.broadcast_to(mine[:, :1], (4, 3)))  # read-only, of an array that is not

    mine[:] = 7

    assert explanation.attributions[0].max() == view.attributions.max() == 0
    for array in (explanation.attributions[0], explanation.scores, explanation.target, explanation.steps):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        explanation.scores = mine


def test_containers_that_were_handed_out_do_not_change_the_result():
    explanation = make(attributions={"a": np.zeros((4, 3))})

    explanation.attributions["b"] = None
    explanation.extras.clear()
    explanation.coverage[0]["site"] = "elsewhere"

    assert explanation.coverage == (ROW,)
    assert list(explanation.attributions) == ["a"]
    assert list(explanation.extras) == ["residual", "steps"]


def test_read_only_arrays_are_not_copied():
    array = np.zeros((4, 3))
    array.setflags(write=False)

    assert np.shares_memory(make(attributions=array).attributions, array)
    assert np.shares_memory(split(make(attributions=array), 2)[1].attributions, array)


def test_reaching_for_what_is_inside():
    explanation = make()
    scores, attributions = explanation

    assert scores is explanation.scores
    assert attributions is explanation.attributions
    assert explanation["steps"] is explanation.steps
    assert explanation.residual is explanation["residual"]
    assert make(extras={}).residual is None
    assert not hasattr(explanation, "error")
    for reach in (lambda: explanation["error"], lambda: explanation.error):
        with pytest.raises((KeyError, AttributeError), match="residual, steps"):
            reach()
    assert "lrp.epsilon" in repr(explanation)


@pytest.mark.parametrize("other", [make(scores=np.zeros(4, np.float32)), make(target=3), make(extras={}), "text"])
def test_explanations_that_differ_are_not_equal(other):
    assert make() != other


def test_dtypes_count_and_order_of_names_does_not():
    a, b = np.zeros((4, 1)), np.ones((4, 1))

    assert make(attributions=a) != make(attributions=a.astype(np.float32))
    assert make(attributions={"a": a, "b": b}) == make(attributions={"b": b, "a": a})
    assert make(attributions=[a]) != make(attributions=a)


def test_explanations_of_two_outputs_are_not_put_together():
    with pytest.raises(InvalidExplanation, match="differ in output"):
        concat([make(output="head_a"), make(output="head_b")])


def test_a_file_without_an_output_is_an_older_one(tmp_path):
    path = tmp_path / "e.npz"
    make(output="head").save(path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    document = json.loads(arrays["document"].tobytes())
    assert document.pop("output") == "head"
    arrays["document"] = np.frombuffer(json.dumps(document).encode(), np.uint8)
    np.savez(path, **arrays)

    assert Explanation.load(path) == make(output="")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("damage", ["cut short", "zip of text", "other arrays"])
def test_a_damaged_file_is_not_left_open(tmp_path, damage):
    """A file that is collected while it is open warns."""
    path = tmp_path / "e.npz"
    make().save(path)
    DAMAGE[damage](path)
    with pytest.raises(UnreadableResult):
        Explanation.load(path)
    gc.collect()
    assert not [name for name in pathlib.Path("/proc/self/fd").iterdir() if _opens(name, path)]


def _opens(descriptor, path):
    try:
        return descriptor.readlink() == path
    except OSError:  # closed since
        return False


def test_a_file_is_not_overwritten_unless_asked(tmp_path):
    path = tmp_path / "e.npz"
    make().save(path)
    before = path.read_bytes()

    with pytest.raises(ResultExists, match="overwrite=True"):
        make(5).save(path)
    assert path.read_bytes() == before

    make(5).save(path, overwrite=True)
    assert Explanation.load(path) == make(5)
    assert [p.name for p in tmp_path.iterdir()] == ["e.npz"]


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(ResultExists, match="is a folder"):
        make().save(tmp_path / "folder", overwrite=True)
    with pytest.raises(UnwritableResult, match="does not exist"):
        make().save(tmp_path / "missing" / "e.npz")


def test_a_failure_while_writing_leaves_nothing_behind(tmp_path, monkeypatch):
    path = tmp_path / "e.npz"
    make().save(path)
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        make(5).save(path, overwrite=True)

    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["e.npz"]


def test_a_file_that_came_meanwhile_is_left_as_it_is(tmp_path, monkeypatch):
    path = tmp_path / "e.npz"
    save = np.savez

    def slow(*args, **kwargs):
        path.write_text("somebody else's")
        save(*args, **kwargs)

    monkeypatch.setattr(np, "savez", slow)
    with pytest.raises(ResultExists):
        make().save(path)

    assert path.read_text() == "somebody else's"


def _rewritten(path: pathlib.Path, **changes: object) -> None:
    with np.load(path) as file:
        arrays = dict(file)
    document = {**json.loads(arrays.pop("document").tobytes()), **changes}
    np.savez(path, **arrays, document=np.frombuffer(json.dumps(document).encode(), np.uint8))


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def _flip(path):
    data = bytearray(path.read_bytes())
    data[200] ^= 0xFF
    path.write_bytes(bytes(data))


def _pickled(path):
    np.savez(path, document=np.array([{"a": 1}], dtype=object))


def _drop_an_array(path):
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name != "scores"}
    np.savez(path, **arrays)


DAMAGE = {
    "absent": lambda path: path.unlink(),
    "text": lambda path: path.write_text("no zip"),
    "empty": lambda path: path.write_bytes(b""),
    "bare array": lambda path: path.write_bytes(np.lib.format.magic(1, 0)),
    "cut short": _truncate,
    "one byte": _flip,
    "pickle": _pickled,
    "other arrays": lambda path: np.savez(path, x=np.zeros(3)),
    "no scores": _drop_an_array,
    "zip of text": lambda path: zipfile.ZipFile(path, "w").writestr("document.npy", "no array"),
    "newer": lambda path: _rewritten(path, version=2),
    "another format": lambda path: _rewritten(path, format="picture"),
    "structure": lambda path: _rewritten(path, attributions=[0, 0]),
    "negative position": lambda path: _rewritten(path, attributions=-1),
    "coverage": lambda path: _rewritten(path, coverage="abc"),
    "analyzer": lambda path: _rewritten(path, analyzer=3),
    "output": lambda path: _rewritten(path, output=3),
    "target": lambda path: _rewritten(path, target={"a": 1}) or _drop_target(path),
}


def _drop_target(path):
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name != "target"}
    np.savez(path, **arrays)


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_file_that_is_no_explanation_has_one_error(tmp_path, damage):
    path = tmp_path / "e.npz"
    make().save(path)
    damage(path)

    with pytest.raises(UnreadableResult, match=r"e\.npz"):
        Explanation.load(path)


def test_results_are_read_without_importing_tensorflow():
    """Plotting a saved result should not cost TensorFlow's five seconds of importing."""
    code = "import sys, xaicore.explanation, xaicore.inspect.inputs; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
