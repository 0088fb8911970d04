"""Asks silent models for signs of life and ends those that hang."""

from __future__ import annotations

import random
from typing import Any, Final

import grpc

from engine.sessions.wire import AWAY
from serving.processes import Stub
from serving.triton_grpc import Asked, words_of

from .models import ServedModel, passes_through
from .patience import Patience
from .probes import tiny_request
from .pulse import Life, Watch, judge
from .stubs import StubKeeper
from .triton import Phase, TritonKeeper

NO_ANSWER: Final = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)
"""Failures in which the model itself had no part. Any other one is an answer: it lives."""
_NOT_OF_THE_MODEL: Final = ("is not healthy", "maximum queue size", "timeout expired")
_PAUSE_S: Final = 5.0
_PROBE_TIMEOUT_S: Final = 600.0


class Signs:
    """Watches the pulse of every model that has processes."""

    def __init__(self, keeper: TritonKeeper, stubs: StubKeeper, patience: Patience) -> None:
        self._keeper, self._stubs, self._patience = keeper, stubs, patience
        self._watches: dict[str, Watch] = {}
        self._statistics: Asked | None = None
        self._client: Any = None
        self._worked_s = float("-inf")
        self._own: dict[str, int] = {}
        self._last_s = float("-inf")
        self._chance = random.Random()  # noqa: S311 (makes probes differ, no secret)

    def tick(self, living: dict[str, list[Stub]], now_s: float) -> None:
        """Read the counters, ask who is silent, end who hangs."""
        keeper = self._keeper
        if keeper.phase is not Phase.SERVING:
            self._watches.clear()
            return
        if keeper.client is not self._client:
            client = self._client = keeper.client
            self._statistics = Asked(lambda: client.statistics(self._patience.answer_s), self._patience.ask_s)
            self._watches.clear()
        paused = now_s - self._last_s > _PAUSE_S
        self._last_s = now_s
        if self._statistics is not None and (answer := self._statistics.poll(now_s)) is not None:
            self._read(answer, now_s)
        doubtful = bool(keeper.doubt(now_s))
        models = keeper.catalogue.models
        through = passes_through(models)
        for name, model in models.items():
            if not model.instances:
                continue
            watch = self._watches.setdefault(name, Watch(moved_s=now_s))
            # Nobody is judged by a time in which he was being healed, Triton was away or this process itself slept.
            if paused or doubtful or name in self._stubs.ill:
                watch.lives(now_s)
                watch.stopped_since_s.clear()
                continue
            self._collect(name, watch, now_s)
            if watch.asked_s is not None and any(self._in_trouble(other) for other in through[name]):
                watch.asked_s = now_s
            self._judge(model, watch, living.get(name, []), now_s)

    def _judge(self, model: ServedModel, watch: Watch, living: list[Stub], now_s: float) -> None:
        if stopped := watch.stopped(living, now_s, self._patience.hung_s):
            words = f"a process of model {model.name} has been stopped for {self._patience.hung_s:.0f} s: killing it"
            self._stubs.kill(stopped, words, "stub hung")
            return
        others_work = now_s - self._worked_s < 2 * self._patience.quiet_s
        pulse = watch.pulse(living, now_s, others_work=others_work)
        life = judge(pulse, self._patience)
        if life is Life.ASK or (life is Life.WAITING and watch.question is None):
            request = tiny_request(model, self._chance)
            watch.ask(self._keeper.client.infer(request, _PROBE_TIMEOUT_S), living, now_s)
        elif life is Life.HUNG and living:
            work = f", and uses {pulse.working_share:.0%} of a processor"
            words = f"model {model.name} has not answered for {pulse.asked_s or 0:.0f} s{work}: killing its processes"
            watch.lives(now_s)
            self._stubs.kill(living, words, "stub hung")

    def _collect(self, name: str, watch: Watch, now_s: float) -> None:
        """Take in the answer to a probe, if there is one."""
        if watch.question is None or not watch.question.done():
            return
        question, watch.question = watch.question, None
        try:
            question.result()
        except grpc.RpcError as error:
            if not is_sign(error.code(), words_of(error)):
                return
        except grpc.FutureCancelledError:
            return
        self._own[name] = self._own.get(name, 0) + 1
        watch.lives(now_s)

    def _in_trouble(self, name: str) -> bool:
        watch = self._watches.get(name)
        return name in self._stubs.ill or (watch is not None and watch.asked_s is not None)

    def _read(self, answer: Any, now_s: float) -> None:
        counts: dict[str, int] = {}
        runs: dict[str, tuple[int, int]] = {}
        for entry in answer.model_stats:
            counts[entry.name] = counts.get(entry.name, 0) + entry.execution_count
            spent = entry.inference_stats.compute_infer
            before = runs.get(entry.name, (0, 0))
            runs[entry.name] = (before[0] + spent.count, before[1] + spent.ns)
        fanned = any(
            name in self._own for name, model in self._keeper.catalogue.models.items() if model.asks and model.instances
        )
        for name, watch in self._watches.items():
            if name not in counts:
                continue
            last = watch.counters
            watch.counted((counts[name], *runs[name]), now_s, _mean_run_s(last[1:], runs[name]))
            if last and counts[name] - last[0] > self._own.get(name, 0) and not fanned:
                self._worked_s = now_s
        self._own.clear()


def is_sign(code: Any, words: str) -> bool:
    """Whether a failure comes from the model itself, which therefore lives."""
    if AWAY in words:  # its own process says so of another one
        return True
    return code not in NO_ANSWER and not any(part in words for part in _NOT_OF_THE_MODEL)


def _mean_run_s(before: tuple[int, ...], after: tuple[int, int]) -> float | None:
    """How long the runs between two readings of (runs, nanoseconds) took on average; ``None`` when there were none."""
    if len(before) != 2 or after[0] <= before[0]:
        return None
    return (after[1] - before[1]) / (after[0] - before[0]) / 1e9
