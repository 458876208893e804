"""xaicore beside its peers, each in an environment of its own: the same weights, the same inputs, one run.

    python -m benchmarks.peers.run [--large] [--rounds N] [--passes N] [--seconds N] [--dry]
                                   [--workloads W ...] [--peers NAME ...] [--methods EXPRESSION ...]

A peer's script and ours run after each other, pass after pass; within a script the own gradient and the methods run in
turn, round after round.  Writes the tables into docs/explanation/peers.md and README.md; a run of some workloads,
peers or methods writes the sections of its workloads in docs/explanation/peers.md alone.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import pathlib
import platform
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import attrs

from benchmarks.peers import environments, keys, report, results

PAGES = (environments.ROOT / "docs" / "explanation" / "peers.md", environments.ROOT / "README.md")
OURS = "ours"


@attrs.frozen
class Peer:
    """A library: the name of its distribution and of its script, its environment, the workloads that it is for."""

    name: str
    environment: str
    workloads: tuple[str, ...]


PEERS = (
    Peer("innvestigate", "tf214", ("W1", "W2", "W3", "W4")),
    Peer("zennit", "torch", ("W1", "W2", "W3", "W4")),
    Peer("captum", "torch", ("W1", "W2", "W3", "W4")),
    Peer("xplique", "xplique", ("W3", "W4")),
    Peer("alibi", "tf214", ("W4", "W5")),
    Peer("ceml", "tf214", ("W5",)),
    Peer("dice_ml", "tf214", ("W5",)),
)
METHODS = [value for name, value in vars(keys).items() if name.isupper()]
TABULAR = "tf214"  # the environment whose scikit-learn gives the data of W5


@attrs.frozen
class Runner:
    """How scripts are run: rounds and seconds as the scripts take them, data files by workload, interpreters.

    methods: expressions that the peers are asked for; all where there are none.
    """

    rounds: int
    seconds: float
    limit: float
    methods: Sequence[str] = ()
    data: dict[str, pathlib.Path | str] = attrs.field(factory=dict)
    pythons: dict[str, pathlib.Path | str] = attrs.field(factory=dict)

    def run(self, script: str, environment: str | None, workload: str, keys: Sequence[str] = ()) -> results.Outcome:
        """Run a script on a workload; a text in place of a file or an interpreter says why there is none."""
        python = sys.executable if environment is None else self.pythons[environment]
        data = self.data[workload]
        for there in (python, data):
            if isinstance(there, str) and there != sys.executable:
                return results.Outcome(error=there)
        command = [str(python), "-m", f"benchmarks.peers.{script}", "--workload", workload, "--data", str(data)]
        command += ["--rounds", str(self.rounds), "--seconds", str(self.seconds), "--keys", *keys]
        return ran(command, self.limit)


def ran(command: Sequence[str], limit: float) -> results.Outcome:
    """Return what a script said, or that it did not end in time."""
    surroundings = os.environ | {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",
        "KERAS_BACKEND": "tensorflow",
    }
    try:
        done = subprocess.run(  # noqa: S603  # our own words
            command, capture_output=True, text=True, check=False, timeout=limit, cwd=environments.ROOT, env=surroundings
        )
    except subprocess.TimeoutExpired:
        return results.Outcome(error=f"stopped after {limit:.0f} s")
    return results.parsed(done.stdout, done.stderr, done.returncode)


def interpreters(peers: Sequence[Peer]) -> dict[str, pathlib.Path | str]:
    """Return the interpreter of every environment that is needed, or why there is none."""
    found: dict[str, pathlib.Path | str] = {}
    for name in dict.fromkeys(peer.environment for peer in peers):
        say(f"environment {name}")
        try:
            found[name] = environments.python_of(name)
        except (environments.EnvironmentFailed, OSError) as error:
            found[name] = f"set-up failed: {error}"
    return found


def files(
    names: Sequence[str], folder: pathlib.Path, pythons: dict[str, pathlib.Path | str]
) -> dict[str, pathlib.Path | str]:
    """Return the file of every workload, or why there is none."""
    from benchmarks.peers import workloads

    found: dict[str, pathlib.Path | str] = {}
    for name in names:
        say(f"weights and inputs of {name}")
        source = folder / "breast_cancer.npz"
        try:
            if name == "W5":
                command = [str(pythons[TABULAR]), "-m", "benchmarks.peers.breast_cancer", str(source)]
                subprocess.run(command, check=True, capture_output=True, cwd=environments.ROOT)  # noqa: S603  # our own words
            found[name] = workloads.write(name, folder, source)
        except (OSError, subprocess.CalledProcessError) as error:
            found[name] = f"no data: {type(error).__name__}"
    return found


def compared(peers: Sequence[Peer], names: Sequence[str], passes: int, runner: Runner) -> list[results.Pair]:
    """Run every peer, and xaicore after it with the same methods, pass after pass."""
    pairs = []
    for number in range(passes):
        for workload in names:
            for peer in (peer for peer in peers if workload in peer.workloads):
                say(f"pass {number + 1}, {workload}, {peer.name}")
                theirs = runner.run(peer.name, peer.environment, workload, runner.methods)
                keys = list(dict.fromkeys(row.key for row in theirs.rows))
                ours = runner.run(OURS, None, workload, keys) if keys else results.Outcome()
                pairs.append(results.Pair(workload, peer.name, theirs, ours))
    return pairs


def heading(runner: Runner, passes: int, pairs: Sequence[results.Pair], command: str = "make bench-peers") -> str:
    """Return the paragraph above the tables: when, with what, where."""
    found = next((pair.ours.versions for pair in pairs if pair.ours.versions), {})
    versions = ", ".join(f"{name} {version}" for name, version in found.items()) or "xaicore did not run"
    frameworks = {f"{n} {v}" for pair in pairs for n, v in pair.theirs.versions.items() if n in {"tensorflow", "torch"}}
    return (
        f"{dt.datetime.now(dt.UTC).date()}, `{command}`: {versions}; "
        f"peers on {', '.join(sorted(frameworks))}; "
        f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores, {passes} passes of at most "
        f"{runner.rounds} rounds, {runner.seconds:.0f} s at most for the rounds of a method in a pass."
    )


def say(text: str) -> None:
    """Say what is going on, since all of it takes long."""
    print(f"{dt.datetime.now(dt.UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)


def options() -> argparse.Namespace:
    """Return what was asked on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--large", action="store_true", help="VGG16 and ResNet50 too")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--passes", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=60, help="a method gets no further round, or row, after these")
    parser.add_argument("--limit", type=float, default=1800, help="a script is stopped after these seconds")
    parser.add_argument("--peers", nargs="*", choices=[peer.name for peer in PEERS])
    parser.add_argument("--workloads", nargs="*", choices=list(report.TITLES))
    parser.add_argument("--methods", nargs="*", default=[], choices=METHODS, help="as the tables name them; all")
    parser.add_argument("--dry", action="store_true", help="print the tables, change no document")
    return parser.parse_args()


def main() -> None:
    """Set everything up, run, print, and write."""
    given = options()
    pages = () if given.dry else PAGES
    for path in pages:
        report.put(path.read_text(encoding="utf-8"), "", path.name)  # refuses one without markers before hours of work
    peers = [peer for peer in PEERS if not given.peers or peer.name in given.peers]
    asked = given.workloads or [name for name in report.TITLES if given.large or name not in {"W1", "W2"}]
    names = [name for name in asked if any(name in peer.workloads for peer in peers)]
    with tempfile.TemporaryDirectory() as folder:
        pythons = interpreters(peers)
        data = files(names, pathlib.Path(folder), pythons)
        runner = Runner(given.rounds, given.seconds, given.limit, given.methods, data, pythons)
        pairs = compared(peers, names, given.passes, runner)
    write(pages, results.lines_of(pairs), heading(runner, given.passes, pairs, command(given)), part=partial(given))


def partial(given: argparse.Namespace) -> bool:
    """Tell whether a run leaves out workloads, peers or methods."""
    return bool(given.workloads or given.peers or given.methods)


def command(given: argparse.Namespace) -> str:
    """Return the command of a run."""
    return shlex.join(["python", "-m", "benchmarks.peers.run", *sys.argv[1:]]) if partial(given) else "make bench-peers"


def write(pages: Sequence[pathlib.Path], lines: Sequence[results.Line], top: str, *, part: bool) -> None:
    """Print the tables, and write them into the pages; of a part of a run into the first alone."""
    tables = (report.full(lines, top), report.brief(lines, top))
    print("\n".join(tables))
    for path, table in zip(pages, tables, strict=False):
        text = path.read_text(encoding="utf-8")
        if not part:
            path.write_text(report.put(text, table, path.name), encoding="utf-8")
        elif path == PAGES[0]:
            path.write_text(report.sections(text, lines, top, path.name), encoding="utf-8")


if __name__ == "__main__":
    main()
