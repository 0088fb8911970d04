"""Steps of training as `training` takes them, and costs that its ``plan`` can be given."""

from __future__ import annotations

import math
import shlex
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.common.shapes import shape_of
from benchmarks.gpu.parts import training as part
from benchmarks.gpu.roofline import cross_store, decoder, layers, training_ms
from tests.benchmarks.gpu.conftest import DryRun
from tests.benchmarks.gpu.sent import RATES, Sent
from training.cli import build_parser
from training.recipes.recipe import Recipe
from training.runs.cost_model import fit_compute


def test_every_model_is_measured_in_every_way_that_it_can(dry_run: DryRun) -> None:
    rows, costs = dry_run.rows("training"), dry_run.rows("training_costs")
    assert set(dry_run.skipped("training")) == {
        "XLNet, bf16, checkpointing, adamw_torch",
        "XLNet, fp32, checkpointing, adamw_torch",
    }
    assert all("no gradient checkpointing for xlnet" in reason for reason in dry_run.skipped("training").values())
    ways = 3 * len(part.WAYS) - 2
    assert (len(rows), len(costs)) == (ways * len(part.TOY_BATCHES), ways)
    assert [row["model"] for row in costs[:3]] == ["BART", "DistilBERT", "XLNet"]
    assert all(row["precision"] == "bf16" and not row["checkpointing"] for row in costs[:3])
    for row in rows:
        assert row["times_floor"] == pytest.approx(row["step_ms"] / row["floor_ms"])
        assert math.isfinite(row["loss"])
    assert all(row.keys() == rows[0].keys() for row in rows)
    assert all(row.keys() == costs[0].keys() for row in costs)


def test_the_options_that_are_given_are_those_of_training_plan(dry_run: DryRun) -> None:
    for costs in dry_run.rows("training_costs"):
        options = shlex.split(costs["plan_options"])
        told = build_parser().parse_args(["plan", "--report", "r.json", "--articles", "9", *options])
        keys = ("model", "precision", "checkpointing", "optimizer")
        same = [row for row in dry_run.rows("training") if all(row[key] == costs[key] for key in keys)]
        largest = same[-1]
        assert told.batch == largest["batch"] == max(part.TOY_BATCHES)
        assert told.article_ms * told.batch == pytest.approx(largest["step_ms"], rel=1e-3)
    bart = 1e6 * float(shlex.split(dry_run.rows("training_costs")[0]["plan_options"])[-1])
    assert bart == pytest.approx(sum(one.numel() for one in bench(part.SUBJECTS[0]).parameters), rel=1e-3)


def bench(subject: part.Subject, **way: Any) -> part._Bench:
    return part._Bench(Sent().context, subject, part.Way(**way))


def test_the_optimizer_is_the_one_of_a_recipe() -> None:
    recipe, made = Recipe(), bench(part.SUBJECTS[1])
    assert part.Way().optim == recipe.optim
    group = made.optimizer.param_groups[0]
    assert type(made.optimizer) is torch.optim.AdamW
    found = (group["lr"], group["betas"][1], group["weight_decay"], group["fused"], part._MAX_NORM)
    assert found == (recipe.learning_rate, recipe.adam_beta2, recipe.weight_decay, None, recipe.max_grad_norm)
    assert bench(part.SUBJECTS[1], optim="adamw_torch_fused").optimizer.param_groups[0]["fused"] is True


def test_a_step_changes_the_weights_and_leaves_no_gradients() -> None:
    made = bench(part.SUBJECTS[1])
    before = [one.detach().clone() for one in made.parameters]
    made.step(made.inputs(2))
    assert made.model.training
    assert all(not torch.equal(one, old) for one, old in zip(made.parameters, before, strict=True))
    assert all(one.grad is None for one in made.parameters)


def test_checkpointing_computes_the_layers_twice() -> None:
    def forward_passes(made: part._Bench) -> int:
        calls: list[object] = []
        layer = made.model.distilbert.transformer.layer[0].ffn.lin1
        layer.register_forward_hook(lambda *_: calls.append(1))
        made.step(made.inputs(2))
        return len(calls)

    assert forward_passes(bench(part.SUBJECTS[1])) == 1
    assert forward_passes(bench(part.SUBJECTS[1], checkpointing=True)) == 2


def test_a_loss_that_is_no_number_gives_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    make = part.make_model

    def poisoned(*arguments: Any, **entries: Any) -> Any:
        model = make(*arguments, **entries)
        with torch.no_grad():
            model.classifier.weight[0, 0] = math.nan
        return model

    monkeypatch.setattr(part, "make_model", poisoned)
    monkeypatch.setattr(part, "SUBJECTS", part.SUBJECTS[1:2])
    monkeypatch.setattr(part, "WAYS", part.WAYS[:1])
    sent = Sent().by(part.run)
    assert sent.rows("training") == sent.rows("training_costs") == []
    assert sent.skipped()["DistilBERT, bf16, adamw_torch"] == "0 of 2 batches were measured"
    assert "loss is nan" in sent.skipped()["DistilBERT, bf16, adamw_torch, batch 1"]


def test_a_batch_that_does_not_fit_costs_only_its_row_and_the_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    step = part._Bench.step

    def small(self: part._Bench, inputs: dict[str, torch.Tensor]) -> None:
        if len(inputs["input_ids"]) == 2:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB\nand more")
        step(self, inputs)

    monkeypatch.setattr(part._Bench, "step", small)
    monkeypatch.setattr(part, "SUBJECTS", part.SUBJECTS[1:2])
    monkeypatch.setattr(part, "WAYS", part.WAYS[:1])
    sent = Sent().by(part.run)
    assert [row["batch"] for row in sent.rows("training")] == [1]
    assert sent.rows("training_costs") == []
    reason = sent.skipped()["DistilBERT, bf16, adamw_torch, batch 2"]
    assert reason == "OutOfMemoryError: CUDA out of memory. Tried to allocate 20 GiB"


@pytest.mark.parametrize(
    "steps_ms",
    [{2: 31.0, 8: 60.0, 16: 101.0}, {2: 10.0, 8: 80.0, 16: 200.0}, {1: 9.0, 2: 8.0, 3: 7.0}, {4: 12.0}],
)
def test_costs_are_fitted_as_the_cost_model_of_training_does(steps_ms: dict[int, float]) -> None:
    found = part.fit(steps_ms)
    assert (found.fixed_ms, found.sample_ms) == pytest.approx(fit_compute(list(steps_ms), list(steps_ms.values())))


def test_each_step_is_predicted_from_the_other_ones() -> None:
    assert part.largest_error({2: 14.0, 8: 26.0, 16: 42.0}) == pytest.approx(0)
    # From 10 and 30 ms at 1 and 3 the middle is 20; from the middle and one end, the other end is far off.
    off = {1: 10.0, 2: 25.0, 3: 30.0}
    predicted = np.array([2 * 25 - 30, 20, 10.0 * 2])
    assert part.fit({2: 25.0, 3: 30.0}).step_ms(1) == pytest.approx(predicted[0])
    assert part.largest_error(off) == pytest.approx(max(abs(20 / 10 - 1), abs(20 / 25 - 1), abs(33.75 / 30 - 1)))


def test_the_floor_of_a_step_of_training() -> None:
    shape = shape_of("bart")
    sizes = shape.sizes["full"]
    common = {"parameters": 406_000_000}

    def floor_ms(tokens_out: int, *, checkpointing: bool) -> float:
        found = training_ms(shape, sizes, 8, 512, tokens_out, "bf16", RATES, checkpointing=checkpointing, **common)
        assert found is not None
        return found

    optimizer_ms = 1e3 * 28 * 406_000_000 / RATES.copy_bytes_per_s
    encoder = layers(shape, sizes, 8, 512, "bf16").operations
    rate = RATES.operations_per_s["bf16"]
    assert floor_ms(0, checkpointing=False) == pytest.approx(optimizer_ms + 3e3 * encoder / rate)
    assert floor_ms(0, checkpointing=True) == pytest.approx(optimizer_ms + 4e3 * encoder / rate)
    inside = encoder + sum(
        work.operations
        for work in (cross_store(shape, sizes, 8, 512, "bf16"), decoder(shape, sizes, 8, 512, 64, "bf16"))
    )
    more_ms = floor_ms(64, checkpointing=True) - floor_ms(64, checkpointing=False)
    assert more_ms == pytest.approx(1e3 * inside / rate)
    assert training_ms(shape, sizes, 8, 512, 64, "bf16", None, checkpointing=True, **common) is None
