"""Text in Mermaid's charts."""

from __future__ import annotations

import re


def escaped(text: str) -> str:
    """Return text that Mermaid does not read as markup."""
    return re.sub(r"[\"<>#&\[\]{}|`]", lambda found: f"#{ord(found[0])};", text)
