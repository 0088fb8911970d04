"""The engine with executors of ONNX Runtime: random arrivals, and every answer is the one of an article alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import opening
from engine.artefact import ENCODER
from engine.executor import UnavailableError
from engine.opening import EngineOptions, open_engine
from engine.ort.cpu import CpuExecutor
from engine.scheduling.engine import Engine, Plan
from engine.scheduling.errors import BusyError, CancelledError
from operators.library import ensure_operators
from tests.engine.scheduling.fake import Answers
from tests.export.graph.rows import WORDS

from .small import KINDS, RULES, SOURCE, TARGET, Asked, Small, alone, asked_of, bucket

OPTIONS = EngineOptions(
    device="cpu", workers=2, slots=3, beams=(1, 2, 4), source_length=SOURCE, target_length=TARGET, max_waiting=8
)


def changed(**changes: Any) -> EngineOptions:
    values = {name: getattr(OPTIONS, name) for name in OPTIONS.__dataclass_fields__}
    return EngineOptions(**{**values, **changes})


def submit_all(engine: Engine, asked: list[Asked], leaving: set[int]) -> Answers:
    """From two threads; some articles are given up after a few questions."""
    answers = Answers()

    def submit(first: int) -> None:
        for number in range(first, len(asked), 2):
            patience = iter(range(3))
            left = (lambda patience=patience: next(patience, None) is None) if number in leaving else None
            while True:
                seen = len(answers.found)
                try:
                    engine.submit(asked[number].article, answers.taker(number), None, left)
                except BusyError:
                    answers.wait(seen + 1)
                else:
                    break

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(submit, range(2)))
    return answers


@pytest.mark.parametrize("kind", KINDS)
def test_every_article_gets_the_summary_that_it_gets_alone(small: Small, kind: str) -> None:
    make = small.maker(kind)
    buckets = tuple(bucket(beams) for beams in (1, 2, 4))
    engine = Engine(Plan(buckets=buckets, rules=RULES, vocabulary=WORDS, make=make, workers=2, max_waiting=8))
    random = np.random.default_rng(21)
    asked = [asked_of(random) for _ in range(30)]
    leaving = set(range(0, 30, 6))
    answers = submit_all(engine, asked, leaving)
    outcomes = [answers.of(number) for number in range(30)]
    statistics = engine.statistics()
    engine.close()
    for number, outcome in enumerate(outcomes):
        if not (number in leaving and isinstance(outcome, CancelledError)):
            assert outcome == alone(make, asked[number])
    assert statistics.answered + statistics.cancelled == 30
    assert statistics.busy == statistics.waiting == statistics.failed == 0
    assert statistics.slot_steps > statistics.steps


def test_an_opened_engine_writes_what_transformers_does(small: Small) -> None:
    engine = open_engine(small.folder("fp32"), OPTIONS)
    random = np.random.default_rng(22)
    asked = [asked_of(random) for _ in range(12)]
    answers = submit_all(engine, asked, set())
    assert [answers.of(number) for number in range(12)] == [one.summary(small.model) for one in asked]
    engine.close()


def test_pytorch_and_onnx_runtime_write_the_same_from_the_same_files(small: Small) -> None:
    random = np.random.default_rng(8)
    asked = [asked_of(random) for _ in range(24)]
    found = []
    for device in ("cpu", "torch"):
        engine = open_engine(small.folder("fp32"), changed(device=device, max_waiting=len(asked)))
        answers = submit_all(engine, asked, set())
        found.append([answers.of(number) for number in range(len(asked))])
        engine.close()
    assert found[0] == found[1]
    assert len({str(one) for one in found[0]}) > len(asked) / 2


def test_native_operators_are_used_where_they_are_given(small: Small) -> None:
    native = ensure_operators().path
    engine = open_engine(small.folder("int8"), changed(operators=native))
    (asked,) = [asked_of(np.random.default_rng(23), plain=True)]
    assert engine.summarize(asked.article).tolist() == alone(small.maker("native"), asked)
    engine.close()


def test_a_step_that_fails_costs_its_articles_alone(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    step, calls = CpuExecutor.step, [0]

    def broken(executor: CpuExecutor) -> None:
        calls[0] += 1
        if calls[0] == 3:
            raise MemoryError("no room for a step")
        step(executor)

    monkeypatch.setattr(CpuExecutor, "step", broken)
    engine = open_engine(small.folder("fp32"), changed(workers=1))
    (asked,) = [asked_of(np.random.default_rng(24), plain=True)]
    with pytest.raises(MemoryError, match="no room for a step"):
        engine.summarize(asked.article)
    assert engine.summarize(asked.article).tolist() == alone(small.maker("fp32"), asked)
    assert engine.statistics().replaced == 1
    engine.close()


@pytest.mark.parametrize("kind", [UnavailableError, RuntimeError], ids=["missing", "driver"])
def test_auto_takes_the_cpu_where_no_gpu_can_be_used(
    small: Small, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: type[Exception]
) -> None:
    def refuse(*_: object) -> None:
        raise kind("install the wheel")

    monkeypatch.setattr(opening, "has_gpu", lambda: True)
    monkeypatch.setattr(opening, "DEVICES", {**opening.DEVICES, **dict.fromkeys(("tensorrt", "cuda", "torch"), refuse)})
    engine = open_engine(small.folder("fp32"), changed(device="auto"))
    (asked,) = [asked_of(np.random.default_rng(25), plain=True)]
    assert engine.summarize(asked.article).tolist() == asked.summary(small.model)
    engine.close()
    assert "the engine does not use cuda: install the wheel" in caplog.text


@pytest.mark.parametrize("device", ["cuda", "tensorrt", "torch"])
def test_int8_is_refused_on_a_gpu(small: Small, device: str) -> None:
    with pytest.raises(ValueError, match=f"the device {device} runs fp32, fp16, bf16, and .* is in int8"):
        open_engine(small.folder("int8"), changed(device=device))


def test_without_a_gpu_the_message_says_what_to_install(small: Small) -> None:
    with pytest.raises(UnavailableError, match=r"onnxruntime-gpu, 1\.28 or newer"):
        open_engine(small.folder("fp32"), changed(device="cuda"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"device": "gpu"}, "device is one of auto, cpu, cuda, tensorrt, torch, not 'gpu'"),
        ({"workers": -1}, "workers is 0 or more, not -1"),
        ({"beams": (4, 1)}, r"each once and growing, not \[4, 1\]"),
        ({"slots": 0}, "slots is 1 or more, not 0"),
        ({"source_length": 129}, "source_length is at most 128, the positions of this model, not 129"),
        ({"target_length": 129}, "target_length is at most 128, the positions of this model, not 129"),
        ({"joins_per_step": -1}, "joins_per_step is 0 or more, not -1"),
    ],
)
def test_options_out_of_range_are_refused(small: Small, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        open_engine(small.folder("fp32"), changed(**changes))


def test_a_damaged_folder_is_refused_when_it_is_opened(small: Small, tmp_path: Path) -> None:
    for path in small.folder("fp32").iterdir():
        (tmp_path / path.name).write_bytes(b"" if path.name == ENCODER else path.read_bytes())
    with pytest.raises(UnavailableError, match=r"cannot run .*encoder\.onnx on a CPU"):
        open_engine(tmp_path, OPTIONS)
