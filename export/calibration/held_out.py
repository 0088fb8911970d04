"""Which articles a calibration is judged by: those of a collection, or of a half, that it was not fitted on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from export.errors import TableError

_FEWEST: Final = 20
"""So many of the articles that are fitted on, and of a half that is judged, must be enough to judge by."""


class HeldOut(StrEnum):
    """What temperature and threshold have not seen where their figures are measured."""

    COLLECTION = "collection"
    """Each collection in turn: they are fitted on the articles of the others, and judged by its own. What is served is
    fitted on all. (Leave-one-group-out cross-validation.)"""
    HALF = "half"
    """One half of the articles, told by a hash of the text: they are fitted on the other, and so served."""


def held_out_in(calibration: Mapping[str, Any]) -> HeldOut:
    """What was held out of a calibration that an artefact has; older ones do not say it, and held out a half.

    Raises:
        ValueError: It says something else.
    """
    return HeldOut(calibration.get("held_out", HeldOut.HALF))


def held_out_of(wanted: HeldOut | None, sources: Sequence[str]) -> HeldOut:
    """What is held out: as wanted; by default a collection where there are several, and otherwise a half.

    Args:
        wanted: None for the default.
        sources: The collection of each article.

    Raises:
        TableError: A collection is to be held out, and there is no other.
    """
    names = sorted(set(sources))
    if wanted is HeldOut.COLLECTION and len(names) < 2:
        raise TableError(
            f"a collection is held out where there are at least two, and every article is of {names[0]!r}: give tables "
            "of several collections, or --held-out half"
        )
    return wanted or (HeldOut.COLLECTION if len(names) > 1 else HeldOut.HALF)


def require_enough(count: int, *, without: str | None = None) -> None:
    """Refuse to fit or judge by too few articles.

    Args:
        count: How many there are that are enough to judge by.
        without: The collection that is held out; None for a half.

    Raises:
        TableError: There are fewer than 20.
    """
    if count < _FEWEST:
        whose = "one half of the tables" if without is None else f"the collections other than {without!r}"
        way_out = "" if without is None else ", or --held-out half"
        raise TableError(
            f"{count} articles of {whose} are enough to judge by, and {_FEWEST} are needed: give more, or longer ones"
            f"{way_out}"
        )


def require_labels(sources: Sequence[str], labels: Sequence[Any]) -> None:
    """Refuse articles of which one label is left where one of their collections is held out.

    Args:
        sources: The collection of each article, [n]; two or more are among them.
        labels: Its label, [n].

    Raises:
        TableError: Without one of the collections all articles have the same label.
    """
    for name in sorted(set(sources)):
        left = {label for source, label in zip(sources, labels, strict=True) if source != name}
        if len(left) < 2:
            raise TableError(
                f"while the collection {name!r} is held out, two labels are needed among the articles of the others "
                f"that are enough to judge by, and every one is {left.pop()!r}: give articles of several labels in "
                "other collections, or --held-out half"
            )
