"""What would have to be otherwise in a sample of tissue for a network to call it benign?  30 numbers, in their units.

The data are scikit-learn's copy of the Wisconsin diagnostic breast cancer table.
"""

from __future__ import annotations

import keras
import numpy as np
from sklearn.datasets import load_breast_cancer

import xaicore
from xaicore.tabular import Column, Columns

BENIGN = 1
TEST = 100


def train(x: np.ndarray, y: np.ndarray) -> keras.Model:
    """Return a small network that has learnt the table."""
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(n, activation="relu") for n in (32, 16)]
    model = keras.Sequential([keras.Input((x.shape[1],)), *hidden, keras.layers.Dense(2, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=30, verbose=0)
    return model


def main() -> xaicore.Explanation:
    """Print what changes; return the explanation."""
    table = load_breast_cancer()
    order = np.random.default_rng(0).permutation(len(table.data))
    test, rest = order[:TEST], order[TEST:]
    mean, std = table.data[rest].mean(0), table.data[rest].std(0)
    names = [str(name) for name in table.feature_names]
    # Preprocessing has a name and a way back.
    columns = Columns([Column(n, mean=m, std=s) for n, m, s in zip(names, mean, std, strict=True)])

    def encoded(rows: np.ndarray) -> np.ndarray:
        return columns.encode([dict(zip(names, row, strict=True)) for row in rows])

    model = train(encoded(table.data[rest]), table.target[rest])
    x = encoded(table.data[test])
    x = x[model.predict(x, verbose=0).argmax(1) != BENIGN]

    # L1 in units of each feature's deviation, which the search takes from the data; nothing beyond what occurs in them.
    seen = encoded(table.data[rest])
    search = xaicore.get_analyzer("cf", cost="cf.lmad", names=names, bounds=(seen.min(0), seen.max(0)))
    explanation = search.fit(model, seen).explain(model, x, target=BENIGN, batch_size=len(x), verbose=0)

    print(f"{explanation.valid.sum()} of {len(x)} malignant samples have a benign counterfactual.")
    print(f"Features that change, median: {np.median((explanation.attributions != 0).sum(1)):.0f} of {len(names)}.")
    print(explanation.split(3)[0].to_frame(columns).to_string(index=False))
    return explanation


if __name__ == "__main__":
    main()
