"""Every architecture of keras.applications: planned and traced; the smallest of each family explained.

    python -m benchmarks.sweep [--markdown FILE] [--only NAME ...] [--fresh]

One process per architecture, because each needs gigabytes; results are kept in ``.sweep/``, so that a run that was
stopped goes on where it was.  What failed is tried again, and so is what other code or other versions gave.
``--fresh`` starts anew.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import os
import pathlib
import shutil
import subprocess
import sys
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

KEPT = pathlib.Path(".sweep")
LONGEST = 1200  # seconds for one architecture
# The smallest side that each family takes without its head; the others take 32.
SIZES = {"Inception": 75, "Xception": 71}
# The smallest architecture of each family: these are explained.
EXPLAINED = (
    "ConvNeXtTiny",
    "DenseNet121",
    "EfficientNetB0",
    "EfficientNetV2B0",
    "InceptionResNetV2",
    "InceptionV3",
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Small",
    "NASNetMobile",
    "ResNet50",
    "ResNet50V2",
    "VGG16",
    "Xception",
)
METHODS = {
    "gradient": "gradient",
    "guided": "gradient.guided_backprop",
    "epsilon": "lrp.epsilon",
    "z-plus": "lrp.zplus",
    "alpha2beta1": "lrp.alpha2beta1",
    "ig": "ig(n_steps=4)",
    "gradcam": "cam.gradcam",
}


def architectures() -> list[str]:
    """Return the names of all of keras.applications."""
    import keras

    found = vars(keras.applications)
    return sorted(name for name, value in found.items() if callable(value) and name[:1].isupper())


def one(name: str) -> dict[str, object]:
    """Return what came of one architecture."""
    from benchmarks.sweep_one import every_rule, examined

    size = next((size for family, size in SIZES.items() if name.startswith(family)), 32)
    return examined(name, size, METHODS, every_rule()) if name in EXPLAINED else examined(name, size, {}, ())


def run(names: list[str]) -> None:
    """Examine each in a process of its own, and keep what it says."""
    KEPT.mkdir(exist_ok=True)
    made_by = maker()
    for name in names:
        path = KEPT / f"{name}.json"
        if is_done(path, made_by):
            continue
        command = [sys.executable, "-m", "benchmarks.sweep", "--one", name]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)  # noqa: S603
            lines = done.stdout.strip().splitlines()
            said = json.loads(lines[-1]) if done.returncode == 0 and lines else _failed(name, done.stderr)
        except subprocess.TimeoutExpired:
            said = {"name": name, "failed": f"longer than {LONGEST} s"}
        text = json.dumps({**said, "made_by": made_by})
        partial = path.with_suffix(".part")
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
        print(text[:160], flush=True)


def maker() -> dict[str, str]:
    """Return what results depend on beside the architecture: versions, and a digest of the code."""
    root = pathlib.Path(__file__).parent.parent
    files = [*root.glob("xaicore/**/*.py"), *root.glob("plugins/*/src/**/*.py"), *root.glob("benchmarks/sweep*.py")]
    code = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(files))).hexdigest()[:16]
    return {"code": code, **{name: importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy")}}


def is_done(path: pathlib.Path, made_by: dict[str, str]) -> bool:
    """Return whether a file holds a result of this code and these versions that is no failure."""
    if not path.exists():
        return False
    kept = json.loads(path.read_text(encoding="utf-8"))
    return "failed" not in kept and kept.get("made_by") == made_by


def _failed(name: str, errors: str) -> dict[str, str]:
    lines = [line for line in errors.strip().splitlines() if line.strip()] or ["died without a word"]
    return {"name": name, "failed": lines[-1][:300]}


def table(names: list[str]) -> str:
    """Return the page, from what was kept."""
    import keras
    import tensorflow as tf

    found = [json.loads((KEPT / f"{name}.json").read_text(encoding="utf-8")) for name in names]
    lines = [
        "# Coverage of architectures",
        "",
        "All of `keras.applications` with random weights and small pictures, written by",
        "",
        "```console",
        "make sweep",
        "```",
        "",
        f"TensorFlow {tf.__version__}, Keras {keras.__version__}.",
        "Traced: gradient and LRP-epsilon were traced; the last column counts the operations whose gradient stands in",
        'for a rule, under `on_unsupported="gradient"`.',
        "",
        "Order: the calls are in Keras's own order. Replay: made one by one they give the model's outputs bit by bit.",
        "",
        "| architecture | sites | traced | order | replay | fallbacks of LRP-epsilon |",
        "|---|---|---|---|---|---|",
    ]
    for row in found:
        result = row.get("failed") or "yes"
        fallbacks = row.get("fallbacks", {})
        told = ", ".join(f"{count} {kind}" for kind, count in fallbacks.items()) or "none"
        told_yes = [_yes(row.get(key)) for key in ("order", "replay")]
        lines.append(f"| {row['name']} | {row.get('sites', '')} | {result} | {' | '.join(told_yes)} | {told} |")
    lines += [
        "",
        "## Explained",
        "",
        "One picture each: whether all numbers are finite; what is missing of completeness, relative to the larger of",
        "the score's size and the attributions' sum of sizes; and the time relative to the gradient's.",
        "",
        "| architecture | method | finite | missing | ratio |",
        "|---|---|---|---|---|",
    ]
    for row in found:
        for method, made in row.get("methods", {}).items():
            if "refused" in made:
                lines.append(f"| {row['name']} | {method} | {made['refused']} | | |")
                continue
            missing = "" if made["missing"] is None else f"{made['missing']:.1e}"
            lines.append(f"| {row['name']} | {method} | {_yes(made['finite'])} | {missing} | {made['ratio']:.2f} |")
    return "\n".join([*lines, *rules_table(found)]) + "\n"


def rules_table(found: list[dict[str, Any]]) -> list[str]:
    """Return a table of rules by architectures: what is missing of conservation."""
    some = [row for row in found if row.get("rules")]
    rules = list(dict.fromkeys(rule for row in some for rule in row["rules"]))
    lines = [
        "",
        "## Conservation",
        "",
        "Relevance and sinks minus the score, relative to the larger of the score's size and the relevance's sum of",
        "sizes, in float32, for every rule; a dash: the rule does not conserve.  Overflow: relevance grew past the",
        "largest number of float32, and the figure is that in float64; **no**: not finite in float64 either.",
        "Weights are random and biases large, so that rules that leave biases out divide by what is left after",
        "cancellation, layer after layer.",
        "",
        "| rule | " + " | ".join(row["name"] for row in some) + " |",
        "|---" * (len(some) + 1) + "|",
    ]
    for rule in rules:
        cells = (_missing(row["rules"].get(rule)) for row in some)
        lines.append(f"| {rule} | " + " | ".join(cells) + " |")
    return lines


def _missing(made: dict[str, Any] | None) -> str:
    if made is None:
        return ""
    if not made["finite"]:
        wide = made["wide"]
        return f"overflow ({wide['missing']:.0e})" if wide["finite"] else "**no**"
    return f"{made['missing']:.0e}" if made["claims"] else "-"


def _yes(value: object) -> str:
    return "" if value is None else "yes" if value else "**no**"


def main() -> None:
    """Run what is not there yet, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--markdown", type=pathlib.Path)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(options.one)))
        return
    if options.fresh:
        shutil.rmtree(KEPT, ignore_errors=True)
    names = options.only or architectures()
    run(names)
    if options.markdown:
        options.markdown.write_text(table(names), encoding="utf-8")


if __name__ == "__main__":
    main()
