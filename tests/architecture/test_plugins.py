"""Plugins look alike: who knows one knows all."""

from __future__ import annotations

import difflib
import pathlib
import re
import tomllib

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PLUGINS = sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))
OWN_LINES = 4  # name, description, entry point, package


def headings(text: str) -> list[str]:
    """Return the headings of a Markdown text below its title, without those inside code."""
    return re.findall(r"^##+ .*$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), flags=re.MULTILINE)


def test_there_are_plugins():
    assert len(PLUGINS) >= 2


@pytest.mark.parametrize("plugin", PLUGINS[1:], ids=lambda path: path.name)
def test_pyproject_differs_in_four_lines(plugin):
    first, this = ((path / "pyproject.toml").read_text().splitlines() for path in (PLUGINS[0], plugin))

    # What a plugin needs beside the core is its own affair.
    changed = [
        line for line in difflib.ndiff(first, this) if line.startswith("+ ") and not line.startswith("+ dependencies")
    ]

    assert len(first) == len(this)
    assert len(changed) == OWN_LINES


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_a_plugin_declares_one_family_by_its_name(plugin):
    family = plugin.name.removeprefix("xaicore-")
    project = tomllib.loads((plugin / "pyproject.toml").read_text())["project"]

    assert project["name"] == plugin.name
    assert project["entry-points"] == {"xaicore": {family: f"xaicore_{family}.plugin"}}
    assert "xaicore" in project["dependencies"]


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_a_plugin_has_the_files_of_a_plugin(plugin):
    package = plugin / "src" / plugin.name.replace("-", "_")

    assert {"__init__.py", "plugin.py", "table.py", "py.typed"} <= {path.name for path in package.iterdir()}
    assert list((plugin / "tests").glob("test_*.py"))
    assert (plugin / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert headings((plugin / "README.md").read_text()) == headings((PLUGINS[0] / "README.md").read_text())
