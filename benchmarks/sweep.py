"""Every architecture of keras.applications: planned and traced; the smallest of each family explained.

    python benchmarks/sweep.py [--markdown FILE] [--only NAME ...] [--fresh]

One process per architecture, because each needs gigabytes; results are kept in ``.sweep/``, so that a run that was
stopped goes on where it was.  ``--fresh`` starts anew.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys

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
    from sweep_one import examined

    size = next((size for family, size in SIZES.items() if name.startswith(family)), 32)
    return examined(name, size, METHODS if name in EXPLAINED else {})


def run(names: list[str]) -> None:
    """Examine each in a process of its own, and keep what it says."""
    KEPT.mkdir(exist_ok=True)
    for name in names:
        path = KEPT / f"{name}.json"
        if path.exists():
            continue
        command = [sys.executable, __file__, "--one", name]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)  # noqa: S603
            lines = done.stdout.strip().splitlines()
            said = lines[-1] if done.returncode == 0 and lines else _failed(name, done.stderr)
        except subprocess.TimeoutExpired:
            said = json.dumps({"name": name, "failed": f"longer than {LONGEST} s"})
        partial = path.with_suffix(".part")
        partial.write_text(said, encoding="utf-8")
        partial.replace(path)
        print(said[:160], flush=True)


def _failed(name: str, errors: str) -> str:
    lines = [line for line in errors.strip().splitlines() if "Error" in line] or ["died without a word"]
    return json.dumps({"name": name, "failed": lines[-1][:300]})


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
        "| architecture | sites | traced | fallbacks of LRP-epsilon |",
        "|---|---|---|---|",
    ]
    for row in found:
        result = row.get("failed") or "yes"
        fallbacks = row.get("fallbacks", {})
        told = ", ".join(f"{count} {kind}" for kind, count in fallbacks.items()) or "none"
        lines.append(f"| {row['name']} | {row.get('sites', '')} | {result} | {told} |")
    lines += [
        "",
        "## Explained",
        "",
        "One picture each: whether all numbers are finite; what is missing of conservation (attributions and sinks",
        "minus the score) or completeness, relative to the larger of the score's size and the attributions' sum of",
        "sizes; and the time relative to the gradient's.",
        "",
        "| architecture | method | finite | missing | ratio | fallbacks |",
        "|---|---|---|---|---|---|",
    ]
    for row in found:
        for method, made in row.get("methods", {}).items():
            missing = "" if made["missing"] is None else f"{made['missing']:.1e}"
            lines.append(
                f"| {row['name']} | {method} | {'yes' if made['finite'] else '**no**'} | {missing} "
                f"| {made['ratio']:.2f} | {made['fallbacks']} |"
            )
    return "\n".join(lines) + "\n"


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
