"""The words of the command line that are about feedback."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any, Final

from .options import MAX_BATCH, MAX_DAYS, MAX_SPOOL_BYTES, FeedbackOptions

_MIB: Final = 2**20


def add_feedback(parser: argparse.ArgumentParser) -> None:
    """Add the options; `read_feedback` reads them."""
    add, given = parser.add_argument, FeedbackOptions()
    add(
        "--feedback",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="whether answers can be rated: each has an id then, and its labels, output and ratings are kept (where "
        "the cache can be written, or --feedback-url names a database)",
    )
    add(
        "--feedback-url",
        metavar="URL",
        help="where predictions and ratings are kept, such as postgresql+psycopg://infolens@host/infolens, which "
        "several servers can share (or INFOLENS_FEEDBACK_URL; a file in the cache)",
    )
    add(
        "--feedback-texts",
        action="store_true",
        help="keep the texts of articles too: without them ratings become no training data",
    )
    add(
        "--feedback-days",
        type=_whole("days", MAX_DAYS),
        default=given.days,
        metavar="N",
        help=f"how many days a prediction and what was said of it are kept ({given.days})",
    )
    add(
        "--feedback-batch",
        type=_whole("ratings", MAX_BATCH),
        default=given.batch,
        metavar="N",
        help=f"ratings of a batch, over which satisfaction and accuracy are averaged ({given.batch})",
    )
    add(
        "--feedback-spool",
        metavar="DIR",
        help="the folder that holds what comes while the database is away (or INFOLENS_FEEDBACK_SPOOL; in the cache)",
    )
    add(
        "--feedback-spool-mb",
        type=_whole("MiB", MAX_SPOOL_BYTES // _MIB),
        default=given.spool_bytes // _MIB,
        metavar="MB",
        help=f"the spool takes no more MiB; what comes then is refused ({given.spool_bytes // _MIB})",
    )
    add(
        "--audit-share",
        type=_share,
        default=given.audit_share,
        metavar="PART",
        help="the share of articles for which the page asks for a label before it shows ours, so that accuracy is "
        f"known of all answers and not of those that people care to rate; 0 for none ({given.audit_share})",
    )
    add(
        "--trust-bar",
        type=_share,
        default=given.trust,
        metavar="PART",
        help="a model is trusted where the lower bound of its accuracy in these audits is at least this "
        f"({given.trust})",
    )


def read_feedback(args: argparse.Namespace) -> FeedbackOptions:
    """The options as they were given."""
    return FeedbackOptions(
        keeps=args.feedback,
        url=args.feedback_url or "",
        spool=args.feedback_spool or "",
        texts=args.feedback_texts,
        days=args.feedback_days,
        spool_bytes=args.feedback_spool_mb * _MIB,
        audit_share=args.audit_share,
        batch=args.feedback_batch,
        trust=args.trust_bar,
    )


def words_about_feedback(feedback: Mapping[str, Any]) -> str:
    """A line for people.

    Args:
        feedback: The options as the door is told them.
    """
    if not feedback.get("keeps"):
        return f"  feedback none is kept: {feedback.get('why_not') or 'there is no door'}"
    texts = "with the articles' texts" if feedback["texts"] else "without the articles' texts"
    audits = f", {100 * feedback['audit_share']:g} % of articles audited blindly" if feedback["audit_share"] else ""
    return f"  feedback answers and ratings kept for {feedback['days']} days, {texts}{audits}"


def _whole(what: str, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = int(text) if text.isascii() and text.isdigit() else 0
        if not 1 <= number <= most:
            raise argparse.ArgumentTypeError(f"it is a whole number of {what} from 1 to {most}, not '{text:.40}'")
        return number

    return read


def _share(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"it is a number from 0 to 1, not '{text:.40}'")
    return number
