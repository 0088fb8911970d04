"""The option ``--labels`` that would read the labels of a table as others."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from training.data.files.cells import shown_value

from .quoting import quoted

OPEN: Final = "..."
"""What stands in a suggested option for a label that a user has to choose."""
OFFERED: Final = 100
"""Labels that a suggested option names at most."""
_SHOWN: Final = 20


def folded(label: str) -> str:
    """A label without what people write in different ways: case, and blanks."""
    return " ".join(label.casefold().split())


def labels_option(entries: Iterable[str]) -> str:
    """The option that fixes labels, as one types it in a shell."""
    return f"--labels {shlex.quote(','.join(entries))}"


def renaming(
    begin: str, labels: Sequence[tuple[str, int]], meant: Mapping[str, str], entries: Iterable[str], *, more: int = 0
) -> str:
    """Labels with their counts, and the option that reads them as others.

    Args:
        begin: What these labels are.
        labels: Each with its rows.
        meant: Label -> what it is to be read as; empty where a user has to choose.
        entries: What the option has beside them.
        more: How many labels there are that neither the list nor the option holds.
    """
    told = ", ".join(
        f"{shown_value(label)} ({count:,})" + (f" for {meant[label]!r}" if meant[label] else "")
        for label, count in labels[:_SHOWN]
    )
    more += max(0, len(labels) - _SHOWN)
    rest = f" and {more:,} more" if more else ""
    pairs = (f"{quoted(label)}={quoted(meant[label]) if meant[label] else OPEN}" for label, _ in labels)
    choose = f" (write one of your labels for each {OPEN})" if not all(meant.values()) else ""
    return f"{begin}{told}{rest}. To read them as others{choose}: {labels_option([*entries, *pairs])}"
