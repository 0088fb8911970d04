"""The executor of TensorRT on parts that ONNX Runtime runs instead of plans: buffers, turns, late flags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from engine.artefact import ENCODER, PLAIN, STEP, Artefact
from engine.article import Article, Sampling
from engine.settings import Settings
from engine.trt.executor import TensorRTExecutor
from engine.trt.memory import AHEAD, Flags
from export.parity.sampling import Sampling as Drawn
from infolens.contract import ATTENTION_MASK, INPUT_IDS, SENTENCE_ENDS
from tests.export.graph.plain import batch_of, expected_of, without_padding
from tests.export.graph.rows import END, tiny_bart

from .made import BUCKET, artefact_of
from .onnxruntime_part import OnnxRuntimePart

LENGTHS = (48, 13, 30, 3, 40, 22, 17)
DEFAULTS = {"no_repeat_ngram_size": 3, "forced_bos_token_id": 0, "early_stopping": True, "forced_eos_token_id": END}


@pytest.fixture(scope="module")
def model() -> Any:
    made = tiny_bart()
    made.generation_config.update(**DEFAULTS)
    return made


@pytest.fixture(scope="module")
def artefact(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    return artefact_of(model, tmp_path_factory.mktemp("engine") / "fp32")


@pytest.fixture
def parts(artefact: Artefact) -> dict[str, OnnxRuntimePart]:
    return {name: OnnxRuntimePart(artefact, name, BUCKET) for name in (ENCODER, STEP, PLAIN)}


@pytest.fixture
def executor(artefact: Artefact, parts: dict[str, OnnxRuntimePart]) -> TensorRTExecutor:
    return TensorRTExecutor(artefact, BUCKET, parts, name="ONNX Runtime", device="cpu")


def articles_of(
    inputs: dict[str, Any], settings: Settings, draws: Sequence[Drawn | None], *, quotes: bool
) -> list[Article]:
    articles = []
    for i, mask in enumerate(inputs[ATTENTION_MASK.name]):
        count, drawn = int(mask.sum()), draws[i]
        sampling = drawn and Sampling(temperature=drawn.temperature, top_p=drawn.top_p, draws=drawn.numbers)
        ends = inputs[SENTENCE_ENDS.name][i, :count] if quotes else None
        ids = inputs[INPUT_IDS.name][i, :count]
        articles.append(Article(ids=ids, settings=settings, sentence_ends=ends, sampling=sampling))
    return articles


def summaries_of(executor: TensorRTExecutor, articles: Sequence[Article], between: int) -> list[list[int]]:
    """Each joins as soon as a slot is free, and ``between`` steps after the one before."""
    waiting, running, answers = list(enumerate(articles)), dict[int, int](), dict[int, list[int]]()
    steps = 0
    while waiting or running:
        free = [slot for slot in range(BUCKET.slots) if slot not in running]
        if waiting and free and steps % between == 0:
            number, article = waiting.pop(0)
            executor.join(free[-1], article)
            running[free[-1]] = number
        executor.step()
        steps += 1
        for slot in executor.done():
            answers[running.pop(slot)] = without_padding(executor.summary(slot).tolist())
            executor.leave(slot)
        assert steps < 500
    return [answers[i] for i in range(len(articles))]


@pytest.mark.parametrize("quotes", [False, True])
@pytest.mark.parametrize("beams", [1, 2, 4])
def test_the_tokens_are_those_of_transformers(model: Any, executor: TensorRTExecutor, beams: int, quotes: bool) -> None:
    inputs, nothing = batch_of(LENGTHS), [None] * len(LENGTHS)
    values = {"num_beams": beams, "min_length": 4, "max_length": 18, "length_penalty": 1.5}
    articles = articles_of(inputs, Settings(**values, no_repeat_ngram_size=3), nothing, quotes=quotes)
    expected = expected_of(model, inputs, values, nothing, quotes=quotes)
    assert summaries_of(executor, articles, between=5) == expected


def test_slots_that_ask_for_nothing_more_take_the_cheaper_graph(
    executor: TensorRTExecutor, parts: dict[str, OnnxRuntimePart], model: Any
) -> None:
    inputs, nothing = batch_of(LENGTHS), [None] * len(LENGTHS)
    values = {"num_beams": 2, "min_length": 4, "max_length": 18, "length_penalty": 1.0}
    wishes = Settings(**values, no_repeat_ngram_size=3)
    free, quoting = (articles_of(inputs, wishes, nothing, quotes=quotes) for quotes in (False, True))
    before = parts[STEP].runs
    summaries_of(executor, free, between=1)
    assert parts[STEP].runs == before
    assert parts[PLAIN].runs > 0
    mixed = [*free[:3], quoting[3], *free[4:]]
    expected = expected_of(model, inputs, values, nothing, quotes=False)
    expected[3] = expected_of(model, inputs, values, nothing)[3]
    assert summaries_of(executor, mixed, between=4) == expected
    assert parts[STEP].runs > before


def test_an_article_that_is_left_early_leaves_nothing_behind(executor: TensorRTExecutor, model: Any) -> None:
    inputs, nothing = batch_of(LENGTHS[:1]), [None]
    values = {"num_beams": 4, "min_length": 4, "max_length": 18, "length_penalty": 1.0}
    (article,) = articles_of(inputs, Settings(**values, no_repeat_ngram_size=3), nothing, quotes=False)
    executor.join(1, article)
    with pytest.raises(ValueError, match="slot 1 has an article"):
        executor.join(1, article)
    for _ in range(5):
        executor.step()
    executor.leave(1)
    length = int(executor._memory.sides[executor._side]["length"][1])
    executor.step()
    assert int(executor._memory.sides[executor._side]["length"][1]) == length  # Nothing is written for it any more.
    assert summaries_of(executor, [article], between=1) == expected_of(model, inputs, values, nothing, quotes=False)


class LateEvent:
    """Of a device that has finished a step only once it is waited for."""

    def __init__(self) -> None:
        self.over = False

    def record(self) -> None: ...

    def synchronize(self) -> None:
        self.over = True

    def query(self) -> bool:
        return self.over


def test_flags_of_the_article_before_are_not_believed(executor: TensorRTExecutor) -> None:
    (article,) = articles_of(batch_of(LENGTHS[:1]), Settings(max_length=18, min_length=12), [None], quotes=False)
    executor._flags._event = LateEvent
    for _ in range(AHEAD + 1):  # All slots are empty, and done.
        executor.step()
    executor.join(0, article)
    for _ in range(AHEAD):
        executor.step()
        assert executor.done() == []


def test_the_device_is_two_steps_ahead_at_most() -> None:
    flags = Flags(1, "cpu")
    flags._event = LateEvent
    for count in range(1, 7):
        flags.record(torch.tensor([count == 3]))
        step, (done,) = flags.read()
        assert step == max(0, count - AHEAD)
        assert done == (step in (0, 3))
