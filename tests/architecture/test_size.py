"""Analyzer classes stay few and small: what is over the plan stands in a table with its reason, and does not grow."""

from __future__ import annotations

import ast
import pathlib
import re

ROOT = pathlib.Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "architecture.md"
SOURCES = [*(ROOT / "xaicore").rglob("*.py"), *(ROOT / "plugins").glob("*/src/**/*.py")]
MOST_CLASSES = 23


def own_lines(one: ast.ClassDef, source: list[str]) -> int:
    """Return the lines of a class without docstrings, comments and blank lines."""
    said: set[int] = set()
    for node in ast.walk(one):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            said.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    first = min(part.lineno for part in (one, *one.decorator_list))
    numbers = set(range(first, (one.end_lineno or 0) + 1)) - said
    return sum(1 for number in numbers if re.match(r"\s*[^\s#]", source[number - 1]))


def analyzers() -> dict[str, int]:
    """Return the lines of every public class that has an ``attribute`` of its own."""
    found = {}
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        for one in ast.walk(ast.parse(text)):
            if not isinstance(one, ast.ClassDef) or one.name in {"Analyzer", "AnalyzerBase"} or one.name[0] == "_":
                continue
            if any(isinstance(part, ast.FunctionDef) and part.name == "attribute" for part in one.body):
                found[one.name] = own_lines(one, text.splitlines())
    return found


def test_analyzer_classes_do_not_get_more() -> None:
    """A method is a row; a further class has to take the place of one."""
    assert len(analyzers()) <= MOST_CLASSES


def test_analyzer_classes_do_not_grow() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    ceilings = {name: int(lines) for name, lines in rows}
    found = analyzers()

    assert ceilings.keys() == found.keys()
    assert {name: lines for name, lines in found.items() if lines > ceilings[name]} == {}


def test_lines_are_counted_without_what_is_said() -> None:
    text = '''@one
class A:
    """Said."""

    x = 1  # counted

    # not counted
    def f(self):
        """Said,

        at length.
        """
        return (
            1
        )
'''
    (one,) = ast.parse(text).body
    assert isinstance(one, ast.ClassDef)
    assert own_lines(one, text.splitlines()) == 7
