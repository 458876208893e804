"""What follows a search on the host: the loop of tensors goes on from what it has found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from xaicore.values import Array
from xaicore_cf.hosted import HostSearch, told_units
from xaicore_cf.optimizers import Adam
from xaicore_cf.search import Search

if TYPE_CHECKING:
    from collections.abc import Callable

    import tensorflow as tf

    from xaicore_cf.copies import Copies, Given
    from xaicore_cf.judge import Judge


def on_host(judge: Judge, *, opaque: bool) -> Callable[[Copies, Given, tf.Tensor], Copies]:
    """Return the function (copies, given, ids of the samples) -> the copies after a search with a method of the host.

    opaque: see ``HostSearch``; nothing follows there.
    """
    host, settings = HostSearch(judge, opaque=opaque), judge.settings
    if opaque or not settings.needs_gradient or not getattr(settings.optimizer, "refine", False):
        return host.run
    refine = refining(judge)
    return lambda copies, given, ids: refine(host.run(copies, given, ids), given)


def refining(judge: Judge) -> Callable[[Copies, Given], Copies]:
    """Return the function from the copies after a search on the host to those after Adam has gone on from them.

    What is kept is only ever replaced by what is nearer.  Adam's learning rate counts in units of the features.
    """
    import numpy as np
    import tensorflow as tf

    rate = Adam().learning_rate * np.nan_to_num(told_units(judge), nan=1.0)
    adam = Adam(learning_rate=Array(rate) if rate.ndim else float(rate))
    search = Search(attrs.evolve(judge, settings=attrs.evolve(judge.settings, optimizer=adam)))

    @tf.function(autograph=False, reduce_retracing=True)
    def refine(copies: Copies, given: Given) -> Copies:
        none = tf.zeros_like(copies.since)
        begun = copies._replace(
            x=copies.kept,
            weight=copies.found,
            inside=tf.zeros_like(copies.inside),
            left=none,
            since=none,
            optimizer=adam.init(copies.kept),
        )
        # Of the host's copies those that were there already have a scale of 0, as in the loop.
        return search.run(begun, given)

    return refine
