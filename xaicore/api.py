"""One call: resolves a name, streams data, shows progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from xaicore.registry import get_analyzer

if TYPE_CHECKING:
    import pathlib

    import keras

    from xaicore.analyzer import AnalyzerBase
    from xaicore.explanation import Explanation


def explain(
    analyzer: str | AnalyzerBase,
    model: keras.Model,
    data: object,
    target: object = None,
    *,
    output: str | int | None = None,
    forward_kwargs: Mapping[str, object] | None = None,
    batch_size: int | None = None,
    verbose: str | int = "auto",
    callbacks: Sequence[object] = (),
) -> Explanation:
    """Explain a model's predictions: ``scores, maps = xaicore.explain("lrp.epsilon", model, dataset)``.

    Args:
        analyzer: A name, an expression, or an analyzer.
        model: A built Keras 3 model.  It is only read.
        data: Arrays, tensors, a list or dict of them as the model takes them, a ``tf.data.Dataset``, a
            ``keras.utils.PyDataset`` or an iterator; these three yield x, (x, target) or (x, target, weight).
        target: What to explain of the output, see ``xaicore.engine.target``.  Default: the largest output.
        output: Name or index of the output, where the model has several.
        forward_kwargs: Further arguments of a subclassed model's ``call``.
        batch_size: Samples per step.  Default 32; a dataset's own batches where it has some.
        verbose: 0 no progress bar, 1 a bar, "auto" a bar on a terminal for several batches.
        callbacks: ``keras.callbacks.Callback`` objects; they get the ``on_predict_*`` events.
    """
    return get_analyzer(analyzer).explain(
        model,
        data,
        target,
        output=output,
        forward_kwargs=forward_kwargs,
        batch_size=batch_size,
        verbose=verbose,
        callbacks=callbacks,
    )


def load(path: str | pathlib.Path) -> AnalyzerBase | Explanation:
    """Return what ``analyzer.save`` or ``explanation.save`` wrote.  Nothing in the file is executed.

    Raises:
        UnreadableResult: There is no such file, or it holds something else.
    """
    from xaicore import storage
    from xaicore.analyzer import AnalyzerBase
    from xaicore.explanation import Explanation

    document, _ = storage.read(path)
    return Explanation.load(path) if "format" in document else AnalyzerBase.load(path)
