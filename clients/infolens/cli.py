"""The command ``infolens``: arguments in, answers out. `client` does the work, `_commands.render` the layout."""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import os
import signal
import sys
import warnings
from collections import deque
from collections.abc import Iterator, Sequence

from ._calls import check_in_flight
from ._commands.keys import read_key
from ._commands.outages import Ask, Item, Outages, check_wait
from ._commands.outputs import make_output
from ._commands.pages import Reader, with_pages
from ._commands.parser import make_parser
from ._commands.progress import Progress
from ._commands.render import clean, status_json, status_text
from ._commands.sources import Source, Work, choose_server, find_sources
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
    InvalidTableError,
    PermissionDeniedError,
    ServerError,
    ServerUnavailableError,
    WrongServerError,
)
from .types import SummaryOptions

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
    if isinstance(error, InvalidSettingError | InvalidTableError | AuthenticationError | PermissionDeniedError):
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
    sources = find_sources(options)
    choose_server(options, sources)
    summary_options = SummaryOptions(**{setting.name: getattr(options, setting.name) for setting in SUMMARY_SETTINGS})
    check_in_flight(options.in_flight)
    check_wait(options.wait)
    for note in sources.notes:
        _complain(f"{options.table}: {note}", OK)
    output = make_output(options, sources, _print)
    left = [(number, source) for number, source in enumerate(sources) if not output.has(number)]
    # The articles whose results are to come, and what was read there.
    waiting: deque[tuple[int, Source, Work | None]] = deque()

    def items() -> Iterator[Item]:
        for number, source in left:
            item: Item
            try:
                item = source.load()
            except InfoLensError as error:
                item = error
            waiting.append((number, source, None if isinstance(item, InfoLensError) else item))
            yield item

    progress = Progress([source.name for _, source in left], output.way_on)
    traced: set[str] = set()
    trace = continuing_trace() if options.trace else contextlib.nullcontext("")
    with contextlib.ExitStack() as stack:
        stack.callback(output.leave)
        client = stack.enter_context(_client(options, RetryPolicy(attempts=5)))
        stack.enter_context(progress)
        stack.enter_context(trace)
        ask: Ask = functools.partial(
            client.analyze_many,
            tasks=options.task,
            options=summary_options,
            partial=options.partial,
            evidence=options.evidence,
            in_flight=options.in_flight,
        )
        if parse_url(options.server).is_http:
            ask = with_pages(ask, stack.enter_context(contextlib.closing(_reader(options))), options.in_flight)

        def tell(outage: ServerUnavailableError) -> None:
            progress.clear()
            _complain(f"waiting up to {options.wait:g} s for the server: {outage}", OK)

        results = stack.enter_context(contextlib.closing(Outages(ask, wait_s=options.wait, tell=tell).results(items())))
        for result in results:
            number, source, work = waiting.popleft()
            progress.clear()
            if isinstance(result, WrongServerError | AuthenticationError | PermissionDeniedError):
                # Whatever comes next would fail in the same way, once for every article.
                raise result
            traced.add(getattr(result, "trace_id", None) or "")
            output.take(number, source, work, result)
            progress.advance(failed=isinstance(result, InfoLensError) or bool(result.failed))
        progress.clear()
        output.finish()
    if options.trace:
        ids = ", ".join(sorted(traced - {""}))
        _complain(f"trace {ids}" if ids else NOT_TRACED, OK)
    return SOME_FAILED if progress.failed else OK


def _reader(options: argparse.Namespace) -> Reader:
    key = None if options.api_key_file is None else read_key(options.api_key_file)
    return Reader(options.server, api_key=key, timeout_s=options.timeout_s, retries=RetryPolicy(attempts=5))


def _print(words: str) -> None:
    _complain(words, OK)
