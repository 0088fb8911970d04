"""The command ``infolens``: arguments in, answers out. `client` does the work, `_commands.render` the layout."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import signal
import sys
from collections import deque
from collections.abc import Iterator, Sequence

from . import __version__
from ._calls import DEFAULT_IN_FLIGHT, DEFAULT_TIMEOUT_S, check_in_flight
from ._commands.articles import MAX_TITLE_CHARS, STDIN, parse_article, read_article
from ._commands.render import clean, error_json, report_json, report_text, status_json, status_text
from ._transports.retry import RetryPolicy
from ._transports.url import DEFAULT_URL, URL_VARIABLE, parse_url
from .client import Client
from .contract import SUMMARY_SETTINGS, Task
from .errors import InfoLensError, InvalidSettingError, ServerError, ServerUnavailableError
from .types import Article, Report, SummaryOptions

OK, SOME_FAILED, USAGE, NO_SERVER = 0, 1, 2, 3
INTERRUPTED, PIPE_CLOSED = 128 + signal.SIGINT, 128 + signal.SIGPIPE

_EXIT_CODES = """\
exit codes:
  0  all articles were answered (status: everything is ready)
  1  some articles, or with --partial some tasks, failed; each has its line on stderr
  2  wrong usage: an unknown option, a setting out of range, a malformed URL
  3  the server cannot be reached, or a model is not ready
  130, 141  interrupted by Ctrl-C; the reader of the output went away
"""

_MAIN_EPILOG = f"""\
examples:
  infolens status
  infolens analyze article.txt
  infolens analyze --help

{_EXIT_CODES}"""

_ANALYZE_EPILOG = f"""\
A file is UTF-8 text, or UTF-16 with its mark. A first line of at most {MAX_TITLE_CHARS} characters, without a full stop
at its end and with a blank line below, is the title; with --title all is text. With --json every article gives one
line with the keys file, title, summary, category, veracity, truncated and readings, or file and error; with --partial
also failed, where tasks failed.

examples:
  infolens analyze article.txt
  infolens analyze --task category --task veracity news/*.txt
  infolens analyze --json --in-flight 32 news/*.txt > answers.jsonl
  infolens analyze --title "Late goal decides the cup" --text "The home side won the final ..."
  curl -s https://example.com/article.txt | infolens analyze - --max-length 40
  infolens analyze --json article.txt | jq -r .summary.text

{_EXIT_CODES}"""

_STATUS_EPILOG = f"""\
examples:
  infolens status
  infolens status --server http://triton.example.com:8000
  until infolens status > /dev/null 2>&1; do sleep 1; done

{_EXIT_CODES}"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that lacks a character shows a question mark instead of a traceback.
        sys.stdout.reconfigure(errors="replace")
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except InvalidSettingError as error:
        return _complain(str(error), USAGE)
    except ServerUnavailableError as error:
        return _complain(str(error), NO_SERVER)
    except InfoLensError as error:
        return _complain(str(error), SOME_FAILED)
    except BrokenPipeError:
        # What is still buffered has no reader any more; Python would complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)
    return code


def _complain(message: str, code: int) -> int:
    print(f"infolens: {clean(message)}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="infolens",
        formatter_class=layout,
        description="Summary, category and veracity of news articles, from an Info Lens server.",
        epilog=_MAIN_EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--server",
        metavar="URL",
        help="grpc://HOST:8001, http://HOST:8000, grpcs://HOST, https://HOST, or HOST:PORT for gRPC "
        f"(default: ${URL_VARIABLE}, or else {DEFAULT_URL})",
    )
    common.add_argument("--json", action="store_true", help="print JSON, one object a line")

    analyze = commands.add_parser(
        "analyze",
        parents=[common],
        formatter_class=layout,
        help="analyze articles",
        description="Analyze articles: a summary, a category, and whether each reads like real or fake news.",
        epilog=_ANALYZE_EPILOG,
    )
    analyze.set_defaults(run=_analyze)
    analyze.add_argument("files", nargs="*", metavar="FILE", help="article files; - is the standard input")
    analyze.add_argument("--text", help="the article itself, instead of files")
    analyze.add_argument("--title", help="the title of the one article")
    analyze.add_argument(
        "--task",
        action="append",
        choices=[task.value for task in Task],
        help="answer only this; may be given more than once (default: all)",
    )
    analyze.add_argument(
        "--partial",
        action="store_true",
        help="when a task fails, print the answers of the others (default: the article fails)",
    )
    for setting in SUMMARY_SETTINGS:
        analyze.add_argument(
            f"--{setting.name.replace('_', '-')}",
            type=int if setting.dtype == "INT32" else float,
            metavar="N" if setting.dtype == "INT32" else "X",
            help=f"of the summary, from {setting.minimum:g} to {setting.maximum:g} "
            f"(the server's default: {setting.default:g})",
        )
    analyze.add_argument(
        "--timeout-s",
        type=float,
        default=DEFAULT_TIMEOUT_S,
        metavar="S",
        help="for each article (default: %(default)g)",
    )
    analyze.add_argument(
        "--in-flight",
        type=int,
        default=DEFAULT_IN_FLIGHT,
        metavar="N",
        help="how many articles are under way at once (default: %(default)s)",
    )

    status = commands.add_parser(
        "status",
        parents=[common],
        formatter_class=layout,
        help="show whether the server and its models are ready",
        description="Show whether the server is live, its version, whether each model is ready, and its labels.",
        epilog=_STATUS_EPILOG,
    )
    status.set_defaults(run=_status)
    status.add_argument(
        "--timeout-s", type=float, default=5.0, metavar="S", help="for the whole question (default: %(default)g)"
    )
    return parser


def _status(options: argparse.Namespace) -> int:
    url = str(parse_url(options.server))
    with Client(url, timeout_s=options.timeout_s) as client:
        try:
            status = client.status()
        except ServerError as error:
            return _complain(str(error), NO_SERVER)
    sys.stdout.write(status_json(url, status) if options.json else status_text(url, status))
    return OK if status.ready else NO_SERVER


def _analyze(options: argparse.Namespace) -> int:
    names = _names(options)
    summary_options = SummaryOptions(**{setting.name: getattr(options, setting.name) for setting in SUMMARY_SETTINGS})
    check_in_flight(options.in_flight)
    waiting: deque[tuple[str, str | None]] = deque()  # names and titles of the articles whose results are to come

    def articles() -> Iterator[Article | InfoLensError]:
        for name in names:
            item: Article | InfoLensError
            try:
                item = _load(name, options)
            except InfoLensError as error:
                item = error
            waiting.append((name, item.title if isinstance(item, Article) else None))
            yield item

    failed = 0
    progress = _Progress(len(names))
    retries = RetryPolicy(attempts=5)
    with Client(options.server, timeout_s=options.timeout_s, retries=retries) as client, progress:
        results = client.analyze_many(
            articles(),
            tasks=options.task,
            options=summary_options,
            partial=options.partial,
            in_flight=options.in_flight,
        )
        with contextlib.closing(results):
            for result in results:
                name, title = waiting.popleft()
                progress.clear()
                if isinstance(result, ServerUnavailableError):
                    # Whatever comes next would fail in the same way, once for every article.
                    raise result
                if isinstance(result, InfoLensError):
                    failed += 1
                    _complain(f"{name}: {result}", SOME_FAILED)
                    if options.json:
                        sys.stdout.write(error_json(name, result))
                else:
                    failed += bool(result.failed)
                    for task, reason in result.failed.items():
                        _complain(f"{name}: no {task}: {reason}", SOME_FAILED)
                    sys.stdout.write(_shown(name, title, result, options, several=len(names) > 1))
                sys.stdout.flush()
                progress.advance()
    return SOME_FAILED if failed else OK


def _shown(name: str, title: str | None, report: Report, options: argparse.Namespace, *, several: bool) -> str:
    if options.json:
        return report_json(name, title, report)
    width = min(shutil.get_terminal_size((100, 24)).columns, 120)
    return report_text(name, title, report, width=width) + ("\n" if several else "")


_TEXT_NAME = "--text"


def _names(options: argparse.Namespace) -> list[str]:
    names: list[str] = options.files
    if options.text is not None:
        if names:
            raise InvalidSettingError(f"--text stands instead of files, but there are {len(names)}; give either")
        names = [_TEXT_NAME]
    if not names:
        raise InvalidSettingError("there is no article; give a FILE, - for the standard input, or --text")
    if names.count(STDIN) > 1:
        raise InvalidSettingError("the standard input holds one article, so - may be given once")
    if options.title is not None and len(names) > 1:
        raise InvalidSettingError(
            f"--title is the title of one article, but there are {len(names)}; put titles into the files instead"
        )
    return names


def _load(name: str, options: argparse.Namespace) -> Article:
    if options.text is not None:
        return parse_article(options.text, options.title)
    return read_article(name, options.title)


class _Progress:
    """A counter on stderr, for several articles and only where stderr is a terminal."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._shown = total > 1 and sys.stderr.isatty()

    def __enter__(self) -> None:
        self._draw()

    def __exit__(self, *_: object) -> None:
        self.clear()

    def advance(self) -> None:
        self._done += 1
        self._draw()

    def clear(self) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _draw(self) -> None:
        if self._shown:
            filled = 30 * self._done // self._total
            bar = "#" * filled + "." * (30 - filled)
            print(f"[{bar}] {self._done}/{self._total}", end="", file=sys.stderr, flush=True)
