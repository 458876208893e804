"""Full-gradients: the gradient of the input and the gradients of all biases, which together are the output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from xaicore.analyzer import AnalyzerBase, at_site
from xaicore.errors import InvalidParameter, UnsupportedOperation
from xaicore.protocols import Attribution
from xaicore.values import choice, flag, optional, site_text

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore.engine.target import Target
    from xaicore.inspect.nodes import Graph, Node
    from xaicore.protocols import Program, Step, Tensors

# Operations that are homogeneous of degree one: f = J x, without a constant.
_HOMOGENEOUS = frozenset({"routing", "identity", "max_pooling", "average_pooling", "interpolation"})
_AFFINE = frozenset({"conv", "dense", "norm"})
_POSITIONS = 3  # axes of what has positions: batch, positions, channels


@attrs.frozen(str=False)
class FullGradients(AnalyzerBase):
    """The full-gradient decomposition: Srinivas and Fleuret 2019, proposition 1 and eq. 4.

        f(x) = sum x * df/dx + sum over layers l of sum b_l * df/dz_l
        M    = sum over channels of psi(x * df/dx) + sum over l, channels of psi(b_l * df/dz_l)

    z_l is the pre-activation of layer l, b_l its bias; that of BatchNormalization is beta - gamma mean / sqrt(variance
    + epsilon) with its own epsilon; that of what is not affine, such as LayerNormalization or GELU, is y - J x
    (their section 3.2, implicit biases).  ``residual`` is what the sum of all terms, psi left out, misses of f.

    The map is (batch, *positions, 1), in the size of the input; layers of another size are interpolated linearly.
    Terms of layers without positions (Dense) are not in it: ``elsewhere``, (batch,), is their sum.

    Args:
        psi: "absolute", |a| scaled to [0, 1] for each channel and then summed, as in the paper's experiments;
            "none" leaves signs and sizes.
        input_term: Whether x * df/dx is in the map.
        at: Site whose output is taken for the input.
        score: "logit" strips a softmax or sigmoid head, "probability" keeps it.
    """

    maps: ClassVar[bool] = True

    psi: str = attrs.field(default="absolute", converter=choice("absolute", "none"))
    input_term: bool = attrs.field(default=True, converter=flag)
    at: str | None = attrs.field(default=None, converter=optional(site_text))
    score: str = attrs.field(default="logit", converter=choice("logit", "probability"))

    @property
    def claims(self) -> frozenset[str]:
        """Completeness of the decomposition; a map without signs does not sum to anything."""
        return frozenset({"completeness"})

    def passes(self, inner: float) -> float:
        """Return the inner passes, and one for what lies in the biases."""
        return inner + 1

    def check_program(self, program: Program) -> None:
        """Refuse inputs that a map cannot be drawn for, and operations that cannot be looked into."""
        graph = program.graph if self.at is None else program.cut(self.at)[1].graph
        _pictured(graph)
        opaque = [str(node.site) for node in graph.nodes if node.inner or _loops(node)]
        if opaque:
            raise UnsupportedOperation(
                f"Full-gradients need the biases of every operation, and {', '.join(opaque[:3])} could not be turned "
                "into operations. Other analyzers of this family take the model as it is."
            )

    def attribute(self, program: Program) -> Step:
        """Return the step: a gradient with the relevance of every pre-activation kept, and the biases."""
        self.check_program(program)
        if self.at is not None:
            return at_site(self, self.at, program)
        parts = program.apart()
        graph = parts.graph
        moving = graph.dependents(graph.inputs[: len(graph.inputs) - len(program.context)])
        nodes = [n for n in graph.nodes if moving & set(n.inputs) and _has_constant(n)]
        sites = [str(n.site) for n in nodes]
        pictured = _pictured(graph)

        def step(inputs: Tensors, target: Target, ids: tf.Tensor) -> Attribution:  # noqa: ARG001  # nothing is random
            import tensorflow as tf

            from xaicore.engine.resize import resize

            pull = parts.pull(inputs, target, taps=sites)
            values = parts.values(inputs)
            sizes, static = tf.shape(inputs[pictured])[1:-1], inputs[pictured].shape[1:-1]
            terms = [x * r for x, r in zip(inputs, pull.relevance, strict=True)]
            every = [_total(t) for t in terms]
            maps = [self._map(t) for t in terms if _fits(t, static)] if self.input_term else []
            elsewhere = [_total(t) for t in terms if not _fits(t, static)]
            for node, site in zip(nodes, sites, strict=True):
                if site not in pull.taps:
                    continue
                term = pull.taps[site] * _constant(node, values, moving)
                every.append(_total(term))
                if term.shape.rank == inputs[pictured].shape.rank:
                    maps.append(resize(self._map(term), sizes, static))
                else:
                    elsewhere.append(_total(term))
            scores = pull.scores
            extras = {"residual": tf.add_n(every) - scores, "elsewhere": tf.add_n([*elsewhere, tf.zeros_like(scores)])}
            empty = tf.zeros(tf.shape(inputs[pictured])[:-1], scores.dtype)
            return Attribution((tf.add_n([*maps, empty])[..., None],), scores, extras)

        return step

    def _map(self, term: tf.Tensor) -> tf.Tensor:
        """Return psi of a term, summed over channels."""
        import tensorflow as tf

        if self.psi == "none":
            return tf.reduce_sum(term, -1)
        over = list(range(1, term.shape.rank - 1))
        size = tf.abs(term)
        low, high = (reduce(size, over, keepdims=True) for reduce in (tf.reduce_min, tf.reduce_max))
        return tf.reduce_sum(tf.math.divide_no_nan(size - low, high - low), -1)


def _pictured(graph: Graph) -> int:
    """Return the index of the first input with positions, whose size the map gets."""
    shapes = [graph.specs[key].shape for key in graph.inputs]
    found = [i for i, shape in enumerate(shapes) if len(shape) >= _POSITIONS]
    if not found or len({shapes[i][1:-1] for i in found}) != 1:
        raise InvalidParameter(
            f"The inputs have the shapes {', '.join(map(str, shapes))}; expected positions, (batch, *positions, "
            "channels), the same in all inputs that have any: full-gradients are a map."
        )
    return found[0]


def _has_constant(node: Node) -> bool:
    """Return whether an operation may add something that does not scale with its input."""
    from xaicore.inspect.kinds import activation_of, is_unbounded_relu, kind

    of_kind = kind(node.operation)
    if of_kind in _AFFINE:
        return of_kind == "norm" or getattr(node.operation, "bias", None) is not None
    return of_kind not in _HOMOGENEOUS and not is_unbounded_relu(activation_of(node.operation))


def _loops(node: Node) -> bool:
    """Return whether an operation calls its cell in a loop of the backend, which has no derivative forward."""
    from keras import layers

    return isinstance(node.operation, layers.RNN | layers.Bidirectional | layers.TimeDistributed)


def _constant(node: Node, values: dict[int, tf.Tensor], moving: set[int]) -> tf.Tensor:
    """Return ``y - J x``: for an affine operation what it makes of zeros, the same for every sample."""
    import tensorflow as tf

    from xaicore.inspect.kinds import kind
    from xaicore.inspect.running import run

    tensors = [values[key] for key in node.inputs]
    if kind(node.operation) in _AFFINE:
        return run(node, [tf.zeros_like(t[:1]) for t in tensors])[0]
    at = [t for key, t in zip(node.inputs, tensors, strict=True) if key in moving and t.dtype.is_floating]
    with tf.autodiff.ForwardAccumulator(at, at) as forward:
        (output,) = run(node, tensors)
    along = forward.jvp(output)
    return output if along is None else output - along


def _fits(term: tf.Tensor, static: Any) -> bool:
    return term.shape.rank == len(static) + 2  # type: ignore[no-any-return]  # tf has no types


def _total(term: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    return tf.reduce_sum(term, list(range(1, term.shape.rank)))
