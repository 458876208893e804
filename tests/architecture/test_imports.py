"""The law of imports, and how little looking a name up imports."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

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
