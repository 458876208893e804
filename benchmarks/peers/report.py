"""The lines of a run as Markdown: a full table for the documentation, a small one for the README."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from benchmarks.peers.results import Line, Search

BEGIN, END = "<!-- peers -->", "<!-- /peers -->"
TITLES = {
    "W1": "VGG16 with random weights, 224 x 224, batch 4",
    "W2": "ResNet50 with random weights, 224 x 224, batch 4",
    "W3": "CNN 28 x 28, batch 256",
    "W4": "Integrated gradients of 50 points, CNN 28 x 28, 256 images",
    "W5": "Counterfactuals, breast cancer data, multilayer perceptron 30-32-16-2",
}
SHORT = {"W1": "VGG16, 4 images", "W2": "ResNet50, 4 images", "W3": "CNN, 256 images", "W4": "CNN, 256 images"}
ABOUT = (
    "How many times longer a method takes in other libraries than here, on the same weights and inputs;\n"
    "`docs/explanation/peers.md` has the seconds, the ratios to each library's own gradient, and how it was measured."
)
TIMED = (
    "| method | peer | what is called there | seconds | to its own gradient [min..max] | to xaicore's gradient | MB "
    "| xaicore, seconds | to its own gradient | MB | peer / xaicore |\n|---|---|---|---|---|---|---|---|---|---|---|"
)
SEARCHED = (
    "| library | what is called there | rows done | rows per second | valid | median L1 | median L2 "
    "| xaicore's on the same rows: L1 | L2 |\n|---|---|---|---|---|---|---|---|---|"
)


class MarkersMissing(ValueError):
    """A document has not exactly one place for the table."""


def put(text: str, table: str, name: str = "the document") -> str:
    """Return the text with the table between its two markers."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise MarkersMissing(
            f"Given {name}; expected one {BEGIN} and, after it, one {END}. Add them where the table goes."
        )
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table.strip()}\n{END}{rest.split(END)[1]}"


def sections(text: str, lines: Sequence[Line], heading: str, name: str = "the document") -> str:
    """Return the text with the sections of a part of the workloads in their places, each under its own paragraph.

    Those of other workloads, and the paragraph above all, stay as they are.
    """
    put(text, "", name)
    top, *old = text.split(BEGIN)[1].split(END, maxsplit=1)[0].strip().split("\n## ")
    found = {title: body for title, _, body in (section.partition("\n") for section in old)}
    for workload in dict.fromkeys(line.workload for line in lines):
        found[TITLES[workload]] = "\n" + "\n".join([heading, "", *_table(lines, workload)]) + "\n"
    known = [title for title in TITLES.values() if title in found]
    parts = [f"## {title}\n{found[title].rstrip()}\n" for title in known]
    return put(text, "\n".join([top.rstrip() + "\n", *parts]), name)


def full(lines: Sequence[Line], heading: str) -> str:
    """Return a table per workload, under a paragraph that says when and how."""
    parts = [heading]
    for workload, title in TITLES.items():
        if any(line.workload == workload for line in lines):
            parts.append("\n".join([f"## {title}", "", *_table(lines, workload)]))
    return "\n\n".join(parts) + "\n"


def _table(lines: Sequence[Line], workload: str) -> list[str]:
    some = [line for line in lines if line.workload == workload]
    return _searched(some) if workload == "W5" else [TIMED, *(_timed(line) for line in some)]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _number(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _timed(line: Line) -> str:
    peer = f"{line.peer} {line.version}".strip()
    key = f"`{line.key}`" if line.key else "all"
    if line.error or line.own is None:
        return f"| {key} | {peer} | failed: {_cell(line.error or 'no round was run')} | | | | | | | | |"
    middle, least, largest = line.own
    ours = (
        _number(line.ours, 3),
        _number(line.ours_own),
        _number(line.ours_memory, 0),
        f"**{_number(line.to_method)}**",
    )
    if line.ours is None:
        ours = (_cell(line.ours_error or "not run"), "", "", "")
    cells = (key, peer, _cell(line.label), _number(line.seconds, 3), f"{middle:.2f} [{least:.2f}..{largest:.2f}]")
    return "| " + " | ".join((*cells, _number(line.to_ours), _number(line.memory, 0), *ours)) + " |"


def _searched(lines: Sequence[Line]) -> list[str]:
    rows = [SEARCHED, *(_search(line, line.search, line.ours_search, line.error) for line in lines)]
    found = {line.key: line for line in reversed(lines) if line.ours_search or line.ours_error}
    for key, ours in sorted(found.items()):
        xaicore = attrs.evolve(ours, peer="xaicore", version="", label=f"`{key}`")
        rows.append(_search(xaicore, ours.ours_search, None, ours.ours_error))
    return rows


def _search(line: Line, found: Search | None, ours: Search | None, error: str | None) -> str:
    start = f"| {f'{line.peer} {line.version}'.strip()} | {_cell(line.label)} | "
    if found is None or error:
        return f"{start}failed: {_cell(error or 'not run')} | | | | | | |"
    done = f"{found.rows} of {found.of}" + (" (time over)" if found.rows < found.of else "")
    if not found.rows:
        return f"{start}none in {found.seconds:.0f} s | | | | | | |"
    distances = [found.median("l1"), found.median("l2")]
    distances += [ours.median("l1", found), ours.median("l2", found)] if ours else [None, None]
    cells = (done, f"{found.speed:.2f}", f"{found.valid:.0%}", *(_number(distance) for distance in distances))
    return start + " | ".join(cells) + " |"


def brief(lines: Sequence[Line], heading: str) -> str:
    """Return one table: what a method takes in each peer, as a multiple of xaicore's time; of variants the fastest."""
    timed = [line for line in lines if line.to_method]
    peers = sorted({line.peer for line in timed})
    rows = ["| method | " + " | ".join(("xaicore, s", *peers)) + " |", "|---" * (len(peers) + 2) + "|"]
    for workload, key in dict.fromkeys((line.workload, line.key) for line in timed):
        same = [line for line in timed if (line.workload, line.key) == (workload, key)]
        best = {p: min((line.to_method for line in same if line.peer == p), default=None) for p in peers}
        shown = (f"{best[p]:.1f}x" if best[p] else "" for p in peers)
        rows.append(f"| `{key}`, {SHORT[workload]} | " + " | ".join((_number(same[0].ours, 3), *shown)) + " |")
    paragraphs = (ABOUT, heading, "\n".join(rows) if timed else "", _speeds(lines))
    return "\n\n".join(part for part in paragraphs if part) + "\n"


def _speeds(lines: Sequence[Line]) -> str:
    """Return a sentence on the search for counterfactuals: rows per second, of each peer's ways the fastest."""
    found = [("xaicore", line.ours_search) for line in lines] + [(line.peer, line.search) for line in lines]
    speeds: dict[str, float] = {}
    for name, search in found:
        if search and search.rows:
            speeds[name] = max(speeds.get(name, 0), search.speed)
    if "xaicore" not in speeds:
        return ""
    return "Counterfactuals per second: " + ", ".join(f"{name} {speed:.2f}" for name, speed in speeds.items()) + "."
