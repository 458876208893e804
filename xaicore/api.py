"""One call: resolves a name, streams data, shows progress."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from xaicore.errors import InvalidArgument, TargetSyntax
from xaicore.registry import get_analyzer, get_filter

if TYPE_CHECKING:
    import pathlib

    import keras
    import tensorflow as tf

    from xaicore.analyzer import AnalyzerBase
    from xaicore.explanation import Explanation

_GONE = ("indices_batch_dims", "indices_axis")


def explain(  # noqa: PLR0917  # the order of keras-explainable's arguments
    method: str | AnalyzerBase | Callable[..., Any],
    model: keras.Model,
    x: object,
    y: object = None,
    batch_size: int | None = None,
    verbose: str | int = "auto",
    steps: int | None = None,
    callbacks: Sequence[object] | None = None,
    max_queue_size: int | None = None,
    workers: int | None = None,
    use_multiprocessing: bool | None = None,
    force: bool = False,
    *,
    target: object = None,
    target_fn: Callable[..., object] | None = None,
    output: str | int | None = None,
    forward_kwargs: Mapping[str, object] | None = None,
    sink: Callable[[Explanation], object] | None = None,
    keep_data: bool = False,
    spatial_axis: Sequence[int] | None = None,
    postprocessing: object = None,
    resizing: object = None,
    **method_params: object,
) -> Explanation:
    """Explain a model's predictions: ``scores, maps = xaicore.explain("lrp.epsilon", model, dataset)``.

    Args:
        method: A name, an expression, an analyzer; or a function ``(model, inputs, indices, **method_params) ->
            (scores, maps)`` of tensors, scores (batch, 1), maps with a last axis of length 1.
        model: A built Keras 3 model.  It is only read.  Or a function on NumPy arrays, for methods that need outputs
            alone; see ``xaicore.black_box``.
        x: Arrays, tensors, a list or dict of them as the model takes them, a ``tf.data.Dataset``, a
            ``keras.utils.PyDataset`` or an iterator; these three yield x, (x, y) or (x, y, weight).
        y: What to explain of the output, see ``xaicore.engine.target``.  None: the largest output ("all": every one).
        batch_size: Samples per step.  Default 32; a dataset's own batches where it has some.
        verbose: 0 no progress bar, 1 a bar, "auto" a bar on a terminal for several batches.
        steps: Most batches that are taken; None takes all.
        callbacks: ``keras.callbacks.Callback`` objects; they get the ``on_predict_*`` events.
        max_queue_size: Batches that a PyDataset makes ahead; None leaves that to it.
        workers: Threads or processes that it makes them in; likewise.
        use_multiprocessing: Whether these are processes; likewise.
        force: Compile anew once; needed only where a model's Python code was changed.
        target: Another name for y.
        target_fn: Another name for y where it is a function: outputs (batch, classes) -> (batch,) classes or scores.
        output: Name or index of the output, where the model has several.
        forward_kwargs: Further arguments of a subclassed model's ``call``: values that can be hashed, and arrays with a
            row for each sample, which go with their sample wherever a method takes it, and are not explained.
        sink: Gets the Explanation of each batch as it comes.  Nothing is kept then, and None is returned: data of any
            length in constant memory.
        keep_data: Whether results hold the data too: ``explanation.data`` has X, where paths start, and the model's
            predictions, for one more forward pass and the memory of a copy.
        spatial_axis: Axes that ``postprocessing`` works along, where it has ``axis``.
        postprocessing: A filter, by object or name: ``method | postprocessing``.
        resizing: For class activation maps: False leaves them in the size of their layer; a tuple of lengths resizes
            them to it; None and True resize them to the input.
        method_params: Parameters of the method, over those in its expression.

    Raises:
        InvalidArgument: y and target are both given, or an argument does not fit the method.
    """
    gone = [name for name in _GONE if name in method_params]
    if gone:
        raise TargetSyntax(
            f"Given {gone[0]}=; targets say themselves what they index: an integer for all samples, (batch,) one each, "
            "(batch, k) k each, 'all' for every output. See docs/reference/targets.md."
        )
    from xaicore.engine.target import named_output, one_target  # TensorFlow is imported only when something is computed

    if not (sink is None or callable(sink)):
        raise InvalidArgument(f"Given sink={sink!r}; expected a function that takes the Explanation of a batch.")
    wanted = one_target(y=y, target=target, target_fn=target_fn)
    from xaicore.inspect.black_box import as_model  # TensorFlow is imported only when something is computed

    model = as_model(model, x)
    analyzer = _analyzer(method, model, method_params)
    if resizing is not None:
        analyzer = _resized(analyzer, resizing)
    if postprocessing is not None:
        analyzer = analyzer | _along(get_filter(postprocessing), spatial_axis)
    from xaicore.forwarded import split_forwarded
    from xaicore.streaming import Run, stream

    bound = analyzer.bind(model, named_output(wanted) if output is None else output, forward_kwargs, fresh=force)
    told = {"max_queue_size": max_queue_size, "workers": workers, "use_multiprocessing": use_multiprocessing}
    run = Run(
        batch_size=batch_size,
        verbose=verbose,
        callbacks=() if callbacks is None else callbacks,
        steps=steps,
        sink=sink,
        queue={name: value for name, value in told.items() if value is not None},
        model=model,
        keep_data=keep_data,
        forwarded=split_forwarded(model, forward_kwargs)[1],
    )
    return stream(bound, x, wanted, run)  # type: ignore[return-value]  # None for those who give a sink


def partial_explain(method: object, **defaults: object) -> Callable[..., Explanation]:
    """Return the function ``explain`` with a method and some arguments filled in.

    ``gradcam = xaicore.partial_explain("cam.gradcam", at="conv5")``, then ``gradcam(model, x)``.  Arguments of a call
    count over these.
    """
    shortcut = functools.partial(explain, method, **defaults)  # type: ignore[arg-type]
    name = method if isinstance(method, str) else getattr(method, "__name__", type(method).__name__)
    functools.update_wrapper(shortcut, explain)
    shortcut.__name__ = f"{name.replace('.', '_')}_explain"  # type: ignore[attr-defined]
    return shortcut


def explain_step(
    method: str | AnalyzerBase | Callable[..., Any],
    model: keras.Model,
    inputs: tf.Tensor | Sequence[tf.Tensor],
    y: object = None,
) -> tuple[tf.Tensor, Any]:
    """Return (scores, attributions) of one batch, as tensors: to be called inside of any ``tf.function``.

    Args:
        method: A name, an expression, an analyzer, or a function as in ``explain``.
        model: A built Keras 3 model with one output.
        inputs: A tensor or array (batch, *features), or a sequence of these in the model's order.
        y: As in ``explain``; or an integer tensor, (), (batch,) or (batch, k).

    Returns:
        scores: (batch,), or (batch, k).
        attributions: A tensor, or a list where the model has several inputs; axis 1 is the target where there are k.

    Raises:
        InputStructure, InputShape: The inputs are not those of the model.
        TargetMistake: As in ``explain``, as far as the numbers are known before the run.
    """
    from xaicore.methods import step_of

    return step_of(_analyzer(method, model, {}), model, inputs, y)  # type: ignore[no-any-return]  # behind a decorator of TensorFlow


def _analyzer(method: Any, model: keras.Model, params: Mapping[str, object]) -> AnalyzerBase:
    """Return the analyzer of a name, of an object, or of a function."""
    from xaicore.analyzer import AnalyzerBase

    if isinstance(method, str):
        return get_analyzer(method, **params)
    if callable(method) and not isinstance(method, AnalyzerBase | type) and not attrs.has(type(method)):
        from xaicore.inspect.read import check_model
        from xaicore.methods import method_of

        return method_of(method, check_model(model), dict(params))
    found = get_analyzer(method)
    if not params:
        return found
    try:
        return attrs.evolve(found, **params)  # type: ignore[misc]  # every analyzer is an attrs class
    except TypeError as error:
        raise InvalidArgument(f"Given {', '.join(params)} beside {found}: {error}.") from None


def _along(one: Any, axis: Sequence[int] | None) -> Any:
    """Return a filter that works along some axes, where it has ``axis``; else the filter."""
    if axis is None:
        return one
    if attrs.has(type(one)):
        has = any(field.alias == "axis" for field in attrs.fields(type(one)))
        return attrs.evolve(one, axis=tuple(axis)) if has else one
    return functools.partial(one, axis=tuple(axis)) if "axis" in inspect.signature(one).parameters else one


def _resized(analyzer: AnalyzerBase, resizing: object) -> AnalyzerBase:
    """Return the analyzer of maps in another size."""
    if resizing is True or resizing is False:
        if not hasattr(analyzer, "upsample"):
            if resizing:
                return analyzer  # shaped like the input already
            raise InvalidArgument(f"Given resizing=False; {analyzer} has no size of its own to leave a map in.")
        return attrs.evolve(analyzer, upsample=resizing)  # type: ignore[misc]  # as above
    return analyzer | get_filter("filter.resize", size=resizing)


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
