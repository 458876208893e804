"""What the outputs of a model are called: by the keys under which it returns them, else as Keras calls them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras


def output_names(returned: object, fallback: Sequence[str]) -> tuple[str, ...]:
    """Return a name for each output, in the order in which Keras flattens them.

    Args:
        returned: The structure that the model returns.
        fallback: Names for outputs that have no key.
    """
    if not is_keyed(returned):
        return tuple(fallback)
    return tuple("/".join(map(str, path)) for path, _ in keras.tree.flatten_with_path(returned))


def is_keyed(returned: object) -> bool:
    """Return whether outputs go by keys; Keras flattens these in the order of the alphabet and not in the model's."""
    return isinstance(returned, Mapping)
