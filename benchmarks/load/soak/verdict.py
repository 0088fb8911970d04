"""Whether a server has stood a soak: one rule after the other, in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from .asking import LOST, Result
from .windows import Soak, Stretch

SHARED: Final = "shared memory"
"""Stands among the processes where their memory is listed: what they share, counted once."""
TOO_SHORT: Final = "there are not two windows after the warm-up to compare: let it run longer (--seconds)"
_NOT_SEEN: Final = "the server's processes were not seen: let the soak start the server, or name its process (--pid)"
_UNREAD: Final = "the door's metrics were not read: name them (--metrics-url)"
_STEADY: Final = 1.02
"""CPU time for an article that has grown by less than this factor is taken for what it was."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A rule, and whether it was kept."""

    rule: str
    holds: bool | None
    """None where it could not be judged."""
    words: str
    """The rule, the value and where it comes from."""


def judge(soak: Soak) -> list[Finding]:
    """Every rule, in the order of the report."""
    return [
        _compared(soak, "throughput", _throughput),
        _compared(soak, "memory", _memory),
        _compared(soak, SHARED, _shared),
        _restarts(soak),
        _lost(soak),
        _wrong(soak),
    ]


def held(soak: Soak, findings: list[Finding]) -> bool:
    """Whether no rule was broken, in a run that was long enough to tell."""
    return soak.first_and_last is not None and all(one.holds is not False for one in findings)


def growth_by_process(soak: Soak) -> dict[str, tuple[float, float]]:
    """Bytes of their own of each process, first and last, and of `SHARED`; what grew most comes first."""
    compared = soak.first_and_last
    if compared is None:
        return {}
    names = {p.name for part in compared for one in part.windows if one.server for p in one.server.processes}
    first, last = ({name: part.of_process(name, "anonymous_bytes") for name in names} for part in compared)
    found = {name: (first[name], last[name]) for name in names}
    shared = [part.of_server(lambda look: look.shared_bytes) for part in compared]
    if shared[0] is not None and shared[1] is not None:
        found[SHARED] = (shared[0], shared[1])
    return dict(sorted(found.items(), key=lambda item: item[1][0] - item[1][1]))


def _compared(soak: Soak, rule: str, look: Callable[[Soak, Stretch, Stretch], tuple[bool | None, str]]) -> Finding:
    if soak.first_and_last is None:
        return Finding(rule=rule, holds=None, words=TOO_SHORT)
    holds, words = look(soak, *soak.first_and_last)
    return Finding(rule=rule, holds=holds, words=words)


def _throughput(soak: Soak, first: Stretch, last: Stretch) -> tuple[bool, str]:
    least, begin, end = soak.config.least_throughput, first.articles_per_s, last.articles_per_s
    holds = begin > 0 and end >= least * begin
    words = (
        f"articles a second of the last {last.seconds:.0f} s are at least {100 * least:g} % of those of the first "
        f"{first.seconds:.0f} s after the warm-up: {end:.2f} after {begin:.2f} ({_percent(end, begin)})"
    )
    if first.cpu_ms is not None and last.cpu_ms is not None:
        words += f"; an article took {first.cpu_ms:.2f} ms of the server's CPU time first and {last.cpu_ms:.2f} ms last"
        if not holds and last.cpu_ms <= _STEADY * first.cpu_ms:
            words += (
                ". The work for an article did not grow, so look at the machine before the server: the fixed piece of "
                f"work took {first.median(lambda one: one.calibration_ms):.2f} ms first and "
                f"{last.median(lambda one: one.calibration_ms):.2f} ms last, and the host took "
                f"{100 * first.median(lambda one: one.steal_share):.1f} % and "
                f"{100 * last.median(lambda one: one.steal_share):.1f} % of the processors' time for others"
            )
    return holds, words


def _memory(soak: Soak, first: Stretch, last: Stretch) -> tuple[bool | None, str]:
    begin, end = (part.of_server(lambda look: look.memory_bytes) for part in (first, last))
    if begin is None or end is None:
        return None, _NOT_SEEN
    most = soak.config.most_growth
    grown = [
        f"{name} {_megabytes(after - before)}, from {before / 1e6:.1f} MB"
        for name, (before, after) in list(growth_by_process(soak).items())[:3]
        if after > before
    ]
    words = (
        f"the memory of all processes grows by less than {100 * most:g} % from the first sixth after the warm-up to "
        f"the last (medians): {end / 1e6:.1f} MB after {begin / 1e6:.1f} MB ({_percent(end, begin)})"
    )
    return end < (1 + most) * begin, f"{words}; most of it: {'; '.join(grown)}" if grown else words


def _shared(_: Soak, first: Stretch, last: Stretch) -> tuple[bool | None, str]:
    begin, end = (part.of_server(lambda look: look.shared_size_bytes) for part in (first, last))
    if begin is None or end is None:
        return None, _NOT_SEEN
    words = f"the server's files in /dev/shm do not grow: {end / 1e6:.1f} MB last, {begin / 1e6:.1f} MB first"
    return end <= begin, words


def _restarts(soak: Soak) -> Finding:
    rule, words, broken = "no restart, no heal", [], False
    counted = _counted(soak)
    if counted is not None:
        words.append(f"Triton was started again {counted['restarts']} times, a model healed {counted['heals']} times")
        broken |= bool(counted["restarts"] or counted["heals"])
    if soak.latest_look is not None:
        replaced = soak.latest_look.replaced
        words.append(f"processes that came new: {', '.join(replaced)}" if replaced else "no process was replaced")
        broken |= bool(replaced)
    if not words:
        return Finding(rule=rule, holds=None, words=_UNREAD)
    return Finding(rule=rule, holds=not broken, words="; ".join(words))


def _lost(soak: Soak) -> Finding:
    lost, requests = soak.count(*LOST), soak.count(*Result)
    kinds = ", ".join(f"{soak.count(kind)} {kind}" for kind in LOST if soak.count(kind))
    words = f"every request is answered: {lost} of {requests} were not" + (f" ({kinds})" if kinds else "")
    counted = _counted(soak)
    if counted is not None and counted["turned away"]:
        words += f"; the door's waiting room turned {counted['turned away']} away, some of which were asked again"
    return Finding(rule="no answer lost", holds=lost == 0 and requests > 0, words=words)


def _wrong(soak: Soak) -> Finding:
    wrong = soak.count(Result.WRONG)
    words = f"an article gets the answers that it got in the beginning, broken requests are refused: {wrong} were not"
    return Finding(rule="no wrong answer", holds=wrong == 0, words=words)


def _counted(soak: Soak) -> dict[str, int] | None:
    """What the door has counted in the whole time; None where its metrics were not read."""
    return next((one.door for one in reversed(soak.windows) if one.door is not None), None)


def _percent(end: float, begin: float) -> str:
    return f"{100 * (end / begin - 1):+.1f} %" if begin else "from nothing"


def _megabytes(change_bytes: float) -> str:
    return f"{change_bytes / 1e6:+.1f} MB"
