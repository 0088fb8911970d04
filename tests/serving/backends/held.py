"""A fan_out backend whose branch stands still until a test lets it go, on a clock that the test turns."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from typing import Any

from serving.backends.fan_out.admission import Answer, Branch, Call, FanOut, Limits
from tests.serving.backends.branches import ALL, BRANCHES, WAIT_S, echo


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Held:
    """A backend with one branch that stands still until it is let go, one request after the other."""

    def __init__(self, **limits: Any) -> None:
        self.asked: queue.Queue[tuple[str, threading.Event]] = queue.Queue()
        self.answers: queue.Queue[tuple[str, Answer | Exception]] = queue.Queue()
        self.clock = Clock()
        self.fan_out = FanOut(BRANCHES[:1], self._ask, Limits(**limits), now=self.clock)

    def _ask(self, branch: Branch, call: Call, wanted: Sequence[str]) -> list[Any]:
        go = threading.Event()
        self.asked.put((call.inputs["text"], go))
        assert go.wait(WAIT_S)
        return echo(branch, call, wanted)

    def submit(self, text: str, **more: Any) -> None:
        def answer(result: Answer | Exception) -> None:
            self.answers.put((text, result))

        more = {"answer": answer, "came_s": self.clock.now_s, **more}
        self.fan_out.submit(Call(inputs={"text": text}, wanted=ALL, **more))

    def let_go(self) -> str:
        text, go = self.asked.get(timeout=WAIT_S)
        go.set()
        return text

    def answer(self) -> tuple[str, Answer | Exception]:
        return self.answers.get(timeout=WAIT_S)

    def take(self, seconds: float, side_by_side: int = 1) -> Held:
        """Answer so many requests at once that take so long, from which the backend learns its pace."""
        for number in range(side_by_side):
            self.submit(f"takes {seconds} s, number {number}")
        held = [self.asked.get(timeout=WAIT_S) for _ in range(side_by_side)]
        self.clock.now_s += seconds
        for _, go in held[:1]:
            go.set()
            self.answer()
        self.clock.now_s -= seconds  # the others are answered at once: nothing more is learned from them
        for _, go in held[1:]:
            go.set()
            self.answer()
        return self
