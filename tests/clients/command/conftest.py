"""The command, run in the process of the test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from infolens import Client, RetryPolicy
from infolens._commands import running
from infolens.testing import FakeTransport

Use = Callable[[FakeTransport], FakeTransport]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Has the command ask a transport, once for each article."""

    def asked(transport: FakeTransport) -> FakeTransport:
        def client(url: str | None = None, **arguments: Any) -> Client:
            return Client(transport=transport, **arguments)

        monkeypatch.setattr(running, "Client", client)
        monkeypatch.setattr(running, "RetryPolicy", lambda **_: RetryPolicy(attempts=1))
        return transport

    return asked
