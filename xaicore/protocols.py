"""The seams: what an analyzer, a rule and the other parts are to each other.

Nothing here imports TensorFlow at run time.  Each docstring states the law that its part answers for.
Shapes: ``batch`` is the number of samples; axis 0 of every tensor is the sample.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias, runtime_checkable

import attrs

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from xaicore.engine.target import Target
    from xaicore.inspect.affine import AffineForm
    from xaicore.inspect.facts import Facts
    from xaicore.inspect.nodes import Graph, Site

    Tensor: TypeAlias = tf.Tensor

# A rule map inside the engine: (condition as text, rule or None for the operation's own gradient); first match wins.
RuleMap: TypeAlias = "Sequence[tuple[str, Rule | None]]"
Tensors: TypeAlias = "tuple[Tensor, ...]"
# Initial relevance of an output: "one", "score" (the value of the explained output), or a function of the scores.
Initial: TypeAlias = "str | Callable[[Tensor], Tensor] | Mapping[str, object]"


class Attribution(NamedTuple):
    """What a step returns: tensors only.

    attributions: one per explained tensor, shaped like it.
    scores: (batch,), the explained output.
    extras: arrays per sample; ``residual`` is the part of the score that the method did not account for.
    """

    attributions: Tensors
    scores: Tensor
    extras: Mapping[str, Tensor] = {}


class Relevance(NamedTuple):
    """What a rule's backward returns.

    inputs: one relevance per input, shaped like it; None for an input without relevance.
    sinks: (batch,) per name, the relevance that is not passed on: "bias", "stabilizer".
    """

    inputs: tuple[Tensor | None, ...]
    sinks: Mapping[str, Tensor] = {}


class Pull(NamedTuple):
    """What a program's backward pass returns.

    scores: (batch,).
    relevance: one per input of the program, shaped like it.
    sinks: (batch,) per name, summed over all sites; empty unless asked for.
    taps: relevance of the output of each tapped site, by the site's text.
    ledger: site -> name -> (batch,): what arrived at its outputs, what passed to its inputs, and its sinks by name;
        empty unless sinks are asked for.
    """

    scores: Tensor
    relevance: Tensors
    sinks: Mapping[str, Tensor] = {}
    taps: Mapping[str, Tensor] = {}
    ledger: Mapping[str, Mapping[str, Tensor]] = {}


@attrs.frozen
class Effort:
    """What an operation costs under a rule, as a planner needs it.

    passes: in forward passes of the operation, its own forward included; the gradient takes two.
    sweeps: further passes over its output, elementwise.
    outputs: tensors of the size of its output that are kept for the way back.
    kernels: tensors of the size of its kernel that are made.
    """

    passes: float = 2.0
    sweeps: float = 0.0
    outputs: float = 1.0
    kernels: float = 0.0


@attrs.frozen(eq=False)
class OpCall:
    """One call of one operation, as a rule sees it.

    site: where in the model.  operation: the Keras layer or operation.
    forward: the operation as a pure function of its input tensors.
    affine: the operation read as ``activation(x W + b)``, or None.
    facts: what is known before any number is (sign of the input, kind, first, last, ...).
    sinks: whether the backward has to return sinks; they cost passes.
    """

    site: Site
    operation: object
    forward: Callable[..., Tensor]
    affine: AffineForm | None
    facts: Facts
    sinks: bool = False


@attrs.frozen
class Setting:
    """What surrounds a rule when it alone is named as an analyzer (``get_analyzer("lrp.epsilon")``).

    applies: condition of the operations that the rule is for (see ``xaicore.inspect.conditions``).
    companions: (condition, expression of a rule or None for the gradient) for the operations around them.
    initial: relevance of the explained output: "one" or "score".
    otherwise: what an operation gets that nothing matches: "unsupported" or "gradient".
    claims: laws that the resulting analyzer answers for ("conservation").
    weighted: whether the relevance of an input is a multiple of the input, so that it is 0 where the input is 0.
    """

    applies: str = "affine"
    companions: tuple[tuple[str, str | None], ...] = ()
    initial: str = "one"
    otherwise: str = "unsupported"
    claims: frozenset[str] = frozenset()
    weighted: bool = False


class Rule(Protocol):
    """A vector-Jacobian product with another Jacobian.

    Law: sum of input relevance + sinks = sum of output relevance, per sample,
    where the rule's ``setting.claims`` hold "conservation".
    A rule may tell what it costs, ``effort(facts) -> Effort``; otherwise the planner takes it for a gradient.
    """

    setting: Setting

    def __call__(self, op: OpCall, *inputs: Tensor) -> tuple[Tensor, Callable[[Tensor], Relevance]]:
        """Return the operation's output, equal to ``op.forward(*inputs)``, and relevance -> Relevance."""
        ...


class Step(Protocol):
    """A pure function of tensors: it may run in any loop, at any batch size."""

    def __call__(self, inputs: Tensors, target: Target, ids: Tensor) -> Attribution:
        """Explain one batch.  ids: (batch,) int64 sample ids, the key of all randomness."""
        ...


class Program(Protocol):
    """An immutable view of a model as a function.  A black box has ``outputs`` only."""

    @property
    def graph(self) -> Graph:
        """Sites in execution order, and facts known before any trace."""
        ...

    def outputs(self, inputs: Tensors) -> Tensor:
        """Return the chosen output, its head stripped or not."""
        ...

    def pull(
        self,
        inputs: Tensors,
        target: Target,
        *,
        initial: Initial = "one",
        taps: Sequence[str] = (),
        stops: Sequence[str] = (),
        sinks: bool = False,
    ) -> Pull:
        """Return scores and the relevance of the inputs, of the tapped sites, and what was not passed on.

        initial: relevance of the explained output, "one", "score" (its value), or a function of the scores; or a
        mapping from sites, "" for the model's output, to what broadcasts to a sample of their output.
        stops: sites whose relevance is not passed on.
        """
        ...

    def with_rules(self, rules: RuleMap, *, otherwise: str = "gradient", starts: Sequence[str] = ()) -> Program:
        """Return the same program with rules: (condition, rule) in order, first match wins.

        starts: sites at whose output ``pull`` will start relevance, where it is not the model's output.
        """
        ...

    def folded(self) -> Program:
        """Return the program with batch normalization folded into the linear layers beside it, where it can be.

        Law: folded().outputs(x) == outputs(x) up to rounding.
        """
        ...

    def cut(self, site: str) -> tuple[Callable[[Tensors], Tensors], Program]:
        """Return the head (inputs -> the site's output) and the tail as a program of that inner tensor.

        Law: tail.outputs(head(inputs)) == outputs(inputs).
        """
        ...


@runtime_checkable
class Analyzer(Protocol):
    """Explains the predictions of a model.  A frozen value; ``attribute`` is all that an author writes.

    Law: per sample.  The explanation of a sample does not depend on the others in its batch.
    """

    compiled: bool
    claims: frozenset[str]

    def attribute(self, program: Program) -> Step:
        """Return the pure step of this analyzer on this program."""
        ...


class Filter(Protocol):
    """Changes attributions after the fact.  Law: per sample."""

    def __call__(self, attributions: Tensor) -> Tensor:
        """attributions: (batch, *features)."""
        ...


class Quadrature(Protocol):
    """Nodes and weights on [0, 1].  Law: weights sum to 1; exact for polynomials up to ``degree(n)``."""

    def __call__(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (nodes, weights), float64, each (n,)."""
        ...

    def degree(self, n: int) -> int:
        """Return the highest degree of a polynomial that n nodes integrate exactly."""
        ...


class CostFunction(Protocol):
    """Cost of a candidate, per sample.  Law: its gradient equals finite differences."""

    def __call__(self, x: Tensor, *, original: Tensor, outputs: Tensor, target: Tensor) -> Tensor:
        """Return (batch,)."""
        ...


class Optimizer(Protocol):
    """A pure rule of descent, per sample.  Law: masked entries stay bit-equal; rows are independent."""

    def init(self, x: Tensor) -> Tensors:
        """Return the state before the first step."""
        ...

    def update(self, gradient: Tensor, state: Tensors, x: Tensor) -> tuple[Tensor, Tensors]:
        """Return the step to add to x, and the new state."""
        ...
