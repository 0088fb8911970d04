"""A reading process: ``python -m serving.intake.worker PARENT BYTES``. It answers one request after another, no more.

It is told what to read on its standard input and answers on its standard output, in frames (`frames`). `process` starts
it, kills it when its time is up, and replaces it.
"""

from __future__ import annotations

import json
import mimetypes
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

from .confinement import allow_cpu, confine, die_with, resident_bytes
from .errors import ReadError
from .frames import pack, read_frame

OUT_OF_MEMORY: Final = 3
"""The exit code of a process that has none left."""
_LEAVE_S: Final = 10.0
"""So long before its time is up an archive is not read on."""
_DEEP: Final = "this file is nested more deeply than it can be read: save its text alone, and send that"
Job = Callable[[Mapping[str, Any], bytes], bytes]


def main() -> int:
    """Serve until the standard input ends; returns the exit code."""
    parent, most_bytes = map(int, sys.argv[1:])
    if not die_with(parent):
        return 1
    requests, answers = _streams()
    statm = os.open("/proc/self/statm", os.O_RDONLY)  # later it could not be opened
    try:
        jobs = _jobs()
    except ImportError as error:
        _answer(answers, {"failed": f"a library is missing ({error.name})"})
        return 1
    confine(most_bytes)
    _answer(answers, {"ready": True, "memory_bytes": resident_bytes(statm)})
    while (frame := read_frame(requests)) is not None:
        head, data = frame
        allow_cpu(int(head["cpu_s"]))
        try:
            told, body = _read(jobs, head, data)
            _answer(answers, {**told, "memory_bytes": resident_bytes(statm)}, body)
        except MemoryError:
            return OUT_OF_MEMORY
        del frame, head, data, body
    return 0


def _streams() -> tuple[BinaryIO, BinaryIO]:
    """Where requests come and answers go; whatever a library prints goes nowhere."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    os.close(nowhere)
    return requests, answers


def _jobs() -> Mapping[str, Job]:
    """What is done, by name; the libraries are loaded here, before files can no longer be had."""
    import openpyxl  # noqa: F401  (reading and writing of tables load it when they need it)

    from .reading.articles import read_article

    mimetypes.init()  # the libraries ask for types by name, which are in /etc

    def article(head: Mapping[str, Any], data: bytes) -> bytes:
        found = read_article(data, name=head["name"], url=head["url"], content_type=head["content_type"])
        return json.dumps(found.to_dict()).encode()

    def table(head: Mapping[str, Any], data: bytes) -> bytes:
        from .reading.tables import read_rows

        return read_rows(data, name=head["name"], until_s=time.monotonic() + head["cpu_s"] - _LEAVE_S)

    def write(head: Mapping[str, Any], data: bytes) -> bytes:
        from .reading.tables import write_rows

        return write_rows(data, head["form"])

    return {"article": article, "table": table, "write": write}


def _read(jobs: Mapping[str, Job], head: Mapping[str, Any], data: bytes) -> tuple[dict[str, str], bytes]:
    """What was read, or what is to be told of why it was not."""
    try:
        return {}, jobs[head["job"]](head, data)
    except ReadError as error:
        return {"error": error.words}, b""
    except RecursionError:
        return {"error": _DEEP}, b""
    except MemoryError:
        raise
    except Exception as error:  # a fault of ours: told by type and place, without what the file holds
        place = traceback.extract_tb(error.__traceback__)[-1]
        return {"fault": f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"}, b""


def _answer(answers: BinaryIO, head: Mapping[str, Any], body: bytes = b"") -> None:
    answers.write(pack(head, body))
    answers.write(body)
    answers.flush()


if __name__ == "__main__":
    sys.exit(main())
