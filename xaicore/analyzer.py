"""What all analyzers share: bind, explain, plan, save, ``|``, str.  Stands above the engine."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import attrs

from xaicore.declaration import part
from xaicore.errors import InvalidParameter

if TYPE_CHECKING:
    import keras
    import numpy as np

    from xaicore.binding import Bound
    from xaicore.engine.plan import Plan
    from xaicore.engine.target import ParsedTarget
    from xaicore.explanation import Explanation
    from xaicore.protocols import Attribution, Filter, Program, Step, Tensor, Tensors


class AnalyzerBase:
    """Base of analyzers: frozen attrs classes whose one method of their own is ``attribute``.

    Fields are all that changes the numbers.  ``score`` ("logit" or "probability") is a field or follows ``inner``.
    compiled: whether ``bind`` compiles the step.  False: it runs on the host, and may call what only takes numbers.
    maps: whether attributions are one map of positions, (batch, *positions, 1), and not shaped like the inputs.
    needs_gradient: whether the inputs have to be floating numbers, which a gradient can be taken of.
    asks_model: whether attributions depend on the model at all; what only shows the input runs it for the score.
    own_targets: texts that the analyzer takes as targets beside those of all, each with the function of the outputs
        (batch, ...) -> (batch,) that it stands for.
    """

    compiled: ClassVar[bool] = True
    maps: ClassVar[bool] = False
    needs_gradient: ClassVar[bool] = True
    asks_model: ClassVar[bool] = True
    own_targets: ClassVar[Mapping[str, Callable[[Tensor], Tensor]]] = {}

    @property
    def claims(self) -> frozenset[str]:
        """The laws that the analyzer answers for: "conservation", "completeness"."""
        return frozenset()

    def explained_site(self, program: Program) -> str | None:  # noqa: ARG002  # some choose by the program
        """Return the site whose output is explained or looked at: the field ``at``; None for the model's inputs."""
        return getattr(self, "at", None)

    def passes(self, inner: float) -> float:
        """Return the cost in forward passes, given that of the one pass or analyzer inside; the planner asks."""
        return inner

    def copies(self, inner: int) -> int:  # noqa: ARG002  # most make none
        """Return how many copies of a sample are explained together, given how many the analyzer inside makes of each.

        1: not known, or none.  Where all copies of a batch fit into one pass of a small model, no loop is compiled.
        """
        return 1

    def spared(self, program: Program) -> float:  # noqa: ARG002  # most leave nothing out
        """Return what the passes inside leave out of the model, in forward passes of it; the planner asks."""
        return 0.0

    def rows(self, program: Program) -> int | None:  # noqa: ARG002  # few look at the program
        """Return for how many samples the analyzer holds values of their own, a row each; None for any number."""
        return None

    def starts(self, inputs: Sequence[np.ndarray], ids: np.ndarray) -> list[np.ndarray] | None:  # noqa: ARG002  # as above
        """Return where paths start, like the inputs, for results that keep it; None where there are no paths."""
        return None

    def check_target(self, target: object, parsed: ParsedTarget) -> None:
        """Refuse a target that the analyzer cannot explain, though the model has it; before anything is traced."""

    def prepared(self, program: Program) -> Program:
        """Return the program that is planned and explained: the model itself, or one that computes the same."""
        return program

    def check_program(self, program: Program) -> None:
        """Refuse a model that the analyzer cannot explain; before anything is planned."""

    def warn_about(self, explanation: Explanation) -> None:
        """Warn of what a user has to know about a finished explanation, such as samples that did not converge."""

    def attribute(self, program: Program) -> Step:
        """Return the pure step of this analyzer on this program."""
        raise NotImplementedError(f"{type(self).__qualname__} has to define `attribute(program)`.")

    def bind(
        self,
        model: keras.Model,
        output: str | int | None = None,
        forward_kwargs: Mapping[str, object] | None = None,
        *,
        fresh: bool = False,
    ) -> Bound:
        """Return the analyzer compiled for one model; the same object as long as the model stays as it is.

        Args:
            model: A built Keras 3 model.  It is only read, and not kept alive.
            output: Name or index of the output, where the model has several.
            forward_kwargs: Further arguments of a subclassed model's ``call``; values that can be hashed, and arrays
                with a row for each sample, of which the shapes count.
            fresh: Compile anew; needed only where a model's Python code was changed.
        """
        from xaicore.binding import bind  # TensorFlow is imported only when something is computed

        return bind(self, model, output, forward_kwargs, fresh=fresh)

    def explain(
        self,
        model: keras.Model,
        x: object,
        target: object = None,
        *,
        target_fn: Callable[..., object] | None = None,
        output: str | int | None = None,
        forward_kwargs: Mapping[str, object] | None = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        callbacks: Sequence[object] = (),
        keep_data: bool = False,
    ) -> Explanation:
        """Explain the model's predictions on x.

        Args:
            model: A built Keras 3 model.
            x: Array (batch, *features), list or dict of arrays as the model takes them, tensor, or tf.data.Dataset.
            target: What to explain of the output; see ``xaicore.engine.target``.  Default: the largest output.
            target_fn: Another name for target where it is a function: outputs (batch, classes) -> (batch,).
            output: Name or index of the output, where the model has several.
            forward_kwargs: Further arguments of a subclassed model's ``call``; arrays have a row for each sample, and
                are not explained.
            batch_size: Samples per step, 32 by default.
            verbose: 0 no progress bar, 1 a bar, "auto" a bar on a terminal when there is more than one batch.
            callbacks: ``keras.callbacks.Callback`` objects; they get the ``on_predict_*`` events.
            keep_data: Whether the result holds the data too, where paths start, and the model's predictions.

        Returns:
            An Explanation in numpy arrays.
        """
        # TensorFlow is imported only when something is computed.
        from xaicore.engine.target import named_output, one_target
        from xaicore.forwarded import split_forwarded
        from xaicore.streaming import Run, stream

        target = one_target(target=target, target_fn=target_fn)
        bound = self.bind(model, named_output(target) if output is None else output, forward_kwargs)
        run = Run(
            batch_size=batch_size,
            verbose=verbose,
            callbacks=callbacks,
            model=model,
            keep_data=keep_data,
            forwarded=split_forwarded(model, forward_kwargs)[1],
        )
        return stream(bound, x, target, run)  # type: ignore[return-value]  # without a sink it is kept

    def plan(self, model: keras.Model, output: str | int | None = None) -> Plan:
        """Return what every operation of the model will get, without running anything."""
        return self.bind(model, output).plan

    def save(self, path: str | pathlib.Path) -> pathlib.Path:
        """Write the canonical expression, and the arrays that it refers to, to one ``.npz`` file without pickle.

        Returns its path; the ending .npz is added where it lacks.  ``AnalyzerBase.load(path)`` makes an equal analyzer.

        Raises:
            ResultExists: a file stands there already; it is left as it is.
            NotExpressible: the analyzer holds what no text stands for, such as a function.
        """
        from xaicore import registry, storage

        arrays = {f"array_{digest}": array.data for digest, array in registry.default().arrays_of(self).items()}
        path = storage.named(path)
        storage.write(path, {"analyzer": str(self)}, arrays, overwrite=False)
        return path

    @staticmethod
    def load(path: str | pathlib.Path) -> AnalyzerBase:
        """Return the analyzer that ``save`` wrote; raises UnreadableResult where the file is none."""
        from xaicore import registry, storage
        from xaicore.errors import UnreadableResult

        document, arrays = storage.read(path)
        if not isinstance(document.get("analyzer"), str) or "format" in document:
            raise UnreadableResult(f"{path} holds no analyzer. Expected a file that `analyzer.save` wrote.")
        by_digest = {name.removeprefix("array_"): array for name, array in arrays.items()}
        return registry.get(document["analyzer"], "analyzer", arrays=by_digest)  # type: ignore[no-any-return]

    def __or__(self, other: object) -> Filtered:
        """Return the analyzer followed by a filter, given as an object or by name."""
        from xaicore.registry import get_filter

        before = self.filters if isinstance(self, Filtered) else ()
        inner = self.inner if isinstance(self, Filtered) else self
        return Filtered(inner, (*before, get_filter(other)))

    def __str__(self) -> str:
        """Return the canonical expression: ``get_analyzer(str(a)) == a``."""
        from xaicore.registry import expression_of

        return expression_of(self)


def _as_tuple(filters: Iterable[Filter]) -> tuple[Filter, ...]:
    return tuple(filters)


@attrs.frozen(str=False)
class Filtered(AnalyzerBase):
    """An analyzer followed by filters, written ``inner | filter | ...``.

    inner: the analyzer.  filters: each maps attributions (batch, *features), per sample.
    """

    inner: AnalyzerBase = part("analyzer")
    filters: tuple[Filter, ...] = attrs.field(default=(), converter=_as_tuple)

    def __attrs_post_init__(self) -> None:
        """Refuse a pipe without filters, and one inside a pipe: neither can be written, ``|`` makes neither."""
        if not self.filters or isinstance(self.inner, Filtered):
            raise InvalidParameter(f"Given {self.filters!r} after {self.inner!r}; write analyzer | filter | ...")

    def copies(self, inner: int) -> int:
        """Return those of the analyzer."""
        return inner

    def attribute(self, program: Program) -> Step:
        """Return the inner step with the filters after it.  The residual stays that of the inner analyzer."""
        step = self.inner.attribute(program)

        def filtered(inputs: Tensors, target: object, ids: Tensor) -> Attribution:
            found = step(inputs, target, ids)  # type: ignore[arg-type]
            attributions = found.attributions
            for one in self.filters:
                attributions = tuple(one(a) for a in attributions)
            return found._replace(attributions=attributions)

        return filtered


def at_site(analyzer: AnalyzerBase, site: str, program: Program) -> Step:
    """Return the step of an analyzer that explains the output of a site instead of the model's inputs.

    The analyzer's own ``attribute`` runs on the tail, with what runs around the site fixed.
    """
    if not isinstance(site, str):
        raise InvalidParameter(f"Given at={site!r}; expected the text of a site, as `analyzer.plan(model)` lists them.")
    head, tail = program.cut(site)
    inside: AnalyzerBase = attrs.evolve(analyzer, at=None)  # type: ignore[misc]  # every analyzer is an attrs class
    count = len(program.tensors_at(site))  # type: ignore[attr-defined]
    whole: Callable[[Program], Step] = inside.attribute
    whole(tail)  # so that what is wrong with the plan is said before the trace

    def step(inputs: Tensors, target: object, ids: Tensor) -> Attribution:
        tensors = head(inputs)
        return whole(tail.given(tensors[count:]))(tensors[:count], target, ids)  # type: ignore[attr-defined,arg-type]

    return step
