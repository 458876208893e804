"""Many searches that each ask for one point at a time, answered all at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

# Threads that ask at the same time; more rows go through in portions.
MOST = 256


class Together:
    """A function of rows that threads call with one row each: it runs when all that are left have asked.

    function: (numbers of the rows (k,), their points (k, features)) -> a sequence of k answers.
    """

    def __init__(self, function: Callable[[np.ndarray, np.ndarray], Sequence[Any]]) -> None:
        """Keep the function."""
        self._function = function
        # Two, so that a question wakes nobody but the one who answers, and that when it is the last of a round.
        lock = threading.Lock()
        self._complete, self._answered = threading.Condition(lock), threading.Condition(lock)
        self._asked: dict[int, np.ndarray] = {}
        self._answers: dict[int, Any] = {}
        self._left: set[int] = set()
        self._failure: BaseException | None = None

    def run(self, rows: Sequence[int], search: Callable[[int, Callable[[np.ndarray], Any]], None]) -> None:
        """Run ``search(row, ask)`` for each row, ``ask(point)`` being what the function says of the row's point.

        Raises:
            Exception: whatever the function or a search raised first.
        """
        self._left = set(rows)
        with ThreadPoolExecutor(max_workers=max(1, len(self._left))) as pool:
            futures = [pool.submit(self._one, row, search) for row in rows]
            self._serve()
        if self._failure is not None:
            raise self._failure
        for future in futures:
            future.result()

    def _one(self, row: int, search: Callable[[int, Callable[[np.ndarray], Any]], None]) -> None:
        try:
            search(row, lambda point: self._ask(row, point))
        finally:
            with self._complete:
                self._left.discard(row)
                self._complete.notify()

    def _ask(self, row: int, point: np.ndarray) -> Any:
        import numpy as np

        with self._answered:
            self._asked[row] = np.array(point)
            if len(self._asked) == len(self._left):
                self._complete.notify()
            self._answered.wait_for(lambda: row in self._answers or self._failure is not None)
            if self._failure is not None:
                raise Stopped
            return self._answers.pop(row)

    def _serve(self) -> None:
        import numpy as np

        while True:
            with self._complete:
                self._complete.wait_for(lambda: len(self._asked) == len(self._left))
                if not self._left:
                    return
                asked, self._asked = self._asked, {}
            rows = np.array(sorted(asked))
            try:
                answers = self._function(rows, np.stack([asked[row] for row in rows]))
            except BaseException as error:  # noqa: BLE001  # told to the threads, and raised by run
                with self._answered:
                    self._failure = error
                    self._answered.notify_all()
                return
            with self._answered:
                self._answers.update(zip(rows.tolist(), answers, strict=True))
                self._answered.notify_all()


class Stopped(Exception):
    """Another thread's question failed."""
