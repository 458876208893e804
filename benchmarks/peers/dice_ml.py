"""DiCE 0.12 on TensorFlow 2.14, its gradient method: one counterfactual of each row, in place of four diverse ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from benchmarks.peers import common, keras_network, keys

OUTCOME = "class"
# As it comes, DiCE makes 500 to 5000 steps, fewer where the loss rests, and then tries every value of a feature that
# may go back, one unit of its last decimal after the other.
WAYS: Sequence[Mapping[str, object]] = ({}, {"max_iter": 500, "posthoc_sparsity_algorithm": "binary"})


def in_units(x: np.ndarray, data: common.Arrays) -> np.ndarray:
    """Return rows in the units of the table, with its decimals: DiCE searches in steps of them."""
    rows = x.astype(np.float64) * data["std"] + data["mean"]
    return np.vectorize(lambda value: float(f"{value:.5g}"))(rows)  # of float32, and of what was measured


def behind_scaling(tf: object, network: object, rows: np.ndarray, data: common.Arrays) -> object:
    """Return the network behind the way from DiCE's 0..1, smallest to largest of each feature, to what it takes."""
    low, high = ((end - data["mean"]) / data["std"] for end in (rows.min(0), rows.max(0)))
    scaling = tf.keras.layers.Rescaling((high - low).tolist(), low.tolist())
    return tf.keras.Sequential([tf.keras.layers.InputLayer(rows.shape[1:]), scaling, network])


def search(explainer: object, names: Sequence[str], data: common.Arrays, way: Mapping[str, object]) -> common.Search:
    """Return the search row by row; the result is the one that DiCE shows, made sparse afterwards."""

    def find(x: np.ndarray, targets: np.ndarray) -> Iterator[np.ndarray]:
        for row, target in zip(in_units(x, data), targets, strict=True):
            found = one(explainer, names, row, int(target), way)
            yield np.full((1, len(names)), np.nan) if found is None else (found - data["mean"]) / data["std"]

    said = "".join(f", {key}={value}" for key, value in way.items())
    return common.Search(keys.COUNTERFACTUAL_L1, f"gradient, total_CFs=1{said}", find)


def one(
    explainer: object, names: Sequence[str], row: np.ndarray, target: int, way: Mapping[str, object]
) -> np.ndarray | None:
    """Return the counterfactual of a row, (1, features), None where DiCE says that it found none."""
    import pandas as pd
    from raiutils.exceptions import UserConfigValidationException

    asked = pd.DataFrame(row[None], columns=names)
    try:
        found = explainer.generate_counterfactuals(asked, total_CFs=1, desired_class=target, **way)
    except UserConfigValidationException as error:
        if "No counterfactuals found" in str(error):
            return None
        raise
    made = found.cf_examples_list[0].final_cfs_df_sparse
    return None if made is None or not len(made) else made[list(names)].to_numpy(np.float64)[:1]


def prepare(workload: str, data: common.Arrays, wanted: Sequence[str]) -> common.Searches:  # noqa: ARG001  # one signature
    """Build the network in Keras 2, and the explainer on a table; it takes ranges and deviations from all rows."""
    import dice_ml
    import pandas as pd
    import tensorflow as tf

    network = keras_network.network(tf.keras, data)
    rows = in_units(np.concatenate([data["train"], data["x"]]), data)
    names = [f"x{i:02d}" for i in range(rows.shape[1])]
    classes = np.concatenate([data["classes"], 1 - data["targets"]])
    frame = pd.DataFrame(rows, columns=names).assign(**{OUTCOME: classes})
    table = dice_ml.Data(dataframe=frame, continuous_features=names, outcome_name=OUTCOME)
    model = dice_ml.Model(model=behind_scaling(tf, network, rows, data), backend="TF2", func="ohe-min-max")
    explainer = dice_ml.Dice(table, model, method="gradient")
    ways = [search(explainer, names, data, way) for way in WAYS]
    return common.Searches(lambda: network.predict(data["x"], verbose=0), ways)


if __name__ == "__main__":
    common.main(("dice_ml", "tensorflow"), prepare)
