"""The `xaicore` command.  Importing it, `--help`, `list` and `show` import neither TensorFlow nor Keras."""

from __future__ import annotations

import logging
import os
import sys


def main() -> None:
    """Run the command line; without its packages, say what to install.

    What TensorFlow logs below errors is of use to people who write programs, and drowns the result for others.
    TF_CPP_MIN_LOG_LEVEL in the environment brings it back.
    """
    if "TF_CPP_MIN_LOG_LEVEL" not in os.environ:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
    try:
        from xaicore.cli.group import group
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"click", "rich"}:
            raise
        sys.exit(f"The `xaicore` command needs the package {error.name}. Install it with `pip install xaicore[cli]`.")
    group(prog_name="xaicore")
