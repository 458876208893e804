"""The law of imports, and how little looking a name up imports."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

import xaicore

ROOT = pathlib.Path(__file__).parents[2]
HEAVY = ("tensorflow", "keras", "numpy")


def run(code: str) -> str:
    """Run code in a new interpreter and return what it printed."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_imports_run_one_way():
    """Every contract of import-linter in pyproject.toml is kept."""
    tool = pathlib.Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([tool, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "code",
    [
        "import xaicore",
        "import xaicore; xaicore.available()",
        "import xaicore; str(xaicore.get_analyzer('lrp.epsilon', epsilon=0.25))",
        "import xaicore; xaicore.get_analyzer('smoothgrad(lrp.alpha2beta1, n=8) | absmax')",
        "import xaicore.cli",
    ],
)
def test_names_cost_no_tensorflow(code):
    """Importing xaicore and looking names up imports neither TensorFlow nor Keras nor NumPy."""
    loaded = run(f"{code}\nimport sys\nprint(*[m for m in {HEAVY} if m in sys.modules])")

    assert loaded.split() == []


def test_every_name_is_looked_up_and_built_without_tensorflow() -> None:
    """In a Python where TensorFlow, Keras and SciPy cannot be imported: a table of names costs no seconds."""
    code = """
import importlib.abc, sys, xaicore
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"tensorflow", "keras", "scipy"}:
            raise ImportError(f"{name} is refused")
sys.meta_path.insert(0, Refuse())
wrong = []
for row in xaicore.available():
    try:
        str(xaicore.get(row.name, row.kind))
    except xaicore.errors.MissingParameter:
        pass
    except Exception as error:
        wrong.append(f"{row.name}: {type(error).__name__}: {error}")
print(len(xaicore.available()), *wrong, sep="\\n")
"""
    count, *wrong = run(code).splitlines()

    assert int(count) == len(xaicore.available())
    assert not wrong
