"""alibi 0.9.6 on TensorFlow 2.14: integrated gradients eagerly, counterfactuals as TensorFlow 1 graphs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.peers import common, keras_network, keys

# A target of 0.6 within 0.1 accepts what has just changed its class; alibi's own 1.0 within 0.05 goes further away.
SEARCH = {"target_proba": 0.6, "tol": 0.1, "max_iter": 200, "max_lam_steps": 5}


def counterfactual(model: object) -> common.Search:
    """Return the search row by row.  The other class of two is the target."""
    from alibi.explainers import Counterfactual

    def find(x: np.ndarray, targets: np.ndarray) -> Iterator[np.ndarray]:
        explainer = Counterfactual(model, (1, x.shape[1]), target_class="other", **SEARCH)
        for row, _ in zip(x, targets, strict=True):
            found = explainer.explain(row[None]).cf
            yield np.full_like(row[None], np.nan) if found is None else np.asarray(found["X"]).reshape(1, -1)

    return common.Search(
        keys.COUNTERFACTUAL_L1, f"Counterfactual, {', '.join(f'{k}={v}' for k, v in SEARCH.items())}", find
    )


def integrated(model: object, x: np.ndarray, size: int) -> common.Method:
    """Return Gauss-Legendre integrated gradients, 50 nodes, alibi's default, with an internal batch size."""

    def make() -> common.Run:
        from alibi.explainers import IntegratedGradients

        explainer = IntegratedGradients(model, method="gausslegendre", n_steps=50, internal_batch_size=size)
        return lambda: explainer.explain(x, target=common.TARGET)

    return common.Method(keys.INTEGRATED, f"IntegratedGradients, internal_batch_size={size}", make)


def prepare(workload: str, data: common.Arrays, wanted: Sequence[str]) -> common.Maps | common.Searches:  # noqa: ARG001
    """Build the network in Keras 2, in the mode that the explainer needs."""
    import tensorflow as tf

    if workload == "W5":
        tf.compat.v1.disable_v2_behavior()
    model, x = keras_network.network(tf.keras, data), data["x"]

    def outputs() -> np.ndarray:
        return model.predict(x, verbose=0)

    if workload == "W5":
        return common.Searches(outputs, [counterfactual(model)])
    return common.Maps(
        outputs, keras_network.gradient(tf, model, x), [integrated(model, x, size) for size in (100, 512)]
    )


if __name__ == "__main__":
    common.main(("alibi", "tensorflow"), prepare)
