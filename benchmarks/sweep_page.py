"""The page of the sweep, from what was kept of each architecture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Cell = Callable[[dict[str, Any]], str]

HEAD = """# Coverage of architectures

All of `keras.applications` with random weights and small pictures, written by

```console
make sweep
```

{versions}
Traced: gradient and LRP-epsilon were traced; the last column counts the operations whose gradient stands in
for a rule, under `on_unsupported="gradient"`.

Order: the calls are in Keras's own order. Replay: made one by one they give the model's outputs bit by bit.

| architecture | sites | traced | order | replay | fallbacks of LRP-epsilon |
|---|---|---|---|---|---|"""

EXPLAINED = """
## Explained

The smallest architecture of each family, one picture each. Weights are random, of a size that keeps signals as large
as they are; batch normalization has the means and deviations of 16 other pictures; biases are random and small.
Scores then come from the picture, as in a trained network, and not from the biases of the last layers.

Finite: all numbers are. Missing: what is missing of completeness, relative to the larger of the score's size and the
attributions' sum of sizes. Ratio: time relative to the gradient's, one thread each.

| architecture | method | finite | missing | ratio |
|---|---|---|---|---|"""

CONSERVED = """
## Conservation

Every rule and composite of LRP, in float32, under `on_unsupported="raise"`: no operation may fall back to its
gradient, and a name in a cell is the error of one that would. What is missing is relevance and sinks minus the score,
relative to the larger of the score's size and the relevance's sum of sizes. A dash: the rule is finite, and by its
definition does not conserve. Overflow: relevance grew past the largest number of float32, and the figure is that in
float64; why is told [below](#not-finite-in-float32). **no**: not finite in float64 either.
"""

SHARES = """
## What reaches the input

First what reaches the input, as a multiple of the score; the rest went to biases and stabilisers. 1 is all of it, 1e-5
next to nothing; a large number says that parts of both signs cancel. Behind it in brackets, for rules that conserve,
what is missing, relative to the score alone. Float32 keeps seven digits, so that figure is rounding times growth:
where relevance grew to 1e16 times the score, relevance and sinks no longer sum to the score in any useful sense,
however small the figure of the first table. In italics: taken in float64, for cells that overflow.
"""

OVERFLOW = """
## Not finite in float32

Growth: the sum of sizes of the relevance of the input, as a multiple of the score, in float64; and the same for the
same network with all biases, and what batch normalization subtracts and adds, at zero. Float32 ends at 3e38.

* `lrp.epsilon_ignore_bias`, `lrp.z_ignore_bias`: a convolution before a batch normalization gets relevance in
  proportion to `y = s z + b`, and divides it by `z`, as `b` is left out. Where `z` crosses zero `y` does not,
  and relevance grows by some factor at each layer. Without shifts nothing grows: it is the rule, not rounding.
  Use `lrp.epsilon` or `lrp.z`, which divide by `y`.
* `lrp.zplus_fast`: divides by `x W+` with inputs `x` of both signs, which crosses zero likewise. `lrp.zplus` tells the
  signs apart, and is finite.
* Rules with alpha and beta: each layer makes `alpha + beta` of one, so that the sum of sizes can grow by that factor
  at each layer. Composites use them for convolutions only, and zennit's stabilise them.

| rule | architecture | growth | growth without shifts |
|---|---|---|---|"""


def page(found: Sequence[dict[str, Any]], versions: str) -> str:
    """Return the page as Markdown."""
    lines = [HEAD.format(versions=versions), *(_traced(row) for row in found), EXPLAINED]
    lines += [line for row in found for line in _explained(row)]
    ruled = [row for row in found if row.get("rules")]
    lines += [CONSERVED, *_crossed(ruled, _missing), SHARES, *_crossed(ruled, _share)]
    overflown = list(_overflown(ruled))
    if overflown:
        lines += [OVERFLOW, *overflown]
    return "\n".join(lines) + "\n"


def _traced(row: dict[str, Any]) -> str:
    result = row.get("failed") or "yes"
    fallbacks = row.get("fallbacks", {})
    told = ", ".join(f"{count} {kind}" for kind, count in fallbacks.items()) or "none"
    told_yes = [_yes(row.get(key)) for key in ("order", "replay")]
    return f"| {row['name']} | {row.get('sites', '')} | {result} | {' | '.join(told_yes)} | {told} |"


def _explained(row: dict[str, Any]) -> list[str]:
    lines = []
    for method, made in row.get("methods", {}).items():
        if "refused" in made:
            lines.append(f"| {row['name']} | {method} | {made['refused']} | | |")
            continue
        missing = "" if made["missing"] is None else f"{made['missing']:.1e}"
        lines.append(f"| {row['name']} | {method} | {_yes(made['finite'])} | {missing} | {made['ratio']:.2f} |")
    return lines


def _crossed(found: Sequence[dict[str, Any]], cell: Cell) -> list[str]:
    """Return a table of rules by architectures."""
    rules = list(dict.fromkeys(rule for row in found for rule in row["rules"]))
    lines = ["| rule | " + " | ".join(row["name"] for row in found) + " |", "|---" * (len(found) + 1) + "|"]
    for rule in rules:
        cells = (cell(row["rules"][rule]) if rule in row["rules"] else "" for row in found)
        lines.append(f"| {rule} | " + " | ".join(cells) + " |")
    return lines


def _missing(made: dict[str, Any]) -> str:
    if "refused" in made:
        return str(made["refused"])
    fell = f" {made['fallbacks']} fell back" if made["fallbacks"] else ""
    if not made["finite"]:
        wide = made["wide"]
        if not wide.get("finite"):
            return f"**no**{fell}"
        return f"overflow ({wide['missing']:.0e}){fell}" if made["claims"] else f"overflow (-){fell}"
    return (f"{made['missing']:.0e}" if made["claims"] else "-") + fell


def _share(made: dict[str, Any]) -> str:
    taken = made if made.get("finite") else made.get("wide", {})
    if not taken.get("finite"):
        return ""
    missing = f" ({taken['of_score']:.0e})" if taken["claims"] else ""
    told = f"{taken['share']:.2g}{missing}"
    return told if taken is made else f"*{told}*"


def _overflown(found: Sequence[dict[str, Any]]) -> list[str]:
    lines = [
        f"| {rule} | {row['name']} | {_grown(made['wide'])} | {_grown(made['unshifted'])} |"
        for row in found
        for rule, made in row["rules"].items()
        if "wide" in made
    ]
    return sorted(lines)


def _grown(made: dict[str, Any]) -> str:
    return str(made.get("refused") or (f"{made['grown']:.0e}" if made["finite"] else "**not finite**"))


def _yes(value: object) -> str:
    return "" if value is None else "yes" if value else "**no**"
