"""A plugin without TensorFlow, of family ``acme``: rules, analyzers, and costs that add up."""

from __future__ import annotations

from typing import ClassVar

import attrs

from xaicore.analyzer import AnalyzerBase
from xaicore.declaration import Declaration, Kind, part
from xaicore.hookspecs import hookimpl
from xaicore.protocols import Setting
from xaicore.values import choice, integer, numeric_or_array, optional, real

HERE = "acme:"


@attrs.frozen
class Weigh:
    """A rule.  ``offset`` follows from ``amount`` where it is not given."""

    setting: ClassVar[Setting] = Setting()
    amount: float = attrs.field(default=1.0, converter=real(minimum=0))
    mode: str = attrs.field(default="soft", converter=choice("soft", "hard"))
    mask: object = attrs.field(default=None, converter=optional(numeric_or_array))
    offset: float | None = attrs.field(default=None, converter=optional(real()))

    def __attrs_post_init__(self):
        if self.offset is None:
            object.__setattr__(self, "offset", self.amount + 1)

    def __call__(self, op, *inputs):
        raise NotImplementedError


@attrs.frozen(str=False)
class Wrap(AnalyzerBase):
    """An analyzer around another."""

    inner: object = part("analyzer")
    n: int = attrs.field(default=8, converter=integer(minimum=1))
    options: object = ()


@attrs.frozen(str=False)
class Map(AnalyzerBase):
    """An analyzer of rules by condition."""

    rules: tuple = part("rule", default=())
    note: object = None


@attrs.frozen
class Distance:
    """A cost."""

    order: int = attrs.field(default=1, converter=integer(minimum=1))

    def __call__(self, x, *, original, outputs, target):
        raise NotImplementedError


@attrs.frozen
class Total:
    """Sum of costs."""

    terms: tuple = ()


@attrs.frozen
class Times:
    """Multiple of a cost."""

    factor: float
    cost: object = part("cost")


ROWS = {
    "acme.acme": Declaration("analyzer", HERE + "Wrap", preset={"inner": "acme.heavy"}, summary="The default."),
    "acme.distance": Declaration("cost", HERE + "Distance", short="distance"),
    "acme.heavy": Declaration("rule", HERE + "Weigh", preset={"amount": 2}, aliases=("acme.hefty", "hefty")),
    "acme.heavy_and_hard": Declaration("rule", HERE + "Weigh", preset={"amount": 2, "mode": "hard"}),
    "acme.map": Declaration("analyzer", HERE + "Map"),
    "acme.pass": Declaration("rule", HERE + "Weigh", preset={"amount": 0}),
    "acme.weigh": Declaration("rule", HERE + "Weigh"),
    "acme.wrap": Declaration("analyzer", HERE + "Wrap", short="wrap"),
}


@hookimpl
def xaicore_declarations():
    return ROWS


@hookimpl
def xaicore_kinds():
    return (Kind("cost", "xaicore.protocols:CostFunction", sum=HERE + "Total", scaled=HERE + "Times"),)
