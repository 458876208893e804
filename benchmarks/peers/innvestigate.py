"""iNNvestigate 2.1: TensorFlow 2.14 without eager execution, in which most of its analyzers fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from benchmarks.peers import common, keras_network, keys

if TYPE_CHECKING:
    import numpy as np

# key, name, arguments.  Its composite "preset A" has alpha-beta for convolutions, epsilon for dense layers.  Its faster
# z+ leaves out the part for negative inputs of layers, of which our networks have none.
SINGLE = (
    (keys.GRADIENT, "gradient", {}),
    (keys.EPSILON, "lrp.epsilon", {"epsilon": 1e-6}),
    (keys.ALPHA2BETA1, "lrp.alpha_2_beta_1", {}),
    (keys.ALPHA1BETA0, "lrp.alpha_1_beta_0", {}),
    (keys.ZPLUS, "lrp.z_plus", {}),
    (keys.ZPLUS, "lrp.z_plus_fast", {}),
    (keys.COMPOSITE, "lrp.sequential_preset_a", {"epsilon": 1e-6}),
)
METHODS = {
    "W1": SINGLE,
    "W2": SINGLE,
    "W3": (*SINGLE, (keys.GUIDED, "guided_backprop", {}), (keys.SMOOTH, "smoothgrad", {"augment_by_n": 32})),
    "W4": ((keys.INTEGRATED, "integrated_gradients", {"steps": 50}),),
}


def analyzed(name: str, arguments: dict[str, object], model: object, x: np.ndarray) -> Callable[[], common.Run]:
    """Return the maker of one call of ``analyze``."""

    def make() -> common.Run:
        import innvestigate

        analyzer = innvestigate.create_analyzer(name, model, neuron_selection_mode="index", **arguments)
        targets = [common.TARGET] * len(x)  # an int does in some analyzers only
        return lambda: analyzer.analyze(x, neuron_selection=targets)

    return make


def prepare(workload: str, data: common.Arrays, wanted: Sequence[str]) -> common.Maps:  # noqa: ARG001  # one signature
    """Build the network in Keras 2, as a graph."""
    import tensorflow as tf

    tf.compat.v1.disable_eager_execution()
    model, x, backend = keras_network.network(tf.keras, data), data["x"], tf.keras.backend
    (slope,) = tf.gradients(model.output[:, common.TARGET], [model.input])
    gradient = backend.function([model.input], [slope])
    methods = [
        common.Method(key, ", ".join((name, *(f"{k}={v}" for k, v in given.items()))), analyzed(name, given, model, x))
        for key, name, given in METHODS[workload]
    ]
    return common.Maps(lambda: model.predict(x, batch_size=len(x)), lambda: gradient([x])[0], methods)


if __name__ == "__main__":
    common.main(("innvestigate", "tensorflow"), prepare)
