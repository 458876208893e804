"""What all tests share: quiet TensorFlow on the CPU, recorded models and results, code blocks of the documents."""

from __future__ import annotations

import json
import os
import pathlib
import random
import tempfile
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import settings
from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser, SkipParser
from xdist.scheduler import LoadScopeScheduling

# Before TensorFlow is imported by anything.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("MPLBACKEND", "Agg")

if TYPE_CHECKING:
    import keras
    import numpy as np

settings.register_profile("patient", deadline=None)  # the machine may be busy
settings.load_profile("patient")

ROOT = pathlib.Path(__file__).parent
RECORDED = ROOT / "tests" / "golden"

# ------------------------------------------------------------------------------------------------ code in documents


def _enter_folder(namespace: dict[str, object]) -> None:
    """Run a document's code in an empty folder of its own."""
    folder = tempfile.TemporaryDirectory()
    namespace["_folder"], namespace["_before"] = folder, pathlib.Path.cwd()
    os.chdir(folder.name)


def _leave_folder(namespace: dict[str, object]) -> None:
    os.chdir(str(namespace["_before"]))
    folder = namespace["_folder"]
    assert isinstance(folder, tempfile.TemporaryDirectory)
    folder.cleanup()


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["*.md"],
    excludes=["docs/_build/**", "docs/reference/generated/**", "tests/**"],
    setup=_enter_folder,
    teardown=_leave_folder,
).pytest()

# ---------------------------------------------------------------------------------------------- two processes


class _Together(LoadScopeScheduling):
    """Keeps together what one process has to run: a file, the blocks of a page, the laws of one name.

    The laws of a name share models, and what was traced on them; the names go to whichever process is free.
    """

    def _split_scope(self, nodeid: str) -> str:
        named = "test_analyzer_obeys[" in nodeid  # ...[expression-law]
        return nodeid.rpartition("-")[0] if named else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    """Return how tests are dealt out to processes."""
    return _Together(config, log)


# ------------------------------------------------------------------------------------------------- recorded results


class Golden(NamedTuple):
    """A small model rebuilt from its recorded architecture and weights.

    model: gives logits.  x: (4, *features) float32.  logits: (4, classes), as three frameworks gave them.
    target: four class indices, the ``idx`` of recorded results.
    """

    model: keras.Model
    x: np.ndarray
    logits: np.ndarray
    target: list[int]


@pytest.fixture(scope="session")
def golden() -> pathlib.Path:
    """Return the folder of the full collection of recorded results: XAICORE_GOLDEN, or ``shared/golden`` beside us."""
    folder = pathlib.Path(os.environ.get("XAICORE_GOLDEN", ROOT.parent / "shared" / "golden"))
    if not (folder / "models").is_dir():
        pytest.skip(f"no recorded results in {folder}; name their folder in XAICORE_GOLDEN")
    return folder


@pytest.fixture(scope="session")
def golden_model(request: pytest.FixtureRequest) -> Callable[[str], Golden]:
    """Return a function name -> Golden.  "mlp" and "cnn" are always there; other names need the full collection."""

    def load(name: str) -> Golden:
        folder = RECORDED / name
        if not folder.is_dir():
            folder = request.getfixturevalue("golden") / "models" / name
        return rebuild(folder)

    return load


@pytest.fixture(scope="session")
def recorded() -> Callable[[str], Mapping[str, np.ndarray]]:
    """Return a function name -> arrays of ``tests/golden/<name>.npz``; its README tells where they come from."""
    import numpy as np

    def load(name: str) -> Mapping[str, np.ndarray]:
        with np.load(RECORDED / f"{name}.npz", allow_pickle=False) as arrays:
            return dict(arrays)

    return load


def rebuild(folder: pathlib.Path) -> Golden:
    """Rebuild the functional Keras 3 model recorded in model.json (layers in order) and weights.npz."""
    import keras
    import numpy as np

    recipe = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    known = {"x": keras.Input(recipe["input_shape"], name="x")}
    layers = {}
    for row in recipe["layers"]:
        config = {key: _as_tuples(value) for key, value in row["config"].items()}
        layers[row["name"]] = getattr(keras.layers, row["class"])(name=row["name"], **config)
        arguments = [known[name] for name in row["inputs"]]
        known[row["name"]] = layers[row["name"]](arguments[0] if len(arguments) == 1 else arguments)
    model = keras.Model(known["x"], known[recipe["layers"][-1]["name"]], name=recipe["name"])
    with np.load(folder / "weights.npz", allow_pickle=False) as weights:
        for name, layer in layers.items():
            layer.set_weights([weights[f"{name}/{i}"] for i in range(len(layer.weights))])
    x, logits = (np.load(folder / f"{part}.npy", allow_pickle=False) for part in ("x", "logits"))
    return Golden(model, x, logits, list(recipe["target_idx"]))


def _as_tuples(value: object) -> object:
    """Return JSON's lists as the tuples that Keras's layers take."""
    return tuple(_as_tuples(item) for item in value) if isinstance(value, list) else value


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Give a test the same model weights alone and among others: Keras draws its default seeds from ``random``."""
    random.seed(0)
