"""How long things may take, how soon they are tried again, and when that is given up."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Times of the supervisor, in seconds."""

    look_s: float = 0.2
    """Between two looks at the process table."""
    search_s: float = 1.0
    """Between two searches for processes of models that were not there before."""
    busy_look_s: float = 0.05
    """The same while something is being healed or started."""
    state_s: float = 0.5
    """Between two writings of the state."""
    ask_s: float = 2.0
    """Between two questions to Triton: whether it lives, what is loaded, what its counters say."""
    answer_s: float = 10.0
    """Triton is hung when it leaves two such questions in a row unanswered for so long."""
    doubt_s: float = 4.0
    """Triton counts as not ready when it has not answered for so long."""
    first_delay_s: float = 0.5
    """Before the first restart; each further one waits twice as long."""
    longest_delay_s: float = 30.0
    healthy_s: float = 60.0
    """After so long without trouble the next restart is a first one again."""
    loop_deaths: int = 5
    """So many deaths, with no time of `loop_ready_s` in service between them, are a crash loop."""
    loop_ready_s: float = 30.0
    quiet_s: float = 3.0
    """A model whose counters stand still for so long while others work is asked for a sign of life."""
    idle_s: float = 10.0
    """The same while nobody works."""
    hung_s: float = 10.0
    """A model that leaves that question unanswered for so long is hung, if it does not work either."""
    hung_runs: float = 5.0
    """Or for so many times its slowest recent run, if that is longer."""
    busy_factor: float = 60.0
    """Where its processes are using the processor, it may take this many times as long."""
    retry_s: float = 10.0
    """Before a model that could not be loaded is tried again; each further time twice as long, up to 5 minutes."""
    longest_retry_s: float = 300.0


@dataclass
class Backoff:
    """Waiting times that double with each trouble and start anew after a time without.

    >>> backoff = Backoff(first_s=0.5, longest_s=30, healthy_s=60)
    >>> [backoff.after(now) for now in (0, 1, 2)]
    [0.5, 1.0, 2.0]
    >>> backoff.after(100)
    0.5
    """

    first_s: float
    longest_s: float
    healthy_s: float
    _count: int = 0
    _last_s: float = float("-inf")

    def after(self, now_s: float) -> float:
        """How long to wait after a trouble at ``now_s``."""
        if now_s - self._last_s > self.healthy_s + (self._delay(self._count) if self._count else 0.0):
            self._count = 0
        self._count += 1
        self._last_s = now_s
        return self._delay(self._count)

    def _delay(self, count: int) -> float:
        return min(self.first_s * 2.0 ** (count - 1), self.longest_s)


@dataclass
class CrashLoop:
    """Counts deaths that come with no time of service between them."""

    deaths: int
    ready_s: float
    _times_s: deque[float] = field(default_factory=deque)
    _ready_since_s: float | None = None

    def ready(self, now_s: float) -> None:
        """It serves since ``now_s``."""
        if self._ready_since_s is None:
            self._ready_since_s = now_s

    def died(self, now_s: float) -> bool:
        """It died; whether that is one death too many."""
        if self._ready_since_s is not None and now_s - self._ready_since_s >= self.ready_s:
            self._times_s.clear()
        self._ready_since_s = None
        self._times_s.append(now_s)
        return len(self._times_s) >= self.deaths

    @property
    def count(self) -> int:
        """Deaths since the last time of service."""
        return len(self._times_s)
