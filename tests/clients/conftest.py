"""The command, run in the process of the test, and a clock that a test moves."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import infolens.cli

Run = Callable[..., tuple[int, str, str]]


class Clock:
    """Stands in for the module ``time``: a pause takes no time of the test's own."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Calls the command: its exit code, and what it wrote to stdout and stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        try:
            code = infolens.cli.main(arguments)
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call
