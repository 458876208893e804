"""What the model says about the input: a wrong preprocessing shows here first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xaicore.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Sequence

    import keras

    from xaicore.cli.inputs import Inputs

VECTOR = 2  # axes of an output that holds a number per class


def check_labels(labels: Sequence[str], model: keras.Model) -> None:
    """Check that there are as many labels as the model has classes.

    Raises:
        InvalidArgument: there are not.
    """
    count = _classes(model)
    if labels and count is not None and len(labels) != count:
        raise InvalidArgument(
            f"--labels holds {len(labels)} names; the model has {count} outputs. Expected one name for each, in order."
        )


def predictions(model: keras.Model, inputs: Inputs, labels: Sequence[str], most: int) -> tuple[str, ...]:
    """Return the largest output of the first samples as text, such as "happy 0.997"; nothing for other models."""
    if _classes(model) in {None, 1}:
        return ()
    few = {k: v[:most] for k, v in inputs.x.items()} if isinstance(inputs.x, dict) else inputs.x[:most]
    outputs = model.predict(few, verbose=0)
    best = outputs.argmax(axis=-1)
    return tuple(f"{labels[i] if labels else i} {row[i]:.3g}" for i, row in zip(best, outputs, strict=True))


def _classes(model: keras.Model) -> int | None:
    """Return the length of the one output vector; None where there is none, or the model does not tell."""
    try:
        shape = model.output_shape
    except (AttributeError, ValueError):  # a subclassed model
        return None
    if not isinstance(shape, tuple) or len(shape) != VECTOR or isinstance(shape[1], tuple | list):
        return None
    count: int | None = shape[1]
    return count
