"""Models that another process runs: here a host and those who ask it, over a real socket, in threads."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.sessions import host as hosting
from engine.sessions.client import AwayError
from engine.sessions.host import Host
from engine.sessions.opening import Wanted
from engine.sessions.shapes import Counted
from engine.sharing import OPENING
from tests.engine.sessions.conftest import WAIT_S, Ask, until
from tests.serving.backends.test_backend_gpu import feeds, sums


def right(session: Any, rows: int = 2, length: int = 4, start: int = 0) -> bool:
    given = feeds(rows, length, start)
    (answer,) = session.run(["sums"], given)
    np.testing.assert_array_equal(answer, sums(given))
    return True


class Held:
    """A model whose runs and closing are seen, and whose runs wait until they may go on."""

    def __init__(self) -> None:
        self.entered, self.go_on, self.closed = threading.Event(), threading.Event(), threading.Event()
        self.counted = Counted()

    def run(self, names: list[str], given: Any) -> list[Any]:
        self.entered.set()
        assert self.go_on.wait(WAIT_S)
        return [sums(given) for _ in names]

    def close(self) -> None:
        self.closed.set()


def test_the_host_answers_and_counts_as_a_session_does(host: Host, ask: Ask, place: Path) -> None:
    session = ask()
    assert session.hosted
    for rows, length in ((1, 4), (3, 8), (2, 5)):
        assert right(session, rows, length, start=rows)
    assert session.counted == Counted(graph_runs=2, graph_rows=4, graph_padding=1, graph_misses=1)
    assert place.stat().st_mode & 0o777 == 0o600


def test_many_ask_at_a_time(host: Host, ask: Ask) -> None:
    sessions = [ask() for _ in range(5)]

    def work(number: int) -> bool:
        return all(right(sessions[number], 1 + start % 6, 4, start + 100 * number) for start in range(40))

    with ThreadPoolExecutor(5) as pool:
        assert all(pool.map(work, range(5)))


def test_a_run_that_fails_has_the_words_and_the_next_one_answers(host: Host, ask: Ask) -> None:
    session = ask()
    with pytest.raises(RuntimeError, match="Mul node"):
        session.run(["sums"], {**feeds(2, 5), "attention_mask": np.ones((3, 5), np.int32)})
    with pytest.raises(RuntimeError, match="other"):
        session.run(["other"], feeds(2, 5))
    assert right(session)


def test_a_model_that_is_closed_is_gone_from_the_host(place: Path, ask: Ask) -> None:
    held = Held()
    host = Host(place, open_model=lambda _: held)  # type: ignore[arg-type, return-value]
    host.start()
    session = ask()
    assert (host.connections, held.closed.is_set()) == (1, False)
    session.close()
    assert held.closed.wait(WAIT_S)
    until(lambda: host.connections == 0)
    host.close()
    assert list(place.parent.iterdir()) == []


def test_without_a_host_the_session_is_ones_own(ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    session = ask(wait_s=0)
    assert not session.hosted
    assert "sums computes on the GPU in a process of its own" in caplog.text
    assert right(session)
    assert session.counted == Counted(graph_runs=1, graph_rows=2)


def test_what_the_host_refuses_is_tried_here_and_its_error_is_told(
    host: Host, ask: Ask, wanted: Wanted, caplog: pytest.LogCaptureFixture
) -> None:
    (wanted.version / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ValueError, match="is damaged or not an ONNX model"):
        ask()
    assert "the process for it does not open the model" in caplog.text


def test_openings_wait_for_one_another(host: Host, ask: Ask) -> None:
    with ThreadPoolExecutor(1) as pool:
        with OPENING:
            opening = pool.submit(ask)
            until(lambda: host.connections == 1)
            assert not opening.done()
        assert right(opening.result(WAIT_S))


def test_a_host_that_ends_is_replaced_by_the_next_one(
    host: Host, ask: Ask, place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    session = ask()
    assert right(session)
    host.close()
    with pytest.raises(AwayError, match="send the request again"):
        right(session)
    following = Host(place)
    following.start()
    until(lambda: session.hosted)
    assert right(session)
    assert session.counted == Counted(graph_runs=2, graph_rows=4), "what was counted before is not lost"
    following.close()


def test_a_host_that_stays_away_is_done_without(host: Host, ask: Ask) -> None:
    session = ask(wait_s=0)
    assert session.hosted
    host.close()
    until(lambda: session._own is not None)
    assert right(session)


def test_who_waits_when_the_host_dies_gets_an_error(place: Path, ask: Ask) -> None:
    held = Held()
    host = Host(place, open_model=lambda _: held)  # type: ignore[arg-type, return-value]
    host.start()
    session = ask()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(right, session)
        assert held.entered.wait(WAIT_S)
        (connection,) = host._connections
        connection.shutdown(2)  # as the kernel does for a process that is killed
        assert isinstance(running.exception(WAIT_S), AwayError)
    held.go_on.set()
    host.close()


def test_a_host_that_is_closed_answers_what_runs(place: Path, ask: Ask) -> None:
    held = Held()
    host = Host(place, open_model=lambda _: held)  # type: ignore[arg-type, return-value]
    host.start()
    session = ask()
    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(right, session)
        assert held.entered.wait(WAIT_S)
        closing = pool.submit(host.close)
        until(lambda: not place.exists())
        held.go_on.set()
        assert running.result(WAIT_S)
        closing.result(WAIT_S)
    assert held.closed.is_set()


def test_a_run_without_end_does_not_hold_up_the_end(place: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosting, "_END_S", 0.0)
    held = Held()
    host = Host(place, open_model=lambda _: held)  # type: ignore[arg-type, return-value]
    host.start()
    session = ask()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(right, session)
        assert held.entered.wait(WAIT_S)
        host.close()
        assert isinstance(running.exception(WAIT_S), AwayError)
    held.go_on.set()


def test_a_model_may_be_unloaded_while_it_is_opened(host: Host, ask: Ask) -> None:
    session = ask()
    with OPENING:
        host.close()
        following = Host(host._path)
        following.start()
        until(lambda: following.connections == 1)
        session.close()  # comes back
    following.close()


def test_a_host_that_is_replaced_loses_no_answer(host: Host, ask: Ask, place: Path) -> None:
    session, following = ask(), Host(place)
    following.start()
    assert right(session)
    assert following.connections == 0, "not before it takes over"
    end, wrong = threading.Event(), []

    def work() -> None:
        while not end.is_set():
            try:
                right(session)
            except Exception as error:
                wrong.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    following.take_over()
    host.close(handing_over_s=WAIT_S)
    assert host.connections == 0
    until(lambda: following.connections == 1)
    end.set()
    worker.join()
    assert wrong == []
    assert place.exists(), "the file is the next host's"
    following.close()


def test_a_socket_that_nobody_listens_at_is_taken(place: Path, ask: Ask) -> None:
    left = Host(place)
    left.start()
    assert left._listener is not None
    left._listener.shutdown(2)  # and its file stays, as that of a process that was killed
    host = Host(place)
    until(lambda: _started(host))
    assert ask().hosted
    host.close()
    left.close()


def _started(host: Host) -> bool:
    host.start()
    return host._listener is not None


def test_the_configuration_is_the_hosts_to_read(host: Host, ask: Ask, wanted: Wanted) -> None:
    plain = {**wanted.config, "parameters": {}}
    session = ask(wanted=replace(wanted, config=plain))
    assert session.hosted
    assert right(session)
    assert session.counted is None, "no shapes are prepared"
