"""What a label may be, for whoever trains a classifier and for whoever exports it."""

from __future__ import annotations

from typing import Final

LONGEST_LABEL: Final = 200
"""Characters."""


def label_fault(label: str) -> str:
    """What is wrong with a label, as a rule; empty where nothing is."""
    if not label.strip() or label != label.strip():
        return "a label is text without blanks around it"
    if len(label.splitlines()) != 1:
        return "a label is one line"
    if len(label) > LONGEST_LABEL:
        return f"a label has at most {LONGEST_LABEL} characters"
    try:
        label.encode()
    except UnicodeEncodeError:
        return "a label is text that UTF-8 can carry"
    return ""
