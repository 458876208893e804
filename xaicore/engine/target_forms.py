"""Every form that a target may have, brought into one.  Numpy only: all mistakes are found before anything is traced.

    int, NumPy integer    the same output for all samples
    (batch,)              one output per sample
    (batch, k)            k outputs per sample; axis 1 of the results
    (batch, n-1)          index tuples on outputs of rank n > 2; (batch, k, n-1) for k per sample
    "max"                 the largest output, chosen once on the unperturbed input; the default on (batch, classes)
    "all"                 every output of (batch, classes) in turn; axis 1 of the results
    text                  neurons and contrasts, see ``target_text``; "head_b:..." names an output
    function              outputs -> (batch,), differentiable
    None                  the default: "max", or the output itself where it is one number per sample

An output of one number per sample, (batch,) or (batch, 1), is its own target; 1 means plus, 0 means minus the output:
the two classes of a sigmoid.
"""

from __future__ import annotations

import attrs
import numpy as np

from xaicore.engine.target_arrays import OutputSpec, check_range, read_array
from xaicore.engine.target_read import Contrast, Custom, Gather, Largest, Reader, Signed
from xaicore.engine.target_text import check_quantities, parse_terms, split_output, whole
from xaicore.errors import InvalidArgument, TargetLength, TargetNeeded, TargetSyntax, UnknownOutput


@attrs.frozen
class TargetSpec:
    """The static part of a target: which output, and how its score is read.  Equal specs share a trace."""

    output: int
    read: Reader

    @property
    def needs_index(self) -> bool:
        """Whether reading the score takes an index per sample."""
        return isinstance(self.read, Gather | Signed)


@attrs.frozen(eq=False)
class ParsedTarget:
    """A target of one batch, checked.

    index: int32 (batch, k, m), m entries per target.  many: whether results have an axis of length k.
    described: the target as a result stores it: None, int, text, or an integer array.
    """

    spec: TargetSpec
    index: np.ndarray
    many: bool
    described: object


def parse(
    target: object, outputs: tuple[OutputSpec, ...], *, output: str | int | None, batch: int, score: str = "logit"
) -> ParsedTarget:
    """Return the target of one batch in its one form.

    Args:
        target: Any form that the module's docstring lists.
        outputs: The model's outputs.
        output: Name or index of the output, needed where there are several and the text does not name it.
        batch: Number of samples.
        score: What the analyzer explains, "logit" or "probability"; text may not name the other.

    Raises:
        TargetNeeded: There is no default for such an output.
        TargetType: Neither integer, text nor function; bool and float are none.
        TargetLength: Not one target per sample, or a wrong number of indices.
        TargetOutOfRange: Negative, or beyond the output.
        TargetSyntax: The text is not of the grammar, or names a quantity that is not explained.
        UnknownOutput: The model has no such output.
    """
    named, rest = split_output(target) if isinstance(target, str) else (None, target)
    if named is not None and output is not None and find(named, outputs) != find(output, outputs):
        raise UnknownOutput(f"Given target {target!r} and output={output!r}, which differ; leave one of them out.")
    chosen = choose(named if output is None else output, outputs)
    spec = outputs[chosen]
    read, index, many = _form(rest, spec, batch, score)
    return ParsedTarget(TargetSpec(chosen, read), index, many, describe(target))


def named_output(target: object) -> str | None:
    """Return the output that a text target names ("head_b:1"), None for any other target."""
    return split_output(target)[0] if isinstance(target, str) else None


def one_target(**given: object) -> object:
    """Return the target, which goes by several names; None where none of them is given.

    Raises:
        InvalidArgument: It is given twice, or ``target_fn`` is no function.
    """
    told = {name: value for name, value in given.items() if value is not None}
    if len(told) > 1:
        names = " and ".join(f"{name}=" for name in told)
        raise InvalidArgument(f"Given {names}, which are two names of one thing. Give it once.")
    if "target_fn" in told and not callable(told["target_fn"]):
        raise InvalidArgument(f"Given target_fn={told['target_fn']!r}; expected a function outputs -> (batch,).")
    return next(iter(told.values()), None)


def describe(target: object) -> object:
    """Return the target as a result stores it: None, int, text, or an integer array."""
    if target is None or isinstance(target, str):
        return target
    if callable(target):
        return f"function {getattr(target, '__qualname__', type(target).__qualname__)}"
    array = np.asarray(target)
    return int(array) if array.ndim == 0 else array.astype(np.int64)


def choose(output: str | int | None, outputs: tuple[OutputSpec, ...]) -> int:
    """Return the index of an output, of the only one where none is named; raises TargetNeeded or what ``find`` does."""
    if output is not None:
        return find(output, outputs)
    if len(outputs) > 1:
        first = outputs[0].name
        raise TargetNeeded(
            f"The model has {len(outputs)} outputs ({_names(outputs)}) and none was chosen. "
            f"Pass output={first!r}, or name it in the target: '{first}:1'."
        )
    return 0


def find(output: object, outputs: tuple[OutputSpec, ...]) -> int:
    """Return the index of the output of a name, an alias or a place.

    Raises:
        UnknownOutput: there is none, or places are asked for where outputs go by keys.
    """
    if isinstance(output, str):
        places = [i for i, spec in enumerate(outputs) if spec.name == output]
        places += [i for i, spec in enumerate(outputs) if output in spec.aliases]
        if places:
            return places[0]
    elif isinstance(output, int | np.integer) and not isinstance(output, bool) and 0 <= output < len(outputs):
        if len(outputs) == 1 or not outputs[int(output)].keyed:
            return int(output)
        raise UnknownOutput(
            f"Given output {output!r}; the model returns its outputs by keys, which have no order. "
            f"Expected one of {_names(outputs)}."
        )
    place = "" if len(outputs) > 1 and outputs[0].keyed else f" or its place, 0 to {len(outputs) - 1}"
    raise UnknownOutput(f"Given output {output!r}; expected the name of an output ({_names(outputs)}){place}.")


def _names(outputs: tuple[OutputSpec, ...]) -> str:
    return ", ".join(repr(spec.name) for spec in outputs)


def _form(target: object, spec: OutputSpec, batch: int, score: str) -> tuple[Reader, np.ndarray, bool]:
    """Return how the score is read, the index (batch, k, m), and whether results have an axis for k."""
    if target is None:
        return _default(spec, batch)
    if isinstance(target, str):
        return _text(target, spec, batch, score)
    if callable(target):
        return Custom(target), _nothing(batch), False
    return read_array(target, spec, batch)


def _nothing(batch: int) -> np.ndarray:
    return np.zeros((batch, 1, 0), np.int32)


def _default(spec: OutputSpec, batch: int) -> tuple[Reader, np.ndarray, bool]:
    if spec.one_number:
        return Signed(), np.ones((batch, 1, 1), np.int32), False
    if len(spec.axes) > 1:
        raise TargetNeeded(
            f"{spec.said} has no default target. Pass index tuples (batch, {len(spec.axes)}), "
            f"text such as '{spec.neuron}', or a function outputs -> (batch,)."
        )
    return Largest(), _nothing(batch), False


def _text(text: str, spec: OutputSpec, batch: int, score: str) -> tuple[Reader, np.ndarray, bool]:
    if text == "max":
        return _default(spec, batch)
    if text == "all":
        return _all(spec, batch)
    if text.removeprefix("-").isdecimal():
        return read_array(whole(text, text), spec, batch)
    terms = parse_terms(text)
    check_quantities(terms, score, text)
    for term in terms:
        if len(term.index) != len(spec.axes):
            raise TargetLength(
                f"Given target {text!r} with {len(term.index)} indices in {term.quantity}{list(term.index)}; "
                f"{spec.said} takes {len(spec.axes)}."
            )
        check_range(np.asarray(term.index, np.int64), spec, f"target {text!r}")
    return Contrast(tuple((t.weight, t.index) for t in terms)), _nothing(batch), False


def _all(spec: OutputSpec, batch: int) -> tuple[Reader, np.ndarray, bool]:
    if len(spec.axes) != 1 or spec.axes[0] is None:
        raise TargetSyntax(
            f"Given target 'all'; {spec.said}, and 'all' is for outputs (batch, classes) of a known length. "
            "Pass index tuples (batch, k, n-1) for k targets per sample."
        )
    index = np.arange(spec.axes[0], dtype=np.int32)
    return Gather(), np.tile(index[None, :, None], (batch, 1, 1)), True
