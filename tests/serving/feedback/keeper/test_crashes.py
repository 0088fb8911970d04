"""A door that is killed at any step loses nothing that it acknowledged, and has nothing counted twice."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from sqlalchemy import URL

from serving.feedback.keeper import Keeper
from serving.feedback.options import FeedbackOptions
from serving.feedback.spool.spool import Spool
from serving.feedback.store import FeedbackStore
from serving.gateway.logs import open_log
from serving.runtime import ROOT
from tests.serving.feedback.keeper.crashing import FILE
from tests.serving.feedback.keeper.memory import PATIENCE_S, QUICK, until


@pytest.fixture
def lives(tmp_path: Path) -> Iterator[list[Path]]:
    """The folders of doors that were killed, each a step later than the one before, and of one that came to its end."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as folder:
        command = [sys.executable, "-m", "tests.serving.feedback.keeper.crashing", folder]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=10 * PATIENCE_S, check=False)
        assert done.returncode == 0, done.stderr.decode()
        yield [path for path in Path(folder).iterdir() if path.is_dir()]


async def test_at_every_step(lives: list[Path]) -> None:
    assert len(lives) > 40
    held = 0
    for folder in lives:
        held += await after(folder)
    assert held > 10, "many left a spool"


@pytest.fixture
def rated(tmp_path: Path) -> Path:
    """Where one door after the other was killed as it rated; each found what the one before had left."""
    command = [sys.executable, "-m", "tests.serving.feedback.keeper.crashing", str(tmp_path), "rate"]
    with (tmp_path / "acknowledged").open("wb") as acknowledged:
        for enough in (3, 40, 25):
            with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as door:
                assert door.stdout is not None
                acknowledged.writelines(itertools.islice(door.stdout, enough))
                door.kill()
                acknowledged.writelines(line for line in door.stdout if line.endswith(b"\n"))
    return tmp_path


async def test_under_load_again_and_again(rated: Path) -> None:
    await after(rated)


async def after(folder: Path) -> bool:
    """What the next door makes of it; whether it found something in the spool."""
    log = BytesIO()
    spools: list[Spool] = []
    store = FeedbackStore(URL.create("sqlite", database=str(folder / FILE)))

    def opens() -> Spool:
        spools.append(Spool(folder / "spool", 2**16, open_log(log)))
        return spools[0]

    options = FeedbackOptions(keeps=True)
    async with Keeper(lambda: store, open_log(log), options, opens_spool=opens, patience=QUICK).running() as keeper:
        found = not spools[0].empty
        await until(lambda: spools[0].empty)
        tokens: dict[str, list[str]] = {}
        for line in (folder / "acknowledged").read_text().splitlines():
            kind, prediction, *token = line.split()
            if kind == "erasure":
                assert await keeper.find(prediction) is None, folder
                continue
            assert await keeper.find(prediction) is not None, folder
            tokens.setdefault(prediction, []).extend(token)
        for prediction, expected in tokens.items():
            kept = [one.token for one in await keeper.said(prediction)]
            assert kept[: len(expected)] == expected, folder
            assert len(kept) == len(set(kept))
        rated = await keeper.ask(lambda one: sum(count.count for count in one.aggregates(batch=100, since_day=0)))
        rated_once = await keeper.ask(lambda one: sum(1 for _ in one.rows()))
        assert rated == rated_once
        assert not keeper.standing().refused
    events = {json.loads(line)["event"] for line in log.getvalue().splitlines()}
    assert events <= {"spool found", "spool torn"}, events
    return found
