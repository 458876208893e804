"""Data of every kind as checked batches."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import attrs
import keras
import numpy as np
import tensorflow as tf

from xaicore.errors import EmptyInput, InvalidArgument, TargetLength
from xaicore.inspect.arrange import arrange
from xaicore.inspect.inputs import check_inputs, check_numbers, convert, read_inputs
from xaicore.inspect.structure import positions

if TYPE_CHECKING:
    from xaicore.binding import Bound
    from xaicore.engine.target import ParsedTarget

_BATCH = 32
_WITH_TARGET = (2, 3)  # lengths of (x, target) and (x, target, weight)


@attrs.frozen(eq=False)
class Batch:
    """One batch, checked.  inputs: in the model's order and dtypes.  structure: how they were given."""

    inputs: tuple[np.ndarray, ...]
    parsed: ParsedTarget
    structure: object


@attrs.frozen(eq=False)
class Source:
    """Batches, how many there are if that is known, and whether each batch describes the target of all data.

    samples: how many there are, if that is known.
    """

    batches: Iterator[Batch]
    steps: int | None
    whole_target: bool
    samples: int | None = None


def open_source(
    bound: Bound,
    data: object,
    target: object,
    batch_size: int | None,
    queue: Mapping[str, Any] | None = None,
    most: int | None = None,
) -> Source:
    """Return data as batches.  Arrays and their targets are checked here as a whole, other data batch by batch.

    queue: what is told of how a PyDataset makes its batches: workers, use_multiprocessing, max_queue_size.
    most: how many batches are taken; data without an end is refused without it.
    """
    size = _count(batch_size, "batch_size")
    most = _count(most, "steps")
    if isinstance(data, tf.data.Dataset):
        dataset, steps = _batched(bound, data, size, most)
        return Source(_of_elements(bound, dataset, target), steps, whole_target=False)
    if isinstance(data, keras.utils.PyDataset) or hasattr(data, "__next__"):
        if size is not None:
            raise InvalidArgument(
                f"Given batch_size={size} and a {type(data).__name__}, which yields batches already; leave it out."
            )
        if not isinstance(data, keras.utils.PyDataset):
            return Source(_of_elements(bound, data, target), None, whole_target=False)  # type: ignore[arg-type]
        steps = data.num_batches
        if steps is None and most is None:
            raise InvalidArgument(
                f"Given a {type(data).__name__} without an end; expected a finite `num_batches`, or steps=."
            )
        steps = min(n for n in (steps, most) if n is not None)
        return Source(_of_elements(bound, _made(data, steps, queue or {}), target), steps, whole_target=False)
    return _of_arrays(bound, data, target, size or _BATCH)


def _made(data: keras.utils.PyDataset, steps: int, queue: Mapping[str, Any]) -> Iterator[object]:
    """Yield a PyDataset's batches in order; ahead of time, by Keras's own queue, where it has workers."""
    workers, several, longest = (
        queue.get(name, getattr(data, name)) for name in ("workers", "use_multiprocessing", "max_queue_size")
    )
    if workers <= 1 and not several:
        yield from (data[i] for i in range(steps))
        return
    from keras.src.trainers.data_adapters.py_dataset_adapter import OrderedEnqueuer  # no public name

    enqueuer = OrderedEnqueuer(data, workers, several, longest)
    enqueuer.start()
    try:
        yield from itertools.islice(enqueuer.get(), steps)
    finally:
        enqueuer.stop()


def _count(given: object, name: str) -> int | None:
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | np.integer) or given < 1:
        raise InvalidArgument(f"Given {name}={given!r}; expected an integer of at least 1.")
    return int(given)


def _of_arrays(bound: Bound, data: object, target: object, size: int) -> Source:
    found = read_inputs(bound.input_specs, bound.input_structure, data)
    for array, spec in zip(found.leaves, bound.input_specs, strict=True):
        check_numbers(array, spec)
    total = len(found.leaves[0])
    parsed = bound.parse_target(target, total)

    def batches() -> Iterator[Batch]:
        for start in range(0, total, size):
            rows = slice(start, start + size)
            converted = tuple(convert(a[rows], s) for a, s in zip(found.leaves, bound.input_specs, strict=True))
            yield Batch(converted, attrs.evolve(parsed, index=parsed.index[rows]), found.structure)

    return Source(batches(), -(-total // size), whole_target=True, samples=total)


def _of_elements(bound: Bound, elements: Iterable[object], target: object) -> Iterator[Batch]:
    """Yield batches of elements; a target with a row per sample is cut as they come."""
    rows = _rows_of(target)
    seen = 0
    for element in elements:
        x, own, brings = _unpack(element)
        if brings and target is not None:
            raise InvalidArgument(
                "The data brings targets, and target= is given too. Leave one out; "
                "`dataset.map(lambda x, *rest: x)` drops those of a dataset."
            )
        found = check_inputs(bound.input_specs, bound.input_structure, x, seen)
        count = len(found.leaves[0])
        wanted: object = np.asarray(own) if brings else target
        if rows is not None and not brings:
            if len(rows) < seen + count:
                raise TargetLength(f"Given {len(rows)} targets for at least {seen + count} samples; expected one each.")
            wanted = rows[seen : seen + count]
        yield Batch(found.leaves, bound.parse_target(wanted, count), found.structure)
        seen += count
    if rows is not None and seen and len(rows) != seen:
        raise TargetLength(f"Given {len(rows)} targets for {seen} samples; expected one each.")


def _rows_of(target: object) -> np.ndarray | None:
    """Return a target that has a row per sample, else None: numbers for all samples, text and functions."""
    if target is None or isinstance(target, str) or callable(target):
        return None
    try:
        array = np.asarray(target)
    except ValueError as error:
        raise TargetLength(f"Given targets of unequal lengths ({error}); expected one row per sample.") from None
    return array if array.ndim else None


def _unpack(element: object) -> tuple[object, object, bool]:
    """Return (x, target, whether there is one).  As in Keras, a tuple is (x,), (x, target) or (x, target, weight)."""
    if not isinstance(element, tuple):
        return element, None, False
    if len(element) == 1:
        return element[0], None, False
    if len(element) not in _WITH_TARGET:
        raise InvalidArgument(
            f"Given a tuple of {len(element)} as an element of the data; expected x, (x, target) or "
            "(x, target, weight). Several inputs are one entry: ((a, b), target)."
        )
    return element[0], element[1], element[1] is not None


def _batched(
    bound: Bound, dataset: tf.data.Dataset, size: int | None, most: int | None
) -> tuple[tf.data.Dataset, int | None]:
    """Return the dataset in batches of ``size``, its own where it has some and ``size`` is None; and their number.

    Whether it has batches is read off the number of axes of its elements.
    """
    x = _unpack(dataset.element_spec)[0]
    given = arrange([s.name for s in bound.input_specs], bound.input_structure, x)
    first = positions(given.structure)[0]
    rank = getattr(getattr(given.leaves[first], "shape", None), "rank", None)
    if rank == len(bound.input_specs[first].shape) - 1:
        dataset = dataset.batch(size or _BATCH)
    elif size is not None:
        dataset = dataset.rebatch(size)
    count = int(dataset.cardinality())
    if count == tf.data.INFINITE_CARDINALITY and most is None:
        raise InvalidArgument(
            "Given a dataset without an end; expected a finite one, for example dataset.take(100), or steps=."
        )
    if count == 0:
        raise EmptyInput("Given a dataset without elements; expected at least one sample.")
    return dataset, count if count > 0 else None
