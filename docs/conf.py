"""Configuration of Sphinx.  Pages in ``reference/generated`` are written anew by every build."""

from __future__ import annotations

import pathlib
import sys
from importlib import metadata

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import generate  # beside this file, which is no package

generate.write()

project = "xaicore"
author = "The xaicore developers"
version = release = metadata.version("xaicore")

extensions = ["myst_parser"]
myst_enable_extensions = ["deflist", "colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"xaicore {release}"
html_copy_source = False
nitpicky = True
