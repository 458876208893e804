"""Files of results: names from expressions, nothing overwritten unless asked for."""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from typing import TYPE_CHECKING

import attrs

from xaicore.errors import ResultExists, UnwritableResult

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy as np

    from xaicore.cli.inputs import Inputs
    from xaicore.explanation import Explanation

LONGEST = 80  # of a file's name, before its ending


@attrs.frozen
class Folder:
    """A folder for the results of several analyzers.

    stems: a file name without ending for each analyzer.  written: what has been written so far.
    """

    path: pathlib.Path
    stems: tuple[str, ...]
    overwrite: bool
    written: list[pathlib.Path] = attrs.field(factory=list, init=False)

    @classmethod
    def prepare(cls, path: pathlib.Path, expressions: Sequence[str], *, overwrite: bool) -> Folder:
        """Take a folder in which none of the results is; it is made when the first is written.

        Raises:
            ResultExists: a file of that name is there, or the path is a file.
            UnwritableResult: no such folder can be made, or nothing written into it.
        """
        folder = cls(path, stems(expressions), overwrite)
        if path.exists() and not path.is_dir():
            raise ResultExists(f"--output {path} is a file. Expected a folder, or a path where one can be made.")
        there = [] if overwrite or not path.is_dir() else sorted(p.name for p in path.iterdir() if folder.owns(p.name))
        if there:
            raise ResultExists(
                f"{path} already holds results: {', '.join(there[:5])}{', ...' if len(there) > 5 else ''}. "  # noqa: PLR2004  # a readable line
                "Choose another folder, or replace them with --overwrite."
            )
        folder.probe()
        return folder

    def probe(self) -> None:
        """Find out whether files can be written, before anything is computed; nothing is left behind.

        Raises:
            UnwritableResult: they cannot.
        """
        missing = [one for one in (self.path, *self.path.parents) if not one.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise UnwritableResult(
                f"--output {self.path} cannot be written: {error.strerror or error}. Choose a folder that can be made."
            ) from error
        finally:
            for one in missing:
                with contextlib.suppress(OSError):
                    one.rmdir()

    def owns(self, name: str) -> bool:
        """Return whether this run would write a file of this name."""
        return any(re.fullmatch(re.escape(stem) + r"(\.npz|\.json|\.csv|-\d+[^/]*\.png)", name) for stem in self.stems)

    def write(self, stem: str, explanation: Explanation, inputs: Inputs) -> None:
        """Write the explanation, and a heatmap per sample (and target, and input) that can be drawn."""
        from xaicore.heatmap import heatmap, magnify, png, with_bar

        self.path.mkdir(parents=True, exist_ok=True)
        path = self.path / f"{stem}.npz"
        explanation.save(path, overwrite=self.overwrite)
        self.written.append(path)
        if inputs.columns is not None and "counterfactuals" in explanation.extras:
            from xaicore.cli.tables import as_csv, changed

            self._write(f"{stem}.csv", as_csv(changed(explanation, inputs.columns)))
        for name, sample, attributions in _maps(explanation):
            found = heatmap(attributions)
            drawn = [magnify(found.colours())]
            if inputs.pictures and inputs.pictures[sample].shape[:2] == found.values.shape:
                drawn.insert(0, magnify(found.over(inputs.pictures[sample])))
            self._write(f"{stem}-{name}.png", [png(with_bar(_beside(drawn), found.limit))])

    def write_origin(self, stem: str, origin: Mapping[str, object]) -> None:
        """Write what the result came from, as JSON."""
        self._write(f"{stem}.json", [(json.dumps(origin, indent=2) + "\n").encode()])

    def _write(self, name: str, parts: Iterable[bytes]) -> None:
        path = self.path / name
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with path.open("wb" if self.overwrite else "xb") as stream:
                stream.writelines(parts)
        except FileExistsError as error:
            raise ResultExists(f"{path} was made by another program meanwhile and is left as it is.") from error
        except OSError as error:
            raise UnwritableResult(f"{path} cannot be written: {error.strerror or error}.") from error
        self.written.append(path)


def stems(expressions: Sequence[str]) -> tuple[str, ...]:
    """Return a file name for each expression: readable, safe on every system, never the same twice."""
    found: list[str] = []
    for expression in expressions:
        stem = re.sub(r"[^a-z0-9._]+", "-", expression.lower()).strip("-.")[:LONGEST].rstrip("-.")
        count = sum(1 for other in found if other == stem or re.fullmatch(re.escape(stem) + r"~\d+", other))
        found.append(stem if not count else f"{stem}~{count + 1}")
    return tuple(found)


def _maps(explanation: Explanation) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yield (name, number of the sample, attributions) of what can be drawn; a target axis gives one map each."""
    from xaicore.heatmap import is_picture

    many = explanation.scores.ndim > 1
    for label, array in _by_input(explanation.attributions):
        for i, sample in enumerate(array):
            parts = enumerate(sample) if many else [(None, sample)]
            for k, part in parts:
                if is_picture(part.shape):
                    yield f"{i}{label}" + ("" if k is None else f"-target{k}"), i, part


def _by_input(attributions: object) -> Iterator[tuple[str, np.ndarray]]:
    if isinstance(attributions, dict):
        for name, array in attributions.items():
            yield "-" + re.sub(r"[^A-Za-z0-9._]+", "-", str(name)), array
    elif isinstance(attributions, list | tuple):
        for number, array in enumerate(attributions):
            yield f"-input{number}", array
    else:
        yield "", attributions  # type: ignore[misc]  # an Explanation holds arrays


def _beside(pictures: Sequence[np.ndarray]) -> np.ndarray:
    import numpy as np

    return np.concatenate(pictures, axis=1)
