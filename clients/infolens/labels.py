"""What a label may be, for whoever trains a classifier and for whoever exports it."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

SINGLE_LABEL: Final = "single_label_classification"
"""The ``problem_type`` of the classifiers that are trained and served: one label an article, softmax over all."""
_PLACEHOLDER: Final = re.compile(r"LABEL_\d+")
LONGEST_LABEL: Final = 200
"""Characters."""


def is_placeholder(label: str) -> bool:
    """Whether a label is what ``transformers`` calls a class that nobody named: ``LABEL_0``."""
    return _PLACEHOLDER.fullmatch(label) is not None


def label_fault(label: str) -> str:
    """What is wrong with a label, as a rule; empty where nothing is."""
    if not label.strip() or label != label.strip():
        return "a label is text without blanks around it"
    if len(label.splitlines()) != 1:
        return "a label is one line"
    if any(unicodedata.category(char) == "Cc" for char in label):
        return "a label has no control characters"
    if len(label) > LONGEST_LABEL:
        return f"a label has at most {LONGEST_LABEL} characters"
    try:
        label.encode()
    except UnicodeEncodeError:
        return "a label is text that UTF-8 can carry"
    return ""
