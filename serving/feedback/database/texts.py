"""Texts as every database takes them."""

from __future__ import annotations

import json
from typing import Any


def clean(text: str) -> str:
    """A text without what PostgreSQL or UTF-8 cannot hold: NUL, and halves of surrogate pairs."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def cleaned(text: str | None) -> str | None:
    """As `clean`; None stays None."""
    return None if text is None else clean(text)


def to_json(value: Any) -> str:
    """A value as JSON, without blanks."""
    return clean(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
