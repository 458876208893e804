"""One .npz file of arrays with a JSON document inside: no pickle, nothing half-written, nothing overwritten unasked."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import uuid
import zipfile
import zlib
from collections.abc import Mapping

import numpy as np

from xaicore.errors import ResultExists, UnreadableResult, UnwritableResult

_DOCUMENT = "document"  # the entry that holds the JSON text in UTF-8, as uint8


def named(path: str | pathlib.Path) -> pathlib.Path:
    """Return a path with the ending .npz, which is added where it lacks."""
    path = pathlib.Path(path)
    return path if path.suffix == ".npz" else path.with_name(f"{path.name}.npz")


def write(
    path: str | pathlib.Path, document: Mapping[str, object], arrays: Mapping[str, np.ndarray], *, overwrite: bool
) -> None:
    """Write a file whole or not at all: into a temporary file in the same folder, which then gets the name.

    Raises:
        ResultExists: The path is taken, and ``overwrite`` is false or it is a folder.
        UnwritableResult: There is no such folder, or it cannot be written to.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        raise ResultExists(f"{path} is a folder. Expected the name of a file, for example {path / 'explanation.npz'}.")
    if path.exists() and not overwrite:
        raise _exists(path)
    if not path.parent.is_dir():
        raise UnwritableResult(f"The folder {path.parent} does not exist. Make it first.")
    text = json.dumps(document, ensure_ascii=False, allow_nan=False)
    entries = {**arrays, _DOCUMENT: np.frombuffer(text.encode(), np.uint8)}
    temporary = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with temporary.open("xb") as stream:
            np.savez(stream, allow_pickle=False, **entries)
            stream.flush()
            os.fsync(stream.fileno())
        _rename(temporary, path, overwrite=overwrite)
    except ResultExists:
        raise
    except OSError as error:
        raise UnwritableResult(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        with contextlib.suppress(OSError):  # where nothing can be written, nothing is there
            temporary.unlink(missing_ok=True)


def _rename(temporary: pathlib.Path, path: pathlib.Path, *, overwrite: bool) -> None:
    if overwrite:
        temporary.replace(path)
        return
    try:
        path.hardlink_to(temporary)  # unlike renaming, refuses a file that came meanwhile
    except FileExistsError:
        raise _exists(path) from None
    except OSError:  # a file system without hard links
        if path.exists():
            raise _exists(path) from None
        temporary.replace(path)


def _exists(path: pathlib.Path) -> ResultExists:
    return ResultExists(f"{path} exists and is left as it is. Choose another name, or pass overwrite=True.")


def read(path: str | pathlib.Path) -> tuple[dict[str, object], dict[str, np.ndarray]]:
    """Return (document, arrays) of a file; nothing in it is executed.

    Raises:
        UnreadableResult: There is no file, or it is none that ``write`` made, or it is damaged.
    """
    path = pathlib.Path(path)
    try:
        if not zipfile.is_zipfile(path):
            said = "is no .npz file, or was cut short" if path.is_file() else "is not there"
            raise UnreadableResult(f"{path} {said}. Expected a file that `Explanation.save` wrote.")
        # NumPy leaves a file open that it opened itself and cannot read.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as entries:
            arrays = {name: entries[name] for name in entries.files}
        document = json.loads(np.asarray(arrays.pop(_DOCUMENT)).tobytes().decode())
    except KeyError:
        raise UnreadableResult(f"{path} holds arrays and no explanation. Read it with np.load.") from None
    except UnreadableResult:
        raise
    # What zipfile, zlib, NumPy and json raise on damaged or crafted files.
    except (
        OSError, ValueError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error, SyntaxError,
    ) as error:  # fmt: skip
        raise UnreadableResult(f"{path} cannot be read: {error}. It is damaged, or no explanation.") from error
    if not isinstance(document, dict) or not all(isinstance(a, np.ndarray) for a in arrays.values()):
        raise UnreadableResult(f"{path} holds arrays and no explanation. Read it with np.load.")
    return document, arrays
