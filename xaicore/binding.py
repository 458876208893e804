"""An analyzer bound to a model: the one place where anything is compiled."""

from __future__ import annotations

import functools
import hashlib
import re
import threading
import warnings
import weakref
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

import attrs
import keras
import numpy as np
import tensorflow as tf

from xaicore.engine.copies import samples_in_one_pass
from xaicore.engine.program import Program
from xaicore.engine.target import OutputSpec, ParsedTarget, Target, TargetSpec, parse
from xaicore.engine.target_forms import choose
from xaicore.engine.visits import Visits
from xaicore.errors import (
    BlackBoxMistake,
    FoldingDiffers,
    HeadWarning,
    IntegerInput,
    InvalidArgument,
    PrecisionWarning,
    TargetType,
)
from xaicore.forwarded import specs_of, split_forwarded, symbols_of
from xaicore.inspect.head import hidden_head, scored, strip_head
from xaicore.inspect.inputs import InputSpec
from xaicore.inspect.nodes import Graph, Ref
from xaicore.inspect.outputs import is_keyed
from xaicore.inspect.placed import with_paths
from xaicore.inspect.precision import half_sites, in_float32
from xaicore.inspect.read import check_model, read_graph
from xaicore.inspect.settings import settings, structure_of
from xaicore.nesting import check_target, copies_of, is_compiled, is_cut, nested, own_target, plan_of, score_of
from xaicore.protocols import Attribution, Step

if TYPE_CHECKING:
    from xaicore.analyzer import AnalyzerBase
    from xaicore.engine.plan import Plan
    from xaicore.protocols import Tensors

# model -> what was bound to it.  The values hold no model, so that it can be collected.
_BOUND: weakref.WeakKeyDictionary[keras.Model, dict[Hashable, Bound]] = weakref.WeakKeyDictionary()
_BINDING = threading.RLock()
_MOST_BOUND = 64  # of one model: a loop over lambdas, or over parameters, must not grow without end

Function = Callable[["Tensors", tf.Tensor, tf.Tensor], Attribution]


@attrs.define(eq=False)
class Bound:
    """An analyzer compiled for one output of one model; made by ``bind``.

    input_specs: name, shape and dtype of each input, in the model's order.
    input_structure: the structure in which the model takes its inputs, holding the index of each input.
    output_specs: every output of the model.  output: index of the explained one.
    plan: what every operation gets.  visited: sites that the trace met.
    program: the chosen output of the model as a function.  step: the analyzer's own, on this program.
    few: as many samples have all their copies in one pass, and are explained by a function without a loop over copies,
        which takes half as long to compile; 0 where there are none.
    forwarded: further arguments of the model with a row for each sample; ``batch`` takes them behind the inputs.
    """

    analyzer: AnalyzerBase
    expression: str
    model_name: str
    input_specs: tuple[InputSpec, ...]
    input_structure: object
    output_specs: tuple[OutputSpec, ...]
    output: int
    plan: Plan
    program: Program = attrs.field(repr=False)
    step: Step = attrs.field(repr=False)
    variables: tuple[object, ...] = attrs.field(repr=False)
    architecture: str = attrs.field(repr=False)
    visited: Visits = attrs.field(repr=False)
    few: int = 0
    traces: int = 0
    functions: dict[tuple[TargetSpec, bool], Function] = attrs.field(factory=dict, repr=False)
    forwarded: tuple[InputSpec, ...] = ()

    def parse_target(self, target: object, batch: int) -> ParsedTarget:
        """Return the target of a batch, checked; nothing is traced.  See ``xaicore.engine.target.parse``."""
        meant = own_target(self.analyzer, target)
        spec = self.output_specs[self.output]
        # Keras may give two outputs of one layer the same name; keys are never the same, and have no place.
        chosen = spec.name if spec.keyed else self.output
        parsed = parse(meant, self.output_specs, output=chosen, batch=batch, score=score_of(self.analyzer))
        if meant is not target:
            parsed = attrs.evolve(parsed, described=target)
        check_target(self.analyzer, target, parsed)
        return parsed

    def batch(self, inputs: Sequence[np.ndarray], parsed: ParsedTarget, ids: np.ndarray) -> Attribution:
        """Explain one batch, inputs checked and in the model's order; numpy in, numpy out.

        With several targets per sample, axis 1 of every result is the target.
        """
        tensors = tuple(tf.convert_to_tensor(x) for x in inputs)
        keys = tf.convert_to_tensor(ids, tf.int64)
        function = self._function(parsed.spec, len(ids))
        try:
            found = [function(tensors, tf.constant(parsed.index[:, k]), keys) for k in range(parsed.index.shape[1])]
        except tf.errors.OpError as error:
            known = _known(error)
            if known is error:
                raise
            raise known from error
        self.visited.check()
        arrays = [keras.tree.map_structure(lambda t: t.numpy(), one) for one in found]
        if not parsed.many:
            return arrays[0]  # type: ignore[no-any-return]
        return keras.tree.map_structure(lambda *same: np.stack(same, axis=1), *arrays)  # type: ignore[no-any-return]

    def predictions(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """Return the output of the model as it is, its head included, for the arguments of ``batch``."""
        whole = attrs.evolve(self.program, graph=self.program.whole, visited=Visits())
        tensors, count = tuple(tf.convert_to_tensor(x) for x in inputs), len(self.input_specs)
        found: np.ndarray = whole.given(tensors[count:]).outputs(tensors[:count]).numpy()
        return found

    def with_analyzer(self, analyzer: AnalyzerBase) -> Bound:
        """Return the same with another analyzer that computes the same; its expression stays the one that was given."""
        step = analyzer.attribute(self.program)
        few = samples_in_one_pass(self.program, copies_of(analyzer))
        return attrs.evolve(self, analyzer=analyzer, step=step, few=few, traces=0, functions={})

    @property
    def coverage(self) -> tuple[dict[str, str], ...]:
        """The plan's rows as text, each with what came of it: visited "yes" or "no"."""
        names = ("site", "operation", "action", "rule", "why")
        return tuple(
            {
                **{name: getattr(row, name) for name in names},
                "visited": "yes" if row.site in self.visited.sites else "no",
            }
            for row in self.plan.rows
        )

    @property
    def fingerprint(self) -> str:
        """A digest of architecture and weights; of large weights every k-th number is read."""
        digest = hashlib.sha256(self.architecture.encode())
        for variable in self.variables:
            # NumPy sees the tensor's own memory: hundreds of megabytes are not copied for some thousand numbers.
            flat = np.asarray(tf.convert_to_tensor(variable)).reshape(-1)
            digest.update(flat[:: max(1, flat.size // 4096)].tobytes())
        return digest.hexdigest()[:32]

    def _function(self, spec: TargetSpec, samples: int) -> Function:
        with _BINDING:
            # What takes any number of samples takes few of them too, such as the last batch of a stream.
            few = samples <= self.few and (spec, False) not in self.functions
            key = (spec, few)
            if key not in self.functions:
                self.functions[key] = self._compile(spec, self.few if few else None)
            return self.functions[key]

    def _compile(self, spec: TargetSpec, at_most: int | None) -> Function:
        if not is_compiled(self.analyzer):
            return functools.partial(self._on_the_host, spec)
        signature = (
            tuple(tf.TensorSpec((None, *s.shape[1:]), s.dtype) for s in (*self.input_specs, *self.forwarded)),
            tf.TensorSpec((None, None), tf.int32),
            tf.TensorSpec((None,), tf.int64),
        )

        # Without AutoGraph, which rewrites the errors that are raised inside.  A partial, because TensorFlow counts
        # traces by code object and would warn of retracing when several analyzers are bound.
        traced = functools.partial(self._trace, spec, at_most)
        return tf.function(traced, autograph=False, input_signature=signature)  # type: ignore[no-any-return]

    def _on_the_host(self, spec: TargetSpec, inputs: Tensors, index: tf.Tensor, ids: tf.Tensor) -> Attribution:
        """Run the step as it is, on tensors that hold numbers; it may return arrays."""
        found = self._run(spec, None, inputs, index, ids)
        return keras.tree.map_structure(tf.convert_to_tensor, found)  # type: ignore[no-any-return]

    def _trace(
        self, spec: TargetSpec, at_most: int | None, inputs: Tensors, index: tf.Tensor, ids: tf.Tensor
    ) -> Attribution:
        self.traces += 1
        return self._run(spec, at_most, inputs, index, ids)

    def _run(
        self, spec: TargetSpec, at_most: int | None, inputs: Tensors, index: tf.Tensor, ids: tf.Tensor
    ) -> Attribution:
        step, count = self.step, len(self.input_specs)
        if self.forwarded or at_most is not None:  # what is forwarded is repeated with the samples
            program = attrs.evolve(self.program.given(inputs[count:]), at_most=at_most)
            step = self.analyzer.attribute(program)
        return step(inputs[:count], Target(spec, index if spec.needs_index else None), ids)


def bind(
    analyzer: AnalyzerBase,
    model: keras.Model,
    output: str | int | None = None,
    forward_kwargs: Mapping[str, object] | None = None,
    *,
    fresh: bool = False,
) -> Bound:
    """Return the analyzer bound to the model; from the cache while the model's structure stays as it is.

    fresh: drop what the cache has of this analyzer and this model.
    """
    check_model(model)
    kwargs, arrays = split_forwarded(model, forward_kwargs)
    forwarded = specs_of(arrays)
    analyzer = with_paths(analyzer, lambda: read_graph(model, {**kwargs, **symbols_of(forwarded)}))
    # The key itself and not its hash, which -1 and -2 share; with types, since 1, 1.0 and True are equal.
    typed = tuple((name, type(kwargs[name]), kwargs[name]) for name in sorted(kwargs))
    key = (analyzer, output, typed, forwarded, structure_of(model))
    try:
        hash(key)
    except TypeError as error:
        raise InvalidArgument(
            f"forward_kwargs={kwargs!r} or the analyzer holds a value that cannot be hashed ({error}); "
            "pass numbers, text or None."
        ) from error
    with _BINDING:
        of_model = _BOUND.setdefault(model, {})
        bound = _bind(analyzer, model, output, kwargs, forwarded) if fresh or key not in of_model else of_model[key]
        of_model.pop(key, None)
        of_model[key] = bound  # the last in order is the one used last
        while len(of_model) > _MOST_BOUND:
            del of_model[next(iter(of_model))]
        return bound


def _bind(
    analyzer: AnalyzerBase,
    model: keras.Model,
    output: str | int | None,
    kwargs: dict[str, object],
    forwarded: tuple[InputSpec, ...],
) -> Bound:
    graph = _in_full_precision(read_graph(model, {**kwargs, **symbols_of(forwarded)}), model.name)
    score = score_of(analyzer)
    _refuse_integers(analyzer, graph)
    heads = [graph.between(graph.inputs, (key,)) for key in graph.outputs]
    specs = tuple(
        OutputSpec(name, graph.specs[key].shape, scored(head, score), aliases, is_keyed(graph.returned))
        for name, aliases, key, head in zip(graph.output_names, graph.output_aliases, graph.outputs, heads, strict=True)
    )
    index = choose(output, specs)
    chosen = strip_head(heads[index]) if score == "logit" else heads[index]
    if score == "logit":
        _warn_of_hidden_head(chosen, model.name)
    # "before(softmax)" is a fact also where the softmax is not explained.
    program = Program(chosen, heads[index], visited=Visits())
    position = {key: i for i, key in enumerate(graph.inputs)}
    plan = plan_of(analyzer, program)
    program.visited.expect(plan, program.graph)
    return Bound(
        analyzer=analyzer,
        expression=_expression(analyzer),
        model_name=model.name,
        input_specs=tuple(
            InputSpec(name, graph.specs[key].shape, graph.specs[key].dtype)
            for name, key in zip(graph.input_names, graph.inputs, strict=False)  # beyond are the forwarded ones
        ),
        input_structure=keras.tree.map_structure(
            lambda ref: position[ref.key] if isinstance(ref, Ref) else ref, graph.structure
        ),
        output_specs=specs,
        output=index,
        plan=plan,
        program=program,
        step=analyzer.attribute(program),
        few=samples_in_one_pass(program, copies_of(analyzer)),
        variables=tuple(v.value for v in model.variables),
        architecture=f"{type(model).__qualname__}{_described(graph)}",
        visited=program.visited,
        forwarded=forwarded,
    )


def _warn_of_hidden_head(graph: Graph, name: str) -> None:
    node = hidden_head(graph)
    if node is None:
        return
    seen = f"ends in a {node.end}" if node.end not in {"", "unknown"} else "ends in what may be a softmax or sigmoid"
    warnings.warn(
        f"The model {name!r} {seen} inside of {node.site} ({type(node.operation).__name__}), where it cannot be left "
        "out: what it returns is explained, not the logit. Pass score='probability' to say so, or make the head a "
        "layer or an operation of Keras.",
        HeadWarning,
        stacklevel=2,
    )


def _in_full_precision(graph: Graph, name: str) -> Graph:
    """Return the graph computing in float32 at least, with a warning where the model does not."""
    half = half_sites(graph)
    if not half:
        return graph
    warnings.warn(
        f"The model {name!r} computes in half precision at {len(half)} operations ({', '.join(half[:3])}, ...). It is "
        "explained in float32, from the same weights: scores can differ from its predictions in the third digit.",
        PrecisionWarning,
        stacklevel=2,
    )
    return in_float32(graph)


def _known(error: tf.errors.OpError) -> Exception:
    """Return our own error for one of ours that was raised in the compiled function; else the error itself."""
    for ours in (BlackBoxMistake, TargetType):
        told = re.search(f"{ours.__name__}: (.*)", str(error))
        if told is not None:
            return ours(told.group(1))
    outside = re.search(r"indices\[[\d, ]*\] = -?\d+ is not in \[0, \d+\)", str(error))
    if outside is not None:
        return InvalidArgument(
            f"Given an integer that is no row of the table in which the model looks it up: {outside[0]}. Check that "
            "the data was made with the vocabulary that the model was trained with."
        )
    if FoldingDiffers.__name__ not in str(error):
        return error  # type: ignore[no-any-return]
    return FoldingDiffers(
        "The model with its batch normalization folded gives other scores than the model, beyond fold_tolerance. "
        f"Leave fold out for this model, or raise the tolerance. ({str(error).splitlines()[0][:200]})"
    )


def _expression(analyzer: AnalyzerBase) -> str:
    from xaicore.errors import NotExpressible

    try:
        return str(analyzer)
    except NotExpressible:
        return repr(analyzer)


def _refuse_integers(analyzer: AnalyzerBase, graph: Graph) -> None:
    if is_cut(analyzer) or not all(one.needs_gradient for one in nested(analyzer) if not hasattr(one, "inner")):
        return
    for name, key in zip(graph.input_names, graph.inputs, strict=False):
        if not tf.as_dtype(graph.specs[key].dtype).is_floating:
            sites = ", ".join(str(n.site) for n in graph.consumers(key))
            raise IntegerInput(
                f"The input {name!r} holds {graph.specs[key].dtype}, which has no gradient. "
                f"Explain the output of the operation that reads it instead: at= one of {sites}."
            )


def _described(graph: Graph) -> str:
    shapes = [(graph.specs[k].shape, graph.specs[k].dtype) for k in (*graph.inputs, *graph.outputs)]
    rows = [(str(n.site), type(n.operation).__name__, settings(n.operation), n.inputs, n.outputs) for n in graph.nodes]
    return repr((shapes, rows))
