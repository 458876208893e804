"""What surrounds a rule of this family, and how a rule refuses an operation that it cannot act on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from xaicore.errors import UnsupportedOperation
from xaicore.protocols import Setting

if TYPE_CHECKING:
    from xaicore.inspect.affine import AffineForm
    from xaicore.protocols import OpCall

# Operations that only move relevance (reshaping, padding, max-pooling, dropout at inference) get their gradient from
# the engine, which knows that relevance stays 0 where it was 0 on the way through them.
SETTING = Setting(
    applies="affine",
    companions=(
        ("activation", "lrp.pass"),
        ("softmax", "lrp.pass"),
        ("rescaling", "lrp.pass"),
        ("sum", "lrp.proportional"),
        ("average_pooling", "lrp.proportional"),
        ("interpolation", "lrp.proportional"),
        ("product", "lrp.gate"),
        ("bilinear", "lrp.bilinear"),
        ("sample_norm", "lrp.sample_norm"),
    ),
    initial="score",
    otherwise="unsupported",
    claims=frozenset({"conservation"}),
)
# Rules whose relevance is a multiple of the input, so that it is 0 where the input is 0.
WEIGHTED = attrs.evolve(SETTING, weighted=True)


def affine_form(op: OpCall, rule: object) -> AffineForm:
    """Return the affine form of an operation, or raise UnsupportedOperation where it has none."""
    if op.affine is None:
        raise misfit(op, rule, "is for affine operations (dense, convolution, batch normalization)")
    return op.affine


def misfit(op: OpCall, rule: object, why: str) -> UnsupportedOperation:
    """Return the error of a rule that was given an operation of another kind."""
    return UnsupportedOperation(
        f"The rule {type(rule).__name__} {why}; it was given {type(op.operation).__name__} at {str(op.site)!r}. "
        "Name another rule for this site."
    )
