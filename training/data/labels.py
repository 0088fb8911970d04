"""The labels of a run: what its data says, or what a recipe fixes; never what a task once had.

A setting ``labels`` fixes them and their order, and may say how the data writes one: ``labels=0=real,1=fake``, also
several of theirs for one: ``Sci/Tech=Business``. A name with a comma or ``=`` stands in double quotes (see
`advice.quoting`). Without the setting every label that occurs is one: first those that the task's starter has too, in
its order, then the others by the alphabet.
"""

from __future__ import annotations

import difflib
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from infolens.contract import CONTRACTS, Task
from infolens.labels import label_fault
from training.errors import DataError, SettingError

from .advice.naming import OFFERED, OPEN, folded, labels_option, renaming
from .advice.quoting import quoted, split_outside, unquoted
from .files.cells import label_text, shortened, shown_value, text_fault

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

_SHOWN: Final = 40
_BOOLEANS: Final = frozenset({"true", "false"})


@dataclass(frozen=True, kw_only=True)
class LabelRule:
    """Which labels a table may have, and how it writes them."""

    names: tuple[str, ...] = ()
    """In the order of the class ids; empty leaves them to the data."""
    written: Mapping[str, str] = field(default_factory=dict)
    """What the data says -> the label."""
    entries: tuple[str, ...] = ()
    """The parts of the setting, as they were given."""

    @property
    def fixed(self) -> bool:
        """Whether the labels are given, not found."""
        return bool(self.names)

    def read(self, value: Any) -> str | None:
        """The label that a cell of a table says, or None where it says none.

        Numbers and booleans are read as text: ``0``, ``true``.
        """
        text = label_text(value)
        if not text or (isinstance(value, str) and text_fault(value)):
            return None
        if not self.fixed:
            return text
        return self.written.get(text) or self.written.get(text.lower() if text.lower() in _BOOLEANS else text)

    def meant(self, text: str) -> str:
        """The label that differs from a text in case, blanks and a plural's s only; empty where there is none."""
        same = next((name for name in self.names if folded(name) == folded(text)), "")
        return same or next((name for name in self.names if _singular(name) == _singular(text)), "")

    def objection(self, value: Any) -> str:
        """Why a cell says no label: the rule, the value and, where one is near, the label that was meant."""
        text = label_text(value)
        if not text:
            return f"must be text that is not blank, not {shown_value(value)}"
        if isinstance(value, str) and (fault := text_fault(value)):
            return fault
        near = [self.meant(text)] if self.meant(text) else difflib.get_close_matches(text, self.written, n=1)
        meant = f" (is {near[0]!r} meant?)" if near else ""
        return f"{shown_value(text)} is not one of: {shown(self.names)}{meant}"


def _singular(label: str) -> str:
    return folded(label).removesuffix("s")


ANY_LABEL: Final = LabelRule()
"""Takes the labels from the data."""


def label_rule(entries: Iterable[str]) -> LabelRule:
    """The rule of a setting ``labels``: names, or ``THEIRS=NAME`` where the data writes ``THEIRS``.

    Raises:
        SettingError: A part is blank, something is written twice, or there is one label only.
    """
    entries = tuple(entry.strip() for entry in entries)
    written: dict[str, str] = {}
    for entry in entries:
        parts = split_outside(entry, "=")
        ours = unquoted(parts[-1])
        theirs = unquoted("=".join(parts[:-1])) if len(parts) > 1 else ours
        if OPEN in (theirs, ours):
            raise SettingError(f"labels: write a label in place of each {OPEN}, as in Sci/Tech=Business, not {entry!r}")
        if not theirs or not ours:
            raise SettingError(
                f"labels are names, or THEIRS=NAME as in 0=real,1=fake, not {entry!r}; a name with a comma or = stands "
                'in double quotes: "Law, Order"=Crime'
            )
        if theirs in written:
            raise SettingError(f"labels name {theirs!r} twice")
        written[theirs] = ours
    names = tuple(dict.fromkeys(written.values()))
    for name in names:
        written.setdefault(name, name)
    if len(names) == 1:
        raise SettingError(f"labels are two or more, not {names[0]!r} alone")
    return LabelRule(names=names, written=written, entries=entries)


def unknown_labels_advice(rule: LabelRule, unknown: Mapping[str, int]) -> str:
    """The labels that a table has beside those that are fixed, and the option to begin with; empty where there is none.

    Args:
        rule: What the labels may be.
        unknown: Other label -> rows.
    """
    if not unknown:
        return ""
    ordered = sorted(unknown.items(), key=lambda item: (-item[1], item[0]))[:OFFERED]
    return renaming(
        "Labels that --labels does not name: ",
        ordered,
        {label: rule.meant(label) for label, _ in ordered},
        rule.entries,
        more=len(unknown) - len(ordered),
    )


def spelling_advice(
    task: Task, counts: Mapping[str, Counter[str]], rule: LabelRule = ANY_LABEL, *, unusual: bool = False
) -> str:
    """Which labels differ from others in case and blanks only, and the option that reads them as one.

    The others are those of the data and the task's own. Empty where no label does, and where the labels are fixed.

    Args:
        task: Whose labels they are.
        counts: Split -> label -> articles.
        rule: What the labels may be.
        unusual: Name those too that the task usually does not have, where the table has some of the usual ones.
    """
    found: Counter[str] = sum(counts.values(), Counter())
    if rule.fixed or len(found) > OFFERED:
        return ""
    usual = CONTRACTS[task].default_labels
    frequent = sorted(found, key=lambda label: (-found[label], label))
    wanted: dict[str, str] = {}
    for label in (*usual, *frequent):  # the task's own spelling first, then the more frequent one
        wanted.setdefault(folded(label), label)
    named = {label: wanted[folded(label)] for label in frequent}
    meant = {label: name for label, name in named.items() if name != label}
    open_ones = [label for label in frequent if named[label] not in usual] if unusual else []
    if not set(named.values()).intersection(usual):
        open_ones = []
    if not (meant or open_ones):
        return ""
    kinds = [f"differ from another, or from {task.value}'s own, in case or blanks only"] if meant else []
    kinds += [f"are none of {task.value}'s own (they may stay as they are)"] if open_ones else []
    labels = [label for label in frequent if label in meant or label in open_ones]
    names = ordered_labels(task, {name for name in named.values() if name not in open_ones})
    return renaming(
        f"Labels that {', or '.join(kinds)}: ",
        [(label, found[label]) for label in labels],
        {label: meant.get(label, "") for label in labels},
        map(quoted, names),
    )


def ordered_labels(task: Task, found: Iterable[str], rule: LabelRule = ANY_LABEL) -> tuple[str, ...]:
    """The labels of a run by class id, from those that its data has."""
    if rule.fixed:
        return rule.names
    every = set(found)
    known = [label for label in CONTRACTS[task].default_labels if label in every]
    return (*known, *sorted(every - set(known)))


def label_problem(task: Task, counts: Mapping[str, Counter[str]], rule: LabelRule = ANY_LABEL) -> str:
    """Why nothing can be learned from labels with these counts, and the way out; empty where it can.

    Args:
        task: Whose labels they are.
        counts: Split -> label -> articles.
        rule: What the labels may be.
    """
    found: Counter[str] = sum(counts.values(), Counter())
    labels = ordered_labels(task, found, rule)
    if not rule.fixed and _are_no_names(labels):
        usual = CONTRACTS[task].default_labels
        names = [*usual[: len(labels)], *(f"NAME{i}" for i in range(len(usual), len(labels)))]
        some = [shortened(label) for label in labels[:_SHOWN]]
        rest = [OPEN] if len(labels) > len(some) else []
        pairs = [f"{quoted(label)}={quoted(name)}" for label, name in zip(some, names, strict=False)]
        expected = f" ({task.value} usually has {shown(usual)})" if usual else ""
        return (
            f"the labels are {shown(labels)}; labels are names{expected}. Say which stands for which with "
            f"{labels_option([*pairs, *rest])}, or take them as they are with "
            f"{labels_option([*map(quoted, some), *rest])}"
        )
    for label in labels:
        if fault := label_fault(label):
            way = "write it otherwise in the data, or rename it with --labels THEIRS=NAME,..."
            return f"{fault}, not {shown_value(label)}: {way}"
    if len(labels) < 2:
        return (
            f"there is no label but {shown(labels) or 'none'}, and a classifier tells at least two: give articles with "
            "other labels, or name the right column with --columns label=ITS_NAME"
        )
    missing = [label for label in labels if not counts.get("train", Counter())[label]]
    if missing:
        spread = {
            shortened(label): ", ".join(f"{c[label]} {split}" for split, c in counts.items() if c[label])
            for label in missing
        }
        told = "; ".join(f"{label!r} ({where or 'nowhere'})" for label, where in spread.items())
        way = "leave it out of --labels" if rule.fixed else "leave those rows out, or name them like another label"
        return f"no article of the training split has the label {told}: give such articles, or {way}"
    return ""


def run_labels(
    splits: Mapping[str, pd.DataFrame], task: Task, entries: Sequence[str], *, source: str, column: str = "label"
) -> tuple[str, ...]:
    """The labels of a run by class id; logs how many articles each has.

    Args:
        splits: The tables of a run, whose labels are read already.
        task: Whose labels they are.
        entries: The recipe's setting ``labels``.
        source: The data's name, for the message.
        column: Where the labels stand.

    Raises:
        DataError: There are fewer than two, one has no article in the training split, or they are numbers.
    """
    rule = label_rule(entries)
    counts = {split: Counter(frame[column].tolist()) for split, frame in splits.items()}
    problem = label_problem(task, counts, rule)
    if problem:
        raise DataError(f"{source}: {problem}" if source else problem)
    labels = ordered_labels(task, sum(counts.values(), Counter()), rule)
    if advice := spelling_advice(task, counts, rule):
        logger.warning("%s", advice)
    for label in () if rule.fixed or advice else labels:
        others = {other.lower(): other for other in labels if counts["train"][other] > 20 * counts["train"][label]}
        if near := difflib.get_close_matches(label.lower(), others, n=1, cutoff=0.8):
            logger.warning("the label %r is rare: is %r meant? --labels fixes the labels", label, others[near[0]])
    logger.info("labels: %s", ", ".join(f"{label} {counts['train'][label]:,}" for label in labels))
    return labels


def class_ids(labels: Sequence[str], frame: pd.DataFrame, *, column: str = "label") -> list[int]:
    """The class id of each row's label.

    Raises:
        DataError: A row has a label that is not among ``labels``.
    """
    number = {label: index for index, label in enumerate(labels)}
    strange = sorted(set(frame[column]) - set(number))
    if strange:
        raise DataError(
            f"the data has the labels {shown(strange)}, which the model was not trained to tell; it tells "
            f"{shown(labels)}: leave such rows out, or rename them with 'data prepare --labels THEIRS=NAME,...'"
        )
    return [number[label] for label in frame[column]]


def shown(labels: Sequence[str]) -> str:
    """Labels in words; of very many the first ones."""
    more = len(labels) - _SHOWN
    return ", ".join(map(shortened, labels[:_SHOWN])) + (f" and {more} more" if more > 0 else "")


def _are_no_names(labels: Sequence[str]) -> bool:
    """Whether one is a number, or all are booleans: the ids of labels whose names nobody would see."""
    return bool(labels) and (
        any(_is_number(label) for label in labels) or {label.lower() for label in labels} <= _BOOLEANS
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
