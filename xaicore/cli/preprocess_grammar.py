"""The text of a preprocessing, read word by word into a ``Preprocess``.  ``str`` of the value writes it back."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NoReturn

from xaicore.cli.preprocess import CHANNELS, Preprocess
from xaicore.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

GRAMMAR = (
    "HEIGHTxWIDTH, then `gray` or `rgb`, then a scaling: `scale=LOW..HIGH` (0..255 becomes LOW..HIGH), "
    "`mean=M,std=S` or `raw` (stays 0..255); optional: `order=bgr`, `crop=(TOP,BOTTOM,LEFT,RIGHT)`. "
    "For example `64x64,gray,scale=-1..1` or `224x224,rgb,mean=127,std=128`"
)
COMMA_OUTSIDE_PARENTHESES = re.compile(r",(?![^(]*\))")


def parse(text: str) -> Preprocess:
    """Return the value of a text of the grammar.

    Raises:
        InvalidArgument: a word is unknown, missing, given twice or has a value that it cannot have.
    """
    fields: dict[str, object] = {}
    raw = False
    for word in (w.strip() for w in COMMA_OUTSIDE_PARENTHESES.split(text)):
        name, value = _read(word, text)
        if name == "raw":
            raw = True
        elif name in fields:
            _refuse(text, f"`{name}` is given twice")
        else:
            fields[name] = value
    _check(fields, text, raw=raw)
    return Preprocess(**fields)  # type: ignore[arg-type]  # every value came out of its own reader


def _read(word: str, text: str) -> tuple[str, object]:
    if match := re.fullmatch(r"(\d+)x(\d+)", word):
        height, width = int(match[1]), int(match[2])
        if height < 1 or width < 1:
            _refuse(text, f"the size {word!r} has no pixel")
        return "size", (height, width)
    if word in CHANNELS:
        return "channels", word
    if word == "raw":
        return "raw", None
    name, equals, value = word.partition("=")
    reader = READERS.get(name.strip())
    if not equals or reader is None:
        _refuse(text, f"{word!r} is no word of the grammar")
    try:
        return name.strip(), reader(value.strip())
    except ValueError as error:
        return _refuse(text, f"{word!r}: {error}")


def _check(fields: Mapping[str, object], text: str, *, raw: bool) -> None:
    if "size" not in fields:
        _refuse(text, "the size is missing")
    if "channels" not in fields:
        _refuse(text, "the channels are missing (`gray` or `rgb`)")
    scaled = fields.keys() & {"scale", "mean", "std"}
    if not scaled and not raw:
        _refuse(text, "the scaling is missing")
    if scaled and raw:
        _refuse(text, f"`raw` contradicts `{min(scaled)}`")
    count = CHANNELS[str(fields["channels"])]
    if count == 1 and "order" in fields:
        _refuse(text, "one gray channel has no order")
    for name in ("mean", "std"):
        numbers = fields.get(name, (0.0,))
        if len(numbers) not in {1, count}:  # type: ignore[arg-type]  # readers give tuples
            _refuse(text, f"`{name}` needs one number or one for each of {count} channels")


def _refuse(text: str, why: str) -> NoReturn:
    raise InvalidArgument(f"--preprocess {text!r}: {why}. Expected {GRAMMAR}.")


def _read_scale(value: str) -> tuple[float, float]:
    low, dots, high = value.partition("..")
    if not dots:
        raise ValueError("expected LOW..HIGH")
    pair = _read_number(low), _read_number(high)
    if pair[0] == pair[1]:
        raise ValueError("the two ends are equal")
    return pair


def _read_number(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        raise ValueError(f"{value!r} is no number") from None
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not finite")
    return number


def _read_numbers(value: str) -> tuple[float, ...]:
    inside = value[1:-1] if value.startswith("(") and value.endswith(")") else value
    numbers = tuple(_read_number(v.strip()) for v in inside.split(","))
    return numbers[:1] if len(set(numbers)) == 1 else numbers


def _read_std(value: str) -> tuple[float, ...]:
    numbers = _read_numbers(value)
    if any(n <= 0 for n in numbers):
        raise ValueError("a standard deviation is above 0")
    return numbers


def _read_order(value: str) -> str:
    if value not in {"rgb", "bgr"}:
        raise ValueError("expected `rgb` or `bgr`")
    return value


def _read_crop(value: str) -> tuple[int, int, int, int]:
    match = re.fullmatch(r"\(\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\)", value)
    if match is None:
        raise ValueError("expected four pixel counts (TOP,BOTTOM,LEFT,RIGHT)")
    top, bottom, left, right = (int(g) for g in match.groups())
    if top >= bottom or left >= right:
        raise ValueError("top is above bottom and left is left of right")
    return top, bottom, left, right


READERS: Mapping[str, Callable[[str], object]] = {
    "scale": _read_scale,
    "mean": _read_numbers,
    "std": _read_std,
    "order": _read_order,
    "crop": _read_crop,
}
