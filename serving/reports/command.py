"""The words of the command line that are about kept reports."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from .options import MAX_DAYS, ReportsOptions


def add_reports(parser: argparse.ArgumentParser) -> None:
    """Add the options; `read_reports` reads them."""
    add = parser.add_argument
    add(
        "--reports",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="whether an answer is kept where a request asks for it (keep), and given back to whoever has its id "
        "(where the cache can be written, or --reports-url names a database)",
    )
    add(
        "--reports-url",
        metavar="URL",
        help="where reports are kept, such as postgresql+psycopg://infolens@host/infolens, which several servers can "
        "share (or INFOLENS_REPORTS_URL; a file in the cache)",
    )
    add("--reports-texts", action="store_true", help="keep the texts of articles with their reports (answers alone)")
    add("--reports-days", type=_days, default=30, metavar="N", help="how many days a report is kept (30)")


def read_reports(args: argparse.Namespace) -> ReportsOptions:
    """The options as they were given."""
    return ReportsOptions(
        keeps=args.reports, url=args.reports_url or "", texts=args.reports_texts, days=args.reports_days
    )


def words_about_reports(reports: Mapping[str, Any]) -> str:
    """A line for people.

    Args:
        reports: The options as the door is told them.
    """
    if not reports.get("keeps"):
        return f"  reports  none is kept: {reports.get('why_not') or 'there is no door'}"
    texts = "with the articles' texts" if reports["texts"] else "without the articles' texts"
    return f"  reports  kept for {reports['days']} days where a request asks for it, {texts}"


def _days(text: str) -> int:
    days = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= days <= MAX_DAYS:
        raise argparse.ArgumentTypeError(f"it is a whole number of days from 1 to {MAX_DAYS}, not '{text:.40}'")
    return days
