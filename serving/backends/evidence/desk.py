"""How many requests for evidence run, wait and are refused, without Triton."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

Job = Callable[[], list[Any]]
"""What finds the evidence of one task."""
Answer = Callable[[Mapping[str, list[Any]] | Exception], None]
"""Takes what the jobs of a request found, by task, or why there is none."""

log = logging.getLogger(__name__)


class BusyError(Exception):
    """The request cannot be taken on now."""


class Desk:
    """Runs the jobs of a few requests at a time, those of one request side by side.

    Args:
        max_running: Requests that run at the same time.
        max_waiting: Requests that wait for these; any more are refused.
        tasks: The most jobs that a request has.
    """

    def __init__(self, max_running: int, max_waiting: int, tasks: int) -> None:
        self._most = max_running + max_waiting
        self._lock = threading.Lock()
        self._taken = 0
        self._closed = False
        # A thread for each request, and one for each of its jobs: none ever waits for a thread of its own kind.
        self._requests = ThreadPoolExecutor(max_running, thread_name_prefix="evidence")
        self._jobs = ThreadPoolExecutor(max_running * tasks, thread_name_prefix="classifier")

    def take(self, jobs: Mapping[str, Job], answer: Answer) -> None:
        """Take on a request. When this raises, ``answer`` is not called.

        Raises:
            BusyError: As many run and wait as may, or the server stops.
        """
        with self._lock:
            if self._closed:
                raise BusyError("Server is stopping: send the request again once it has started")
            if self._taken >= self._most:
                raise BusyError(
                    f"the server is busy: {self._taken} requests for evidence are ahead, and no more than {self._most} "
                    "may be; try again later, or leave evidence out"
                )
            self._taken += 1
        self._requests.submit(self._run, jobs, answer)

    def close(self) -> None:
        """Take on no more, and wait for those that run; those that wait are answered too."""
        with self._lock:
            self._closed = True
        self._requests.shutdown()
        self._jobs.shutdown()

    def _run(self, jobs: Mapping[str, Job], answer: Answer) -> None:
        under_way = {task: self._jobs.submit(job) for task, job in jobs.items()}
        result: Mapping[str, list[Any]] | Exception
        try:
            result = {task: future.result() for task, future in under_way.items()}
        except Exception as error:  # the answer of this request, whatever it is
            result = error
        for future in under_way.values():  # one that failed has told why; the place is free once all have ended
            future.exception()
        with self._lock:  # before the answer, so that a caller's next request finds the place
            self._taken -= 1
        try:
            answer(result)
        except Exception:
            log.exception("a request could not be answered")
