"""What a step costs, by its rows: in the loop of the one graph, and in the engine; and where its time goes.

Times are those of this thread on the processor, on which all of a step runs: what else the machine does counts little.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import onnxruntime as ort

from engine.artefact import STEP, Artefact
from engine.article import Article
from engine.ort.cpu import CpuExecutor
from engine.ort.graphs import CpuGraphs
from engine.settings import Bucket

from .comparing import LOOP, SLOTS
from .profiles import Profile, read_profile
from .sides import graph_inputs, session_of
from .sizes import ROWS, SHAPES

_LOOP_NODES: Final = "decoder_"
"""What the names of the nodes in the loop's body begin with."""
_SHORT: Final = 4
"""Tokens of the shortest summary that the one graph writes."""


@dataclass(frozen=True, kw_only=True)
class StepTime:
    """One size of a step."""

    beams: int
    articles: int
    loop_us: float | None
    """In the one graph, whose loop has one article; None for several."""
    slots_us: float


class Stepping:
    """Steps of both sides on this thread, over articles that are all alike."""

    def __init__(
        self, graph: Path, artefact: Artefact, operators: Path | None, article: Article, *, tokens: int
    ) -> None:
        """Take both.

        Args:
            graph: The one graph.
            artefact: The graphs of the engine.
            operators: The native operators.
            article: Is summarised freely.
            tokens: Of each summary.
        """
        self._graph, self._artefact, self._operators = graph, artefact, operators
        self._article, self._tokens = article, tokens

    def times(self, shapes: Sequence[tuple[int, int]] = SHAPES, *, runs: int = 9) -> list[StepTime]:
        """Steps of each shape: beams, articles."""
        session, graphs = session_of(self._graph, self._operators), CpuGraphs(self._artefact, self._operators)
        return [
            StepTime(
                beams=beams,
                articles=articles,
                loop_us=self._loop_us(session, beams, runs) if articles == 1 else None,
                slots_us=self._slots_us(graphs, beams, articles, runs),
            )
            for beams, articles in shapes
        ]

    def profiles(self, folder: Path, rows: Sequence[int] = ROWS) -> list[Profile]:
        """Where the time goes, by rows of both sides; the files of the profiles are left in ``folder``."""
        found = []
        for beams in rows:
            session = session_of(self._graph, self._operators, profile=folder / f"loop-{beams}")
            session.run(None, graph_inputs(self._of(beams), self._artefact.rules.pad_token))
            path = Path(session.end_profiling())
            found.append(read_profile(path, side=LOOP, rows=beams, belongs=lambda name: name.startswith(_LOOP_NODES)))
        for articles in rows:
            graphs = _ProfiledGraphs(self._artefact, self._operators, folder / f"slots-{articles}")
            self._search(graphs, 1, articles)()
            path = Path(graphs.profiled.end_profiling())
            found.append(read_profile(path, side=SLOTS, rows=articles, belongs=bool))
        return found

    def _of(self, beams: int, tokens: int | None = None) -> Article:
        count = tokens or self._tokens
        settings = replace(self._article.settings, num_beams=beams, min_length=count, max_length=count)
        return replace(self._article, settings=settings)

    def _loop_us(self, session: ort.InferenceSession, beams: int, runs: int) -> float:
        pad = self._artefact.rules.pad_token
        times_s = []
        for tokens in (self._tokens, _SHORT):
            inputs = graph_inputs(self._of(beams, tokens), pad)
            times_s.append(_median_s(lambda inputs=inputs: session.run(None, inputs), runs))  # type: ignore[misc]
        return 1e6 * (times_s[0] - times_s[1]) / (self._tokens - _SHORT)

    def _slots_us(self, graphs: CpuGraphs, beams: int, articles: int, runs: int) -> float:
        times_us = []
        for _ in range(runs):
            search = self._search(graphs, beams, articles)
            start_s = time.thread_time()
            steps = search()
            times_us.append(1e6 * (time.thread_time() - start_s) / steps)
        return statistics.median(times_us)

    def _search(self, graphs: CpuGraphs, beams: int, articles: int) -> Callable[[], int]:
        """A whole search of articles that have joined; it returns the number of its steps."""
        bucket = Bucket(slots=articles, beams=beams, source_length=len(self._article.ids), target_length=self._tokens)
        executor = CpuExecutor(graphs, bucket)
        for slot in range(articles):
            executor.join(slot, self._of(beams))

        def search() -> int:
            steps = 0
            while len(executor.done()) < articles:
                executor.step()
                steps += 1
            executor.close()
            return steps

        return search


class _ProfiledGraphs(CpuGraphs):
    """Whose step writes a profile."""

    def __init__(self, artefact: Artefact, operators: Path | None, profile: Path) -> None:
        super().__init__(artefact, operators)
        self.profiled = session_of(artefact.path(STEP), operators, profile=profile)

    def step(self) -> ort.InferenceSession:
        return self.profiled

    def plain(self) -> ort.InferenceSession:
        return self.profiled


def _median_s(call: Callable[[], object], runs: int) -> float:
    call()
    times_s = []
    for _ in range(runs):
        start_s = time.thread_time()
        call()
        times_s.append(time.thread_time() - start_s)
    return statistics.median(times_s)
