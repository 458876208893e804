"""Named arrays out of PyTorch's old file format (before 1.6), without PyTorch, and without running what a pickle names.

Such a file is five pickles and then numbers: a magic number, the version of the protocol, facts about the machine,
the state (name -> tensor, a tensor being a view of a storage), the keys of the storages in the order in which their
numbers follow; then for each storage its length as int64, and its numbers.

A pickle may name any function and have it called.  Here a file is read only if its SHA-256 is the one that the caller
knows, and even then four names are answered, by stand-ins of our own; any other one is refused.
"""

from __future__ import annotations

import hashlib
import io
import math
import pickle  # subclassed below, so that it resolves no name but four stand-ins
from typing import TYPE_CHECKING

import attrs
import numpy as np

from xaicore.errors import UnreadableModel

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Mapping

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
COUNT = np.dtype("<i8")


def read(path: pathlib.Path, sha256: str) -> dict[str, np.ndarray]:
    """Return the arrays of a file by name; float32 or int64, each with memory of its own.

    Raises:
        UnreadableModel: the file has another SHA-256, another format, or is cut off; a pickle in it names something
            else than a table, a tensor and its storage; or a tensor reaches outside its storage.
    """
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise UnreadableModel(
            f"{path} has SHA-256 {found}, expected {sha256}: other weights than the known ones. Nothing of it was read."
        )
    stream = io.BytesIO(content)
    try:
        return _read(stream)
    except UnreadableModel as error:
        raise UnreadableModel(f"{path}: {error}") from error
    except Exception as error:  # a broken pickle raises whatever its first wrong byte leads to
        raise UnreadableModel(
            f"{path} is no file of PyTorch's old format: {type(error).__name__}: {error} at byte {stream.tell()}."
        ) from error


def _read(stream: io.BytesIO) -> dict[str, np.ndarray]:
    magic, protocol, machine = (_Pickle(stream).load() for _ in range(3))
    little = isinstance(machine, dict) and machine.get("little_endian")
    if magic != MAGIC or protocol != PROTOCOL or not little:
        raise UnreadableModel(
            f"Given magic number {magic!r}, protocol {protocol!r}, little endian: {little!r}; "
            f"expected {MAGIC}, {PROTOCOL}, True."
        )
    state = _Pickle(stream)
    table = state.load()
    tensors = {str(name): t for name, t in table.items() if isinstance(t, _Tensor)} if isinstance(table, _Table) else {}
    if not tensors or len(tensors) != len(table):
        raise UnreadableModel("The state is no table of tensors.")
    keys = _Pickle(stream).load()
    if not isinstance(keys, list) or sorted(keys) != sorted(state.storages):
        raise UnreadableModel("The storages that follow are not those that the tensors view.")
    numbers = {key: _numbers(stream, state.storages[key]) for key in keys}
    if stream.read(1):
        raise UnreadableModel("There is more in the file than its tensors.")
    return {name: tensor.of(numbers[tensor.storage.key]) for name, tensor in tensors.items()}


def _numbers(stream: io.BytesIO, storage: _Storage) -> np.ndarray:
    """Return the numbers of the next storage."""
    dtype = np.dtype(storage.dtype)
    length, raw = stream.read(COUNT.itemsize), stream.read(storage.length * dtype.itemsize)
    if length != np.array(storage.length, COUNT).tobytes() or len(raw) != storage.length * dtype.itemsize:
        raise UnreadableModel(f"The file is cut off or damaged in a storage of {storage.length} numbers.")
    return np.frombuffer(raw, dtype)


# A pickle can set attributes of what it is given, and calls `__setstate__` where there is one.  So the classes below
# are frozen and have none, or one that does nothing.
class _Table(dict[str, object]):
    """Stands for OrderedDict."""

    def __setstate__(self, state: object) -> None:
        """Drop what PyTorch attaches: the versions of its modules."""


@attrs.frozen(getstate_setstate=False)
class _Storage:
    key: str
    dtype: str
    length: int


@attrs.frozen(getstate_setstate=False)
class _Tensor:
    """A view of a storage; offset and strides count numbers."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def of(self, numbers: np.ndarray) -> np.ndarray:
        """Return the numbers that are viewed."""
        last = self.offset + sum((n - 1) * step for n, step in zip(self.size, self.stride, strict=True))
        if not (0 <= last < len(numbers) and 0 < math.prod(self.size) <= len(numbers)):
            raise UnreadableModel(f"A tensor reaches outside its storage of {len(numbers)} numbers: {self}.")
        steps = [step * numbers.itemsize for step in self.stride]
        return np.lib.stride_tricks.as_strided(numbers[self.offset :], self.size, steps).copy()


@attrs.frozen(getstate_setstate=False)
class _Call:
    """A function that a pickle may call."""

    function: Callable[..., object]

    def __call__(self, *arguments: object) -> object:
        return self.function(*arguments)


def _tensor(*arguments: object) -> _Tensor:
    """Return the view that ``torch._utils._rebuild_tensor_v2`` describes; what follows the stride is for training."""
    match arguments:
        case (_Storage() as storage, int(offset), tuple(size), tuple(stride), *_) if _counts(offset, *size, *stride):
            return _Tensor(storage, offset, size, stride)
    raise UnreadableModel("A tensor is not described by storage, offset, size and stride.")


def _counts(*numbers: object) -> bool:
    return all(isinstance(n, int) and n >= 0 for n in numbers)


STAND_INS: Mapping[tuple[str, str], object] = {
    ("collections", "OrderedDict"): _Call(_Table),
    ("torch._utils", "_rebuild_tensor_v2"): _Call(_tensor),
    ("torch", "FloatStorage"): "<f4",
    ("torch", "LongStorage"): "<i8",
}


class _Pickle(pickle.Unpickler):
    """An unpickler that knows the four stand-ins, and collects the storages that are spoken of."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream, encoding="utf-8")
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> object:
        """Answer a name."""
        if (module, name) not in STAND_INS:
            known = ", ".join(".".join(known) for known in STAND_INS)
            raise UnreadableModel(
                f"A pickle in it names {module}.{name}, and reading it would call that. Known: {known}."
            )
        return STAND_INS[module, name]

    def persistent_load(self, pid: object) -> _Storage:
        """Answer the description of a storage whose numbers come later in the file."""
        match pid:
            case ("storage", ("<f4" | "<i8") as dtype, str(key), "cpu", int(length), None) if _counts(length):
                storage = _Storage(key, dtype, length)
            case _:
                raise UnreadableModel(f"A pickle in it speaks of a storage as {pid!r}.")
        if self.storages.setdefault(key, storage) != storage:
            raise UnreadableModel(f"A pickle in it speaks of storage {key} in two ways.")
        return storage
