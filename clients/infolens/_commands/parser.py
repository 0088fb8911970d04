"""The options of the command ``infolens``, and its help."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from textwrap import fill
from typing import Final

from infolens import __version__
from infolens._transports.keys import KEY_VARIABLE
from infolens._transports.retry import DEFAULT_IN_FLIGHT, DEFAULT_TIMEOUT_S
from infolens._transports.url import DEFAULT_HTTP_URL, DEFAULT_URL, URL_VARIABLE
from infolens.contract import SUMMARY_SETTINGS, Task
from infolens.tables import COLUMNS, FORMATS

from .feedback.options import add_commands
from .kinds import MAX_TITLE_CHARS
from .usage import DEFAULT_WAIT_S, CommandParser, MainParser

Run = Callable[[argparse.Namespace], int]
_EXIT_CODES = """\
exit codes:
  0  all articles were answered (status: everything is ready)
  1  some articles, or with --partial some tasks, failed; each has its line on stderr
  2  wrong usage: an unknown option, a setting out of range, a malformed URL, a file of --in that is no table, a key
     that the server does not take
  3  the server cannot be reached, speaks another protocol, or a model is not ready
  130, 141  interrupted by Ctrl-C; the reader of the output went away
"""

_MAIN_EPILOG = f"""\
examples:
  infolens status
  infolens analyze article.txt
  infolens analyze --in articles.csv --out answers.xlsx
  infolens rate q3nCk5mGSxuZ0dX2yQe9Tw --stars 4
  infolens quality
  infolens analyze --help

{_EXIT_CODES}"""

_ANALYZE_EPILOG = f"""\
A file is plain text in UTF-8, or in UTF-16 with its mark. Links, and files that are PDF, Word (.docx) or HTML, are read
by a server over HTTP (--server http://HOST:8000; for links {DEFAULT_HTTP_URL} where none is named);
of other files it is said how to get at their text. A first line of at most {MAX_TITLE_CHARS} characters, without a
full stop at its end and with a blank line below, is the title; with --title all is text. With --json every article
gives one line with the keys file, title, summary, category, veracity, truncated and readings, or file and error; with
--partial also failed, where tasks failed; with --evidence evidence in category and veracity; trace_id where the server
kept spans, prediction where answers can be rated; article for what was read in a link or document.

A table for --in is CSV (also with semicolons, tabs or bars), Excel (.xlsx), JSON lines or a JSON array. Its columns are
known by their names, whatever their case: text (or body, article, content, story), title (headline), url (link, href),
id (name, key, uuid); a table with a single column holds texts, or links. Rows with a url and no text are fetched by the
server. A row that failed has its reason under error. Veracity is judged by wording, and nothing is checked.
{fill(f"--out writes the same columns whatever its format: {', '.join(COLUMNS)}.", 120)}

examples:
  infolens analyze article.txt
  infolens analyze --evidence --task veracity article.txt
  infolens analyze --style free --temperature 0.7 --seed 7 --evidence article.txt
  infolens analyze --task category --task veracity news/*.txt
  infolens analyze --json --in-flight 32 news/*.txt > answers.jsonl
  infolens analyze --title "Late goal decides the cup" --text "The home side won the final ..."
  infolens analyze https://example.com/news/harbour-bridge.html
  infolens analyze --server http://127.0.0.1:8000 report.pdf interview.docx
  infolens analyze --in articles.csv --out answers.xlsx
  infolens analyze --in articles.csv --out answers.xlsx --resume
  infolens analyze news/*.txt --out answers.csv
  curl -s https://example.com/article.txt | infolens analyze - --max-length 40
  infolens analyze --json article.txt | jq -r .summary.text

{_EXIT_CODES}"""

_STATUS_EPILOG = f"""\
examples:
  infolens status
  infolens status --server http://triton.example.com:8000
  until infolens status > /dev/null 2>&1; do sleep 1; done

{_EXIT_CODES}"""

_VALUES: Final[Mapping[str, tuple[type, str]]] = {"INT32": (int, "N"), "FP32": (float, "X"), "BYTES": (str, "")}
"""How the values of a setting are read, and what stands for one in the help if it has no choices."""
_ABOUT: Final[Mapping[str, str]] = {
    "style": "whole sentences of the article (extractive), or the model's own words (free)",
    "temperature": "above 0 the summary is a sample, the more daring the higher",
    "top_p": "a sample takes the most probable words that have this probability together",
    "seed": "the same seed gives the same sample",
}


def make_parser(*, analyze: Run, status: Run, rate: Run, forget: Run, quality: Run) -> argparse.ArgumentParser:
    """The parser of the command; each subcommand names the function that runs it."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = MainParser(
        prog="infolens",
        formatter_class=layout,
        description="Summary, category and veracity of news articles, from an Info Lens server.",
        epilog=_MAIN_EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=CommandParser)

    common = _common(
        "grpc://HOST:8001, http://HOST:8000, grpcs://HOST, https://HOST, or HOST:PORT for gRPC", DEFAULT_URL
    )
    analyzing = commands.add_parser(
        "analyze",
        parents=[common],
        formatter_class=layout,
        help="analyze articles",
        description="Analyze articles: a summary, a category, and whether each reads like real or fake news.",
        epilog=_ANALYZE_EPILOG,
    )
    analyzing.set_defaults(run=analyze)
    analyzing.add_argument("files", nargs="*", metavar="FILE", help="article files or links; - is the standard input")
    analyzing.add_argument(
        "--in", dest="table", metavar="FILE", help="a table of articles instead of files; - is the standard input"
    )
    analyzing.add_argument(
        "--out",
        metavar="FILE",
        help="write a table of answers; the end of its name tells the format: "
        f"{', '.join(f'.{name}' for name in FORMATS)}; - is the standard output",
    )
    analyzing.add_argument("--format", choices=[*FORMATS], help="the format of --out, where its name does not tell it")
    analyzing.add_argument(
        "--resume",
        action="store_true",
        help="go on with --out where a run ended early: rows that have an answer are not asked again",
    )
    analyzing.add_argument("--text", help="the article itself, instead of files")
    analyzing.add_argument("--title", help="the title of the one article")
    analyzing.add_argument(
        "--task",
        action="append",
        choices=[task.value for task in Task],
        help="answer only this; may be given more than once (default: all)",
    )
    analyzing.add_argument(
        "--partial",
        action="store_true",
        help="when a task fails, print the answers of the others (default: the article fails)",
    )
    analyzing.add_argument(
        "--evidence",
        action="store_true",
        help="show the sentences that moved category and veracity most; takes about four times as long",
    )
    analyzing.add_argument(
        "--trace",
        action="store_true",
        help="ask the server to keep spans of this, and print the trace under which its collector has them",
    )
    for setting in SUMMARY_SETTINGS:
        kind, shown = _VALUES[setting.dtype]
        analyzing.add_argument(
            f"--{setting.name.replace('_', '-')}",
            type=kind,
            choices=setting.choices or None,
            metavar=None if setting.choices else shown,
            help=f"{_ABOUT.get(setting.name, 'of the summary')}: {setting.rule} "
            f"(the server's default: {setting.left_out})",
        )
    analyzing.add_argument(
        "--timeout-s",
        type=float,
        default=DEFAULT_TIMEOUT_S,
        metavar="S",
        help="for each article (default: %(default)g)",
    )
    analyzing.add_argument(
        "--in-flight",
        type=int,
        default=DEFAULT_IN_FLIGHT,
        metavar="N",
        help="how many articles are under way at once (default: %(default)s)",
    )

    analyzing.add_argument(
        "--wait",
        type=float,
        default=DEFAULT_WAIT_S,
        metavar="SECONDS",
        help="how long to wait when the server goes away in the middle, or says that it heals (default: %(default)g)",
    )

    showing = commands.add_parser(
        "status",
        parents=[common],
        formatter_class=layout,
        help="show whether the server and its models are ready",
        description="Show whether the server is live, its version, whether each model is ready, its labels, its "
        "revision, and where it comes from; over HTTP also what its supervisor says while not all is well.",
        epilog=_STATUS_EPILOG,
    )
    showing.set_defaults(run=status)
    showing.add_argument(
        "--timeout-s", type=float, default=5.0, metavar="S", help="for the whole question (default: %(default)g)"
    )
    over_http = _common("http://HOST:8000 or https://HOST", DEFAULT_HTTP_URL)
    add_commands(commands, over_http, rate=rate, forget=forget, quality=quality)
    return parser


def _common(addresses: str, default: str) -> CommandParser:
    """The options that all commands have."""
    common = CommandParser(add_help=False)
    common.add_argument("--server", metavar="URL", help=f"{addresses} (default: ${URL_VARIABLE}, or else {default})")
    common.add_argument(
        "--api-key-file",
        metavar="FILE",
        help=f"holds the API key, for a server that wants one (default: ${KEY_VARIABLE}, or else none)",
    )
    common.add_argument("--json", action="store_true", help="print JSON, one object a line")
    return common
