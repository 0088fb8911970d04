"""The command, run in the process of the test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import infolens.cli
from infolens import Client, RetryPolicy
from infolens.testing import FakeTransport

Run = Callable[..., tuple[int, str, str]]
Use = Callable[[FakeTransport], FakeTransport]


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


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Has the command ask a transport, once for each article."""

    def asked(transport: FakeTransport) -> FakeTransport:
        def client(url: str | None = None, **arguments: Any) -> Client:
            return Client(transport=transport, **arguments)

        monkeypatch.setattr(infolens.cli, "Client", client)
        monkeypatch.setattr(infolens.cli, "RetryPolicy", lambda **_: RetryPolicy(attempts=1))
        return transport

    return asked
