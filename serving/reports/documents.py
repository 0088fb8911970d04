"""What is kept of an article and its answer, and the answer with the report's id in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from serving.errors import ReportsError, ReportsLimitError

from .keeper import Keeper
from .records import KeptReport, instant


def kept_document(
    answer: Mapping[str, Any], *, text: str, title: str | None = None, with_text: bool = False
) -> dict[str, Any]:
    """What is kept.

    Args:
        answer: The answer; where the server has fetched the article, its ``article`` is that.
        text: The body of the article as it was sent; that of ``article`` counts more.
        title: Its headline as it was sent, which counts more than that of ``article``.
        with_text: Whether the text is kept too. The answer alone has some words of it: a summary quotes.
    """
    read = answer.get("article") or {}
    text = read.get("text") or text
    article = {
        "title": title or read.get("title"),
        "url": read.get("url"),
        "text": text if with_text else None,
        "text_sha256": hashlib.sha256(text.encode("utf-8", "replace")).hexdigest(),
        "words": len(text.split()),
        **{name: read.get(name) for name in ("author", "date", "site")},
    }
    if read and not with_text:
        answer = {**answer, "article": {**read, "text": None}}
    return {"article": article, "answer": dict(answer)}


def given_document(report: KeptReport) -> dict[str, Any]:
    """A report as whoever has its id gets it."""
    times = {"made": instant(report.made_s), "until": instant(report.until_s)}
    return {"id": report.id, **times, **report.document}


async def with_report(
    keeper: Keeper,
    answer: Mapping[str, Any],
    *,
    text: str,
    title: str | None,
    key: str,
    within_s: float | None = None,
) -> dict[str, Any]:
    """Keep a report of an answer, and say so in it, or why there is none. It never fails.

    Args:
        keeper: Keeps it.
        answer: The answer.
        text: As in `kept_document`.
        title: As in `kept_document`.
        key: The name of the caller's key; empty for none.
        within_s: How long it may take; None for as long as anything may.
    """
    document = kept_document(answer, text=text, title=title, with_text=keeper.texts)
    try:
        report = await keeper.keep(document, key=key, within_s=within_s)
    except ReportsError as error:
        return {**answer, "report": None, "report_problem": _for_callers(keeper, error)}
    return {**answer, "report": {"id": report.id, "until": instant(report.until_s)}}


def _for_callers(keeper: Keeper, error: ReportsError) -> str:
    """Why there is no report, without what only those who run the server need to know."""
    if isinstance(error, ReportsLimitError):
        return str(error)
    if not keeper.keeps:
        return f"this server keeps no reports: {keeper.why_not}"
    return (
        "the report could not be kept: the database of this server did not take it, or not in time, and its log says "
        "why; the answer is as it would have been without it"
    )
