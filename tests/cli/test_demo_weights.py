"""Weights of PyTorch's old format: read without PyTorch, and without running what a file names.

The files are put together here byte by byte, as the format has them.
"""

from __future__ import annotations

import hashlib
import pickle
import struct

import numpy as np
import pytest

from xaicore.cli.demo import torch_weights
from xaicore.errors import UnreadableModel

START = b"".join(
    pickle.dumps(value, 2)
    for value in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}})
)
NUMBERS = np.arange(24, dtype="<f4")


def push(value):
    """Return the opcodes that put a plain value on the stack."""
    return pickle.dumps(value, 2)[2:-1]


def name(module, attribute):
    """Return the opcode that asks for a global name."""
    return f"c{module}\n{attribute}\n".encode()


def call(function, *arguments):
    """Return the opcodes that call a function."""
    return function + b"(" + b"".join(arguments) + b"tR"


def storage(key="7", kind="FloatStorage", device="cpu", length=24):
    return b"(" + push("storage") + name("torch", kind) + push(key) + push(device) + push(length) + b"NtQ"


def tensor(size, stride, offset=0, of=None):
    """Return the opcodes that rebuild a tensor, as PyTorch writes them: a view, no gradient, no hooks."""
    hooks = call(name("collections", "OrderedDict"))
    view = (of or storage(), push(offset), push(size), push(stride))
    return call(name("torch._utils", "_rebuild_tensor_v2"), *view, b"\x89", hooks)


def state(**tensors):
    """Return the pickle of the state, with the versions of modules attached to its table."""
    items = b"".join(push(key) + value for key, value in tensors.items())
    attached = push({"_metadata": {"version": 1}})
    return b"\x80\x02" + call(name("collections", "OrderedDict")) + b"(" + items + b"u" + attached + b"b."


def content(states, keys=("7",), numbers=(NUMBERS,), start=START):
    stored = b"".join(struct.pack("<q", len(n)) + n.tobytes() for n in numbers)
    return start + states + pickle.dumps(list(keys), 2) + stored


@pytest.fixture
def read(tmp_path):
    """Return a function that reads bytes as a file whose SHA-256 is known."""

    def read(data):
        path = tmp_path / "weights.pth"
        path.write_bytes(data)
        return torch_weights.read(path, hashlib.sha256(data).hexdigest())

    return read


def test_tensors_are_views_of_their_storages(read):
    """Offsets and strides count numbers; the transposed one is what ports of TensorFlow's weights are."""
    count = tensor((), (), of=storage("8", "LongStorage", length=1))
    found = read(
        content(
            state(whole=tensor((2, 3, 4), (12, 4, 1)), turned=tensor((4, 3), (1, 8), offset=2), steps=count),
            ("8", "7"),
            (np.array([5], "<i8"), NUMBERS),
        )
    )
    assert list(found) == ["whole", "turned", "steps"]
    np.testing.assert_array_equal(found["whole"], NUMBERS.reshape(2, 3, 4))
    np.testing.assert_array_equal(found["turned"], NUMBERS.reshape(3, 8)[:, 2:6].T)
    assert (found["steps"].shape, found["steps"].dtype, int(found["steps"])) == ((), np.int64, 5)
    found["whole"][:] = 0  # memory of its own
    assert found["turned"].max() > 0


def test_another_file_than_the_known_one_is_not_read(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(content(state(a=tensor((24,), (1,)))))
    with pytest.raises(UnreadableModel, match=r"has SHA-256 .*, expected 0{64}.*Nothing of it was read"):
        torch_weights.read(path, "0" * 64)


@pytest.mark.parametrize(
    ("module", "attribute"),
    [("os", "mkdir"), ("posix", "mkdir"), ("nt", "mkdir"), ("torch", "load"), ("torch", "IntStorage")],
)
def test_any_other_name_is_refused_and_nothing_is_called(read, tmp_path, module, attribute):
    made = tmp_path / "made"
    evil = b"\x80\x02" + call(name(module, attribute), push(str(made))) + b"."
    with pytest.raises(UnreadableModel, match=rf"names {module}\.{attribute}"):
        read(content(evil))
    assert not made.exists()


@pytest.mark.parametrize("place", range(5))
def test_every_pickle_of_the_file_is_guarded(read, tmp_path, place):
    made = tmp_path / "made"
    pickles = [*(pickle.dumps(v, 2) for v in (1, 2, 3)), state(), pickle.dumps([], 2)]
    pickles[place] = b"\x80\x02" + call(name("os", "mkdir"), push(str(made))) + b"."
    with pytest.raises(UnreadableModel):
        read(b"".join(pickles))
    assert not made.exists()


def test_dotted_names_reach_nothing_inside_the_stand_ins(read):
    """Protocol 4 may ask for `OrderedDict.__init__.__globals__`."""
    evil = b"\x80\x04" + push("collections") + push("OrderedDict.fromkeys") + b"\x93)R."
    with pytest.raises(UnreadableModel, match=r"names collections\.OrderedDict\.fromkeys"):
        read(content(evil))


def test_a_pickle_cannot_change_the_stand_ins(read):
    before = repr(torch_weights.STAND_INS)
    for stand_in in (name("torch._utils", "_rebuild_tensor_v2"), name("torch", "FloatStorage")):
        for attached in (push({"function": 1}), b"N" + push({"function": 1}) + b"\x86"):  # attributes, and slots
            with pytest.raises(UnreadableModel):
                read(content(b"\x80\x02" + stand_in + attached + b"b."))
    assert repr(torch_weights.STAND_INS) == before
    assert len(read(content(state(a=tensor((24,), (1,)))))) == 1


def test_a_file_that_is_cut_off_anywhere_is_refused(read):
    whole = content(state(a=tensor((24,), (1,))))
    for end in range(len(whole)):
        with pytest.raises(UnreadableModel):
            read(whole[:end])
    assert list(read(whole)) == ["a"]


@pytest.mark.parametrize(
    ("view", "said"),
    [
        (tensor((25,), (1,)), "outside its storage"),
        (tensor((2, 3), (24, 1)), "outside its storage"),
        (tensor((24,), (1,), offset=1), "outside its storage"),
        (tensor((1000,), (0,)), "outside its storage"),
        (tensor((0,), (1,)), "outside its storage"),
        (tensor((24,), (-1,), offset=23), "not described by"),
        (tensor((24,), (1,), offset=-1), "not described by"),
        (tensor((2.5,), (1,)), "not described by"),
        (tensor((24,), (1,), of=push("7")), "not described by"),
        (tensor((24,), (1, 1)), "ValueError"),
        (tensor((24,), (1,), of=storage(device="cuda:0")), "speaks of a storage as"),
        (tensor((24,), (1,), of=storage(length=-24)), "speaks of a storage as"),
    ],
)
def test_a_tensor_that_is_no_view_of_its_numbers_is_refused(read, view, said):
    with pytest.raises(UnreadableModel, match=said):
        read(content(state(a=view)))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (content(state(a=tensor((24,), (1,)))) + b"\0", "more in the file"),
        (content(state(a=tensor((24,), (1,))), numbers=[NUMBERS[:23]]), "cut off or damaged"),
        (content(state(a=tensor((24,), (1,))), keys=("8",)), "not those that the tensors view"),
        (content(state(a=tensor((24,), (1,)), b=tensor((9,), (1,), of=storage(length=9)))), "in two ways"),
        (content(state(a=push(1))), "no table of tensors"),
        (content(pickle.dumps({"a": 1}, 2)), "no table of tensors"),
        (content(state(a=tensor((24,), (1,))), start=START.replace(pickle.dumps(1001, 2), pickle.dumps(1002, 2), 1)),
         "protocol 1002"),
        (b"PK\x03\x04 a file of the new format", "no file of PyTorch's old format"),
        (b"", "no file of PyTorch's old format"),
    ],
)  # fmt: skip
def test_a_file_of_another_form_is_refused(read, data, said):
    with pytest.raises(UnreadableModel, match=said):
        read(data)
