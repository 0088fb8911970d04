"""``python -m serving feedback``: shows what is kept, exports it, erases it, and brings its tables up to date."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from serving.errors import FeedbackError
from serving.feedback.demo import MODELS
from serving.feedback.location import KEPT, VARIABLE
from serving.runtime import CACHE

from .words import make_parser

_ELSEWHERE: Final = ": if a server keeps it, name the same --feedback-url or --cache as for the server"

if TYPE_CHECKING:
    from serving.feedback.database.reading import Contents
    from serving.feedback.store import FeedbackStore


def main(argv: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    parser = make_parser(VARIABLE, CACHE)
    args = parser.parse_args(argv)
    if args.command == "delete" and sum(map(bool, (args.ids, args.key or args.rater, args.all))) != 1:
        parser.error("delete takes ids, or --key and --rater, or --all")
    from serving.feedback.store import FeedbackStore  # help and refusals wait for no database
    from serving.storage.location import read_url

    try:
        store = FeedbackStore(read_url(KEPT, args.feedback_url, args.cache))
        try:
            return _COMMANDS[args.command](store, args)
        finally:
            store.close()
    except FeedbackError as error:
        _tell(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        return 130


def _status(store: FeedbackStore, args: argparse.Namespace) -> int:
    contents, version = store.contents(), store.version()
    size = store.file.stat().st_size if store.file is not None and store.file.exists() else None
    if args.json:
        document = {"where": store.shown, "version": version, "bytes": size, **dataclasses.asdict(contents)}
        print(json.dumps(document, indent=2))
        return 0
    print(f"{store.shown} (tables in version {version}{'' if size is None else f', {size / 2**20:,.1f} MiB'})")
    if not contents.predictions and not contents.submissions:
        print("nothing is kept: predictions come with the first answers of a server that keeps feedback")
        if not _is_there(version):
            print(f"there is no such store yet{_ELSEWHERE}")
        return 0
    texts = f"{contents.with_texts:,} with the article's text" if contents.with_texts else "none with an article's text"
    print(f"predictions  {contents.predictions:,} ({texts}), {_when(contents)}")
    waiting = f" ({contents.waiting:,} wait for their predictions)" if contents.waiting else ""
    print(f"submissions  {contents.submissions:,}{waiting}")
    columns = ("task", "model", "revision", "predictions", "ratings", "audits")
    rows = [columns, *(tuple(_shown(getattr(one, name)) for name in columns) for one in contents.models)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print()
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _export(store: FeedbackStore, args: argparse.Namespace) -> int:
    from serving.feedback.exports.exporting import export, format_of

    _must_be_there(store)
    form = args.format or format_of(args.out)
    if form is None:
        raise FeedbackError(
            f"'{args.out.name}' does not say its format: say --format csv, jsonl, parquet or sqlite, or end the name so"
        )
    count = export(store.rows(), form, args.out, _tell)
    _tell(f"{args.out} has {count:,} ratings")
    return 0


def _is_there(version: str) -> bool:
    from serving.feedback.database.making import BASE

    return version != BASE


def _must_be_there(store: FeedbackStore) -> None:
    """An export of nothing would take the place of an earlier one.

    Raises:
        FeedbackError: There is no such store: a mistyped name, or another folder than the server's.
    """
    if not _is_there(store.version()):
        raise FeedbackError(f"there is no feedback in {store.shown}{_ELSEWHERE}")


def _delete(store: FeedbackStore, args: argparse.Namespace) -> int:
    if not args.yes:
        what = f"{len(args.ids)} predictions" if args.ids else "everything" if args.all else "what they made and said"
        raise FeedbackError(f"this erases {what} for ever, with all ratings of it: say --yes too, once you are sure")
    if args.ids:
        return _delete_ids(store, args.ids)
    if args.all:
        before, _ = store.migrate("base")
        store.migrate()
        _tell("everything is erased" if before != "base" else "nothing was kept")
        return 0
    predictions, submissions = store.erase(key=args.key, rater=args.rater)
    _tell(f"erased {predictions:,} predictions with what was said of them, and {submissions:,} other submissions")
    return 0


def _delete_ids(store: FeedbackStore, ids: Sequence[str]) -> int:
    from serving.feedback.keeping import Outcome
    from serving.feedback.records import Erasure

    written = store.write([Erasure(prediction=one, made_us=0) for one in ids])
    gone = sum(one.outcome is Outcome.KEPT for one in written)
    _tell(f"erased {gone:,} predictions with what was said of them")
    if gone == len(ids):
        return 0
    _tell(
        f"error: of {len(ids) - gone:,} of the ids there is no prediction in {store.shown}: it was erased or forgotten "
        "before, or the id is not whole, or its server keeps feedback elsewhere (--feedback-url)"
    )
    return 1


def _forget(store: FeedbackStore, args: argparse.Namespace) -> int:
    _tell(f"forgot {store.forget(args.days):,} predictions older than {args.days} days")
    return 0


def _migrate(store: FeedbackStore, args: argparse.Namespace) -> int:
    if args.to == "base" and not args.yes:
        raise FeedbackError("version base has no tables, so this erases everything: say --yes too, once you are sure")
    before, now = store.migrate(args.to)
    _tell(f"{store.shown} has version {now} already" if before == now else f"{store.shown}: {before} -> {now}")
    return 0


def _demo(store: FeedbackStore, args: argparse.Namespace) -> int:
    from .demonstrating import fill, models_of

    models = models_of(args.server) if args.server else MODELS
    fill(store, predictions=args.predictions, ratings=args.ratings, days=args.days, models=models, tell=_tell)
    return 0


_COMMANDS: Final[Mapping[str, Callable[[FeedbackStore, argparse.Namespace], int]]] = {
    "status": _status,
    "export": _export,
    "delete": _delete,
    "forget": _forget,
    "migrate": _migrate,
    "demo": _demo,
}


def _tell(line: str) -> None:
    """Lines for people go to standard error, so that nothing gets between what is printed for programs."""
    print(line, file=sys.stderr, flush=True)


def _when(contents: Contents) -> str:
    if contents.oldest_us is None or contents.newest_us is None:
        return "made never"
    days = (f"{datetime.fromtimestamp(one / 1e6, UTC):%Y-%m-%d}" for one in (contents.oldest_us, contents.newest_us))
    return f"made from {' to '.join(days)}"


def _shown(value: str | int) -> str:
    return f"{value:,}" if isinstance(value, int) else value
