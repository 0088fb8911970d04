"""The summarizer's run from data to checkpoint, on a model of a few thousand weights."""

import dataclasses
import functools
import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from transformers import AutoTokenizer, BartForConditionalGeneration, TrainerCallback

from infolens.contract import Task
from training.errors import BaseModelError, SettingError, StoppedError, TrainingError
from training.loop import cluster, worker
from training.recipes.kinds import FINE_TUNING, STARTERS, SummarizerRecipe, default_recipe
from training.runs.fitting import Data, fit
from training.tasks import summarizer

SMALL = SummarizerRecipe(
    workers=0, cpus_per_worker=1, num_train_epochs=0.0, gap_epochs=1.0, oracle_epochs=1.0, gap_tokens=96,
    max_tokens=128, max_target_tokens=48, width=128, per_device_train_batch_size=1, vocabulary=400, encoder_layers=1,
    feed_forward=64, save_steps=2, num_beams=1, learning_rate=5e-4,
)  # fmt: skip


def article(number: int) -> str:
    return (
        f"The council of town {number} voted on the harbour budget for the coming year on Monday. "
        f"Boats of the {number} fishermen stayed in the harbour while the long debate went on. "
        f"A storm is expected to reach the coast of county {number} before the end of the week."
    )


def articles(rows: int = 8) -> Data:
    table = pd.DataFrame(
        {
            "article": [article(i) for i in range(rows)],
            "summary": [f"Town {i} voted on its harbour budget." for i in range(rows)],
        }
    )
    return Data(splits={"train": table, "validation": table[:2], "test": table[:2]}, more=((article(50), "Harbour"),))


def _fine_tuning(base: str, **changes: int) -> SummarizerRecipe:
    settings = {
        "max_tokens": 128,
        "max_target_tokens": 48,
        "num_beams": 1,
        "workers": 0,
        "cpus_per_worker": 1,
    } | changes
    recipe = dataclasses.replace(FINE_TUNING[Task.SUMMARY], base=base, **settings)
    assert isinstance(recipe, SummarizerRecipe)
    return recipe


def test_a_starter_is_trained_measured_and_saved(tmp_path: Path) -> None:
    out = tmp_path / "checkpoint"
    metrics = fit(Task.SUMMARY, SMALL, out, data=articles())
    assert json.loads(json.dumps(metrics)) == json.loads((out / "metrics.json").read_text())
    assert set(metrics["test"]) == {"rouge1", "rouge2", "rougeLsum", "words", "coverage", "copied_bigrams"}
    assert {"lead_1", "lead_2", "lead_3", "oracle"} <= set(metrics)
    assert metrics["by_length"][0]["words"] == "0 to 149"
    assert metrics["steps"] == 9 + 8  # gap sentences of nine articles, oracles of eight
    model = BartForConditionalGeneration.from_pretrained(out)
    assert model.config.d_model == 128
    assert model.config.use_cache  # which the trainer switches off for itself
    assert model.generation_config.max_length == 48
    assert len(AutoTokenizer.from_pretrained(out)) == model.config.vocab_size
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint"]
    assert {path.name for path in (out / "plots").iterdir()} == {
        "overview.png", "loss.png", "rouge_by_length.png",
    }  # fmt: skip

    tuned = fit(Task.SUMMARY, _fine_tuning(str(out)), tmp_path / "tuned", data=articles(2))
    assert tuned["steps"] == 1


class _StopAt(TrainerCallback):  # type: ignore[misc]
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_begin(self, args: object, state: object, control: object, **kwargs: object) -> None:
        if state.global_step == self.step:  # type: ignore[attr-defined]
            raise KeyboardInterrupt


def test_a_run_that_was_cut_off_ends_with_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = dataclasses.replace(SMALL, average=0.9)  # with dropout: random numbers go on too
    fit(Task.SUMMARY, recipe, tmp_path / "whole", data=articles())
    with monkeypatch.context() as patch:
        patch.setattr(cluster, "train", functools.partial(worker.train, callbacks=(_StopAt(5),)))
        with pytest.raises(StoppedError):
            fit(Task.SUMMARY, recipe, tmp_path / "cut", data=articles())
    assert not (tmp_path / "cut").exists()
    steps = next((tmp_path / "cut.partial" / "steps").iterdir())
    # A checkpoint that was being written when the run was cut off does not count.
    (steps / "checkpoint-5").mkdir()
    metrics = fit(Task.SUMMARY, recipe, tmp_path / "cut", data=articles())
    assert metrics["resumed_step"] == 4
    whole, cut = (
        BartForConditionalGeneration.from_pretrained(tmp_path / name).state_dict() for name in ("whole", "cut")
    )
    assert all(torch.equal(whole[name], cut[name]) for name in whole)


def test_bad_bases_and_folders_are_explained(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="is there already"):
        fit(Task.SUMMARY, SMALL, tmp_path, data=articles())
    with pytest.raises(BaseModelError, match="no such checkpoint folder; check the path, or try facebook/bart"):
        fit(Task.SUMMARY, _fine_tuning(str(tmp_path / "nothing")), tmp_path / "out", data=articles())
    fit(Task.SUMMARY, SMALL, tmp_path / "small", data=articles(2))
    with pytest.raises(SettingError, match="max_tokens is at most 128"):
        fit(Task.SUMMARY, _fine_tuning(str(tmp_path / "small"), max_tokens=256), tmp_path / "out", data=articles())


def test_defaults_follow_the_base() -> None:
    for task in Task:
        assert default_recipe(task, "starter") == STARTERS[task]
        tuning = default_recipe(task, "some/base")
        assert tuning == dataclasses.replace(FINE_TUNING[task], base="some/base")
        assert tuning.learning_rate < STARTERS[task].learning_rate


def test_the_starter_has_no_stage_without_pairs(tmp_path: Path) -> None:
    frames = articles().splits
    assert summarizer.prepare(frames, SMALL, tmp_path / "two").passes == (1.0, 1.0)  # gap sentences, oracle
    invented = {name: frame.assign(summary="Nobody said any such thing.") for name, frame in frames.items()}
    assert summarizer.prepare(invented, SMALL, tmp_path / "one").passes == (1.0,)
