"""What the commands do: ask about articles, ask how the server is."""

from __future__ import annotations

import argparse
import contextlib
import functools
import sys
import warnings
from collections import deque
from collections.abc import Iterator

from infolens._calls import check_in_flight
from infolens._transports.retry import RetryPolicy
from infolens._transports.traces import continuing_trace
from infolens._transports.url import parse_url
from infolens.client import Client
from infolens.contract import SUMMARY_SETTINGS
from infolens.errors import (
    AuthenticationError,
    InfoLensError,
    InsecureKeyWarning,
    PermissionDeniedError,
    ServerError,
    ServerUnavailableError,
    WrongServerError,
)
from infolens.types import SummaryOptions

from .keys import read_key
from .outages import Ask, Item, Outages, check_wait
from .outputs import make_output
from .pages import Reader, with_pages
from .progress import Progress
from .render import status_json, status_text
from .sources import Source, Work, choose_server, find_sources
from .usage import NO_SERVER, OK, SOME_FAILED, complain

NOT_TRACED = (
    "no trace: the server keeps spans of few requests, and says itself which; whoever runs it may let callers choose "
    "with --trace-asked"
)


def make_client(options: argparse.Namespace, retries: RetryPolicy) -> Client:
    """The client that the options ask for; its warnings become lines like those of errors."""
    key = None if options.api_key_file is None else read_key(options.api_key_file)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InsecureKeyWarning)
        client = Client(options.server, api_key=key, timeout_s=options.timeout_s, retries=retries)
    for warning in caught:
        complain(f"warning: {warning.message}", OK)
    return client


def status(options: argparse.Namespace) -> int:
    """Ask how the server is; returns the exit code."""
    url = str(parse_url(options.server))
    with make_client(options, RetryPolicy()) as client:
        try:
            found = client.status()
        except (AuthenticationError, PermissionDeniedError):
            raise
        except ServerError as error:
            return complain(str(error), NO_SERVER)
    sys.stdout.write(status_json(url, found) if options.json else status_text(url, found))
    return OK if found.ready else NO_SERVER


def analyze(options: argparse.Namespace) -> int:
    """Ask about all that the options name; returns the exit code."""
    sources = find_sources(options)
    choose_server(options, sources)
    summary_options = SummaryOptions(**{setting.name: getattr(options, setting.name) for setting in SUMMARY_SETTINGS})
    check_in_flight(options.in_flight)
    check_wait(options.wait)
    for note in sources.notes:
        complain(f"{options.table}: {note}", OK)
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
        client = stack.enter_context(make_client(options, RetryPolicy(attempts=5)))
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
            complain(f"waiting up to {options.wait:g} s for the server: {outage}", OK)

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
        complain(f"trace {ids}" if ids else NOT_TRACED, OK)
    return SOME_FAILED if progress.failed else OK


def _reader(options: argparse.Namespace) -> Reader:
    key = None if options.api_key_file is None else read_key(options.api_key_file)
    return Reader(options.server, api_key=key, timeout_s=options.timeout_s, retries=RetryPolicy(attempts=5))


def _print(words: str) -> None:
    complain(words, OK)
