"""The result: what was explained, how, and what came out.  Frozen, NumPy only."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from xaicore.described import data_of, meta_of
from xaicore.errors import InvalidArgument, InvalidExplanation, UnknownExtra, UnreadableResult
from xaicore.inspect.structure import fill, flatten, join, positions, readonly, same, transform
from xaicore.relevance import layers_of, ledger_of
from xaicore.storage import named, read, write

_FORMAT, _VERSION = "xaicore explanation", 1
_PER_SAMPLE = ("attributions", "scores", "ids", "extras", "kept")


def _readonly_nest(nested: object) -> object:
    return transform(nested, readonly)


def _readonly_extras(extras: Mapping[str, object]) -> dict[str, np.ndarray]:
    return {str(name): readonly(value) for name, value in extras.items()}


def _rows_of_plan(rows: Iterable[Mapping[str, str]]) -> tuple[dict[str, str], ...]:
    return tuple(dict(row) for row in rows)


def _target(target: object) -> object:
    """Return a target as it is stored: None, int, text, or an integer array with axis 0 = sample."""
    if target is None or isinstance(target, str):
        return target
    array = readonly(target)
    if array.dtype.kind not in "iu":
        raise InvalidExplanation(f"Given a target of {array.dtype}; expected None, an integer, text, or integers.")
    return array if array.ndim else int(array)


@attrs.frozen(eq=False, repr=False)
class Explanation:
    """The explanation of samples.  Axis 0 of every array is the sample; with k targets each, axis 1 is the target.

    Iterates as ``scores, attributions``.  ``e["name"]`` and ``e.name`` reach an array of ``extras``.

    Args:
        attributions: Like the explained data: an array, or a list or dict of arrays.
        scores: (batch,) or (batch, k), the explained output.
        target: None (the output's default), an integer or text for all samples, or integers with a row per sample.
        ids: (batch,), the number of each sample in the data; all randomness hangs on it.
        extras: Further arrays.  "residual" is sum of attributions minus score.
        analyzer: Canonical expression.
        model: Fingerprint of the model.
        coverage: What every operation of the model got: site, operation, action, rule, why.
        output: Name of the model's output that was explained; "" where it is not known.
        about: What ``meta`` tells of the analyzer.
        kept: The data itself, where it was asked for.

    Raises:
        InvalidExplanation: The arrays do not fit together.
    """

    _attributions: object = attrs.field(converter=_readonly_nest)
    scores: np.ndarray = attrs.field(converter=readonly)
    target: object = attrs.field(default=None, converter=_target)
    ids: np.ndarray = attrs.field(
        default=attrs.Factory(lambda self: np.arange(len(self.scores)), takes_self=True), converter=readonly
    )
    _extras: dict[str, np.ndarray] = attrs.field(factory=dict, converter=_readonly_extras)
    analyzer: str = ""
    model: str = ""
    _coverage: tuple[dict[str, str], ...] = attrs.field(default=(), converter=_rows_of_plan)
    output: str = ""
    about: Mapping[str, Any] = attrs.field(factory=dict, converter=dict)
    _kept: dict[str, Any] = attrs.field(factory=dict, converter=_readonly_nest)

    def __attrs_post_init__(self) -> None:
        maps = {f"attributions[{i}]": array for i, array in enumerate(self.arrays)}
        named = {"scores": self.scores, "ids": self.ids, **self._extras, **maps}
        if isinstance(self.target, np.ndarray):
            named["target"] = self.target
        if self.scores.ndim not in {1, 2} or self.ids.ndim != 1 or not maps:
            raise InvalidExplanation(
                f"Given scores of shape {self.scores.shape}, ids of shape {self.ids.shape} and {len(maps)} arrays of "
                "attributions; expected (batch,) or (batch, k), (batch,), and at least one."
            )
        for name, array in named.items():
            axes = self.scores.shape if name in maps else self.scores.shape[:1]
            if array.shape[: len(axes)] != axes:
                raise InvalidExplanation(
                    f"Given {name} of shape {array.shape} and scores of shape {self.scores.shape}; axis 0 of every "
                    "array is the sample; with k targets per sample, axis 1 of attributions and scores is the target."
                )

    @property
    def attributions(self) -> Any:
        """An array, or a list or dict of arrays where the explained data was one.  The arrays are read-only."""
        return transform(self._attributions, lambda array: array)

    @property
    def extras(self) -> dict[str, np.ndarray]:
        """Further arrays by name.  The arrays are read-only."""
        return dict(self._extras)

    @property
    def coverage(self) -> tuple[dict[str, str], ...]:
        """The plan as it ran, a row per site: site, operation, action, rule, why."""
        return tuple(dict(row) for row in self._coverage)

    @property
    def layers(self) -> dict[str, np.ndarray]:
        """Site -> relevance of what it returns, for the sites that the analyzer was asked for (``layers=``)."""
        return layers_of(self._extras)

    @property
    def ledger(self) -> dict[str, dict[str, np.ndarray]]:
        """Site -> what arrived, passed, was lost by name, and is missing, (batch,) each (``account=True``)."""
        return ledger_of(self._extras)

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """The attributions as a flat sequence, one array per explained tensor."""
        return flatten(self._attributions)[1]  # type: ignore[return-value]  # the leaves are arrays

    @property
    def residual(self) -> np.ndarray | None:
        """Sum of attributions minus score, shaped like scores; None where the method claims nothing."""
        return self._extras.get("residual")

    @property
    def kept(self) -> dict[str, Any]:
        """The data itself, read-only, where ``keep_data=True`` was given: X, baselines, predictions, forward_kwargs."""
        return transform(self._kept, lambda array: array)  # type: ignore[return-value]  # a dict stays one

    @property
    def meta(self) -> dict[str, object]:
        """How it was made, in the fields of alibi: name, type, explanations, params, version."""
        return meta_of(self)

    @property
    def data(self) -> dict[str, object]:
        """What came out, in the fields of alibi, and scores.

        ``X``, ``baselines``, ``predictions`` and ``forward_kwargs`` are None unless ``keep_data=True`` was given.
        """
        return data_of(self)

    def __getitem__(self, name: str) -> np.ndarray:
        """Return an array of ``extras``."""
        if name not in self._extras:
            have = ", ".join(self._extras) or "none"
            raise UnknownExtra(f"This explanation by {self.analyzer!r} has no {name!r}; its extras: {have}.")
        return self._extras[name]

    def __getattr__(self, name: str) -> np.ndarray:
        """Return an array of ``extras``; called for names that are no fields."""
        if name.startswith("_"):  # what copy, pickle and NumPy look for, before there are fields
            raise AttributeError(name)
        return self[name]

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.ids)

    def __iter__(self) -> Iterator[Any]:
        """Iterate as scores, attributions."""
        return iter((self.scores, self.attributions))

    def __eq__(self, other: object) -> bool:
        """Compare content, dtypes included; NaN equals NaN."""
        if not isinstance(other, Explanation):
            return NotImplemented
        return same(attrs.asdict(self, recurse=False), attrs.asdict(other, recurse=False))

    def __hash__(self) -> int:
        """Return a hash of what is cheap to read."""
        return hash((self.analyzer, self.model, self.ids.tobytes()))

    def __reduce__(self) -> tuple[Callable[..., Explanation], tuple[object, object]]:
        """Copy and pickle through the constructor: NumPy would give back arrays that can be written to."""
        return _build, _parts(self)

    def __repr__(self) -> str:
        """Return one line: how, and the shapes."""
        shapes = " ".join(f"{a.dtype}{list(a.shape)}" for a in self.arrays)
        names = ", ".join(["scores", *self._extras])
        return f"<Explanation by {self.analyzer} of {len(self.ids)} samples: attributions {shapes}, {names}>"

    @staticmethod
    def concat(parts: Iterable[Explanation]) -> Explanation:
        """Return one explanation of the samples of several, in order; see ``concat``."""
        return concat(parts)

    def split(self, size: int) -> list[Explanation]:
        """Return explanations of at most ``size`` samples each, in order; ``split`` takes other divisions."""
        if not isinstance(size, int | np.integer) or size < 1:  # type: ignore[redundant-expr]  # not everybody runs mypy
            raise InvalidExplanation(f"Given size={size!r}; expected an integer of at least 1.")
        return [_rows(self, slice(start, start + size)) for start in range(0, len(self), size)]

    def save(self, path: str | pathlib.Path, *, overwrite: bool = False) -> pathlib.Path:
        """Write one .npz file, whole or not at all, and return its path; the ending .npz is added where it lacks.

        Raises:
            ResultExists: The path is taken.
            UnwritableResult: There is no such folder.
        """
        document, arrays = _parts(self)
        path = named(path)
        write(path, {"format": _FORMAT, "version": _VERSION, **document}, arrays, overwrite=overwrite)
        return path

    def plot(self, x: object = None, **how: Any) -> Any:
        """Return a matplotlib Figure, a row for each sample: red raises the score, blue lowers it, white is zero.

        Pictures (batch, height, width, channels) beside the map and the map over them; vectors as bars, the strongest
        on top; series (batch, time, channels) with points in the colour of their attribution; text in colours.

        Args:
            x: The explained data, drawn beside or below the attributions.
            how: ``tokens``, a list of words for each sample; ``names`` of features or channels; ``samples``, numbers of
                those to draw (the first eight); ``most``, how many bars.

        Raises:
            InvalidArgument: Something does not fit the attributions.
            PackageMissing: matplotlib is not installed.
        """
        from xaicore.pictures import plot  # matplotlib is imported only where something is drawn

        return plot(self, x, **how)

    def save_png(self, path: str | pathlib.Path, *, overwrite: bool = False, **how: Any) -> pathlib.Path:
        """Write the figure of ``plot`` as a PNG file and return its path; the ending .png is added where it lacks.

        Raises:
            ResultExists: The path is taken.
            UnwritableResult: There is no such folder.
        """
        from xaicore.pictures import save_png

        return save_png(self, path, overwrite=overwrite, **how)

    def to_frame(self, names: Any = None) -> Any:
        """Return a pandas DataFrame: what changed in counterfactuals, or else the attribution of each feature.

        Args:
            names: Of the features of the flattened sample; or ``xaicore.tabular.Columns``, for the units of a table.

        Raises:
            InvalidArgument: There is not one name per feature, or there are several inputs or targets.
            PackageMissing: pandas is not installed.
        """
        from xaicore.frames import to_frame  # pandas is imported only where a table is made

        return to_frame(self, names)

    @staticmethod
    def load(path: str | pathlib.Path) -> Explanation:
        """Read what ``save`` wrote: ``load(path) == e``.  Nothing in the file is executed.

        Raises:
            UnreadableResult: There is no such file, or it holds something else, or its format has another version.
        """
        document, arrays = read(path)
        if document.get("format") != _FORMAT:
            raise UnreadableResult(f"{path} holds {document.get('format')!r}; expected {_FORMAT!r}.")
        if document.get("version") != _VERSION:
            raise UnreadableResult(
                f"{path} has version {document.get('version')!r} of the format; this xaicore reads {_VERSION}. "
                "Read it with the xaicore that wrote it."
            )
        try:
            return _build(document, arrays)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise UnreadableResult(f"{path} is damaged: its parts do not fit together ({error!r}).") from error


def concat(explanations: Iterable[Explanation]) -> Explanation:
    """Return one explanation of all samples, in order.  ``concat(split(e)) == e``.

    Integers as targets become one per sample where they differ.

    Raises:
        InvalidExplanation: None given, or they differ in analyzer, model, output, coverage, structure, or in the shape
            of a sample.
    """
    parts = list(explanations)
    if not parts:
        raise InvalidExplanation("Given no explanations; expected at least one.")
    first = parts[0]
    for name in ("analyzer", "model", "output", "coverage"):
        if any(getattr(part, name) != getattr(first, name) for part in parts):
            raise InvalidExplanation(f"Given explanations that differ in {name}; expected the same {name} in all.")
    joined: dict[str, Any] = {name: join([getattr(part, name) for part in parts], name) for name in _PER_SAMPLE}
    target = join_targets([part.target for part in parts], [len(part.ids) for part in parts])
    return attrs.evolve(first, target=target, **joined)


def join_targets(targets: Sequence[object], sizes: Sequence[int]) -> object:
    """Return the target of all samples from targets of parts and the parts' numbers of samples.

    Raises:
        InvalidExplanation: They are different texts, or text and integers.
    """
    if all(same(target, targets[0]) for target in targets) and not isinstance(targets[0], np.ndarray):
        return targets[0]
    rows = [
        np.full(n, t, np.int64) if isinstance(t, int) else t for t, n in zip(targets, sizes, strict=True)
    ]  # an integer holds for all samples of its part
    if not all(isinstance(row, np.ndarray) for row in rows):
        raise InvalidExplanation(f"Given explanations with targets {targets}; expected one text, or integers.")
    return join(rows, "target")


def split(explanation: Explanation, sizes: int | Sequence[int] | None = None) -> tuple[Explanation, ...]:
    """Return parts of an explanation, in order.

    Args:
        explanation: Of any number of samples.
        sizes: Number of parts, as equal as they can be; or the number of samples of each part; None is one each.

    Raises:
        InvalidArgument: The sizes are not positive, or do not sum to the number of samples.
    """
    batch = len(explanation.ids)
    many = batch if sizes is None else sizes
    if isinstance(many, int | np.integer):
        rows = np.array_split(np.arange(batch), many) if 0 < many <= batch else []
        lengths = [len(row) for row in rows]
    else:
        lengths = [int(n) for n in many]
    if min(lengths, default=0) <= 0 or sum(lengths) != batch:
        raise InvalidArgument(
            f"Given sizes={sizes!r} for {batch} samples; expected a number of parts from 1 to {batch}, "
            f"or positive sizes that sum to {batch}."
        )
    ends = np.cumsum(lengths)
    return tuple(_rows(explanation, slice(end - n, end)) for n, end in zip(lengths, ends, strict=True))


def _rows(explanation: Explanation, rows: slice) -> Explanation:
    def cut(array: Any) -> Any:
        return array[rows]

    target = explanation.target
    parts: dict[str, Any] = {name: transform(getattr(explanation, name), cut) for name in _PER_SAMPLE}
    return attrs.evolve(explanation, target=cut(target) if isinstance(target, np.ndarray) else target, **parts)


def _parts(explanation: Explanation) -> tuple[dict[str, object], dict[str, np.ndarray]]:
    """Return a document that JSON can hold, and arrays by plain names."""
    structure, maps = flatten(explanation.attributions)
    target, extras = explanation.target, explanation.extras
    arrays: dict[str, Any] = {f"attributions_{i}": array for i, array in enumerate(maps)}
    arrays |= {f"extra_{i}": array for i, array in enumerate(extras.values())}
    arrays |= {"scores": explanation.scores, "ids": explanation.ids}
    arrays |= {"target": target} if isinstance(target, np.ndarray) else {}
    kept_as, kept = flatten(explanation.kept)
    arrays |= {f"kept_{i}": array for i, array in enumerate(kept)}
    document = {
        "attributions": structure,
        "target": None if isinstance(target, np.ndarray) else target,
        "extras": list(extras),
        "analyzer": explanation.analyzer,
        "model": explanation.model,
        "coverage": list(explanation.coverage),
        "output": explanation.output,
        "about": dict(explanation.about),
        "kept": kept_as,
    }
    return document, arrays


def _build(document: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Explanation:
    """Return the explanation of ``_parts``, which may come from a file that anybody wrote."""
    places, kept = positions(document["attributions"]), document.get("kept", {})
    texts = (document["analyzer"], document["model"], document.get("output", ""))  # older files name no output
    if sorted(places) != list(range(len(places))) or not all(isinstance(text, str) for text in texts):
        raise InvalidExplanation("The document does not describe the arrays.")
    return Explanation(
        attributions=fill(document["attributions"], [arrays[f"attributions_{i}"] for i in range(len(places))]),
        scores=arrays["scores"],
        target=arrays.get("target", document["target"]),
        ids=arrays["ids"],
        extras={name: arrays[f"extra_{i}"] for i, name in enumerate(document["extras"])},
        analyzer=texts[0],
        model=texts[1],
        coverage=document["coverage"],
        output=texts[2],
        about=document.get("about", {}),
        kept=fill(kept, [arrays[f"kept_{i}"] for i in range(len(positions(kept)))]),
    )
