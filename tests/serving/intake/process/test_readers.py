"""The pool of reading processes: started late, kept, replaced, killed; and what callers read of that."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from serving.intake.confinement import MAX_MEMORY_BYTES
from serving.intake.process import ReaderLimits, ReadError, Readers, ReadersAwayError, ReadersBusyError
from serving.intake.process.child import Child
from serving.intake.process.memory import LEAST_MEMORY_BYTES, memory_each
from serving.runtime import ROOT
from tests.serving.intake.made import WORDS, page, pdf, slow_pdf

PATIENCE_S = 60.0
SLOW = slow_pdf()
"""Reading it takes minutes."""


@pytest.fixture
async def readers() -> AsyncIterator[Readers]:
    async with Readers() as readers:
        yield readers


def gone(pid: int) -> bool:
    """Whether a process has ended; a parent may still have to hear of it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def told(pid: int, what: str) -> bytes:
    return Path(f"/proc/{pid}/{what}").read_bytes()


def wait_for(pid: int) -> None:
    """Wait until a process has ended that is no child of this one."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            assert select.select([handle], [], [], PATIENCE_S)[0], "it is still there"
        finally:
            os.close(handle)


class Watched:
    """Starts processes that say when they are asked.

    Attributes:
        asked: The number of each process, as it is asked.
    """

    def __init__(self) -> None:
        self.asked: asyncio.Queue[int] = asyncio.Queue()

    async def start(self, memory_bytes: int) -> Child:
        asked = self.asked

        class Telling(Child):
            async def ask(self, head: Mapping[str, Any], data: bytes, time_s: float) -> bytes:
                asked.put_nowait(self.pid)
                return await super().ask(head, data, time_s)

        return await Telling.start(memory_bytes)


@pytest.fixture
def watched() -> Watched:
    return Watched()


async def test_the_first_file_starts_a_process_and_the_next_one_finds_it(readers: Readers) -> None:
    assert readers.idle_pids == ()
    found = await readers.article(page().encode(), url="https://harbour.example/")
    assert (found.kind, found.title, found.site) == ("html", "Harbour bridge to close", "The Harbour Post")
    (pid,) = readers.idle_pids
    with pytest.raises(ReadError, match="this file is empty"):
        await readers.article(b"")
    assert (await readers.article(WORDS.encode())).text == WORDS
    assert readers.idle_pids == (pid,), "one that tells what is wrong goes on"


async def test_two_are_read_at_the_same_time_and_no_more_processes_run(readers: Readers) -> None:
    found = await asyncio.gather(*(readers.article(f"{WORDS} {number}".encode()) for number in range(8)))
    assert [one.text for one in found] == [f"{WORDS} {number}" for number in range(8)]
    assert len(readers.idle_pids) == 2


async def test_one_that_takes_too_long_is_killed_and_replaced() -> None:
    async with Readers(ReaderLimits(article_s=1.0, processes=1)) as readers:
        await readers.article(WORDS.encode())
        (pid,) = readers.idle_pids
        with pytest.raises(ReadError, match=r"takes longer than one may take \(1 s\)"):
            await readers.article(SLOW)
        assert gone(pid)
        assert (await readers.article(WORDS.encode())).text == WORDS
        assert readers.idle_pids not in ((), (pid,))


async def test_one_that_sleeps_is_killed_too() -> None:
    async with Readers(ReaderLimits(article_s=1.0, processes=1)) as readers:
        await readers.article(WORDS.encode())
        (pid,) = readers.idle_pids
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(ReadError, match="takes longer"):
            await readers.article(WORDS.encode())
        assert gone(pid)


async def test_one_that_died_idle_is_replaced(readers: Readers) -> None:
    await readers.article(WORDS.encode())
    (pid,) = readers.idle_pids
    child = readers._idle[0]
    os.kill(pid, signal.SIGKILL)
    await child._process.wait()
    assert (await readers.article(WORDS.encode())).text == WORDS
    assert readers.idle_pids != (pid,)


@pytest.mark.parametrize(("number", "words"), [(signal.SIGKILL, "more memory"), (signal.SIGSEGV, "could not be read")])
async def test_one_that_dies_at_work_tells_why(watched: Watched, number: int, words: str) -> None:
    async with Readers(start=watched.start) as readers:
        asked = asyncio.create_task(readers.article(SLOW))
        os.kill(await watched.asked.get(), number)
        with pytest.raises(ReadError, match=words):
            await asked
        assert (await readers.article(WORDS.encode())).text == WORDS


async def test_who_leaves_ends_the_reading(watched: Watched) -> None:
    async with Readers(start=watched.start) as readers:
        asked = asyncio.create_task(readers.article(SLOW))
        pid = await watched.asked.get()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert gone(pid)
        assert (await readers.article(WORDS.encode())).text == WORDS


async def test_the_end_ends_all_of_them(watched: Watched) -> None:
    async with Readers(start=watched.start) as readers:
        tasks = [asyncio.create_task(readers.article(SLOW)) for _ in range(3)]
        pids = [await watched.asked.get() for _ in range(2)]  # the third one waits
    for task in tasks:
        with pytest.raises(ReadersAwayError, match="the server is being stopped"):
            await task
    assert all(map(gone, pids))
    with pytest.raises(ReadersAwayError):
        await readers.article(WORDS.encode())


async def test_no_more_than_a_few_wait(watched: Watched) -> None:
    async with Readers(ReaderLimits(processes=1, max_waiting=1), start=watched.start) as readers:
        asked = asyncio.create_task(readers.article(SLOW))
        await watched.asked.get()
        waits = asyncio.create_task(readers.article(WORDS.encode()))
        await asyncio.sleep(0)
        with pytest.raises(ReadersBusyError, match="the server is busy: 1 files wait"):
            await readers.article(WORDS.encode())
        asked.cancel()
        assert (await waits).text == WORDS
        with contextlib.suppress(asyncio.CancelledError):
            await asked


async def test_worn_ones_are_replaced() -> None:
    async with Readers(ReaderLimits(processes=1, max_jobs=2)) as readers:
        await readers.article(WORDS.encode())
        (pid,) = readers.idle_pids
        await readers.article(WORDS.encode())
        assert readers.idle_pids == ()
        assert gone(pid)
    async with Readers(ReaderLimits(processes=1, max_grown_bytes=-1_000_000_000)) as readers:
        await readers.article(WORDS.encode())
        assert readers.idle_pids == (), "it has grown by more than that"


async def test_one_that_cannot_be_started_is_no_fault_of_the_file() -> None:
    for command in (("/nowhere/python",), (sys.executable, "-c", "pass"), (sys.executable, "-c", "print('x' * 99)")):
        async with Readers(start=lambda most, command=command: Child.start(most, command)) as readers:
            with pytest.raises(ReadersAwayError, match="no process for it can be started"):
                await readers.article(WORDS.encode())


async def test_what_takes_too_much_memory_ends_one_process(watched: Watched) -> None:
    async with Readers(start=lambda _: watched.start(LEAST_MEMORY_BYTES)) as readers:
        with pytest.raises(ReadError, match=r"more memory than one may take \(384 MiB\)|this PDF is broken"):
            await readers.article(pdf(b"BT " + b"(a) Tj " * 10_000_000 + b"ET", packed=True))
        assert (await readers.article(WORDS.encode())).text == WORDS


@pytest.mark.parametrize(
    ("limits", "most"),
    [
        ({}, MAX_MEMORY_BYTES),
        ({"pod/door": "max"}, MAX_MEMORY_BYTES),
        ({"pod/door": str(8 * 2**30)}, MAX_MEMORY_BYTES),
        ({"pod/door": str(2**30)}, LEAST_MEMORY_BYTES),
        ({"pod": str(2 * 2**30), "pod/door": "max"}, (2 * 2**30 - 2**28) // 2),
        ({"pod": "1", "pod/door": str(8 * 2**30)}, LEAST_MEMORY_BYTES),
    ],
)
def test_they_share_what_the_door_may_have(tmp_path: Path, limits: dict[str, str], most: int) -> None:
    for name, limit in limits.items():
        folder = tmp_path / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "memory.max").write_text(f"{limit}\n")
    own = tmp_path / "own"
    own.write_text("0::/pod/door\n")
    assert memory_each(2, tmp_path, own) == most
    assert memory_each(2, tmp_path, tmp_path / "none") == MAX_MEMORY_BYTES


async def test_what_it_answers_is_not_believed() -> None:
    """A process that a file has taken over gets nothing past the door but an article."""
    answer = (
        "import sys, json, struct\n"
        "def send(head, body=b''):\n"
        "    content = json.dumps(head).encode()\n"
        "    sys.stdout.buffer.write(struct.pack('>II', len(content), len(body)) + content + body)\n"
        "    sys.stdout.buffer.flush()\n"
        "send({'ready': True})\n"
        "sys.stdin.buffer.read(8)\n"
    )
    for more in (
        "send({}, b'not JSON')",
        "send({}, b'[1]')",
        'send({}, b\'{"kind": "exe", "text": "a", "reviews": [], "notes": []}\')',
        'send({}, b\'{"kind": "pdf", "text": 1, "reviews": [], "notes": []}\')',
        "sys.stdout.buffer.write(b'\\xff' * 64)",
        "sys.stdout.buffer.write(struct.pack('>II', 2, 0) + b'[]')",
    ):
        async with Readers(
            start=lambda most, code=answer + more: Child.start(most, (sys.executable, "-c", code))
        ) as readers:
            with pytest.raises(ReadError, match="could not be read"):
                await readers.article(WORDS.encode())


async def test_it_knows_nothing_of_the_door_s_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFOLENS_KEYS_URL", "postgresql://user:password@db/keys")
    async with Readers() as readers:
        await readers.article(WORDS.encode())
        (pid,) = readers.idle_pids
        assert b"password" not in told(pid, "environ")
        assert os.getsid(pid) == pid, "a session of its own"
        limits = told(pid, "limits").decode()
        assert "Max open files            64 " in limits
        assert "Max file size             0 " in limits


def test_it_ends_with_its_parent_while_it_reads() -> None:
    parent = (
        "import asyncio\n"
        "from serving.intake.process import ReaderLimits, Readers, child\n"
        "from tests.serving.intake.process.test_readers import SLOW\n"
        "usual = child.receive\n"
        "def receive(stream):\n"
        "    print('sent', flush=True)\n"
        "    return usual(stream)\n"
        "child.receive = receive\n"
        "class Telling(child.Child):\n"
        "    async def ask(self, *arguments):\n"
        "        print(self.pid, flush=True)\n"
        "        return await super().ask(*arguments)\n"
        "asyncio.run(Readers(ReaderLimits(article_s=3600), start=Telling.start).article(SLOW))\n"
    )
    environment = {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]), "PATH": os.defpath}
    command = [sys.executable, "-c", parent]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"sent\n", "the start"
        pid = int(process.stdout.readline())
        assert process.stdout.readline() == b"sent\n", "all of the file"
        assert not gone(pid)
        process.kill()
        wait_for(pid)
