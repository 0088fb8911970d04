"""Names and messages of others in Markdown, where they must not become tables, links or HTML."""

from __future__ import annotations

import re
from typing import Final

_SIGNS: Final = re.compile(r"[\\`|<]|[\[\]](?=[(\[])")


def escaped(text: str) -> str:
    """A text as one line of Markdown that shows it as it is."""
    return _SIGNS.sub(r"\\\g<0>", " ".join(text.split()))
