"""The command ``infolens``: arguments in, answers out. `client` does the work, `_commands.render` the layout."""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import os
import shutil
import signal
import sys
import warnings
from collections import deque
from collections.abc import Iterator, Sequence

from ._calls import check_in_flight
from ._commands.articles import STDIN, parse_article, read_article
from ._commands.keys import read_key
from ._commands.outages import Outages
from ._commands.parser import make_parser
from ._commands.progress import Progress
from ._commands.render import clean, error_json, report_json, report_text, status_json, status_text
from ._transports.retry import RetryPolicy
from ._transports.traces import continuing_trace
from ._transports.url import parse_url
from .client import Client
from .contract import SUMMARY_SETTINGS
from .errors import (
    AuthenticationError,
    InfoLensError,
    InsecureKeyWarning,
    InvalidSettingError,
    PermissionDeniedError,
    ServerError,
    ServerUnavailableError,
    WrongServerError,
)
from .types import Article, Report, SummaryOptions

OK, SOME_FAILED, USAGE, NO_SERVER = 0, 1, 2, 3
NOT_TRACED = (
    "no trace: the server keeps spans of few requests, and says itself which; whoever runs it may let callers choose "
    "with --trace-asked"
)
INTERRUPTED, PIPE_CLOSED = 128 + signal.SIGINT, 128 + signal.SIGPIPE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = make_parser(analyze=_analyze, status=_status).parse_args(arguments)
    # What gRPC has to say of a broken connection comes as an error; its own log would stand beside that.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that lacks a character shows a question mark instead of a traceback.
        sys.stdout.reconfigure(errors="replace")
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except InfoLensError as error:
        return _complain(str(error), _exit_code(error), notes_of=error)
    except BrokenPipeError:
        # What is still buffered has no reader any more; Python would complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except KeyboardInterrupt as interrupt:
        return _complain("interrupted", INTERRUPTED, notes_of=interrupt)
    return code


def _exit_code(error: InfoLensError) -> int:
    if isinstance(error, InvalidSettingError | AuthenticationError | PermissionDeniedError):
        return USAGE
    return NO_SERVER if isinstance(error, ServerUnavailableError | WrongServerError) else SOME_FAILED


def _complain(message: str, code: int, *, notes_of: BaseException | None = None) -> int:
    for words in (message, *getattr(notes_of, "__notes__", ())):
        print(f"infolens: {clean(words)}", file=sys.stderr)
    return code


def _client(options: argparse.Namespace, retries: RetryPolicy) -> Client:
    """The client that the options ask for; its warnings become lines like those of errors."""
    key = None if options.api_key_file is None else read_key(options.api_key_file)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InsecureKeyWarning)
        client = Client(options.server, api_key=key, timeout_s=options.timeout_s, retries=retries)
    for warning in caught:
        _complain(f"warning: {warning.message}", OK)
    return client


def _status(options: argparse.Namespace) -> int:
    url = str(parse_url(options.server))
    with _client(options, RetryPolicy()) as client:
        try:
            status = client.status()
        except (AuthenticationError, PermissionDeniedError):
            raise
        except ServerError as error:
            return _complain(str(error), NO_SERVER)
    sys.stdout.write(status_json(url, status) if options.json else status_text(url, status))
    return OK if status.ready else NO_SERVER


def _analyze(options: argparse.Namespace) -> int:
    names = _names(options)
    summary_options = SummaryOptions(**{setting.name: getattr(options, setting.name) for setting in SUMMARY_SETTINGS})
    check_in_flight(options.in_flight)
    # Names of the articles whose results are to come, and what was read under them.
    waiting: deque[tuple[str, Article | None]] = deque()

    def articles() -> Iterator[Article | InfoLensError]:
        for name in names:
            item: Article | InfoLensError
            try:
                item = _load(name, options)
            except InfoLensError as error:
                item = error
            waiting.append((name, item if isinstance(item, Article) else None))
            yield item

    progress = Progress(names)
    traced: set[str] = set()
    trace = continuing_trace() if options.trace else contextlib.nullcontext("")
    with _client(options, RetryPolicy(attempts=5)) as client, progress, trace:
        ask = functools.partial(
            client.analyze_many,
            tasks=options.task,
            options=summary_options,
            partial=options.partial,
            evidence=options.evidence,
            in_flight=options.in_flight,
        )

        def tell(outage: ServerUnavailableError) -> None:
            progress.clear()
            _complain(f"waiting up to {options.wait:g} s for the server: {outage}", OK)

        results = Outages(ask, wait_s=options.wait, tell=tell).results(articles())
        with contextlib.closing(results):
            for result in results:
                name, article = waiting.popleft()
                progress.clear()
                if isinstance(result, WrongServerError | AuthenticationError | PermissionDeniedError):
                    # Whatever comes next would fail in the same way, once for every article.
                    raise result
                traced.add(getattr(result, "trace_id", None) or "")
                failed = isinstance(result, InfoLensError) or bool(result.failed)
                if isinstance(result, InfoLensError):
                    _complain(f"{name}: {result}", SOME_FAILED)
                    if options.json:
                        sys.stdout.write(error_json(name, result))
                else:
                    for task, reason in result.failed.items():
                        _complain(f"{name}: no {task}: {reason}", SOME_FAILED)
                    sys.stdout.write(_shown(name, article, result, options, several=len(names) > 1))
                sys.stdout.flush()
                progress.advance(failed=failed)
    if options.trace:
        ids = ", ".join(sorted(traced - {""}))
        _complain(f"trace {ids}" if ids else NOT_TRACED, OK)
    return SOME_FAILED if progress.failed else OK


def _shown(name: str, article: Article | None, report: Report, options: argparse.Namespace, *, several: bool) -> str:
    title, text = (article.title, article.text) if article else (None, "")
    if options.json:
        return report_json(name, title, report)
    width = min(shutil.get_terminal_size((100, 24)).columns, 120)
    return report_text(name, title, report, width=width, text=text) + ("\n" if several else "")


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
