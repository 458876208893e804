"""xaicore, in the project's own environment: every key of a workload is the expression that is timed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from benchmarks.peers import common, keras_network


def explained(expression: str, model: object, x: np.ndarray) -> Callable[[], common.Run]:
    """Return the maker of one call of ``explain`` on the whole batch."""

    def make() -> common.Run:
        import xaicore

        analyzer = xaicore.get_analyzer(expression)
        return lambda: analyzer.explain(model, x, target=common.TARGET, batch_size=len(x), verbose=0)

    return make


def counterfactual(expression: str, model: object) -> common.Search:
    """Return the search of all rows in one call."""

    def find(x: np.ndarray, targets: np.ndarray) -> Iterator[np.ndarray]:
        import xaicore

        analyzer = xaicore.get_analyzer(expression)
        found = analyzer.explain(model, x, target=targets.tolist(), batch_size=len(x), verbose=0)
        yield np.where(found["valid"].astype(bool)[:, None], found["counterfactuals"], np.nan)

    return common.Search(expression, expression, find)


def prepare(workload: str, data: common.Arrays, keys: Sequence[str]) -> common.Maps | common.Searches:
    """Build the network in Keras 3, and a method of each key."""
    import keras
    import tensorflow as tf

    model, x = keras_network.network(keras, data), data["x"]

    def outputs() -> np.ndarray:
        return model.predict(x, verbose=0)

    if workload == "W5":
        return common.Searches(outputs, [counterfactual(key, model) for key in keys])
    methods = [common.Method(key, key, explained(key, model, x)) for key in keys]
    return common.Maps(outputs, keras_network.gradient(tf, model, x), methods)


if __name__ == "__main__":
    common.main(("xaicore", "tensorflow", "keras"), prepare)
