"""Models from files: loaded in safe mode, everything else refused with a reason."""

from __future__ import annotations

import hashlib
import json
import zipfile

import keras
import numpy as np
import pytest

from xaicore.cli.models import load_model, sha256
from xaicore.errors import UnreadableModel


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_saved_model_comes_back_with_the_same_numbers(tmp_path, suffix):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="softmax")])
    path = tmp_path / f"model{suffix}"
    model.save(path)
    x = np.ones((2, 3), "float32")
    np.testing.assert_array_equal(load_model(path)(x), model(x))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_lambda_is_refused_and_does_not_run(tmp_path, suffix):
    trace = tmp_path / "trace"
    code = compile(f"lambda x: (__import__('pathlib').Path({str(trace)!r}).touch(), x)[1]", "<test>", "eval")
    malicious = eval(code)  # the test's own text
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Lambda(malicious)])
    path = tmp_path / f"model{suffix}"
    model.save(path)
    trace.unlink(missing_ok=True)  # building the model ran it
    with pytest.raises(UnreadableModel, match="carries Python code"):
        load_model(path)
    assert not trace.exists()


def test_a_function_smuggled_into_the_configuration_is_refused(tmp_path):
    """An activation that names a function of any module is how safe modes were broken before."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    path, crafted = tmp_path / "model.keras", tmp_path / "crafted.keras"
    model.save(path)
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(crafted, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "config.json":
                config = json.loads(content)
                config["config"]["layers"][1]["config"]["activation"] = {
                    "module": "os", "class_name": "function", "config": "getpid", "registered_name": "function",
                }  # fmt: skip
                content = json.dumps(config).encode()
            target.writestr(name, content)
    with pytest.raises(UnreadableModel):
        load_model(crafted)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("model.keras", b"no zip", "Keras cannot load"),
        ("model.h5", b"no hdf5", "Keras cannot load"),
        ("model.pt", b"", "ends in '.pt'"),
        ("model", b"", "ends in 'nothing'"),
    ],
)
def test_files_of_other_kinds_are_named(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableModel, match=said):
        load_model(tmp_path / name)


def test_a_missing_file_a_folder_and_a_savedmodel_are_named(tmp_path):
    with pytest.raises(UnreadableModel, match="There is no model file"):
        load_model(tmp_path / "absent.keras")
    with pytest.raises(UnreadableModel, match="is a folder"):
        load_model(tmp_path)
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(UnreadableModel, match="SavedModel"):
        load_model(tmp_path)


def test_sha256_is_that_of_the_bytes(tmp_path):
    content = bytes(range(256)) * 9000  # more than one block
    (tmp_path / "f").write_bytes(content)
    assert sha256(tmp_path / "f") == hashlib.sha256(content).hexdigest()
