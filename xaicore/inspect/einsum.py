"""Sizes in an EinsumDense, by the letters of its equation: Keras keeps only those that it was built with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

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
