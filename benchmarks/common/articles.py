"""What a load test sends: articles as long as real ones, new ones or popular ones, and what it asks about them.

The lengths are those of 30,588 news articles (474 to 494 words on average by collection): only their quantiles stand
here, so no collection is needed. The words are sentences of ``tests/articles`` in random order, since the cost of an
answer depends on the number of words and hardly on their sense; ``--articles`` sends articles of your own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infolens import Article
from infolens.contract import CONTRACTS, INFO_LENS, SummarySetting, Task

from .server import ROOT, BenchmarkError

if TYPE_CHECKING:
    import numpy as np

QUANTILES: Final = (*(0.05 * step for step in range(20)), 0.99, 1.0)
LENGTHS_WORDS: Final = (
    *(50, 109, 151, 189, 221, 250, 276, 302, 325, 349, 374, 403, 434, 473, 522, 590, 673, 798, 994, 1322),
    *(1740, 2354),
)
"""Words of an article at `QUANTILES`."""
POPULAR: Final = 200
"""Articles that the popular mix draws from; the k-th is asked for with a weight of 1/k (Zipf's law)."""
WARMUP_S: Final = 5.0
"""Seconds at the beginning of a load whose requests are sent and not counted, if no others are named."""
TIMEOUT_S: Final = 10.0
"""Time-out of a request, if no other is named."""


class Mix(StrEnum):
    """How often the same article comes again."""

    NEW = "new"
    """Never: a response cache cannot help."""
    POPULAR = "popular"
    """As readers come to a news site: a few articles are most of the requests."""


def kinds() -> tuple[str, ...]:
    """What can be asked: all answers at once, or one task alone."""
    return (INFO_LENS, *(task.value for task in Task))


def tasks_of(kind: str) -> tuple[Task, ...]:
    """The tasks that one of `kinds` asks for."""
    if kind == INFO_LENS:
        return tuple(task for task, contract in CONTRACTS.items() if contract.by_default)
    return (Task(kind),)


def model_of(kind: str) -> str:
    """The model that answers one of `kinds`."""
    return INFO_LENS if kind == INFO_LENS else CONTRACTS[Task(kind)].ensemble


def settings_of(*tasks: Task) -> dict[str, SummarySetting]:
    """What requests for these tasks may set, by name."""
    return {setting.name: setting for task in tasks for setting in CONTRACTS[task].settings}


def read_settings(words: Sequence[str], kind: str) -> dict[str, float]:
    """The settings of requests of one kind out of ``NAME=VALUE``; a word is its index in the choices.

    Raises:
        ValueError: Requests of this kind know no such name, or a value is neither a number nor one of the choices.
    """
    known = settings_of(*tasks_of(kind))
    found = {}
    for word in words:
        name, _, value = word.partition("=")
        if name not in known:
            raise ValueError(
                f"--set takes NAME=VALUE with a name of {sorted(known)} for requests of {kind}, not {word!r}"
            )
        choices = known[name].choices
        if choices and value not in choices:
            raise ValueError(f"--set {name} is {' or '.join(choices)}, not {value!r}")
        found[name] = float(choices.index(value) if choices else value)
    return found


def length_words(rng: np.random.Generator) -> int:
    """The length of a random article, in words."""
    import numpy as np  # here and below, so that a command's help does not load it

    return round(float(np.interp(rng.random(), QUANTILES, LENGTHS_WORDS)))


def compose(rng: np.random.Generator, words: int) -> Article:
    """An article of exactly ``words`` words, of sentences in random order."""
    titles, sentences = _sentences()
    parts: list[str] = []
    while len(parts) < words:
        parts += sentences[rng.integers(len(sentences))].split()
    return Article(title=titles[rng.integers(len(titles))], text=" ".join(parts[:words]))


class Articles(Iterator[Article]):
    """An endless stream of articles, the same one for the same arguments.

    Args:
        mix: How often the same article comes again.
        seed: Of the random numbers.
        words: Length of every article; None for lengths as real articles have them.
        own: Articles to send in place of composed ones; the mix `Mix.NEW` sends them in turn.
    """

    def __init__(
        self, *, mix: Mix = Mix.NEW, seed: int = 0, words: int | None = None, own: Sequence[Article] = ()
    ) -> None:
        import numpy as np

        self._rng = np.random.default_rng([seed, 0])
        self._words = words
        self._own = own
        self._sent = 0
        self._popular: list[Article] = []
        if mix is Mix.POPULAR:
            # What is popular is popular with everyone: these do not depend on the seed.
            source = Articles(words=words, own=own)
            self._popular = [next(source) for _ in range(POPULAR)]
            weights = 1 / np.arange(1, POPULAR + 1)
            self._shares = weights / weights.sum()

    def __next__(self) -> Article:
        self._sent += 1
        if self._popular:
            return self._popular[self._rng.choice(POPULAR, p=self._shares)]
        if self._own:
            return self._own[(self._sent - 1) % len(self._own)]
        return compose(self._rng, self._words or length_words(self._rng))


def read_article(path: Path) -> Article:
    """An article from a file: a title line, a blank line, the text.

    Raises:
        BenchmarkError: the file cannot be read.
    """
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BenchmarkError(
            f"cannot read the article {path}: {error}; give a UTF-8 text file with --article"
        ) from error
    title, blank, text = content.partition("\n\n")
    return Article(title=title, text=text) if blank else Article(text=content)


def read_articles(path: Path) -> list[Article]:
    """Articles of one's own: JSON lines, CSV or parquet with a column ``text`` (or ``article``) and perhaps ``title``.

    Raises:
        BenchmarkError: The file cannot be read, or holds no article.
    """
    readers = {".jsonl": _read_json_lines, ".csv": _read_table, ".parquet": _read_table}
    ending = path.suffix.lower()
    if ending not in readers:
        raise BenchmarkError(f"articles come as {', '.join(readers)}, not as {path.name!r}")
    try:
        rows = readers[ending](path)
    except UnicodeDecodeError as error:
        raise BenchmarkError(f"cannot read the articles {path}: {error}; give them in UTF-8 with --articles") from error
    except (OSError, ValueError) as error:
        raise BenchmarkError(f"cannot read the articles {path}: {error}") from error
    found = []
    for row in rows:
        text = row.get("text") or row.get("article")
        if isinstance(text, str) and text.strip():
            title = row.get("title")
            found.append(Article(title=title if isinstance(title, str) and title.strip() else None, text=text))
    if not found:
        raise BenchmarkError(f"{path} holds no article: it needs a column text (or article) that is not blank")
    return found


def _read_json_lines(path: Path) -> list[dict[str, Any]]:
    # Lines end in line feeds only: a text may hold the other signs that end a line.
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8-sig").split("\n") if line.strip()]
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise ValueError(f'row {number} is no object; each line is one, as {{"text": "..."}}')
    return rows


def _read_table(path: Path) -> list[dict[str, Any]]:
    import pandas as pd

    table = pd.read_csv(path, dtype=str) if path.suffix.lower() == ".csv" else pd.read_parquet(path)
    rows: list[dict[str, Any]] = table.to_dict("records")
    return rows


@cache
def _sentences() -> tuple[list[str], list[str]]:
    """Titles and sentences of the committed articles."""
    titles, sentences = [], []
    for path in sorted((ROOT / "tests" / "articles").glob("*.txt")):
        title, _, text = path.read_text(encoding="utf-8").partition("\n\n")
        titles.append(title.strip())
        sentences += re.split(r"(?<=[.!?])\s+", " ".join(text.split()))
    return titles, sentences
