"""What commands print on: rich on a terminal, plain and wide enough for whole lines in a pipe."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from typing import TYPE_CHECKING

import rich.box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH_OF_A_PIPE = 200


def console() -> Console:
    """Return a console on the present standard output; names are never taken for markup or highlighted."""
    width = None if sys.stdout.isatty() else WIDTH_OF_A_PIPE
    return Console(width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)


def table(*columns: str, number: tuple[str, ...] = ()) -> Table:
    """Return an empty table with a thin line below the header; the columns of numbers are right-aligned."""
    result = Table(box=rich.box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        result.add_column(column, justify="right" if column in number else "left", overflow="fold")
    return result


@contextlib.contextmanager
def quiet_backend() -> Iterator[None]:
    """Keep what TensorFlow's C++ writes to the standard error while it starts; show it if something goes wrong.

    It writes to the file descriptor before any setting of ours is read, so that only the descriptor can be moved.
    """
    if "keras" in sys.modules:  # it has started and has nothing more to say
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as stream:
        os.dup2(stream.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            stream.seek(0)
            os.write(2, stream.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
