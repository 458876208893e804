"""What the script of every peer shares: the exported data, checks, clocks, one JSON document on stdout.

Runs in environments that have no part of xaicore, so it imports NumPy and the standard library only.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import pathlib
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any, NamedTuple

import numpy as np

TARGET = 3  # the logit that all methods explain

# Measured on the networks here, float32 of three frameworks differs by 1e-6 of the largest output, as sums of at most
# 25088 terms in another order do; a wrong weight, layout or activation changes outputs by their own size.
OUTPUTS_AGREE = 1e-4
# Where an activation is zero up to rounding, one framework passes a gradient and another does not.  One such unit among
# n active ones of a dense layer is 1 / sqrt(n) of a sample's gradient: 2 % in VGG16, 12 % in the small network, where
# 256 samples share it.  So the whole is compared and some such units are allowed, |a - b|_2 <= 0.1 |b|_2.  The gradient
# of another logit, or with the image's axes in another order, is at 1 or above.
GRADIENTS_AGREE = 0.1

Arrays = Mapping[str, np.ndarray]
Run = Callable[[], object]


class NetworkDiffers(ValueError):
    """The network built in a peer's framework is not the one that was exported."""


class TimeOver(BaseException):
    """A row took longer than all rows may; no Exception, so that no library takes it for one of its own."""


class Method(NamedTuple):
    """Row of a peer: the workload's key, what is called, and a function that makes the thing to time."""

    key: str
    label: str
    make: Callable[[], Run]


class Maps(NamedTuple):
    """A peer that attributes: the outputs of its network, its own gradient, channels last, and its methods."""

    outputs: Callable[[], np.ndarray]
    gradient: Callable[[], np.ndarray]
    methods: Sequence[Method]


class Search(NamedTuple):
    """A way to find counterfactuals: find(x, targets) yields them, (some rows, features), in order; nan: none found."""

    key: str
    label: str
    find: Callable[[np.ndarray, np.ndarray], Iterator[np.ndarray]]


class Searches(NamedTuple):
    """A peer that finds counterfactuals: the outputs of its network, and its ways to find them."""

    outputs: Callable[[], np.ndarray]
    methods: Sequence[Search]


class Options(NamedTuple):
    """keys: methods wanted, all where empty.  rounds: at most.  seconds: a method gets no further round after them."""

    keys: Sequence[str]
    rounds: int
    seconds: float


def layers_of(data: Arrays) -> list[dict[str, Any]]:
    """Return the layers in order: kind "conv", "pool", "flatten", "dense"; activation, padding where it has one.

    Of a network that branches also "norm", "relu", "pad", "add", "mean", each with ``inputs``: the numbers of the rows
    that it takes, -1 for the input.
    """
    return json.loads(str(data["layers"]))


# ------------------------------------------------------------------------------------------------- checks and clocks


def check(peer: Maps | Searches, data: Arrays) -> None:
    """Raise NetworkDiffers unless outputs, and the gradient where there is one, are the recorded ones."""
    found, recorded = peer.outputs(), data["outputs"]
    if found.shape != recorded.shape or np.abs(found - recorded).max() > OUTPUTS_AGREE * np.abs(recorded).max():
        raise NetworkDiffers("the network built here does not give the recorded outputs.")
    if isinstance(peer, Maps):
        found, recorded = peer.gradient(), data["gradient"]
        if found.shape != recorded.shape or not _near(found, recorded):
            raise NetworkDiffers("the network built here does not give the recorded gradient.")


def _near(found: np.ndarray, recorded: np.ndarray) -> bool:
    return bool(np.linalg.norm(found - recorded) <= GRADIENTS_AGREE * np.linalg.norm(recorded))


def seconds_of(run: Run) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def resident(*, peak: bool) -> float:
    """Return the megabytes that the process holds, or the most that it held since it was last asked without peak.

    0 where the system does not tell (only Linux does).
    """
    try:
        if not peak:
            pathlib.Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # 5: forget the most so far
        status = pathlib.Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    found = dict(line.split(":", 1) for line in status.splitlines())
    return int(found["VmHWM" if peak else "VmRSS"].split()[0]) / 1024


def in_one_line(error: BaseException) -> str:
    """Return what went wrong in one line that fits a table."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:160]}"


def timed(peer: Maps, options: Options) -> list[dict[str, object]]:
    """Time own gradient and methods in turn, round after round; a method that fails keeps the others going."""
    rows, runs = [], {}
    for method in _wanted(peer.methods, options):
        row = {"key": method.key, "label": method.label, "error": None, "base": [], "seconds": []}
        rows.append(row)
        try:
            start, before = time.perf_counter(), resident(peak=False)
            run = method.make()
            run()
            row["first"] = time.perf_counter() - start
            row["memory"] = max(0, resident(peak=True) - before)
            runs[len(rows) - 1] = run
        except Exception as error:  # noqa: BLE001  # whatever a peer raises is a row of the table
            row["error"] = in_one_line(error)
    for _ in range(options.rounds):
        base = seconds_of(peer.gradient)
        for place, run in runs.items():
            if sum(rows[place]["seconds"]) < options.seconds:
                rows[place]["base"].append(base)
                rows[place]["seconds"].append(seconds_of(run))
    return rows


def searched(peer: Searches, data: Arrays, options: Options) -> list[dict[str, object]]:
    """Find counterfactuals of the other class by each way until its seconds are over; NumPy says which are valid."""
    rows = []
    for method in _wanted(peer.methods, options):
        row: dict[str, object] = {"key": method.key, "label": method.label, "error": None}
        rows.append(row)
        try:
            found, row["seconds"] = np.empty((0, *data["x"].shape[1:])), options.seconds
            with contextlib.suppress(TimeOver):
                row["first"] = _first(method, data, options.seconds)
                found, row["seconds"] = _until(method.find(data["x"], data["targets"]), options.seconds)
            row |= judged(found, data)
        except Exception as error:  # noqa: BLE001  # whatever a peer raises is a row of the table
            row["error"] = in_one_line(error)
    return rows


def _first(method: Search, data: Arrays, seconds: float) -> float:
    """Return the seconds of the first row, which also builds and traces."""
    with _at_most(seconds):
        return seconds_of(lambda: list(method.find(data["x"][:1], data["targets"][:1])))


def _until(found: Iterator[np.ndarray], seconds: float) -> tuple[np.ndarray, float]:
    """Return what came before the time was over, and the time that it took.

    Raises:
        TimeOver: nothing came.
    """
    start, last, parts = time.perf_counter(), 0.0, []
    try:
        with _at_most(seconds):
            for part in found:
                parts.append(part)
                last = time.perf_counter() - start
    except TimeOver:
        if not parts:
            raise
    return np.concatenate(parts), last


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise TimeOver in what runs longer, between two steps of Python."""

    def over(*_: object) -> None:
        raise TimeOver

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def judged(found: np.ndarray, data: Arrays) -> dict[str, object]:
    """Return how many rows there are, and of those that were tried the distances L1 and L2; None: not valid."""
    x, targets = data["x"][: len(found)], data["targets"][: len(found)]
    valid = ~np.isnan(found).any(1) & (mlp(np.nan_to_num(found), data).argmax(1) == targets)
    distances = {f"l{order}": np.linalg.norm(found - x, order, axis=1).tolist() for order in (1, 2)}
    found_or_not = {
        name: [d if v else None for d, v in zip(some, valid, strict=True)] for name, some in distances.items()
    }
    return {"of": len(data["x"]), **found_or_not}


def mlp(x: np.ndarray, data: Arrays) -> np.ndarray:
    """Return the logits of the dense network in float64, whatever a framework says of it."""
    depth = len(layers_of(data))
    for i in range(depth):
        x = x.astype(np.float64) @ data[f"kernel_{i}"] + data[f"bias_{i}"]
        x = np.maximum(x, 0) if i < depth - 1 else x
    return x


def _wanted(methods: Sequence[Method | Search], options: Options) -> list[Method | Search]:
    return [method for method in methods if not options.keys or method.key in options.keys]


# ------------------------------------------------------------------------------------------------- the script


def main(packages: Sequence[str], prepare: Callable[[str, Arrays, Sequence[str]], Maps | Searches]) -> None:
    """Run a peer's script: read the workload, check the network, time, print one JSON document.

    packages: whose versions are told, the peer first.  prepare(workload, data, keys): the peer on this workload.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--workload", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--keys", nargs="*", default=[])
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    given = parser.parse_args()
    options = Options(given.keys, given.rounds, given.seconds)
    document: dict[str, object] = {"versions": {}, "rows": [], "error": None}
    with contextlib.redirect_stdout(sys.stderr):  # libraries print; stdout is for the document alone
        try:
            document["versions"] = {name: metadata.version(name) for name in packages}
            with np.load(given.data, allow_pickle=False) as archive:
                data = dict(archive)
            peer = prepare(given.workload, data, options.keys)
            check(peer, data)
            document["rows"] = timed(peer, options) if isinstance(peer, Maps) else searched(peer, data, options)
        except Exception as error:  # noqa: BLE001  # whatever a peer raises is a row of the table
            document["error"] = in_one_line(error)
    sys.stdout.write(json.dumps(document) + "\n")
