"""What moved an answer, which `infolens.types` exports."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from infolens.contract import CONTRACTS, AnswerKind, Task
from infolens.errors import InvalidSettingError


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """A sentence of the article without which the answered label would be less probable.

    It tells what the model went by, not whether the article is right. In a long article it may be several neighbouring
    sentences, where they moved the answer only together.
    """

    index: int
    """Which sentence of the text, counted from 0."""
    start: int
    """Where it begins, in characters (code points) of `Article.text`."""
    end: int
    """Where it ends: the character after its last."""
    weight: float
    """How far the probability of the label falls when the sentence is left out, 0 to 1."""

    def of(self, text: str) -> str:
        """The sentence, from the article's text."""
        return text[self.start : self.end]

    def to_dict(self) -> dict[str, Any]:
        """``{"index": 3, "start": 120, "end": 240, "weight": 0.31}``."""
        return asdict(self)


def read_evidence(entries: Any) -> tuple[Evidence, ...]:
    """Evidence out of JSON, as `Evidence.to_dict` writes it.

    Raises:
        ValueError, TypeError, KeyError: It is another thing.
    """
    if not isinstance(entries, list):
        raise TypeError(f"evidence is a list of objects, not {type(entries).__name__}")
    return tuple(_read(entry) for entry in entries)


def _read(entry: Mapping[str, Any]) -> Evidence:
    index, start, end = (entry[name] for name in ("index", "start", "end"))
    if any(type(number) is not int for number in (index, start, end)) or not (index >= 0 <= start < end):
        raise ValueError(f"a sentence has a number and lies between two characters, not {dict(entry)!r}")
    return Evidence(index=index, start=start, end=end, weight=float(entry["weight"]))


def check_evidence(evidence: bool, tasks: Collection[Task]) -> None:
    """Check the argument ``evidence``.

    Args:
        evidence: What was given.
        tasks: What is asked for beside it.

    Raises:
        InvalidSettingError: It is not True or False, or no task has labels.
    """
    if not isinstance(evidence, bool):
        raise InvalidSettingError(f"evidence is True or False, not {evidence!r}")
    if evidence and all(CONTRACTS[task].answers is not AnswerKind.LABELS for task in tasks):
        known = " or ".join(task for task, contract in CONTRACTS.items() if contract.answers is AnswerKind.LABELS)
        raise InvalidSettingError(
            f"evidence is what moved a label, but only {', '.join(tasks)} is asked for; ask for {known} too, or leave "
            "evidence out"
        )
