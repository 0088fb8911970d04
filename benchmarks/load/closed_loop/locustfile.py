"""Locust users of Info Lens: gRPC and HTTP, through the client of this repository.

From the root of the repository, beside a server (``make serve``)::

    file=benchmarks/load/closed_loop/locustfile.py
    .venv/bin/python -m locust -f $file InfoLensGRPC                # its page; --class-picker lets the page choose
    .venv/bin/python -m locust -f $file --headless -u 16 -r 16 -t 60s InfoLensGRPC SummaryHTTP

A user sends its next request when the last one was answered (closed loop). No request is sent twice: what the server
refuses stays refused. ``python -m benchmarks locust`` runs this file and reads its figures.
"""

from __future__ import annotations

import gc
import itertools
import json
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Final

import grpc.experimental.gevent
import locust.stats
from locust import User, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.exception import StopTest
from locust.runners import MasterRunner, WorkerRunner

from benchmarks.common.articles import Articles, Mix, read_articles
from benchmarks.common.server import BenchmarkError
from benchmarks.load.closed_loop.locust_run import GRPC_URL, HTTP_URL, NOT_STARTED, user_name
from benchmarks.load.closed_loop.shown import Shown
from infolens import (
    Article,
    Client,
    InfoLensError,
    RequestTimeoutError,
    RetryPolicy,
    ServerOverloadedError,
    ServerUnavailableError,
)
from infolens.contract import CONTRACTS, INFO_LENS, Task

# Before any channel is made: without it a gRPC call stops every user until it is answered.
grpc.experimental.gevent.init_gevent()

locust.stats.CONSOLE_STATS_INTERVAL_SEC = 10
# Locust's own rounding keeps two digits, so that 147 ms would be 150.
locust.stats.bucket_response_time = lambda response_time: round(response_time)

PROBE_TIMEOUT_S: Final = 10.0
SEEDS_PER_WORKER: Final = 1_000_000

_seeds = itertools.count()
_shown = Shown()


class InfoLensUser(User):
    """Asks about one article after the other; its subclasses say over which protocol, and what.

    Each user has a connection and a stream of articles of its own.
    """

    abstract = True
    protocol: ClassVar[str]
    """``gRPC`` or ``HTTP``, as the report shows it."""
    tasks_asked: ClassVar[Task | None] = None
    """The one answer that is wanted; None for those of a request that names none."""

    @classmethod
    def model(cls) -> str:
        """Name of the model that answers."""
        return CONTRACTS[cls.tasks_asked].ensemble if cls.tasks_asked else INFO_LENS

    def wait_time(self) -> float:
        """Seconds between an answer and the next request."""
        return float(_option(self.environment, "think_s"))

    def on_start(self) -> None:
        """Make the client and the stream of articles."""
        worker = max(0, getattr(self.environment.runner, "worker_index", 0))
        seed = worker * SEEDS_PER_WORKER + next(_seeds)
        self._articles = _articles(self.environment, seed)
        self._client = Client(server_url(self.environment, self.protocol), retries=RetryPolicy(attempts=1))

    def on_stop(self) -> None:
        """Close the connection."""
        self._client.close()
        # Not kept until the interpreter ends: without gevent's loop, which is gone by then, gRPC would wait for ever.
        del self._client

    @task
    def ask(self) -> None:
        """Send one article, and tell Locust what came of it."""
        article = next(self._articles)
        failure: InfoLensError | None = None
        length_bytes = 0
        _shown.sends()
        start_s = time.perf_counter()
        try:
            report = self._client.analyze(article, tasks=self.tasks_asked)
        except InfoLensError as error:
            failure = error
        took_s = time.perf_counter() - start_s
        _shown.ends(failure, took_s)
        time_ms: float | None = 1e3 * took_s
        if failure is None:
            length_bytes = len(json.dumps(report.to_dict()).encode())
        elif not isinstance(failure, RequestTimeoutError):
            # Locust leaves None out of the percentiles: a quick refusal must not pass for a quick answer.
            time_ms = None
        self.environment.events.request.fire(
            request_type=self.protocol,
            name=self.tasks_asked.value if self.tasks_asked else INFO_LENS,
            response_time=time_ms,
            response_length=length_bytes,
            exception=failure and stable(failure),
            context={},
        )


class GRPCUser(InfoLensUser):
    """A user over gRPC."""

    abstract = True
    protocol = "gRPC"
    host = GRPC_URL


class HTTPUser(InfoLensUser):
    """A user over HTTP."""

    abstract = True
    protocol = "HTTP"
    host = HTTP_URL


def _users() -> dict[str, type[InfoLensUser]]:
    """The classes that Locust shows, by `user_name`: over each protocol one for all answers and one for each task."""
    return {
        user_name(asks, protocol): type(
            user_name(asks, protocol),
            (base,),
            {
                "__doc__": f"{f'The {asks} alone' if asks else 'All answers'} over {base.protocol}.",
                "__module__": __name__,
                "tasks_asked": asks,
            },
        )
        for protocol, base in {"GRPC": GRPCUser, "HTTP": HTTPUser}.items()
        for asks in (None, *Task)
    }


# Locust takes the users of a file from its names.
globals().update(_users())


def stable(error: InfoLensError) -> InfoLensError:
    """The same kind of error with a text that does not change from request to request: Locust counts by the text."""
    if isinstance(error, ServerOverloadedError):
        return type(error)("refused: the server is busy")
    if isinstance(error, RequestTimeoutError):
        return type(error)("no answer in time")
    return error


def server_url(environment: Environment, protocol: str) -> str:
    """Where the users of a protocol send: ``--host`` when it is of that protocol, else the protocol's own option."""
    host = environment.host or ""
    if host and host.startswith(("http://", "https://")) == (protocol == "HTTP"):
        return host
    return str(_option(environment, "http_url" if protocol == "HTTP" else "grpc_url"))


def _add_options(parser: LocustArgumentParser) -> None:
    # Not in a group: the page shows only what is added to the parser itself.
    parser.add_argument("--grpc-url", default=GRPC_URL, help="where gRPC users send; a grpc:// --host counts first")
    parser.add_argument("--http-url", default=HTTP_URL, help="where HTTP users send; an http:// --host counts first")
    parser.add_argument(
        "--mix",
        choices=[mix.value for mix in Mix],
        default=Mix.NEW.value,
        help="new: no article comes twice, so no cache can help; popular: a few articles are most of the requests",
    )
    parser.add_argument(
        "--articles",
        default="",
        metavar="FILE",
        help="send these instead of composed ones: .jsonl, .csv or .parquet with a column text and perhaps title",
    )
    parser.add_argument("--metrics-port", type=int, metavar="N", help="show what is sent and answered to Prometheus")
    parser.add_argument(
        "--think-s", type=float, default=0.0, help="seconds that a user waits between an answer and its next request"
    )


def _on_init(environment: Environment, **_: Any) -> None:
    for user_class in (GRPCUser, HTTPUser):
        user_class.host = server_url(environment, user_class.protocol)
    # A worker gets its options from the master, which has looked already; with the page they may still change.
    if _option(environment, "headless") and not isinstance(environment.runner, WorkerRunner):
        reason = _reason_not_to_start(environment)
        _let_go_of_clients()
        if reason is not None:
            print(f"error: {reason}", file=sys.stderr)  # noqa: T201 - what a command line says
            sys.exit(NOT_STARTED)
    if not isinstance(environment.runner, MasterRunner):  # a master sends nothing itself
        try:
            _shown.open(_option(environment, "metrics_port"))
        except BenchmarkError as error:
            print(f"error: {error}", file=sys.stderr)  # noqa: T201 - what a command line says
            sys.exit(NOT_STARTED)


def _on_test_start(environment: Environment, **_: Any) -> None:
    if not _option(environment, "headless") and not isinstance(environment.runner, WorkerRunner):
        reason = _reason_not_to_start(environment)
        if reason is not None:
            raise StopTest(reason)


def _on_quitting(environment: Environment, **_: Any) -> None:
    _shown.close()
    _let_go_of_clients()
    # Locust writes its CSV once a second and not at the end: without this pause the last second would be missing.
    if _option(environment, "csv_prefix"):
        time.sleep(1.5 * locust.stats.CSV_STATS_INTERVAL_SEC)


def _let_go_of_clients() -> None:
    """Collect the clients that failures keep: an error holds the calls that it came through, and they hold a client.

    Whatever gRPC client is left when the interpreter ends waits for gevent's loop, which is gone by then, for ever.
    """
    gc.collect()


def _reason_not_to_start(environment: Environment) -> str | None:
    """Why a test cannot be run, in one line; None when it can."""
    classes = _user_classes(environment)
    try:
        if _option(environment, "articles"):
            _own(_option(environment, "articles"))
        for protocol in dict.fromkeys(user_class.protocol for user_class in classes):
            _probe(
                server_url(environment, protocol),
                f"--{protocol.lower()}-url",
                {user_class.model() for user_class in classes if user_class.protocol == protocol},
            )
    except (BenchmarkError, InfoLensError) as error:
        return " ".join(str(error).split())
    return None


def _probe(url: str, option: str, models: set[str]) -> None:
    way_out = f"start one with `make serve`, or name another with {option}"
    with Client(url, retries=RetryPolicy(attempts=1)) as client:
        try:
            status = client.status(timeout_s=PROBE_TIMEOUT_S)
        except (ServerUnavailableError, RequestTimeoutError) as error:
            raise BenchmarkError(f"the users need a server, but none answers at {url}; {way_out}") from error
    missing = sorted(model for model in models if not status.models.get(model))
    if missing:
        raise BenchmarkError(f"the users need {', '.join(missing)}, not ready at {url}; {way_out}")


def _articles(environment: Environment, seed: int) -> Articles:
    mix, path = Mix(_option(environment, "mix")), _option(environment, "articles")
    own = _own(path) if path else []
    if own and mix is Mix.NEW:
        # Every user starts elsewhere: in step they would all ask for the same article.
        first = seed * 7919 % len(own)
        own = own[first:] + own[:first]
    return Articles(mix=mix, seed=seed, own=own)


@cache
def _own(path: str) -> list[Article]:
    return read_articles(Path(path))


def _user_classes(environment: Environment) -> list[type[InfoLensUser]]:
    return [user_class for user_class in environment.user_classes if issubclass(user_class, InfoLensUser)]


def _option(environment: Environment, name: str) -> Any:
    return getattr(environment.parsed_options, name)


# Locust's hooks carry no types.
_hooks: Any = events
_hooks.init_command_line_parser.add_listener(_add_options)
_hooks.init.add_listener(_on_init)
_hooks.test_start.add_listener(_on_test_start)
_hooks.quitting.add_listener(_on_quitting)
