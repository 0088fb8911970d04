"""Signals to a command: the first one ends it in order, the second one at once; and what it starts apart from them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from training.errors import StoppedError
from training.stopping import apart, going_on, stoppable


def group_of(**settings: object) -> int:
    """The process group of a process that is started now."""
    command = [sys.executable, "-c", "import os; print(os.getpgid(0))"]
    return int(subprocess.run(command, capture_output=True, check=True, text=True, **settings).stdout)  # type: ignore[call-overload]


def test_what_is_started_apart_has_a_process_group_of_its_own() -> None:
    with apart():
        assert group_of(preexec_fn=lambda: None) != os.getpgid(0)
    assert group_of(preexec_fn=lambda: None) == os.getpgid(0)


def test_handlers_of_signals_are_as_they_were_before() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stoppable() as stopped:
        with apart():  # as Ray does it
            signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        assert stopped.signal == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before
    with stoppable() as stopped, pytest.raises(KeyboardInterrupt):
        told_while_it_starts()
    assert stopped.signal == signal.SIGTERM


def told_while_it_starts() -> None:
    """Get SIGTERM when the handler is another's, which leaves."""
    with apart():
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_says_how_to_go_on_and_which_it_was(number: int) -> None:
    before = signal.signal(number, signal.SIG_DFL)  # these tests may run under nohup, which stays honoured
    with stoppable() as stopped:
        with (
            pytest.raises(StoppedError, match=r"^the same command goes on$"),
            going_on(lambda: "the same command goes on"),
        ):
            signal.raise_signal(number)
        assert stopped.signal == number
    assert signal.signal(number, before) is signal.SIG_DFL


def test_what_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_signal_ends_at_once_unless_it_is_an_echo_of_the_first(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    now_s = 100.0
    codes: list[int] = []
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    monkeypatch.setattr(os, "_exit", codes.append)
    with stoppable():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        now_s += 0.1
        signal.raise_signal(signal.SIGINT)
        assert codes == []
        now_s += 5
        signal.raise_signal(signal.SIGTERM)
        assert codes == [143]
    assert "stopped at once" in capfd.readouterr().err
