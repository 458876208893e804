"""Models from files, loaded so that nothing of what is in the file runs."""

from __future__ import annotations

import hashlib
import pathlib
from typing import TYPE_CHECKING

from xaicore.errors import UnreadableModel

if TYPE_CHECKING:
    import keras

SUFFIXES = (".keras", ".h5", ".hdf5")
BLOCK = 1 << 20


def load_model(path: str | pathlib.Path) -> keras.Model:
    """Return the model of a ``.keras``, ``.h5`` or ``.hdf5`` file, uncompiled, in Keras's safe mode.

    There is no way round the safe mode here: a file that carries Python code is refused.

    Raises:
        UnreadableModel: there is no such file, it has another format, it holds code, or Keras cannot rebuild it.
    """
    path = pathlib.Path(path)
    _check_file(path)
    from xaicore.cli.screen import quiet_backend

    with quiet_backend():
        import keras

    try:
        # Importing and loading are what the file decides about, so that any error may come out of it.
        model = keras.models.load_model(str(path), compile=False, safe_mode=True)
    except Exception as error:
        raise UnreadableModel(_reason(path, error)) from error
    if not isinstance(model, keras.Model):
        raise UnreadableModel(f"{path} holds a {type(model).__name__}, no Keras model.")
    return model


def sha256(path: str | pathlib.Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    digest = hashlib.sha256()
    with pathlib.Path(path).open("rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _check_file(path: pathlib.Path) -> None:
    if path.is_dir():
        what = "a SavedModel, which keeps no layers" if (path / "saved_model.pb").exists() else "a folder"
        raise UnreadableModel(
            f"{path} is {what}. Expected a file {_listed()}: save the model with `model.save('model.keras')`."
        )
    if not path.is_file():
        raise UnreadableModel(f"There is no model file {path}. Expected the path of a file {_listed()}.")
    if path.suffix.lower() not in SUFFIXES:
        raise UnreadableModel(
            f"{path} ends in {path.suffix or 'nothing'!r}. Expected a file {_listed()}: "
            "save the model with `model.save('model.keras')`."
        )


def _reason(path: pathlib.Path, error: Exception) -> str:
    said = str(error)
    first = " ".join(said.split())[:300]
    if "safe_mode" in said or "unsafe" in said.lower() or "Lambda" in said:
        return (
            f"{path} carries Python code (a Lambda layer or a function), which would run while it is loaded. "
            "It is refused. If you trust its author, rebuild the model without Lambda layers, or load it in "
            f"Python yourself and call `xaicore.explain`. Keras said: {first}"
        )
    if path.suffix.lower() == ".keras" and "'Functional'" in said:
        return f"{path} was saved by Keras 2 (tf_keras). Save it there as `.h5` and give that file. Keras said: {first}"
    return (
        f"Keras cannot load {path}: {type(error).__name__}: {first}. Expected a whole model, saved with "
        "`model.save(...)`; layers of your own have to be registered, so load such a model in Python and call "
        "`xaicore.explain`."
    )


def _listed() -> str:
    return ", ".join(SUFFIXES[:-1]) + f" or {SUFFIXES[-1]}"
