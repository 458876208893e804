"""The documents say what the code does."""

from __future__ import annotations

import importlib.util
import pathlib
import re

import pytest

import xaicore

ROOT = pathlib.Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*/*.md"))]


@pytest.fixture(scope="module")
def generate():
    """Return the module docs/generate.py, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_readme_shows_what_xaicore_list_prints(generate):
    """`python docs/generate.py` renews it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    assert generate.readme_with_names(text) == text


def test_every_name_is_in_the_reference(generate):
    import xaicore

    page = generate.names_page()

    assert [row.name for row in xaicore.available() if f"### `{row.name}`" not in page] == []


def test_files_named_in_contributing_are_there():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    core = re.findall(r"^  (\w+\.py|\w+/) ", text, flags=re.MULTILINE)
    named = re.findall(r"`((?!changelog\.d)[\w./-]+/[\w./-]+\.(?:py|md|toml))`", text)

    assert [name for name in core if not (ROOT / "xaicore" / name).exists()] == []
    assert [name for name in named if not any((base / name).exists() for base in (ROOT, ROOT / "xaicore"))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_make_targets_named_in_documents_exist(page):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = re.findall(r"(?:^|`)make ([a-z][a-z-]*)", page.read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert [name for name in named if not re.search(rf"^{name}:", makefile, flags=re.MULTILINE)] == []


def test_every_cited_key_is_in_the_list_of_references() -> None:
    text = (ROOT / "docs" / "reference" / "references.md").read_text(encoding="utf-8")

    missing = {key for row in xaicore.available() for key in row.declaration.cites if f"`{key}`" not in text}

    assert missing == set()
