"""Every architecture of keras.applications: planned and traced; the smallest of each family explained.

    python -m benchmarks.sweep [--markdown FILE] [--only NAME ...] [--fresh] [--jobs N]

One process per architecture, two at once, because each needs gigabytes; results are kept in ``.sweep/``, so that a
run that was stopped goes on where it was.  What failed is tried again, and so is what other code or other versions
gave.
``--fresh`` starts anew.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import hashlib
import importlib.metadata
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

KEPT = pathlib.Path(".sweep")
LONGEST = 2400  # seconds for one architecture
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
    from benchmarks.sweep_one import examined
    from benchmarks.sweep_rules import every_rule

    size = next((size for family, size in SIZES.items() if name.startswith(family)), 32)
    return examined(name, size, METHODS, every_rule()) if name in EXPLAINED else examined(name, size, {}, ())


def run(names: list[str], jobs: int) -> None:
    """Examine each in a process of its own, and keep what it says."""
    KEPT.mkdir(exist_ok=True)
    made_by = maker()
    # What takes longest first, so that no process is left alone at the end.
    missing = [name for name in names if not is_done(KEPT / f"{name}.json", made_by)]
    missing.sort(key=lambda name: name not in EXPLAINED)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for _ in pool.map(lambda name: keep(name, made_by), missing):
            pass


def keep(name: str, made_by: dict[str, str]) -> None:
    """Examine one in a process of its own, and write what it says."""
    command = [sys.executable, "-m", "benchmarks.sweep", "--one", name]
    start, threads = time.monotonic(), {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    try:
        done = subprocess.run(  # noqa: S603  # this file again
            command, capture_output=True, text=True, timeout=LONGEST, check=False, env={**os.environ, **threads}
        )
        lines = done.stdout.strip().splitlines()
        said = json.loads(lines[-1]) if done.returncode == 0 and lines else _failed(name, done.stderr)
    except subprocess.TimeoutExpired:
        said = {"name": name, "failed": f"longer than {LONGEST} s"}
    path = KEPT / f"{name}.json"
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps({**said, "made_by": made_by}), encoding="utf-8")
    partial.replace(path)
    print(f"{name}: {said.get('failed', 'done')}, {time.monotonic() - start:.0f} s", flush=True)


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
    from benchmarks.sweep_page import page

    found = [json.loads((KEPT / f"{name}.json").read_text(encoding="utf-8")) for name in names]
    told = {name: importlib.metadata.version(name) for name in ("tensorflow", "keras")}
    return page(found, f"TensorFlow {told['tensorflow']}, Keras {told['keras']}.")


def main() -> None:
    """Run what is not there yet, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--markdown", type=pathlib.Path)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once, of one thread each")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(options.one)))
        return
    if options.fresh:
        shutil.rmtree(KEPT, ignore_errors=True)
    names = options.only or architectures()
    run(names, options.jobs)
    if options.markdown:
        options.markdown.write_text(table(names), encoding="utf-8")


if __name__ == "__main__":
    main()
