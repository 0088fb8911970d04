"""Each way of running a classifier is compared before it is timed, and one that fails costs no other its row."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from benchmarks.gpu.models import make_model
from benchmarks.gpu.parts import classifiers
from benchmarks.gpu.trial import Trial, WrongAnswersError, inputs_of
from tests.benchmarks.gpu.sent import Sent

pytestmark = pytest.mark.long

MODELS = ("DistilBERT", "XLNet")


@pytest.fixture(scope="module")
def sent() -> Sent:
    return Sent().by(classifiers.run)


def test_every_cell_is_measured_and_the_compiled_ones_are_the_last(sent: Sent) -> None:
    rows = sent.rows("classifiers")
    assert sent.skipped() == {}
    found = [(row["model"], row["batch"], row["way"]) for row in rows]
    quick = [
        (model, batch, way) for batch in classifiers.TOY_BATCHES for model in MODELS for way in ("eager", "CUDA graph")
    ]
    assert found[: len(quick)] == quick
    assert {way for _, _, way in found[len(quick) :]} == {"compiled", "CUDA graph of compiled"}
    assert len(set(found)) == len(found) == 2 * len(quick)
    for row in rows:
        assert row["times_floor"] == pytest.approx(row["p50_ms"] / row["floor_ms"])
        assert row["articles_per_s"] == pytest.approx(1e3 * row["batch"] / row["p50_ms"])
        assert 0 <= row["difference"] < 0.01
        assert 0.5 < row["agreement"] <= 1
    assert all(row.keys() == rows[0].keys() for row in rows)


def frozen(call: Callable[[], object], trial: Trial) -> Callable[[], object]:
    """A graph that was captured with copies of its inputs."""
    call()
    answers = trial.probabilities.clone()
    return lambda: trial.probabilities.copy_(answers)


def test_a_graph_that_answers_for_other_articles_gets_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(call: Callable[[], object], device: str) -> Callable[[], object]:
        return frozen(call, call.func.__self__)  # type: ignore[attr-defined]

    monkeypatch.setattr(classifiers, "graphed", broken)
    monkeypatch.setattr(classifiers, "SUBJECTS", classifiers.SUBJECTS[:1])
    sent = Sent().by(classifiers.run)
    assert [row["way"] for row in sent.rows("classifiers")] == ["eager", "compiled"]
    reasons = sent.skipped()
    assert list(reasons) == ["DistilBERT, batch 2, CUDA graph", "DistilBERT, batch 2, CUDA graph of compiled"]
    assert all("off fp32" in reason for reason in reasons.values())


def test_a_way_that_cannot_be_captured_is_named_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(call: Callable[[], object], device: str) -> Callable[[], object]:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(classifiers, "graphed", refused)
    monkeypatch.setattr(classifiers, "SUBJECTS", classifiers.SUBJECTS[1:])
    monkeypatch.setattr(classifiers, "TOY_BATCHES", (1,))
    eye = torch.eye
    sent = Sent().by(classifiers.run)
    assert [row["way"] for row in sent.rows("classifiers")] == ["eager", "compiled"]
    assert set(sent.skipped().values()) == {"RuntimeError: operation not permitted when stream is capturing"}
    assert torch.eye is eye


def trial(model: object) -> Trial:
    return Trial(Sent().context, model, "distilbert", 3, 16)


def distilbert(**entries: float) -> torch.nn.Module:
    found: torch.nn.Module = make_model(Sent().context, "distilbert", torch.float32, num_labels=4, **entries)
    return found


def test_only_the_models_own_answers_are_taken() -> None:
    model = distilbert()
    asked = trial(model)
    with torch.inference_mode():
        score = asked.check(lambda: asked.answer(model))
        assert (score.agreement, score.difference) == (1, pytest.approx(0, abs=1e-6))
        with pytest.raises(WrongAnswersError, match="off fp32"):
            asked.check(lambda: asked.answer(distilbert(initializer_range=0.03)))
        with pytest.raises(WrongAnswersError, match="nan off fp32"):
            asked.check(lambda: None)

        def one_is_no_number() -> None:
            asked.answer(model)
            asked.probabilities[-1, -1] = math.nan

        with pytest.raises(WrongAnswersError, match="nan off fp32"):
            asked.check(one_is_no_number)
        with pytest.raises(WrongAnswersError, match="off fp32"):
            asked.check(frozen(lambda: asked.answer(model), asked))


@pytest.mark.parametrize(("model_type", "kept"), [("distilbert", slice(0, 6)), ("xlnet", slice(2, 8))])
def test_articles_are_padded_on_the_side_of_their_model(model_type: str, kept: slice) -> None:
    ids = torch.full((2, 8), 77)
    inputs = inputs_of(model_type, ids, padded=True)
    assert inputs["attention_mask"][0].tolist() == [1] * 8
    expected = torch.zeros(8, dtype=torch.long)
    expected[kept] = 1
    assert inputs["attention_mask"][1].tolist() == expected.tolist()
    assert (inputs["input_ids"][1] == 77).long().tolist() == expected.tolist()
    assert (ids == 77).all()
    assert ("token_type_ids" in inputs) == (model_type == "xlnet")
