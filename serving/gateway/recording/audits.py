"""Blind audits: which articles are asked about before the answer is shown, and the answer without what is withheld.

Whoever sees a label agrees with it more often than whoever does not, and whoever volunteers a rating is no sample of
all readers. So a small share of articles, drawn by a hash of their texts and not by anybody's choice, is asked about
first.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from infolens.contract import Task
from serving.gateway.served import ServedTask

MAX_REMEMBERED: Final = 10_000
"""Articles of which this process knows that somebody was asked about them; beyond, the oldest are forgotten."""
_DRAWN_BYTES: Final = 8


def is_drawn(salt: str, task: str, text_sha256: str, share: float) -> bool:
    """Whether an article is one of the share that is asked about: the same for all servers of one store.

    Args:
        salt: Random characters of the store: nobody outside can tell which articles are drawn.
        task: The task.
        text_sha256: The SHA-256 of the article's text, in hexadecimal digits.
        share: From 0 for none to 1 for all.
    """
    digest = hashlib.sha256(f"{salt}|{task}|{text_sha256}".encode()).digest()
    return int.from_bytes(digest[:_DRAWN_BYTES], "big") / 256**_DRAWN_BYTES < share


class Audited:
    """The articles of which somebody was asked already, so that it is answered who asks a second time."""

    def __init__(self, *, at_most: int = MAX_REMEMBERED) -> None:
        self._at_most = at_most
        self._known: OrderedDict[str, None] = OrderedDict()

    def add(self, text_sha256: str) -> bool:
        """Take an article in; false if it is in already."""
        if text_sha256 in self._known:
            return False
        self._known[text_sha256] = None
        if len(self._known) > self._at_most:
            self._known.popitem(last=False)
        return True

    def discard(self, text_sha256: str) -> None:
        """Forget an article, of which nobody was asked after all."""
        self._known.pop(text_sha256, None)


def without(document: Mapping[str, Any], tasks: Collection[Task], served: Mapping[Task, ServedTask]) -> dict[str, Any]:
    """An answer without those of some tasks, and with what they are asked about in the place of these.

    Args:
        document: As `/v1/analyze` answers.
        tasks: What is withheld.
        served: The models, which have the labels.
    """
    kept = {name: value for name, value in document.items() if name not in tasks}
    for name in ("readings", "models"):
        kept[name] = {task: value for task, value in document[name].items() if task not in tasks}
    return {**kept, "audit": offer((str(task), served[task].labels) for task in tasks)}


def offer(labels: Iterable[tuple[str, Collection[str]]]) -> dict[str, Any]:
    """What an answer says of an audit: the labels to choose from, by task."""
    return {"tasks": {task: list(some) for task, some in labels}}
