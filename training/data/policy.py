"""What becomes of the rows of a table: the one policy by which ``fit``, ``data check`` and ``data prepare`` go.

1. A row that does not fit the task's schema is no article (`schema.problems`): refused, counted, or left out.
2. Labels are read by the run's rule; the split is the row's own, else it follows from a hash of its text, and so does
   a split that no row says (`settled`); sources that are held out form a split of their own.
3. The text is cleaned of what leaks the label, a reference summary of HTML. What is blank then is left out.
4. An article stands in one split only, so that the test split measures what a model reads and not what it remembers:
   `SPLIT_RANK` says which split keeps it. Within that split it stands once, or once with each of its summaries.
   Articles that are nearly the same are treated alike across splits where `RowPolicy.near_copies` says so.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import Final

import pandas as pd

from infolens.contract import Task
from training.errors import DataError

from .advice.problems import BadRows, Problem
from .cleaning import clean_summary, clean_text, clean_title, fingerprint, split_of
from .files.cells import column_texts
from .labels import LabelRule, label_rule, unknown_labels_advice
from .near_duplicates import NearDuplicates
from .reading import read_parts, warn_of_others
from .schema import (
    OUT_OF_DOMAIN,
    SPLITS,
    WEIGHT,
    Schema,
    check_columns,
    problems,
    schema_of,
    split_named,
    weight_of,
)

logger = logging.getLogger(__name__)

SPLIT_RANK: Final = {OUT_OF_DOMAIN: 0, "test": 1, "validation": 2, "train": 3}
"""Precedence of the splits that have the same article: the one with the lowest rank keeps it."""


@dataclass(frozen=True, kw_only=True)
class RowPolicy:
    """The choices that the policy leaves."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Our column name -> the source's, where they differ."""
    labels: tuple[str, ...] = ()
    """What a label may be, and how the source writes it (see `labels.label_rule`); empty takes any."""
    encoding: str = ""
    """How text files are written; empty: what their first bytes say, else UTF-8."""
    validation: float = 0.1
    """Share of the articles for validation where no row of the source says that split."""
    test: float = 0.1
    """The same for the test split."""
    cut: tuple[str, ...] = ()
    """Splits that are cut from the training rows, since the source's column ``split`` lacks them (see `settled`)."""
    hold_out: tuple[str, ...] = ()
    """Values of ``source`` whose rows all go to the split `schema.OUT_OF_DOMAIN`."""
    clean: bool = True
    """Strip markers that leak the label."""
    near_copies: bool = False
    """An article leaves a split also where another split has nearly the same one."""

    @property
    def shares(self) -> dict[str, float]:
        """Split -> the share of the articles that it gets where no row says it."""
        return {"validation": self.validation, "test": self.test}

    @property
    def rule(self) -> LabelRule:
        """How labels are read.

        Raises:
            SettingError: ``labels`` do not fit together.
        """
        return label_rule(self.labels)


@dataclass(frozen=True, kw_only=True)
class Part:
    """Some rows of a table; the index of both tables is the row's number in the source, from 0."""

    raw: pd.DataFrame
    """As they were read, with our column names."""
    problems: tuple[Problem, ...]
    """What does not fit."""
    fitting: pd.DataFrame
    """The rows without a problem: labels read, optional columns filled, text cleaned, and ``split``."""
    blank: Sequence[int]
    """Those of them in which nothing is left of the text, or of the summary."""

    @property
    def bad(self) -> list[int]:
        """The rows with a problem."""
        return sorted({problem.row - 1 for problem in self.problems})

    @property
    def articles(self) -> pd.DataFrame:
        """The rows that fit and are not blank."""
        return self.fitting.drop(index=list(self.blank))


def settled(source: str, policy: RowPolicy) -> RowPolicy:
    """The policy with what the source leaves open decided, once for all passes over it; says so in the log.

    Splits for validation and test that no row says are cut from the training rows. Files of a folder that are not read
    are named.

    Raises:
        DataError: It cannot be read.
    """
    said: set[str] = set()
    for part in read_parts(source, policy.columns, policy.encoding):
        if "split" not in part:
            said.update(SPLITS)
        else:
            said.update(filter(None, map(split_named, part["split"])))
        if said.issuperset(SPLITS):
            break
    warn_of_others(source)
    missing = {name: share for name, share in policy.shares.items() if name not in said and share}
    if not missing or "train" not in said:
        return policy
    for name, share in missing.items():
        logger.warning(
            "%s: no row has the split %r, so %g %% of the training rows become it, chosen by a hash of their text; "
            "the setting %r is that share",
            source, name, 100 * share, name,
        )  # fmt: skip
    return replace(policy, cut=tuple(missing))


def read_rows(source: str, task: Task, policy: RowPolicy) -> Iterator[Part]:
    """Read a table part by part, and say of every row whether it fits, its split and its cleaned text.

    Raises:
        DataError: It cannot be read, lacks a column that the task needs, or the shares of the splits are none.
        SettingError: The policy's labels do not fit together.
    """
    schema, rule = schema_of(task), policy.rule
    for raw in read_parts(source, policy.columns, policy.encoding):
        check_columns(raw, task, source)
        found = tuple(problems(raw, task, rule, first_row=int(raw.index[0]) + 1)) if len(raw) else ()
        frame = raw.drop(index=list({problem.row - 1 for problem in found}))
        frame = _filled(frame, schema, rule)
        frame["split"] = _splits(frame, schema, source, policy)
        if policy.clean:
            frame[schema.body] = [clean_text(text) for text in frame[schema.body]]
            if "title" in schema.optional:
                frame["title"] = [clean_title(title) for title in frame["title"]]
            if not schema.labelled:
                frame[schema.answer] = [clean_summary(summary) for summary in frame[schema.answer]]
        blank = [
            int(row)
            for row, *texts in zip(frame.index, frame[schema.body], frame[schema.answer], strict=True)
            if not all(text.strip() for text in texts)
        ]
        yield Part(raw=raw, problems=found, fitting=frame, blank=blank)


def refusal(source: str, bad: BadRows, rule: LabelRule, *, way_out: str) -> DataError:
    """The error that a table has rows that do not fit: what, how often, and the option that would mend labels.

    Args:
        source: The table's name.
        bad: Its rows that do not fit.
        rule: What its labels may be.
        way_out: What else to do about such rows, as a sentence without its stop.
    """
    return DataError(bad.message(source, way_out=way_out, advice=unknown_labels_advice(rule, bad.unknown_labels)))


def _filled(frame: pd.DataFrame, schema: Schema, rule: LabelRule) -> pd.DataFrame:
    frame = frame.copy()
    if schema.labelled:
        frame[schema.answer] = [rule.read(value) for value in frame[schema.answer]]
    for name in schema.optional:
        frame[name] = column_texts(frame[name]) if name in frame else ""
    if WEIGHT in frame:
        frame[WEIGHT] = [weight_of(value) for value in frame[WEIGHT]]
    return frame


def _splits(frame: pd.DataFrame, schema: Schema, source: str, policy: RowPolicy) -> list[str]:
    said: Iterator[str | None] = map(split_named, frame["split"]) if "split" in frame else repeat(None)
    # Where rows say their split, those of training give some to the splits that are missing; the others keep theirs.
    given_away = ("train",) if policy.cut else ()
    shares = {name: share if not policy.cut or name in policy.cut else 0.0 for name, share in policy.shares.items()}
    try:
        splits = [
            split_of(text, **shares) if split is None or split in given_away else split
            for text, split in zip(frame[schema.body], said, strict=False)
        ]
    except ValueError as error:
        raise DataError(f"{source}: {error}") from error
    held_out = frozenset(policy.hold_out)
    return [
        OUT_OF_DOMAIN if origin in held_out else split for origin, split in zip(frame["source"], splits, strict=True)
    ]


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A row that is left out because its article stands in another row too."""

    split: str
    """Its split."""
    kept_in: str
    """The split of the other row; the same split where it is a repetition."""
    near: bool
    """Whether the two are nearly, not wholly, the same."""

    def __str__(self) -> str:
        if self.split == self.kept_in:
            return "repeats an article of its split"
        return f"{'near copy' if self.near else 'copy'} of an article in {self.kept_in}"


@dataclass(kw_only=True)
class _Article:
    """Where an article stands: its split, the rows in it that are kept, and their answers."""

    split: str
    rows: list[int] = field(default_factory=list)
    answers: set[str] = field(default_factory=set)


class CopyFilter:
    """Takes rows one by one and finds those to leave out, because another row has the same article.

    Texts are compared by their `cleaning.fingerprint`. For each article a hash is kept in memory, and with ``near`` a
    signature of about 1 kB.

    Args:
        schema: Whose rows they are; an article that is summarized may stand in its split with several summaries.
        near: Whether articles that are nearly the same count as the same across splits (not within one).
    """

    def __init__(self, schema: Schema, *, near: bool) -> None:
        self.schema = schema
        self.dropped: dict[int, Copy] = {}
        """Row -> why it is left out; complete when all rows are taken in."""
        self._articles: dict[str, _Article] = {}
        self._near = NearDuplicates() if near else None
        self._splits: dict[int, str] = {}

    def add(self, articles: pd.DataFrame) -> None:
        """Take rows in: `Part.articles`."""
        columns = (articles[name] for name in (self.schema.body, self.schema.answer, "split"))
        for row, text, answer, split in zip(articles.index, *columns, strict=True):
            self._add(int(row), text, "" if self.schema.labelled else fingerprint(answer), split)

    def _add(self, row: int, text: str, answer: str, split: str) -> None:
        mark = fingerprint(text)
        known = self._articles.get(mark)
        if known is not None and SPLIT_RANK[known.split] < SPLIT_RANK[split]:
            self.dropped[row] = Copy(split=split, kept_in=known.split, near=False)
            return
        if known is not None and known.split != split:  # this split has precedence
            loses = Copy(split=known.split, kept_in=split, near=False)
            self.dropped.update(dict.fromkeys(known.rows, loses))
            known = None
        if known is None:
            known = self._articles[mark] = _Article(split=split)
        elif answer in known.answers:
            self.dropped[row] = Copy(split=split, kept_in=split, near=False)
            return
        known.rows.append(row)
        known.answers.add(answer)
        if self._near is not None:
            self._splits[row] = split
            self._compare(row, split, self._near.add(row, text))

    def _compare(self, row: int, split: str, similar: Sequence[int]) -> None:
        for other in similar:
            theirs = self._splits[other]
            if SPLIT_RANK[split] < SPLIT_RANK[theirs]:
                self.dropped.setdefault(other, Copy(split=theirs, kept_in=split, near=True))
            elif SPLIT_RANK[theirs] < SPLIT_RANK[split]:
                self.dropped.setdefault(row, Copy(split=split, kept_in=theirs, near=True))
