"""The section of a model card that tells of its calibration; it is written anew between two marks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from export.repository.model_card import BEGIN, END, HEADING, PICTURE

from .held_out import HeldOut, held_out_in

_COLUMNS: Final[Mapping[str, str]] = {
    "clear": "enough to judge by",
    "threshold": "sure from",
    "coverage": "answered",
    "accuracy": "accuracy of all",
    "macro_f1": "macro-F1 of all",
    "accuracy_answered": "of the answered",
    "ece": "calibration error",
    "ece_calibrated": "calibrated",
    "aurc": "AURC",
}
"""Those that none of the rows has are left out."""
_JUDGED: Final[Mapping[HeldOut, str]] = {
    HeldOut.COLLECTION: "For each collection both were fitted on the others; the figures are those of articles of a "
    "collection that neither the model nor its calibration has seen. What is served was fitted on all of them. The "
    "answers are those that are served, and a signal is given from what the others say (*sure from*):",
    HeldOut.HALF: "Both were fitted on one half of collections that the model was not trained on, told apart by a hash "
    "of the text. These are the figures of the other half, as served:",
}


def section(calibration: Mapping[str, Any], temperature: float, threshold: float, *, doubt_word: str) -> str:
    """The text of the section, marks included.

    Args:
        calibration: As the artefact has it.
        temperature: The fitted temperature.
        threshold: The fitted threshold.
        doubt_word: What a signal says where there is doubt.
    """
    asked = (
        f"at most {calibration['risk'] * 100:g}% of the answers wrong, and at least "
        f"{calibration['least_answered']:.0%} of the articles answered"
    )
    rule = (
        f"the lowest with {asked}"
        if calibration["reached"]
        else f"asked for was {asked}; **no threshold does that**, and this one has the fewest wrong answers"
    )
    rows = calibration["figures"]
    columns = {key: title for key, title in _COLUMNS.items() if any(key in figures for figures in rows)}
    lines = [
        BEGIN,
        "",
        HEADING,
        "",
        f"The signal is the label, or `{doubt_word}`: where the text is too short, too little of it was read, "
        "or too much of it is unknown to the model, and where the largest probability, calibrated with temperature "
        f"**{temperature:g}**, is below **{threshold:g}**.",
        "",
        f"The threshold: {rule}, every collection counting the same. {_JUDGED[held_out_in(calibration)]}",
        "",
        _line(["collection", "articles", *columns.values()]),
        _line(["---"] * (2 + len(columns))),
        *(_row(figures, columns) for figures in rows),
        "",
        *_in_domain(calibration),
        f"![risk by coverage, and reliability]({PICTURE})",
        "",
        END,
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _in_domain(calibration: Mapping[str, Any]) -> list[str]:
    known = calibration.get("in_domain")
    if known is None:
        return []
    return [
        "On articles of the collections that it was trained on, which it had not seen, the label of "
        f"**{known['accuracy']:.3f}** is right ({known['articles']:,} articles, with a signal or without, as served).",
        "",
    ]


def _row(figures: Mapping[str, Any], columns: Iterable[str]) -> str:
    numbers = (_number(key, figures.get(key)) for key in columns)
    return _line([figures["collection"].replace("|", r"\|"), f"{figures['articles']:,}", *numbers])


def _number(key: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0%}" if key in ("clear", "coverage") else f"{value:.3f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
