"""The documents say what the code does."""

from __future__ import annotations

import importlib.util
import pathlib
import re
import tomllib

import pytest

import xaicore
from xaicore import errors

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


def layers() -> list[set[str]]:
    """Return the layers of the core as import-linter checks them, from the lowest."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (found,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    return [set(layer.split(" : ")) for layer in reversed(found)]


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/explanation/architecture.md"])
def test_the_order_of_imports_in_documents_is_the_one_that_is_checked(page: str) -> None:
    (drawn,) = re.findall(r"```text\n(errors.*?)```", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)

    assert [set(re.findall(r"\w+", layer)) for layer in drawn.split("<-")] == layers()


def test_the_table_of_distributions_lists_every_plugin() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text[text.index("## Install") :]

    assert [p.name for p in (ROOT / "plugins").iterdir() if f"| `{p.name}` |" not in table] == []


def test_the_tree_of_errors_is_the_one_of_the_classes() -> None:
    """Each class below its group, with the other classes that it derives from."""
    tree, group = {}, ""
    for line in errors.__doc__.splitlines():
        branch = re.fullmatch(r"(    |    │   |        )[├└]── (.*)", line)
        if branch is None:
            group = line.strip() if line.startswith("    ") else group
            continue
        inside = branch[1] != "    "
        entries = re.findall(r"(\w+)(?: \(([\w, ]+)\))?", branch[2])
        for name, others in entries:
            tree[name] = {*others.split(", "), inside and group} - {"", False}
        if not inside:
            group = entries[0][0]

    found = {
        name: {base.__name__ for base in one.__bases__} - {"XaicoreError"}
        for name, one in vars(errors).items()
        if isinstance(one, type) and one.__module__ == errors.__name__ and one is not errors.XaicoreError
    }
    grouped = {name: {base for base in bases if base in tree} for name, bases in tree.items()}
    assert tree.keys() == found.keys()
    for name, bases in found.items():
        assert bases <= tree[name], name
        assert grouped[name] <= {one.__name__ for one in getattr(errors, name).__mro__}, name
