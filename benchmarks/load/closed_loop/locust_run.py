"""Run Locust, without its page or with it.

Locust is a closed loop: a user sends its next request when the last one was answered. So it shows what a number of
users see who work at the same time, and not what a given rate of arrivals sees.

Locust itself stays in a process of its own: importing it changes the standard library of whoever does.
"""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.common.articles import Mix
from benchmarks.common.server import RESULTS, ROOT, BenchmarkError
from infolens.contract import Task

from .figures import LocustFailure, LocustFigures, read_failures, read_figures, read_rows

LOCUSTFILE: Final = Path(__file__).with_name("locustfile.py")


def user_name(asks: Task | None, protocol: str) -> str:
    """Name of a user class of `LOCUSTFILE`: ``SummaryGRPC``, or ``InfoLensHTTP``, which asks for no task alone."""
    return "".join(word.capitalize() for word in (asks or "info_lens").split("_")) + protocol


USERS: Final = tuple(user_name(asks, protocol) for protocol in ("GRPC", "HTTP") for asks in (None, *Task))
"""The user classes of `LOCUSTFILE`."""
GRPC_URL: Final = "grpc://127.0.0.1:8001"
HTTP_URL: Final = "http://127.0.0.1:8000"
NOT_STARTED: Final = 3
"""Exit code of a Locust that sent nothing, because its last line says that it could not."""
STOP_TIMEOUT_S: Final = 35
"""How long requests under way may take at the end: longer than a client waits for an answer."""


@dataclass(frozen=True, kw_only=True)
class LocustConfig:
    """Who asks, how many of them, and for how long.

    Raises:
        ValueError: A value is out of its range.
    """

    users: tuple[str, ...] = ("InfoLensGRPC",)
    """Names out of `USERS`; each kind gets an equal share of the clients."""
    clients: int = 16
    """Users at the same time, of all kinds together."""
    ramp_s: float = 1.0
    """Seconds until all clients are at work, up to 1 for all at once; what happens until then is in no figure."""
    seconds: int = 60
    """How long all clients are at work, at least."""
    think_s: float = 0.0
    """Seconds that a client waits between an answer and its next request."""
    mix: Mix = Mix.NEW
    articles: Path | None = None
    """Articles to send, as `benchmarks.common.articles.read_articles` takes them; None for composed ones."""
    metrics_port: int | None = None
    """Where the users' requests are shown to Prometheus; None for nowhere."""
    out: Path = RESULTS / "locust"
    """Folder that gets ``locust.html`` and the CSV files."""

    def __post_init__(self) -> None:
        unknown = [name for name in self.users if name not in USERS]
        if unknown or not self.users:
            raise ValueError(f"users are one or more of {', '.join(USERS)}, not {', '.join(unknown) or 'none'}")
        if len(set(self.users)) < len(self.users):
            raise ValueError(f"users are named once each, not {', '.join(self.users)}; raise clients for more of them")
        if self.clients < len(self.users):
            raise ValueError(
                f"clients is at least the number of kinds of users, {len(self.users)}, not {self.clients}; "
                "raise it, or name fewer users"
            )
        if self.seconds < 1:
            raise ValueError(f"seconds is at least 1, not {self.seconds}; a minute gives steady figures")
        for name in ("ramp_s", "think_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} is a number of seconds from 0 on, not {value}; leave it out for the default")


@dataclass(frozen=True, kw_only=True)
class LocustResult:
    """Figures of a run, and where Locust's own files lie."""

    figures: tuple[LocustFigures, ...]
    """By kind of request; all of them together come last."""
    failures: tuple[LocustFailure, ...]
    html: Path
    csvs: tuple[Path, ...]


def run_locust(grpc_url: str, http_url: str, config: LocustConfig) -> LocustResult:
    """Run Locust's users against a server; its progress goes to standard error.

    Args:
        grpc_url: Where gRPC users send, such as ``grpc://127.0.0.1:8001``.
        http_url: Where HTTP users send; neither address counts when no user is of its protocol.
        config: Who asks, and for how long.

    Raises:
        BenchmarkError: Locust could not do its work; requests that fail are part of the result.
    """
    out = config.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="locust-", suffix=".partial", dir=out) as folder:
        written = Path(folder)
        command = [*_command(grpc_url, http_url, config), "--headless", "--reset-stats"]
        run_time_s = config.seconds + (math.ceil(config.ramp_s) if config.ramp_s > 1 else 0)
        # Failed requests are a result: with 0 for them, every other exit code is a failure of the run.
        command += ["--exit-code-on-error", "0", "--run-time", f"{run_time_s}s"]
        command += ["--html", str(written / "locust.html"), "--csv", str(written / "locust")]
        _run([*command, *config.users], limit_s=run_time_s + STOP_TIMEOUT_S + 60)
        exceptions = read_rows(written / "locust_exceptions.csv")
        if exceptions:
            raise BenchmarkError(
                f"a user of {LOCUSTFILE.name} broke, so the figures would be wrong: "
                f"{exceptions[0]['Message']}\n{exceptions[0]['Traceback']}"
            )
        figures = read_figures(written / "locust_stats.csv")
        failures = read_failures(written / "locust_failures.csv")
        names = sorted(path.name for path in written.iterdir())
        for name in names:
            (written / name).replace(out / name)
    return LocustResult(
        figures=figures,
        failures=failures,
        html=out / "locust.html",
        csvs=tuple(out / name for name in names if name.endswith(".csv")),
    )


def run_page(grpc_url: str, http_url: str, config: LocustConfig, *, port: int, choose: bool) -> None:
    """Run Locust with its page, on this machine only, until Ctrl-C.

    Args:
        grpc_url: As of `run_locust`; the page can change it.
        http_url: As of `run_locust`; the page can change it.
        config: What stands in the page at first; ``seconds`` and ``out`` do not count.
        port: Where the page is.
        choose: Whether the page chooses among all kinds of users, all of which it has ticked at first, instead of those
            of ``config``.

    Raises:
        BenchmarkError: Locust could not do its work.
    """
    command = _command(grpc_url, http_url, config)
    command += ["--web-host", "127.0.0.1", "--web-port", str(port)]
    command += ["--class-picker"] if choose else config.users
    with subprocess.Popen(command, cwd=ROOT) as process:  # noqa: S603 - our own file
        try:
            code = process.wait()
        except KeyboardInterrupt:
            # A terminal sends it to Locust too, which then ends by itself.
            code = process.wait()
        except BaseException:
            process.terminate()
            raise
    if code not in (0, 1):
        raise BenchmarkError(f"Locust ended with exit code {code}; the lines above say why")


def _command(grpc_url: str, http_url: str, config: LocustConfig) -> list[str]:
    # Locust starts a second's users at once, the first ones at second 0.
    spawn_rate = config.clients / max(config.ramp_s, 1.0)
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE)]
    command += ["--grpc-url", grpc_url, "--http-url", http_url]
    command += ["--mix", config.mix.value, "--think-s", str(config.think_s)]
    command += ["--users", str(config.clients), "--spawn-rate", str(spawn_rate)]
    command += ["--stop-timeout", str(STOP_TIMEOUT_S)]
    if config.articles is not None:
        command += ["--articles", str(config.articles.resolve())]
    if config.metrics_port is not None:
        command += ["--metrics-port", str(config.metrics_port)]
    return command


def _run(command: Sequence[str], *, limit_s: float) -> None:
    """Run Locust, and pass on what it prints; it is killed after ``limit_s`` seconds."""
    last: deque[str] = deque(maxlen=20)
    with subprocess.Popen(  # noqa: S603 - our own file
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        watchdog = threading.Timer(limit_s, process.kill)
        watchdog.start()
        try:
            for line in process.stdout or ():
                last.append(line.rstrip())
                # What begins like this is told once, as the error of this function.
                if not line.startswith("error: "):
                    sys.stderr.write(line)
            code = process.wait()
        except BaseException:
            process.terminate()
            raise
        finally:
            watchdog.cancel()
    if code == NOT_STARTED:
        raise BenchmarkError(last[-1].removeprefix("error: "))
    if code != 0:
        raise BenchmarkError(f"Locust ended with exit code {code}:\n" + "\n".join(last))
