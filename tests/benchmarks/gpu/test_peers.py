"""Engines that are there are measured on the same work; those that are not are named with what they lack."""

from __future__ import annotations

import multiprocessing
import types
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.common.shapes import shape_of
from benchmarks.gpu.parts import peers as part
from benchmarks.gpu.peers import generating, installed
from benchmarks.gpu.peers.generating import EndedError, Measured, Search, WrongLengthError, compiled, generate_call
from benchmarks.gpu.roofline import cross_store, layers, steps_ms, summary_ms
from tests.benchmarks.gpu.sent import RATES, Sent

COMPILED = "transformers, static caches, compiled"
PACKAGES = {"ONNX Runtime": ("onnxruntime", "onnxscript"), "CTranslate2": ("ctranslate2",)}


def test_every_engine_has_its_rows_or_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def at_once(context: Any, precision: str, search: Search, batches: Any, limit_s: float, collect: Any) -> None:
        for batch in batches:
            collect(Measured(batch=batch, p50_ms=8.0, first_ms=9.0))

    monkeypatch.setattr(part, "compiled", at_once)
    sent = Sent().by(part.run)
    there = [name for name, packages in PACKAGES.items() if all(map(find_spec, packages))]
    rows = sent.rows("peers")
    expected = [(name, batch) for name in ("transformers", *there) for batch in part.TOY_BATCHES]
    assert [(row["engine"], row["batch"]) for row in rows] == [*expected, (COMPILED, part.TOY_BATCHES[0])]
    assert set(sent.skipped()) == PACKAGES.keys() - set(there)
    assert all("No module named" in reason for reason in sent.skipped().values())
    for row in rows:
        assert row["times_floor"] == pytest.approx(row["p50_ms"] / row["floor_ms"])
        assert row["articles_per_s"] == pytest.approx(1e3 * row["batch"] / row["p50_ms"])
    assert all(row.keys() == rows[0].keys() for row in rows)


def test_an_engine_that_fails_costs_the_others_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_time(*_: Any) -> None:
        raise EndedError("ended after 3 s, when its time was up")

    def no_bart(self: Any) -> None:
        raise RuntimeError("no kernel image is available")

    monkeypatch.setattr(part, "compiled", no_time)
    monkeypatch.setattr(part._Peers, "bart", no_bart)
    monkeypatch.setattr(part._Peers, "onnxruntime", lambda self: None)
    sent = Sent().by(part.run)
    assert sent.rows("peers") == []
    assert sent.skipped()["transformers"] == "RuntimeError: no kernel image is available"
    assert sent.skipped()[COMPILED] == "EndedError: ended after 3 s, when its time was up"


def test_what_compiles_is_killed_when_its_time_is_up() -> None:
    found: list[Measured] = []
    with pytest.raises(EndedError, match="ended after 0 s, when its time was up"):
        compiled(Sent().context, "fp32", part.TOY_SEARCH, (1,), 0.2, found.append)
    assert found == []
    assert multiprocessing.active_children() == []


@pytest.mark.slow
def test_generate_compiles_in_another_process_which_says_what_fails() -> None:
    found: list[Measured] = []
    compiled(Sent().context, "fp32", part.TOY_SEARCH, part.TOY_BATCHES, 300, found.append)
    assert [one.batch for one in found] == list(part.TOY_BATCHES)
    assert all(one.first_ms > one.p50_ms > 0 for one in found)
    with pytest.raises(EndedError, match="KeyError: 'fp7'"):
        compiled(Sent().context, "fp7", part.TOY_SEARCH, (1,), 300, found.append)
    assert multiprocessing.active_children() == []


def test_summaries_of_another_length_are_other_work() -> None:
    class Short:
        def generate(self, **settings: Any) -> torch.Tensor:
            assert (settings["num_beams"], settings["no_repeat_ngram_size"]) == (4, 3)
            assert settings["min_length"] == settings["max_length"] == 8
            return torch.zeros((2, 7), dtype=torch.long)

    with pytest.raises(WrongLengthError, match=r"\(2, 8\) tokens were asked for, and \(2, 7\) came"):
        generate_call(Sent().context, Short(), part.TOY_SEARCH, 2)()


def test_settings_of_the_search_are_those_of_the_published_model() -> None:
    published, search = shape_of("bart").generation, Search()
    found = (search.beams, search.no_repeat_ngram, search.length_penalty)
    assert found == tuple(published[name] for name in ("num_beams", "no_repeat_ngram_size", "length_penalty"))


def stand_in(monkeypatch: pytest.MonkeyPatch, **members: Any) -> None:
    monkeypatch.setattr(installed, "import_module", lambda _: types.SimpleNamespace(__version__="9.9", **members))


def test_a_build_without_the_device_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stand_in(monkeypatch, get_cuda_device_count=lambda: 0, get_available_providers=lambda: ["CPUExecutionProvider"])
    gpu = types.SimpleNamespace(device="cuda", cuda=True)
    with pytest.raises(installed.MissingError, match=r"CTranslate2 9\.9 finds no GPU"):
        installed.ctranslate2_for(gpu)  # type: ignore[arg-type]
    with pytest.raises(installed.MissingError, match=r"9\.9 has no CUDAExecutionProvider, only CPUExecutionProvider"):
        installed.OnnxRuntime(gpu, None, "distilbert", 16, tmp_path)  # type: ignore[arg-type]


def test_the_first_call_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    found = generating.measured(Sent().context, 4, lambda: calls.append(1))
    assert (found.batch, len(calls)) == (4, 2)
    assert min(found.first_ms, found.p50_ms) > 0


def test_the_floor_of_a_summary_is_the_sum_of_what_comes_one_after_another() -> None:
    shape = shape_of("bart")
    sizes = shape.sizes["full"]
    encoder = layers(shape, sizes, 8, 512, "fp16").minimum_ms(RATES, "fp16")
    store = cross_store(shape, sizes, 8, 512, "fp16").minimum_ms(RATES, "fp16")
    steps = steps_ms(shape, sizes, 8, 4, 512, 60, "fp16", RATES)
    assert encoder is not None
    assert store is not None
    assert steps is not None
    assert summary_ms(shape, sizes, 8, 4, 512, 60, "fp16", RATES) == pytest.approx(encoder + store + steps)
    assert summary_ms(shape, sizes, 8, 4, 512, 60, "fp16", None) is None
