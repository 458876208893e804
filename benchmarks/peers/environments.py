"""A virtual environment per file of ``requirements/``, made once in ``.venv-peers/`` and used again."""

from __future__ import annotations

import hashlib
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
REQUIREMENTS = pathlib.Path(__file__).parent / "requirements"
FOLDER = ROOT / ".venv-peers"
VERSION = (3, 11)  # the one Python for which all peers have files


class EnvironmentFailed(RuntimeError):
    """An environment of a peer cannot be made here."""


def python_of(name: str) -> pathlib.Path:
    """Return the interpreter of an environment that has just what its file says; make it where it is not there.

    The files list everything, at versions that were run together, so nothing else is resolved (``--no-deps``): some
    peers declare versions that exclude each other, and some the CUDA libraries, of gigabytes.

    Raises:
        EnvironmentFailed: no Python 3.11, or pip did not find or build a file; the last line of what it said.
    """
    requirements = REQUIREMENTS / f"{name}.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    folder = FOLDER / name
    python, stamp = folder / "bin" / "python", folder / "requirements.sha256"
    if stamp.is_file() and stamp.read_text(encoding="ascii") == digest:
        return python
    _run(_python(), "-m", "venv", "--clear", folder)
    _run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--ignore-requires-python", "-r", requirements)
    stamp.write_text(digest, encoding="ascii")
    return python


def _python() -> str:
    if sys.version_info[:2] == VERSION:
        return sys.executable
    found = shutil.which("python3.11")
    if found is None:
        raise EnvironmentFailed("python3.11 is not on the path, and the peers run on Python 3.11 only.")
    return found


def _run(*command: object) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)  # noqa: S603  # our own words
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")]
        raise EnvironmentFailed((errors or lines or ["pip failed without a word."])[-1][:160])
