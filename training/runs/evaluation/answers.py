"""Ask a server about many articles, and keep every answer as it comes, so that a run that was cut off goes on.

The file ``answers.jsonl`` has a line for each answer: the task, the revision of the model that gave it, the settings of
the request, a hash of what was asked, and the answer as JSON has it. Answers of other revisions may stand beside them.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infolens import Article, Client, InfoLensError, ServerStatus, SummaryOptions, Task
from infolens.errors import AuthenticationError, InvalidArticleError, PermissionDeniedError, RequestRejectedError
from training.errors import RunError, StorageError

logger = logging.getLogger(__name__)

ANSWERS: Final = "answers.jsonl"
IN_FLIGHT: Final = 16
_PATIENCE_S: Final = 600.0
"""How long an article may wait for a busy server."""
_PROGRESS_S: Final = 10.0
_REFUSALS: Final = (InvalidArticleError, RequestRejectedError)
"""Errors that are about the article, and would come again."""
_NOT_REFUSALS: Final = (AuthenticationError, PermissionDeniedError)


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What a server made of an article."""

    answer: Mapping[str, Any]
    """As ``to_dict`` of the client's answer has it; empty where the article was refused."""
    tokens: int = 0
    """Tokens of the whole article for this model."""
    truncated_tokens: int = 0
    """How many of them it did not read."""
    refused: str = ""
    """Why there is no answer."""


class Answers:
    """The answers of one server, in a file.

    Args:
        folder: Where `ANSWERS` stands or will stand.
        client: Whom to ask.
        status: What the server said of itself: which revision of a model answers.
        options: How summaries are written; None leaves it to the server.
    """

    def __init__(self, folder: Path, client: Client, status: ServerStatus, options: SummaryOptions | None) -> None:
        self._file = folder / ANSWERS
        self._client = client
        self._status = status
        self._options = options

    def of(self, task: Task, articles: Mapping[str, Article | InvalidArticleError]) -> dict[str, Answered]:
        """The answers for articles by their hashes: those that are kept already, and the others from the server.

        What is no article, as a text that is too large, counts as refused.

        Raises:
            RunError: The server stopped answering; what it had answered is kept.
            StorageError: The file cannot be written.
        """
        marks = self._marks(task)
        found = {key: answered for key, answered in self._kept(marks) if key in articles}
        missing = [key for key in articles if key not in found]
        if found:
            logger.info("%s: %d answers are kept in %s already", task.value, len(found), self._file)
        started = told = time.monotonic()
        results = self._client.analyze_many(
            (articles[key] for key in missing),
            tasks=task,
            options=self._options if task is Task.SUMMARY else None,
            timeout_s=_PATIENCE_S,
            in_flight=IN_FLIGHT,
        )
        try:
            with self._file.open("a", encoding="utf-8") as file:
                for done, (key, result) in enumerate(zip(missing, results, strict=True), start=1):
                    found[key] = self._answered(task, result, len(found))
                    file.write(json.dumps({**marks, "key": key, **vars(found[key])}, ensure_ascii=False) + "\n")
                    file.flush()
                    now = time.monotonic()
                    if now - told >= _PROGRESS_S:
                        told, pace = now, done / (now - started)
                        left_s = (len(missing) - done) / pace
                        logger.info(
                            "%s: %d of %d answered, %.1f a second, %d s left",
                            *(task.value, len(found), len(articles), pace, left_s),
                        )
        except OSError as error:
            raise StorageError(f"{self._file}: cannot be written ({error.strerror}); free some space, go on") from error
        finally:
            results.close()
        return found

    def _marks(self, task: Task) -> dict[str, Any]:
        served = self._status.tasks.get(task.value)
        settings = self._options.given() if self._options and task is Task.SUMMARY else {}
        return {"task": task.value, "revision": served.revision if served else "", "settings": settings}

    def _answered(self, task: Task, result: Any, done: int) -> Answered:
        if isinstance(result, InfoLensError):
            if isinstance(result, _REFUSALS) and not isinstance(result, _NOT_REFUSALS):
                return Answered(answer={}, refused=str(result))
            raise RunError(f"{result}. {done} answers are kept in {self._file}: the same command goes on from there")
        answer = result.answers[task]
        reading = answer.reading
        return Answered(answer=answer.to_dict(), tokens=reading.tokens, truncated_tokens=reading.truncated_tokens)

    def _kept(self, marks: Mapping[str, Any]) -> Iterator[tuple[str, Answered]]:
        """The answers in the file that bear these marks; the torn line of a run that was cut off is taken away.

        Without a revision nobody knows which model gave them, so none is used.
        """
        if not self._file.exists():
            return
        whole = 0
        with self._file.open("rb") as file:
            for line in file:
                try:
                    entry = json.loads(line) if line.endswith(b"\n") else None
                except ValueError:
                    entry = None
                if entry is None:
                    break
                whole += len(line)
                if marks["revision"] and all(entry.get(name) == value for name, value in marks.items()):
                    values = {name: entry[name] for name in ("answer", "tokens", "truncated_tokens", "refused")}
                    yield entry["key"], Answered(**values)
        if whole < self._file.stat().st_size:
            with self._file.open("r+b") as file:
                file.truncate(whole)
