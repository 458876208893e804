"""A plugin of family ``host``: an analyzer that asks NumPy, which no compiled step can."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs
import numpy as np

from xaicore.analyzer import AnalyzerBase
from xaicore.declaration import Declaration
from xaicore.hookspecs import hookimpl
from xaicore.protocols import Attribution

if TYPE_CHECKING:
    from xaicore.protocols import Step


@attrs.frozen(str=False)
class Sorted(AnalyzerBase):
    """The rank of each feature of a sample, by NumPy on the host."""

    compiled: ClassVar[bool] = False
    asks_model: ClassVar[bool] = False
    score: str = "logit"

    def attribute(self, program) -> Step:
        """Return a step that needs numbers."""

        def step(inputs, target, ids):
            ranks = [np.argsort(np.argsort(x.numpy(), axis=-1), axis=-1).astype(np.float32) for x in inputs]
            extras = {"first": np.array([int(i) for i in ids.numpy()])}
            return Attribution(tuple(ranks), target(program.outputs(inputs)), extras)

        return step


@hookimpl
def xaicore_declarations():
    return {"host.sorted": Declaration("analyzer", "host:Sorted")}
