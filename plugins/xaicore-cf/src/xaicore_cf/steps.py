"""A search as a step: bound to a model, for any batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from xaicore_cf.algebra import with_data
from xaicore_cf.classes import Classes
from xaicore_cf.copies import best, spread, start
from xaicore_cf.host import is_hosted
from xaicore_cf.judge import Judge
from xaicore_cf.layout import Layout
from xaicore_cf.limits import box_of
from xaicore_cf.predictions import look_at, with_head
from xaicore_cf.refine import on_host
from xaicore_cf.results import completed, result
from xaicore_cf.samples import join
from xaicore_cf.search import Search

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    import tensorflow as tf

    from xaicore.engine.program import Program
    from xaicore.engine.target import Target
    from xaicore.protocols import Attribution, Step, Tensors
    from xaicore_cf.copies import Copies, Given
    from xaicore_cf.counterfactual import Counterfactual


def step_of(settings: Counterfactual, program: Program) -> Step:
    """Return the step of a search on a model: one forward, and the search."""
    from xaicore.inspect.black_box import HostFunction

    box = box_of(program.graph, settings)
    data = (settings.reference, settings.labels)
    rare = None if settings.plausibility is None else with_data(settings.plausibility, *data)
    informed = attrs.evolve(settings, cost=with_data(settings.cost, *data), plausibility=rare)
    single = attrs.evolve(informed, C=1.0, starts=1)
    around = None if settings.pertinent is None else Layout.of(program.graph).spread("baseline", settings.baseline)
    opaque = any(isinstance(node.operation, HostFunction) for node in program.whole.nodes)
    asked = with_head(program) if settings.numbers else program
    asks = opaque and settings.outputs_are is None and settings.done is None and not settings.numbers
    hosts: dict[Hashable, Callable[[Copies, Given, tf.Tensor], Copies]] = {}

    def judge_of(classes: Classes, like: Tensors, *, sloped: bool) -> Judge:
        return Judge(informed, box, look_at(informed, asked, classes, like, sloped=sloped))

    def step(inputs: Tensors, target: Target, ids: tf.Tensor) -> Attribution:
        import tensorflow as tf

        x, outputs = join(inputs), program.outputs(inputs)
        classes = Classes.of(program, target, numbers=settings.numbers, outputs_are=settings.outputs_are)
        if asks and not settings.compiled:
            classes.refuse_unsaid(outputs.numpy())
        index = classes.index(target, outputs)
        baseline = None if around is None else tf.zeros_like(x) + tf.constant(around, x.dtype)
        given = spread(informed, x, index, baseline)
        judge = judge_of(classes, inputs, sloped=False)
        already = judge.settled(spread(attrs.evolve(single, n=1), x, index, baseline))
        copies = start(judge, given, already, ids)
        if is_hosted(settings.optimizer):
            # Shapes and dtypes alone: what is compiled for one batch serves the others.
            like = tuple(tf.TensorSpec((None, *one.shape[1:]), one.dtype) for one in inputs)
            if (classes, like) not in hosts:
                judging = judge_of(classes, like, sloped=settings.needs_gradient)
                hosts[classes, like] = on_host(judging, opaque=opaque)
            found = hosts[classes, like](copies, given, ids)
        else:
            found = Search(judge_of(classes, inputs, sloped=True)).run(copies, given)
        kept = best(found, settings.searches, settings.n)
        if settings.n > 1:
            most = spread(attrs.evolve(single, n=settings.searches + settings.n), x, index, baseline)
            kept = completed(judge, kept, found, most)
        of_sample = spread(single, x, index, baseline)
        return result(judge, program, kept, of_sample, inputs, scores=target(outputs), already=already)

    return step
