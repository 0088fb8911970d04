"""An executor without a model: an article's summary follows from its tokens and settings alone, a token at a step."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from engine.article import Article, Integers
from engine.scheduling.engine import Plan
from engine.settings import Bucket, Rules, Settings

END, PAD = 2, 1
RULES = Rules(start_token=END, end_tokens=(END, 3), pad_token=PAD)
SOURCE, TARGET = 40, 30
VOCABULARY = 100


def buckets(*beams: int, slots: int = 3) -> tuple[Bucket, ...]:
    return tuple(Bucket(slots=slots, beams=b, source_length=SOURCE, target_length=TARGET) for b in beams)


def article(*tokens: int, max_length: int = 20, num_beams: int = 1) -> Article:
    return Article(ids=np.array(tokens, np.int32), settings=Settings(max_length=max_length, num_beams=num_beams))


def random_article(random: np.random.Generator, beams: int = 4) -> Article:
    tokens = random.integers(4, 100, random.integers(1, SOURCE + 1))
    longest, width = (int(random.integers(2, TARGET + 1)), int(random.integers(1, beams + 1)))
    return article(*tokens.tolist(), max_length=longest, num_beams=width)


def summary_of(article: Article) -> list[int]:
    """What `Fake` writes: its first token is as many as the article's, its last one ends it, or is one too many."""
    ids, settings = article.ids.tolist(), article.settings
    length = 2 + sum(ids) % (settings.max_length - 1)
    text = [5 + (ids[i % len(ids)] + i * settings.num_beams) % 90 for i in range(length - 2)]
    return [END, *text, END if length < settings.max_length else 7]


class Fake:
    """Holds whoever uses it to the rules of `engine.executor.Executor`."""

    name = "fake"

    def __init__(
        self,
        bucket: Bucket,
        *,
        sizes: Sequence[int] | None = None,
        late: int = 0,
        trouble: Callable[[str], None] = lambda _: None,
        log: list[tuple[str, int]] | None = None,
    ) -> None:
        """Begin empty.

        Args:
            bucket: The sizes.
            sizes: As executors have it; None for every number of slots.
            late: Steps after which it is known that a search is over.
            trouble: Called with the name of each method that is called; may raise, or wait.
            log: Gets each call and the number of articles, or for a step the number of slots that it costs.
        """
        self.bucket = bucket
        self.sizes = range(1, bucket.slots + 1) if sizes is None else sizes
        self._late, self._trouble, self._log = late, trouble, [] if log is None else log
        self._articles: list[Article | None] = [None] * bucket.slots
        self._texts: list[list[int]] = [[] for _ in range(bucket.slots)]
        self._overtime = [0] * bucket.slots
        self._thread = threading.get_ident()
        self._closed = False

    def join(self, slot: int, article: Article) -> None:
        self._enter("join")
        assert self._articles[slot] is None
        assert article.settings.num_beams <= self.bucket.beams
        if article.ids[0] == 0:
            raise ValueError("this article does not fit")
        self._articles[slot], self._texts[slot], self._overtime[slot] = article, [END], 0

    def step(self) -> None:
        cost = max((slot + 1 for slot, one in enumerate(self._articles) if one is not None), default=0)
        self._enter("step", next((size for size in self.sizes if size >= cost), self.bucket.slots))
        assert cost
        for slot, one in enumerate(self._articles):
            if one is not None:
                written, whole = self._texts[slot], summary_of(one)
                written.extend(whole[len(written) : len(written) + 1])
                self._overtime[slot] += written == whole

    def done(self) -> Sequence[int]:
        self._enter("done")
        return [slot for slot, one in enumerate(self._articles) if one and self._overtime[slot] > self._late]

    def summary(self, slot: int) -> Integers:
        self._enter("summary")
        text = self._texts[slot]
        return np.array(text + [PAD] * (TARGET - len(text)), np.int64)

    def leave(self, slot: int) -> None:
        self._enter("leave")
        assert self._articles[slot] is not None
        self._articles[slot] = None

    def move(self, source: int, target: int) -> None:
        self._enter("move")
        assert self.sizes
        assert self._articles[source] is not None
        assert self._articles[target] is None
        self._articles[target], self._texts[target] = self._articles[source], self._texts[source]
        self._overtime[target] = self._overtime[source]
        self._articles[source] = None

    def close(self) -> None:
        self._enter("close")
        self._closed = True

    def _enter(self, method: str, count: int = -1) -> None:
        assert threading.get_ident() == self._thread
        assert not self._closed
        self._log.append((method, sum(one is not None for one in self._articles) if count < 0 else count))
        self._trouble(method)


def plan(make: Callable[[Bucket], Fake] = Fake, *beams: int, slots: int = 3, **changes: Any) -> Plan:
    values: dict[str, Any] = {"workers": 1, "max_waiting": 100, **changes}
    return Plan(buckets=buckets(*(beams or (1,)), slots=slots), rules=RULES, vocabulary=VOCABULARY, make=make, **values)


class Answers:
    """Takes answers; several for one article are noticed."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.found: dict[int, list[object]] = {}

    def taker(self, number: int) -> Callable[[object], None]:
        """The ``answer`` of an article."""

        def take(outcome: object) -> None:
            with self._changed:
                tokens = outcome.tolist() if isinstance(outcome, np.ndarray) else outcome
                self.found.setdefault(number, []).append(tokens)
                self._changed.notify_all()

        return take

    def wait(self, count: int) -> None:
        """Until so many articles have an answer."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.found) >= count, timeout=20)

    def of(self, number: int) -> object:
        """The one answer of an article, for which it waits."""
        with self._changed:
            assert self._changed.wait_for(lambda: number in self.found, timeout=20)
            (outcome,) = self.found[number]
            return outcome
