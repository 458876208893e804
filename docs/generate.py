"""Write what the code knows better than people: the names, and the docstrings of the seams and errors.

``python docs/generate.py`` also renews the table of names in README.md.
"""

from __future__ import annotations

import ast
import io
import pathlib
import re

import xaicore

DOCS = pathlib.Path(__file__).parent
ROOT = DOCS.parent
GENERATED = DOCS / "reference" / "generated"
TABLE = re.compile(r"(<!-- names: begin -->\n).*(<!-- names: end -->)", re.DOTALL)


def printed_table() -> str:
    """Return what ``xaicore list`` prints into a pipe."""
    from click.testing import CliRunner

    from xaicore.cli.group import group

    result = CliRunner().invoke(group, ["list"])
    if result.exit_code:
        raise SystemExit(f"`xaicore list` failed:\n{result.output}")
    return "\n".join(line.rstrip() for line in result.output.strip("\n").splitlines())


def readme_with_names(text: str) -> str:
    """Return the README's text with the table of names as it is printed now."""
    block = f"```text\n{printed_table()}\n```\n"
    return TABLE.sub(lambda found: found[1] + block + found[2], text)


def names_page() -> str:
    """Return a page with every registered name: summary, formula, parameters set, publications."""
    page = io.StringIO()
    page.write("# Names\n\nEvery name that the distributions of this repository register, by kind.\n")
    rows = sorted(xaicore.available(), key=lambda row: (row.declaration.kind, row.name))
    kind = None
    for row in rows:
        declared = row.declaration
        if declared.kind != kind:
            kind = declared.kind
            page.write(f"\n## Kind `{kind}`\n")
        page.write(f"\n### `{row.name}`\n\n{declared.summary}\n\n")
        if declared.formula:
            page.write(f"```text\n{declared.formula}\n```\n\n")
        page.write(f"- from `{row.distribution}`, made by `{declared.factory}`\n")
        if declared.preset:
            page.write("- sets " + ", ".join(f"`{key}={value!r}`" for key, value in declared.preset.items()) + "\n")
        also = [*filter(None, [declared.short]), *declared.aliases]
        if also:
            page.write("- also known as " + ", ".join(f"`{name}`" for name in also) + "\n")
        if declared.cites:
            page.write("- cites " + ", ".join(f"`{key}`" for key in declared.cites) + "\n")
    return page.getvalue()


def docstrings_page(title: str, module: pathlib.Path, introduction: str) -> str:
    """Return a page with the docstrings of a module's classes and of their methods, as they stand in the code."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    page = io.StringIO()
    page.write(f"# {title}\n\n{introduction}\n\n```text\n{ast.get_docstring(tree)}\n```\n")
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        bases = ", ".join(f"`{ast.unparse(base)}`" for base in node.bases)
        page.write(f"\n## `{node.name}`\n\n" + (f"Derives from {bases}.\n\n" if bases else ""))
        page.write(f"```text\n{ast.get_docstring(node)}\n```\n")
        for method in node.body:
            if isinstance(method, ast.FunctionDef) and (text := ast.get_docstring(method)):
                returns = f" -> {ast.unparse(method.returns)}" if method.returns else ""
                page.write(f"\n`{method.name}({ast.unparse(method.args)}){returns}`\n\n```text\n{text}\n```\n")
    return page.getvalue()


def write() -> None:
    """Write all generated pages."""
    core = ROOT / "xaicore"
    pages = {
        "names": names_page(),
        "protocols": docstrings_page("Protocols", core / "protocols.py", "The seams, from `xaicore.protocols`."),
        "errors": docstrings_page("Errors", core / "errors.py", "All errors, from `xaicore.errors`."),
        "hooks": hooks_page(core / "hookspecs.py"),
    }
    GENERATED.mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        (GENERATED / f"{name}.md").write_text(text, encoding="utf-8")


def hooks_page(module: pathlib.Path) -> str:
    """Return a page with the hooks that a plugin can implement."""
    page = io.StringIO()
    page.write("# Hooks\n\nWhat a plugin can implement, from `xaicore.hookspecs`.\n")
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("xaicore_"):
            returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
            page.write(f"\n## `{node.name}({ast.unparse(node.args)}){returns}`\n\n")
            page.write(f"```text\n{ast.get_docstring(node)}\n```\n")
    return page.getvalue()


if __name__ == "__main__":
    write()
    readme = ROOT / "README.md"
    readme.write_text(readme_with_names(readme.read_text(encoding="utf-8")), encoding="utf-8")
