"""The words of ``python -m serving feedback``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from serving.arguments import new_file
from serving.feedback.options import MAX_DAYS

MAX_MADE_UP: Final = 10_000_000
"""A demonstration has no more predictions or ratings."""
EPILOG: Final = """\
examples:
  python -m serving feedback status                               how much is kept, by model
  python -m serving feedback export --out ratings.csv             for a spreadsheet
  python -m serving feedback export --out ratings.jsonl           for training (`python -m training data from-feedback`)
  python -m serving feedback export --out ratings.sqlite          for a look: `datasette ratings.sqlite`
  python -m serving feedback delete ID --yes                      erase a prediction, and what was said of it
  python -m serving feedback delete --key newsroom --yes          erase all that was made and said with a key
  python -m serving feedback delete --rater desk-7 --yes          erase all that a person said
  python -m serving feedback forget --days 30                     forget what is older (a server does so by itself)
  python -m serving feedback migrate                              bring the tables up to date (a server does so too)
  python -m serving feedback demo --feedback-url sqlite:////tmp/demo.sqlite3 --server http://127.0.0.1:8000
                                                                  made-up ratings of the models of a server that was
                                                                  started with this --feedback-url, to look at

An export has a row for each rating that counts: of one person the latest of an answer. It has texts of articles only
where the server was told to keep them, and is for this user alone. In CSV a cell that a spreadsheet might take for a
formula begins with an apostrophe; the other formats have every text as it is. parquet needs pyarrow.

What is erased is gone from the database and overwritten in its file; exports, backups and models that were trained
with it are not touched. Counts by day stay, which hold no text and nobody's name. What a server holds in its spool
while the database is away comes later: a prediction that was erased by its id does not, other things do.

Feedback lies in .cache/feedback/feedback.sqlite3, or where --feedback-url or the environment variable
%s says; a server that runs need not be stopped for any of this. A password belongs into the variable,
since everybody on the machine sees a command line.

exit codes: 0 done, 1 not done, 2 wrong usage, 130 broken off
"""


def make_parser(variable: str, cache: Path) -> argparse.ArgumentParser:
    """What reads the command line.

    Args:
        variable: The environment variable that names the store.
        cache: The folder of the cache where nobody names another.
    """
    parser = argparse.ArgumentParser(
        prog="python -m serving feedback",
        description="What people said of answers: how much there is, as files, and gone.",
        epilog=EPILOG % variable,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--feedback-url", metavar="URL", help=f"where feedback is kept (or {variable}; a file in the cache)"
    )
    common.add_argument("--cache", type=Path, default=cache, metavar="DIR", help="the cache (.cache)")
    sure = argparse.ArgumentParser(add_help=False)
    sure.add_argument("--yes", action="store_true", help="do it, although nothing brings it back")
    actions = parser.add_subparsers(dest="command", required=True, metavar="status|export|delete|forget|migrate|demo")
    status = actions.add_parser("status", parents=[common], help="show how much is kept, of which models")
    status.add_argument("--json", action="store_true", help="answer in JSON")
    export = actions.add_parser("export", parents=[common], help="write the ratings into a file")
    export.add_argument(
        "--format",
        choices=["csv", "jsonl", "parquet", "sqlite"],
        help="what is written (as the file's name ends)",
    )
    export.add_argument("--out", type=new_file, required=True, metavar="FILE", help="the file; it is replaced as one")
    delete = actions.add_parser("delete", parents=[common, sure], help="erase predictions, or what somebody said")
    delete.add_argument("ids", nargs="*", metavar="ID", help="the id of a prediction; after -- if it begins with -")
    delete.add_argument("--key", metavar="NAME", help="all that was made and said with the key of this name")
    delete.add_argument("--rater", metavar="NAME", help="all that this rater said; with --key, only that with it")
    delete.add_argument("--all", action="store_true", help="everything, counts too")
    forget = actions.add_parser("forget", parents=[common], help="forget predictions that are older, and their ratings")
    forget.add_argument("--days", type=_days, required=True, metavar="N", help=f"how old they may be (1 to {MAX_DAYS})")
    migrate = actions.add_parser("migrate", parents=[common, sure], help="bring the tables to a version")
    migrate.add_argument("--to", metavar="VERSION", help="an older or newer one, such as 0001 (the newest)")
    demo = actions.add_parser("demo", parents=[common], help="fill an empty store with made-up ratings, to look at")
    for name, count in (("predictions", 20_000), ("ratings", 2_000)):
        demo.add_argument(f"--{name}", type=_count, default=count, metavar="N", help="how many (%(default)s)")
    demo.add_argument(
        "--server",
        metavar="URL",
        help="whose models they are said to be of, such as http://127.0.0.1:8000 (no server's)",
    )
    demo.add_argument("--days", type=_days, default=90, metavar="N", help="of so many days (%(default)s)")
    return parser


def _count(text: str) -> int:
    count = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= count <= MAX_MADE_UP:
        raise argparse.ArgumentTypeError(f"it is a whole number from 1 to {MAX_MADE_UP:,}, not '{text:.40}'")
    return count


def _days(text: str) -> int:
    days = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= days <= MAX_DAYS:
        raise argparse.ArgumentTypeError(f"it is a whole number of days from 1 to {MAX_DAYS}, not '{text:.40}'")
    return days
