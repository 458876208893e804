"""Xplique 2.0 on TensorFlow 2.20 and Keras 3.15, with reducer=None: maps of the input's shape, as everywhere here."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.peers import common, keras_network, keys

# key, what is called, class, arguments; the paper of SmoothGrad is of relative noise, Xplique's is absolute.
METHODS = {
    "W3": (
        (keys.GRADIENT, "Saliency", "Saliency", {}),
        (keys.GUIDED, "GuidedBackprop", "GuidedBackprop", {}),
        (keys.SMOOTH, "SmoothGrad, nb_samples=32", "SmoothGrad", {"nb_samples": 32}),
    ),
    "W4": (
        (keys.INTEGRATED, "IntegratedGradients, steps=50, batch_size=256", "IntegratedGradients", {"steps": 50}),
        (
            keys.INTEGRATED,
            "IntegratedGradients, steps=50, batch_size=1024",
            "IntegratedGradients",
            {"steps": 50, "batch_size": 1024},
        ),
    ),
}


def explained(name: str, arguments: dict[str, object], model: object, x: np.ndarray) -> Callable[[], common.Run]:
    """Return the maker of one call of ``explain``."""

    def make() -> common.Run:
        from xplique import attributions

        explainer = getattr(attributions, name)(model, **({"batch_size": len(x), "reducer": None} | arguments))
        targets = np.zeros((len(x), model.output_shape[-1]), np.float32)
        targets[:, common.TARGET] = 1
        return lambda: explainer.explain(x, targets)

    return make


def prepare(workload: str, data: common.Arrays, wanted: Sequence[str]) -> common.Maps:  # noqa: ARG001  # one signature
    """Build the network in Keras 3."""
    import keras
    import tensorflow as tf

    model, x = keras_network.network(keras, data), data["x"]
    methods = [
        common.Method(key, label, explained(name, given, model, x)) for key, label, name, given in METHODS[workload]
    ]
    return common.Maps(lambda: model.predict(x, verbose=0), keras_network.gradient(tf, model, x), methods)


if __name__ == "__main__":
    common.main(("xplique", "tensorflow", "keras"), prepare)
