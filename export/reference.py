"""``reference.json``, what a model's training articles were like: read from a checkpoint, told by its card."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from reading.reference import FILE, parse

_LOG = logging.getLogger(__name__)

_ROW: Final = "| Reference |"
_BEFORE: Final = "| Served as |"
"""The row of a card's table after which ours comes."""


def read_reference(folder: Path) -> str:
    """The text of the file in a folder; empty where there is none, or one that says nothing, with a warning then."""
    file = folder / FILE
    try:
        text = file.read_text(encoding="utf-8")
        parse(text)
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        _LOG.warning("%s is left out, so no drift will be told of this model: %s", file, error)
        return ""
    return text


def of_labels(text: str, labels: Collection[str]) -> str:
    """A reference for a model that tells these labels: without its shares of labels where it names others.

    Args:
        text: Of `read_reference`.
        labels: What the model tells; none for a model that writes texts.
    """
    document: dict[str, Any] = json.loads(text) if text else {}
    unknown = sorted(set(document.get("label", ())) - set(labels))
    if not unknown:
        return text
    _LOG.warning("%s has labels that the model does not tell, so theirs are left out: %s", FILE, ", ".join(unknown))
    return json.dumps({name: value for name, value in document.items() if name != "label"}, ensure_ascii=False) + "\n"


def with_row(card: str, version: int, text: str) -> str:
    """A card whose table has a row about the reference: in place of the one that it has, or below how it is served.

    Args:
        card: The text of a ``README.md``.
        version: The version that the reference is of.
        text: Of `read_reference`; empty takes the row away.
    """
    lines = [line for line in card.split("\n") if not line.startswith(_ROW)]
    place = next((number for number, line in enumerate(lines, start=1) if line.startswith(_BEFORE)), 0)
    if text and place:
        counted = parse(text)
        of_what = "labels, lengths and commonest words" if "label" in counted else "lengths and commonest words"
        told = f"`{version}/{FILE}` has the {of_what} of {counted['articles']:,} training articles"
        lines.insert(place, f"{_ROW} {told}: by it the server tells when the articles that come are others (drift) |")
    return "\n".join(lines)
