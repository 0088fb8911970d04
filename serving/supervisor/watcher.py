"""A process that outlives the supervisor by a moment, to end what it leaves when it is killed.

``python -m serving.supervisor.watcher`` reads lines of JSON on its standard input, each
``{"groups": [...], "regions": [...], "folders": [...]}``: the process groups to kill, the shared memory and the folders
to remove. The last one counts once the input ends, which the kernel sees to when the supervisor goes. ``{}`` means that
it ended in order.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

from serving.processes import kill_group, members, regions_of, remove_regions

ROOT = Path(__file__).resolve().parents[2]


class Watcher:
    """The supervisor's end of it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._told = ""

    @property
    def pid(self) -> int | None:
        """Its process, if it runs."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    def tell(self, groups: list[int], regions: list[str], folder: Path | None) -> bool:
        """Say what there is to end; whether the process had to be started for it (it may have been killed)."""
        line = json.dumps({"groups": groups, "regions": sorted(regions), "folders": [str(folder)] if folder else []})
        started = self.pid is None
        if started:
            self._let_go()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "serving.supervisor.watcher"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=ROOT,
                text=True,
                start_new_session=True,
            )
        if started or line != self._told:
            self._say(line)
            self._told = line
        return started

    def close(self) -> None:
        """All was ended in order."""
        if self._process is not None:
            self._say("{}")
            self._let_go()

    def _let_go(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(BrokenPipeError):
                process.communicate()

    def _say(self, line: str) -> None:
        process = self._process
        if process is None or process.stdin is None:
            return
        with contextlib.suppress(BrokenPipeError):  # the next call starts another
            process.stdin.write(line + "\n")
            process.stdin.flush()


def main() -> None:
    """Read until the supervisor is gone, then end what it has left."""
    left: dict[str, list[int] | list[str]] = {}
    for line in sys.stdin:
        left = json.loads(line)
    groups = [int(group) for group in left.get("groups", ())]
    regions = {str(region) for region in left.get("regions", ())}
    for group in groups:
        for pid in members(group):
            regions |= regions_of(pid)
    for group in groups:
        kill_group(group)
    remove_regions(regions)
    for folder in left.get("folders", ()):
        shutil.rmtree(str(folder), ignore_errors=True)


if __name__ == "__main__":
    main()
