"""Inputs from files: arrays as they are, pictures only through a named preprocessing, nothing that runs code."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from xaicore.cli.inputs import AS_GIVEN, read_inputs, read_labels, read_picture
from xaicore.cli.preprocess_grammar import parse
from xaicore.errors import InputShape, InvalidArgument, UnreadableInput


class RunsWhenRead:
    """An object whose pickle writes a file: reading it would leave a trace."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.fixture
def photo(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
    Image.fromarray(array).save(tmp_path / "photo.png")
    return tmp_path / "photo.png", array


def test_an_array_is_taken_as_it_is(tmp_path):
    x = np.arange(6.0).reshape(2, 3)
    np.save(tmp_path / "x.npy", x)
    inputs = read_inputs([tmp_path / "x.npy"], None)
    np.testing.assert_array_equal(inputs.x, x)
    assert (inputs.batch, inputs.pictures, inputs.preprocess) == (2, (), AS_GIVEN)


def test_one_array_in_an_npz_is_the_input_and_several_are_inputs_by_name(tmp_path):
    np.savez(tmp_path / "one.npz", x=np.ones((2, 3)))
    np.savez(tmp_path / "two.npz", left=np.ones((2, 3)), right=np.zeros((2, 1)))
    assert read_inputs([tmp_path / "one.npz"], None).x.shape == (2, 3)
    both = read_inputs([tmp_path / "two.npz"], None)
    assert sorted(both.x) == ["left", "right"]
    assert both.batch == 2


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_pickled_objects_are_refused_and_do_not_run(tmp_path, name):
    trace = tmp_path / "trace"
    array = np.array([RunsWhenRead(trace)], dtype=object)
    (np.save if name == "x.npy" else np.savez)(tmp_path / name, array)
    with pytest.raises(UnreadableInput, match="pickled Python objects"):
        read_inputs([tmp_path / name], None)
    assert not trace.exists()


def test_a_bare_pickle_named_npy_is_refused_and_does_not_run(tmp_path):
    import pickle

    trace = tmp_path / "trace"
    (tmp_path / "x.npy").write_bytes(pickle.dumps(RunsWhenRead(trace)))
    with pytest.raises(UnreadableInput):
        read_inputs([tmp_path / "x.npy"], None)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.npy", b"", "numpy cannot read"),
        ("x.npz", b"PK\x03\x04 broken", "numpy cannot read"),
        ("x.png", b"no picture", "Pillow cannot read"),
        ("x.txt", b"1 2 3", "Expected an array"),
        ("x", b"", "ends in 'nothing'"),
    ],
)
def test_broken_and_unknown_files_are_named(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableInput, match=said):
        read_inputs([tmp_path / name], parse("4x4,rgb,raw") if name == "x.png" else None)


def test_a_missing_file_and_an_empty_npz_are_named(tmp_path):
    np.savez(tmp_path / "none.npz")
    with pytest.raises(UnreadableInput, match="holds no array"):
        read_inputs([tmp_path / "none.npz"], None)
    with pytest.raises(UnreadableInput, match="There is no input file"):
        read_inputs([tmp_path / "absent.npy"], None)


def test_pictures_become_one_batch_and_keep_what_a_person_sees(photo):
    path, array = photo
    inputs = read_inputs([path, path], parse("6x5,rgb,order=bgr,scale=0..1"), (6, 5, 3))
    assert inputs.x.shape == (2, 6, 5, 3)
    np.testing.assert_allclose(inputs.x[1], array[..., ::-1] / 255.0, atol=1e-7)  # float32 at 1
    np.testing.assert_array_equal(inputs.pictures[0], array)
    assert inputs.preprocess == "6x5,rgb,order=bgr,scale=0..1"


def test_pictures_without_preprocessing_are_refused_with_an_example(photo):
    with pytest.raises(InvalidArgument, match=r"64x48,gray,scale=0\.\.1"):
        read_inputs([photo[0]], None, (64, 48, 1))


def test_a_preprocessing_of_another_shape_is_refused(photo):
    with pytest.raises(InputShape, match=r"\(8, 8, 1\); the model takes \(8, 8, 3\)"):
        read_inputs([photo[0]], parse("8x8,gray,raw"), (8, 8, 3))
    assert read_inputs([photo[0]], parse("8x8,rgb,raw"), (None, None, 3)).x.shape == (1, 8, 8, 3)


def test_arrays_take_no_preprocessing_and_no_company(tmp_path, photo):
    np.save(tmp_path / "x.npy", np.ones((1, 2)))
    with pytest.raises(InvalidArgument, match="--preprocess is for pictures"):
        read_inputs([tmp_path / "x.npy"], parse("8x8,gray,raw"))
    with pytest.raises(InvalidArgument, match="one array file"):
        read_inputs([tmp_path / "x.npy", photo[0]], None)


def test_transparency_becomes_white_and_a_camera_held_sideways_is_turned(tmp_path):
    Image.new("RGBA", (3, 2), (10, 20, 30, 0)).save(tmp_path / "clear.png")
    assert (read_picture(tmp_path / "clear.png") == 255).all()
    turned = Image.new("RGB", (3, 2))
    turned.getexif()[0x0112] = 6  # EXIF: turn by 90 degrees to see it upright
    turned.save(tmp_path / "turned.jpg", exif=turned.getexif())
    assert read_picture(tmp_path / "turned.jpg").shape == (3, 2, 3)


def test_gray_stays_one_channel_and_16_bits_are_refused(tmp_path):
    Image.new("L", (3, 2), 7).save(tmp_path / "gray.png")
    assert read_picture(tmp_path / "gray.png").shape == (2, 3, 1)
    Image.fromarray(np.full((2, 3), 60000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(UnreadableInput, match="more than 8 bits"):
        read_picture(tmp_path / "deep.png")


def test_labels_from_text_and_json(tmp_path):
    (tmp_path / "a.txt").write_text("cat\n\n dog \n\n", encoding="utf-8")
    (tmp_path / "a.json").write_text('["cat", "dog"]', encoding="utf-8")
    (tmp_path / "b.json").write_text('{"0": "cat"}', encoding="utf-8")
    (tmp_path / "empty.txt").write_text("\n", encoding="utf-8")
    assert read_labels(tmp_path / "a.txt") == ("cat", "", "dog")  # the empty line is a class without a name
    assert read_labels(tmp_path / "a.json") == ("cat", "dog")
    for name, said in [("b.json", "no list of names"), ("empty.txt", "holds no name"), ("absent.txt", "Cannot read")]:
        with pytest.raises(UnreadableInput, match=said):
            read_labels(tmp_path / name)
