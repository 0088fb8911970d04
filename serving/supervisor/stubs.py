"""Keeps the models' processes (stubs): sees one that has died, brings it back, and removes what it left."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from serving.processes import Stub, StubTable, read_stub, remove_regions, stubs_of

from .events import Journal
from .healing import Load, override, versions_on_disk
from .models import ServedModel
from .patience import Backoff, Patience
from .triton import Phase, TritonKeeper

_TRIES = 2


@dataclass
class Illness:
    """A model of which a process has died, until it is well again."""

    since_s: float
    due_s: float
    confirmed: bool = False
    versions: tuple[str, ...] = ()
    """Those that were served."""
    tries: int = 0


@dataclass
class _Known:
    """What is remembered of a model from look to look."""

    stubs: dict[int, Stub] = field(default_factory=dict)
    backoff: Backoff | None = None
    fewer: int | None = None
    """How many processes each version has, if a load that went well has shown that they are fewer than configured."""


class StubKeeper:
    """Keeps the stubs of one Triton.

    Attributes:
        ill: Models that are not ready for the time being, and why.
        heals: How many models were brought back.
        died_at_s: When a process of a model was last found dead, in seconds since the epoch.
    """

    def __init__(self, keeper: TritonKeeper, journal: Journal, patience: Patience) -> None:
        self.ill: dict[str, str] = {}
        self.heals = 0
        self.died_at_s: dict[str, float] = {}
        self._keeper, self._journal, self._patience = keeper, journal, patience
        self._known: defaultdict[str, _Known] = defaultdict(_Known)
        self._illnesses: dict[str, Illness] = {}
        self._load: Load | None = None
        self._pid: int | None = None
        self._table = StubTable(0, patience.search_s)

    @property
    def healing(self) -> bool:
        """Whether a load is under way."""
        return self._load is not None

    def look(self, now_s: float) -> dict[str, list[Stub]]:
        """Look at the process table and take the next steps; the living stubs of each model."""
        keeper = self._keeper
        if keeper.phase is not Phase.SERVING:
            self._forget(None)
            return {}
        if keeper.server.pid != self._pid:
            self._forget(keeper.server.pid)
        living: defaultdict[str, list[Stub]] = defaultdict(list)
        for stub in self._table.look(now_s, search=bool(self._illnesses)):
            living[stub.model].append(stub)
            keeper.server.regions.add(stub.region)
        for model in keeper.catalogue.models.values():
            if model.instances:
                self._check(model, living[model.name], now_s)
        for name, illness in list(self._illnesses.items()):
            if not illness.confirmed and name not in keeper.catalogue.models:
                self._well(name)  # it was unloaded
        for name, illness in sorted(self._illnesses.items(), key=lambda item: item[1].due_s):
            self._treat(name, illness, now_s)
        return living

    def kill(self, stubs: list[Stub], words: str, kind: str) -> None:
        """End stubs that hang; the next look finds them dead."""
        for stub in stubs:
            now = read_stub(stub.pid)
            if now is not None and now.region == stub.region:
                os.kill(stub.pid, signal.SIGKILL)
        self._journal.tell(kind, words, model=stubs[0].model, pids=[stub.pid for stub in stubs])

    def _check(self, model: ServedModel, living: list[Stub], now_s: float) -> None:
        known = self._known[model.name]
        versions = self._keeper.catalogue.versions.get(model.name, ())
        short = missing(model.instances if known.fewer is None else known.fewer, versions, living)
        illness = self._illnesses.get(model.name)
        if not short:
            if illness is None:
                known.stubs = {stub.pid: stub for stub in living}
            elif not illness.confirmed:  # a load in the meantime
                self._well(model.name)
            return
        if illness is None:
            self._illnesses[model.name] = Illness(since_s=now_s, due_s=now_s)
            self.ill[model.name] = "its process has ended"
            self._keeper.look_again()
        elif not illness.confirmed:
            if self._keeper.catalogue.read_s <= illness.since_s:
                self._keeper.look_again()
                return
            # Triton goes on saying that the model is ready, so it was not unloaded: the process has died.
            served = self._keeper.read_again(model.name)
            if served is not None and missing(served.instances, versions, living):
                self._confirm(model.name, illness, living, now_s)

    def _confirm(self, name: str, illness: Illness, living: list[Stub], now_s: float) -> None:
        known = self._known[name]
        if known.backoff is None:
            patience = self._patience
            known.backoff = Backoff(patience.first_delay_s, patience.longest_delay_s, patience.healthy_s)
            delay_s = 0.0
        else:
            delay_s = known.backoff.after(now_s) if self._keeper.phase is Phase.SERVING else 0.0
        illness.confirmed, illness.due_s = True, now_s + delay_s
        illness.versions = self._keeper.catalogue.versions[name]
        self.died_at_s[name] = time.time()
        dead = sorted(set(known.stubs) - {stub.pid for stub in living})
        self.ill[name] = "its process has died and is being started again"
        later = f" in {delay_s:g} s" if delay_s else ""
        self._journal.tell(
            "stub died",
            f"a process of model {name} has died ({_numbers(dead)}); loading it again{later}",
            model=name,
            pids=dead,
        )

    def _treat(self, name: str, illness: Illness, now_s: float) -> None:
        if not illness.confirmed or self._keeper.phase is not Phase.SERVING:
            return
        if self._load is None:
            if now_s >= illness.due_s:
                self._begin(name, illness.versions)
            return
        if self._load.model != name or not self._load.done():
            return
        error, self._load = self._load.error, None
        if error is None:
            self._healed(name, illness, now_s)
        elif illness.tries + 1 < _TRIES:
            illness.tries, illness.due_s = illness.tries + 1, now_s + self._patience.first_delay_s
        else:
            words = f"model {name}, of which a process had died, cannot be loaded again: {error}"
            self._keeper.fell(f"{words}; Triton was killed for it", now_s, model=name)

    def _begin(self, name: str, served: tuple[str, ...]) -> None:
        keeper = self._keeper
        on_disk = versions_on_disk(Path(keeper.server.options.repository) / name)
        self._load = Load(
            keeper.client,
            name,
            keeper.server.options.ready_timeout_s,
            lambda config: override(config, served=served, on_disk=on_disk, now_s=time.time()),
        )

    def _healed(self, name: str, illness: Illness, now_s: float) -> None:
        living = {stub.pid: stub for stub in stubs_of(self._keeper.server.pid) if stub.model == name}
        known = self._known[name]
        # Triton keeps the memory of the dead mapped and forgets its name.
        left = {stub.region for pid, stub in known.stubs.items() if pid not in living}
        remove_regions(left)
        self._keeper.server.regions -= left
        known.stubs = living
        counts = Counter(stub.version for stub in living.values())
        model = self._keeper.catalogue.models.get(name)
        if model is not None and counts and max(counts.values()) < model.instances:
            known.fewer = max(counts.values())
        self.heals += 1
        self._well(name)
        took = f"{now_s - illness.since_s:.1f} s after its process was missed"
        words = f"model {name} is back {took} ({_numbers(sorted(living))})"
        self._journal.tell("stub healed", words, model=name, pids=sorted(living))

    def _well(self, name: str) -> None:
        self._illnesses.pop(name, None)
        self.ill.pop(name, None)

    def _forget(self, pid: int | None) -> None:
        self._pid, self._load = pid, None
        self._table = StubTable(pid or 0, self._patience.search_s)
        self.ill.clear()
        self._illnesses.clear()
        for known in self._known.values():
            known.stubs.clear()
            known.fewer = None


def missing(instances: int, versions: tuple[str, ...], living: list[Stub]) -> dict[str, int]:
    """How many processes each served version of a model lacks; empty when none does."""
    found = {version: sum(stub.version == version for stub in living) for version in versions}
    return {version: instances - count for version, count in found.items() if count < instances}


def _numbers(pids: list[int]) -> str:
    return ("process " if len(pids) == 1 else "processes ") + ", ".join(map(str, pids)) if pids else "seen by nobody"
