"""An EinsumDense by the letters of its equation: sizes, of which Keras keeps those it was built with, and axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import attrs
import tensorflow as tf

if TYPE_CHECKING:
    from keras import layers

Size = int | None


def sizes(layer: layers.EinsumDense, given: Sequence[Size]) -> Mapping[str, Size] | None:
    """Return the size of each letter of a built layer's equation; None where the equation has an ellipsis.

    given: the shape of the input, its first axis the samples.
    """
    left, _ = layer.equation.replace(" ", "").split("->")
    of_input, of_kernel = left.split(",")
    if "." in left or not layer.built or len(of_input) != len(given):
        return None
    return {**dict(zip(of_input, given, strict=True)), **dict(zip(of_kernel, layer.kernel.shape, strict=True))}


def output_shape(layer: layers.EinsumDense, given: Sequence[Size]) -> tuple[Size, ...]:
    """Return the shape of the output, with the lengths that the input has."""
    known = sizes(layer, given)
    if known is None:
        return tuple(layer.compute_output_shape(given))
    return tuple(known[letter] for letter in layer.equation.replace(" ", "").split("->")[1])


@attrs.frozen
class Letters:
    """The letters of an equation, counted from the last axis where it begins with an ellipsis."""

    given: str
    kernel: str
    output: str

    def of(self, axis: int, rank: int, *, before: bool) -> str:
        """Return the letter of an axis of the output (before) or of the input; "" where it is one of an ellipsis.

        rank: axes of that tensor.
        """
        letters = self.output if before else self.given
        place = axis % rank - rank
        return letters[place] if -place <= len(letters) else ""

    def foldable(self, letter: str, before: bool) -> bool:  # as a normalization is named in Fold
        """Return whether scales along a letter, and what a constant adds, can be put into kernel and bias."""
        if not letter or letter not in self.kernel:
            return False
        # What is summed beside the kernel would count a constant as often as there are places.
        return before or all(one in self.kernel or one in self.output for one in self.given)

    def spread(self, values: tf.Tensor, letters: str) -> tf.Tensor:
        """Return values, one axis for each of the letters in their order, in a shape that broadcasts to the output."""
        sizes = dict(zip(letters, values.shape, strict=True))
        first = min(map(self.output.index, letters), default=len(self.output))
        return tf.reshape(values, [sizes.get(letter, 1) for letter in self.output[first:]])


def letters(layer: layers.EinsumDense) -> Letters | None:
    """Return the letters of a layer's equation; None where an ellipsis stands elsewhere than before all others."""
    left, output = layer.equation.replace(" ", "").split("->")
    given, kernel = left.split(",")
    of_each = [text.removeprefix("...") for text in (given, kernel, output)]
    if any("." in text for text in of_each) or kernel.startswith(".") or given[0] != output[0]:
        return None
    return Letters(*of_each)
