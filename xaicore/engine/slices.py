"""A step that runs some samples at a time, whatever the size of its batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import tensorflow as tf

from xaicore.engine.target import Target
from xaicore.protocols import Attribution

if TYPE_CHECKING:
    from xaicore.engine.program import Program
    from xaicore.protocols import Step, Tensors


def in_slices(make: Callable[[Program], Step], program: Program, rows: int) -> Step:
    """Return a step that goes through its batch by at most ``rows`` samples at a time.

    Law: the same as the whole batch, since steps are per sample; one trace of the step.

    Args:
        make: Makes the step of a program.
        program: Its context has a row for each sample.
        rows: Most samples.
    """

    def step(inputs: Tensors, target: Target, ids: tf.Tensor) -> Attribution:
        def part(number: tf.Tensor) -> Attribution:
            def some(tensor: tf.Tensor) -> tf.Tensor:
                return tensor[number * rows : (number + 1) * rows]

            index = None if target.index is None else some(target.index)
            inside = make(program.given(tuple(map(some, program.context))))
            return inside(tuple(map(some, inputs)), Target(target.spec, index), some(ids))

        traced = tf.function(part, autograph=False, input_signature=[tf.TensorSpec((), tf.int32)])
        function = traced.get_concrete_function()
        count = -(-tf.shape(ids)[0] // rows)
        empty = [
            tf.TensorArray(t.dtype, size=count, infer_shape=False, element_shape=[None, *t.shape[1:]])
            for t in tf.nest.flatten(function.structured_outputs)
        ]

        def body(number: tf.Tensor, kept: list[tf.TensorArray]) -> tuple[tf.Tensor, list[tf.TensorArray]]:
            found = tf.nest.flatten(function(number))
            return number + 1, [k.write(number, f) for k, f in zip(kept, found, strict=True)]

        _, kept = tf.while_loop(lambda number, _: number < count, body, (tf.constant(0), empty), parallel_iterations=1)
        whole = tf.nest.pack_sequence_as(function.structured_outputs, [k.concat() for k in kept])
        return Attribution(*whole)

    return step
