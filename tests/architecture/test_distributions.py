"""Each distribution installs alone; a plugin brings its family and takes it away again."""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib import metadata

import pytest

ROOT = pathlib.Path(__file__).parents[2]
FOLDERS = {path.name: path for path in sorted((ROOT / "plugins").iterdir())} | {"xaicore": ROOT}
LIGHT = ("attrs", "pluggy")  # all that names need; no TensorFlow, no NumPy
FAMILIES = """
import json, sys, xaicore
print(json.dumps(sorted({row.name.split(".")[0] for row in xaicore.available()})))
"""


def run(*command: object, cwd: pathlib.Path) -> str:
    """Run a command outside the repository and return what it printed."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(name: str, folder: pathlib.Path, kind: str = "wheel", source: pathlib.Path | None = None) -> pathlib.Path:
    """Build a distribution without a network, and return the file."""
    before = set(folder.iterdir())
    run(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", folder, cwd=source or FOLDERS[name])
    (made,) = set(folder.iterdir()) - before
    return made


def members(wheel: pathlib.Path) -> set[str]:
    """Return the names of the files in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


class Environment:
    """An environment that knows nothing of the one that runs the tests; pip works on it from outside."""

    def __init__(self, folder: pathlib.Path) -> None:
        venv.create(folder, with_pip=False, symlinks=True)
        self.folder = folder
        self.python = folder / "bin" / "python"
        packages = next((folder / "lib").glob("python*/site-packages"))
        for name in LIGHT:
            for file in metadata.files(name) or ():
                if ".." not in file.parts and "__pycache__" not in file.parts:
                    (packages / file).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(file.locate(), packages / file)

    def pip(self, *arguments: object) -> None:
        """Run pip on the environment; nothing is downloaded."""
        run(sys.executable, "-m", "pip", "--quiet", "--python", self.python, *arguments, cwd=self.folder)

    def families(self) -> list[str]:
        """Return the families of all names that xaicore finds there."""
        return json.loads(run(self.python, "-I", "-c", FAMILIES, cwd=self.folder))


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """Return name -> wheel of every distribution."""
    folder = tmp_path_factory.mktemp("wheels")
    return {name: build(name, folder) for name in FOLDERS}


@pytest.mark.skipif(sys.platform == "win32", reason="looks for bin/python in the new environment")
def test_a_plugin_adds_its_family_and_takes_it_away(wheels, tmp_path):
    """In a new environment without TensorFlow, the core has its filters, and a plugin its family while installed."""
    here = Environment(tmp_path / "env")
    install = ("install", "--no-deps", "--no-index")
    here.pip(*install, wheels["xaicore"])
    assert here.families() == ["filter"]

    here.pip(*install, wheels["xaicore-lrp"], wheels["xaicore-gradient"])
    assert here.families() == ["filter", "gradient", "lrp"]

    here.pip("uninstall", "--yes", "xaicore-lrp")
    assert here.families() == ["filter", "gradient"]


def test_a_wheel_holds_its_package_and_nothing_else(wheels):
    for name, wheel in wheels.items():
        package = name.replace("-", "_")
        information = f"{package}-{metadata.version(name)}.dist-info"

        assert {member.split("/")[0] for member in members(wheel)} == {package, information}
        assert {f"{package}/py.typed", f"{information}/licenses/LICENSE"} <= members(wheel)


@pytest.mark.slow
@pytest.mark.parametrize("name", FOLDERS)
def test_a_wheel_built_from_the_source_distribution_is_the_same(wheels, tmp_path, name):
    """The version that all share survives although the source distribution lies outside the repository."""
    made, unpacked = tmp_path / "made", tmp_path / "unpacked"
    made.mkdir()
    shutil.unpack_archive(build(name, made, "sdist"), unpacked, filter="data")
    (source,) = unpacked.iterdir()
    wheel = build(name, made, source=source)

    assert wheel.name == wheels[name].name
    assert members(wheel) == members(wheels[name])
