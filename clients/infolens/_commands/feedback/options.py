"""The options of the commands about feedback, and their help."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import Any, Final

from infolens._transports.retry import DEFAULT_TIMEOUT_S
from infolens._values.predictions import is_prediction

Run = Callable[[argparse.Namespace], int]
_SAYINGS: Final = "right|wrong|LABEL"
_IDS: Final = """\
The id is what `infolens analyze` shows as "Rate it", and under the key or in the column prediction.
"""
_RATE_EPILOG: Final = f"""\
{_IDS}
A rating counts once, however often it had to be sent; of one rater the latest rating of an answer counts. A better
summary and --consent make it training data, where the server keeps texts.

examples:
  infolens rate q3nCk5mGSxuZ0dX2yQe9Tw --stars 4
  infolens rate q3nCk5mGSxuZ0dX2yQe9Tw --stars 2 --better better.txt --consent --rater desk-7
  infolens rate q3nCk5mGSxuZ0dX2yQe9Tw --category Politics --veracity wrong --note "a column, not news"
  infolens rate $(infolens analyze --json article.txt | jq -r .prediction) --category right

exit codes: 0 the server has the rating; 1 it refuses it, or knows no such answer; 2 wrong usage, or a key that it does
not take; 3 no server
"""
_FORGET_EPILOG: Final = f"""\
{_IDS}
examples:
  infolens forget q3nCk5mGSxuZ0dX2yQe9Tw

exit codes: 0 it is gone, or goes once the server's database is back, which is said; 1 the server knows no such answer;
2 wrong usage, or a key that the server does not take; 3 no server
"""
_QUALITY_EPILOG: Final = """\
A measure is said with the interval in which it lies with a confidence of 95 %: from few ratings it is wide. People
choose what they rate, and rate what they have an opinion of; an audit asks for a label before the model's is shown.

examples:
  infolens quality
  infolens quality --days 7 --server https://news.example.com
  infolens quality --json | jq '.models[] | {task, revision, satisfaction, accuracy}'

exit codes: 0 the server told; 1 it failed; 2 wrong usage, or a key that may not see it; 3 no server
"""


def add_commands(commands: Any, common: argparse.ArgumentParser, *, rate: Run, forget: Run, quality: Run) -> None:
    """Add the commands to those of ``infolens``.

    Args:
        commands: The subparsers of the command.
        common: The options that all commands have.
        rate: Runs ``infolens rate``.
        forget: Runs ``infolens forget``.
        quality: Runs ``infolens quality``.
    """
    rating = _command(commands, common, "rate", "say what you think of answers", _RATE_EPILOG, rate)
    rating.add_argument("id", metavar="ID", type=_id, help="the id of the answers")
    rating.add_argument("--stars", type=int, metavar="N", help="how good the summary is: 1 to 5")
    rating.add_argument(
        "--better", metavar="FILE", help="a better summary, beside --stars for ours; - is the standard input"
    )
    for task in ("category", "veracity"):
        rating.add_argument(
            f"--{task}", metavar=_SAYINGS, help=f"whether the {task} is right, or the right one of the model's labels"
        )
    rating.add_argument("--note", metavar="TEXT", help="anything else that is to be said")
    rating.add_argument(
        "--rater", metavar="NAME", help="who says so: a name that tells people apart, better not who they are"
    )
    rating.add_argument("--consent", action="store_true", help="allow that models are trained with it")

    forgetting = _command(
        commands, common, "forget", "have answers forgotten, and what was said of them", _FORGET_EPILOG, forget
    )
    forgetting.add_argument("id", metavar="ID", type=_id, help="the id of the answers")

    measuring = _command(
        commands, common, "quality", "show how good the models are, by their ratings", _QUALITY_EPILOG, quality
    )
    measuring.add_argument(
        "--days", type=int, default=30, metavar="N", help="how many of the last days count (default: %(default)s)"
    )


def _command(
    commands: Any, common: argparse.ArgumentParser, name: str, about: str, epilog: str, run: Run
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        parents=[common],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        help=about,
        description=f"{about[0].upper()}{about[1:]}.",
        epilog=epilog,
        takes_ids=True,
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "--timeout-s",
        type=float,
        default=DEFAULT_TIMEOUT_S,
        metavar="S",
        help="for the whole request (default: %(default)g)",
    )
    return parser


def _id(word: str) -> str:
    """The id that somebody has typed or copied; a table has an apostrophe before one that begins with a hyphen."""
    name = re.sub(r"^'(?=-)", "", word.strip())
    if not is_prediction(name):
        raise argparse.ArgumentTypeError("an id has 22 letters, digits, - and _, and this is none: give the whole id")
    return name
