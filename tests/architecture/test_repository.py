"""What the repository holds, and what it must not hold."""

from __future__ import annotations

import ast
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
LONGEST_FILE = 400  # lines; a room of that size is usually two
LONGEST_FUNCTION = 40  # lines of code, without docstring and comments: a screen
LARGEST_FILE = 1_000_000  # bytes

# Written in pieces, so that this file does not hold what it looks for.
FORBIDDEN = {
    "address of a package index": r"index" r"-url|://[^\s)\"']*/sim" r"ple\b|\[\[tool\.uv\.in" r"dex\]\]",
    "address with a password": r"://[^\s/@:]+:[^\s/@]+@",
    "path of one machine": r"(?<![\w.])/(?:ho" r"me|ro" r"ot|Us" r"ers|wo" r"rk|tm" r"p)/\w",
    "note to somebody": r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b",
}


def files(*patterns: str) -> list[pathlib.Path]:
    """Return the files that git knows or would add."""
    asked = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("no git repository here, so there is no list of its files")
    return [path for name in sorted(set(done.stdout.splitlines())) if (path := ROOT / name).is_file()]


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef, source: list[str]) -> int:
    """Return the number of lines of a function's body that are code, without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    if not body:
        return 0
    lines = source[body[0].lineno - 1 : function.end_lineno]
    return sum(1 for line in lines if line.strip() and not line.strip().startswith("#"))


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_holds(what):
    found = []
    for path in files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {hit[0]}" for hit in re.finditer(FORBIDDEN[what], text)]

    assert found == []


def test_constraints_are_names_and_versions_only():
    lines = (ROOT / "constraints.txt").read_text().splitlines()

    assert [line for line in lines if not re.fullmatch(r"[a-z0-9.-]+==[0-9a-z.]+", line)] == []
    assert lines == sorted(lines, key=lambda line: line.split("==")[0])


def test_files_are_short():
    long = {str(p.relative_to(ROOT)): n for p in files("*.py") if (n := len(p.read_text().splitlines())) > LONGEST_FILE}

    assert long == {}


def test_functions_fit_a_screen():
    long = {}
    for path in files("xaicore/*.py", "plugins/*/src/*.py"):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = code_lines(node, text.splitlines())
                if size > LONGEST_FUNCTION:
                    long[f"{path.relative_to(ROOT)}:{node.name}"] = size

    assert long == {}


def test_no_file_is_large():
    assert [str(path.relative_to(ROOT)) for path in files() if path.stat().st_size > LARGEST_FILE] == []


def test_changelog_fragments_have_names_that_say_their_kind():
    names = [path.name for path in files("changelog.d/*") if path.name != "README.md"]

    assert [n for n in names if not re.fullmatch(r"[a-z0-9-]+\.(added|changed|fixed|removed)\.md", n)] == []
