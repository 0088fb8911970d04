"""The summarizer's run from data to checkpoint, on a model of a few thousand weights."""

import dataclasses
import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from transformers import AutoTokenizer, BartForConditionalGeneration

from training import summarizer
from training.errors import BaseModelError, SettingError, TrainingError
from training.summarizer import STARTER, Pair, fit
from training.summarizer_config import FINE_TUNING, STARTER_CONFIG, SummarizerConfig, default_config
from training.summarizer_loop import Run, collate, make_batches

SMALL = SummarizerConfig(
    threads=1, gap_epochs=1, oracle_epochs=1, gap_tokens=96, max_source_tokens=128, max_target_tokens=48, width=128,
    batch_tokens=128, vocabulary=400, encoder_layers=1, feed_forward=64, save_every_steps=2, num_beams=1,
)  # fmt: skip


def article(number: int) -> str:
    return (
        f"The council of town {number} voted on the harbour budget for the coming year on Monday. "
        f"Boats of the {number} fishermen stayed in the harbour while the long debate went on. "
        f"A storm is expected to reach the coast of county {number} before the end of the week."
    )


def frames(rows: int = 8) -> dict[str, pd.DataFrame]:
    table = pd.DataFrame(
        {
            "article": [article(i) for i in range(rows)],
            "summary": [f"Town {i} voted on its harbour budget." for i in range(rows)],
        }
    )
    return {"train": table, "validation": table[:2], "test": table[:2]}


def test_a_starter_is_trained_measured_and_saved(tmp_path: Path) -> None:
    out = tmp_path / "checkpoint"
    extra: list[Pair] = [(article(50), "Harbour budget")]
    metrics = fit(frames(), base=STARTER, out=out, config=SMALL, extra=extra)
    assert metrics == json.loads((out / "metrics.json").read_text())
    assert metrics["stages"]["gap sentences"]["pairs"] == 9
    assert set(metrics["test"]) == {"rouge1", "rouge2", "rougeLsum", "words", "coverage", "copied_bigrams"}
    assert {"lead_1", "lead_2", "lead_3", "oracle"} <= set(metrics)
    model = BartForConditionalGeneration.from_pretrained(out)
    assert model.config.d_model == 128
    assert len(AutoTokenizer.from_pretrained(out)) == model.config.vocab_size
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint"]
    assert not (out / "run_state.pt").exists()

    tuned = fit(frames(2), base=str(out), out=tmp_path / "tuned", config=_fine_tuning())
    assert tuned["stages"] == {"pairs": {"pairs": 2, "steps": 1}}


def _fine_tuning(**changes: int) -> SummarizerConfig:
    settings = {"max_source_tokens": 128, "batch_tokens": 512, "threads": 1, "max_target_tokens": 48} | changes
    return dataclasses.replace(FINE_TUNING, num_beams=1, **settings)


def test_a_run_that_was_cut_off_ends_with_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_dropout = dataclasses.replace(SMALL, dropout=0.0)
    fit(frames(), base=STARTER, out=tmp_path / "whole", config=without_dropout)

    real_step, steps = Run.train_step, 0

    def stop_after_five(self: Run, batch: dict[str, torch.Tensor]) -> float:
        nonlocal steps
        steps += 1
        if steps == 6:
            raise KeyboardInterrupt
        return real_step(self, batch)

    monkeypatch.setattr(Run, "train_step", stop_after_five)
    with pytest.raises(KeyboardInterrupt):
        fit(frames(), base=STARTER, out=tmp_path / "cut", config=without_dropout)
    assert not (tmp_path / "cut").exists()
    before = steps
    fit(frames(), base=STARTER, out=tmp_path / "cut", config=without_dropout)
    whole, cut = (
        BartForConditionalGeneration.from_pretrained(tmp_path / name).state_dict() for name in ("whole", "cut")
    )
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    total = sum(
        stage["steps"] for stage in json.loads((tmp_path / "cut" / "metrics.json").read_text())["stages"].values()
    )
    assert steps - before == total - 4  # saved after every second step, cut off within the sixth


def test_bad_bases_and_folders_are_explained(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="is there already"):
        fit(frames(), base=STARTER, out=tmp_path, config=SMALL)
    with pytest.raises(BaseModelError, match="must be a checkpoint folder"):
        fit(frames(), base=str(tmp_path / "nothing"), out=tmp_path / "out", config=_fine_tuning())
    fit(frames(2), base=STARTER, out=tmp_path / "small", config=SMALL)
    with pytest.raises(SettingError, match="max_source_tokens is at most 128"):
        fit(frames(), base=str(tmp_path / "small"), out=tmp_path / "out", config=_fine_tuning(max_source_tokens=256))


def test_defaults_follow_the_base() -> None:
    assert default_config("starter") is STARTER_CONFIG
    assert default_config("facebook/bart-large-cnn") is FINE_TUNING
    assert FINE_TUNING.pairs_epochs > 0
    assert FINE_TUNING.learning_rate < STARTER_CONFIG.learning_rate


def test_batches_hold_every_pair_once_an_epoch_and_no_more_tokens_than_asked() -> None:
    import random

    encoded = [([1] * length, [1]) for length in (5, 90, 30, 30, 64, 7, 100)]
    batches = make_batches(encoded, epochs=2, batch_tokens=128, rng=random.Random(0))
    assert sorted(index for batch in batches for index in batch) == sorted([*range(7), *range(7)])
    assert all(len(batch) * max(len(encoded[i][0]) for i in batch) <= 128 for batch in batches)


def test_collate_pads_and_masks() -> None:
    batch = collate([([5, 6, 7], [8]), ([5], [8, 9])], pad=1)
    assert batch["input_ids"].tolist() == [[5, 6, 7], [5, 1, 1]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"].tolist() == [[8, -100], [8, 9]]


def test_the_starter_has_no_stage_without_pairs() -> None:
    stages = summarizer._stages(frames(), [], SMALL, starter=True)
    assert [stage.name for stage in stages] == ["gap sentences", "oracle"]
