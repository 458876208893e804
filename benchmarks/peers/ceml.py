"""CEML 0.7 on TensorFlow 2.14, with a cost of the user that calls the model: the one that it brings never does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from benchmarks.peers import common, keras_network, keys

STRENGTHS = [1.0, 0.1, 0.01]  # tried in turn until one gives a counterfactual
ITERATIONS = 300


def wrapped(network: Callable[..., object]) -> object:
    """Return the network as CEML takes it, with the negative log-likelihood of the wanted class as its loss."""
    import tensorflow as tf
    from ceml.backend.tensorflow.costfunctions import CostFunctionDifferentiableTf
    from ceml.model import ModelWithLoss

    class LogLikelihood(CostFunctionDifferentiableTf):
        def __init__(self, target: int) -> None:
            super().__init__()
            self.target = target

        def score_impl(self, x: object) -> object:
            return -tf.math.log(network(tf.reshape(x, (1, -1)), training=False)[0, self.target])

    class Model(ModelWithLoss):
        def predict(self, x: np.ndarray) -> int:
            return int(np.argmax(network(np.asarray(x, np.float32).reshape(1, -1), training=False)))

        def get_loss(self, y_target: int, pred: object = None) -> object:  # noqa: ARG002  # CEML's signature
            return LogLikelihood(y_target)

    return Model()


def search(model: object, optimizer: str, regularization: str) -> common.Search:
    """Return the search by one of SciPy's optimizers, row by row."""

    def find(x: np.ndarray, targets: np.ndarray) -> Iterator[np.ndarray]:
        for row, target in zip(x, targets, strict=True):
            yield one(model, row, int(target), optimizer, regularization)[None]

    key = keys.COUNTERFACTUAL_L1 if regularization == "l1" else keys.COUNTERFACTUAL
    label = f"{optimizer}, {regularization}, C={STRENGTHS}, max_iter={ITERATIONS}"
    return common.Search(key, label, find)


def one(model: object, row: np.ndarray, target: int, optimizer: str, regularization: str) -> np.ndarray:
    """Return the counterfactual of a row, nan where CEML says that it found none."""
    from ceml.tfkeras import generate_counterfactual

    settings = {"optimizer": optimizer, "optimizer_args": {"max_iter": ITERATIONS}, "C": STRENGTHS}
    try:
        found = generate_counterfactual(model, row, target, regularization=regularization, **settings)
    except Exception as error:
        if "No counterfactual found" in str(error):  # CEML raises a plain Exception
            return np.full_like(row, np.nan)
        raise
    return np.asarray(found["x_cf"], row.dtype).reshape(row.shape)


def prepare(workload: str, data: common.Arrays, wanted: Sequence[str]) -> common.Searches:  # noqa: ARG001  # one signature
    """Build the network in Keras 2."""
    import tensorflow as tf

    network = keras_network.network(tf.keras, data)
    model = wrapped(network)
    ways = [search(model, *way) for way in (("bfgs", "l1"), ("bfgs", "l2"), ("cg", "l1"), ("cg", "l2"))]
    return common.Searches(lambda: network.predict(data["x"], verbose=0), ways)


if __name__ == "__main__":
    common.main(("ceml", "tensorflow"), prepare)
