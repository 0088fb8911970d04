"""Where our trainer hangs on that of transformers: its public methods exist and are called, by one worker or two."""

from __future__ import annotations

import gc
import os
import pickle
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import multiprocessing
from transformers import BartConfig, Trainer, TrainerCallback, TrainingArguments

from infolens.contract import Task
from tests.training.toys import small, toy_splits
from training.loop import worker
from training.loop.jobs import Job, Outcome
from training.loop.prepared import Prepared
from training.loop.trainer import NewsTrainer, training_arguments
from training.models.adapters import skips_parts
from training.models.architectures import load_prepared
from training.recipes.recipe import Recipe
from training.runs.fitting import Data, prepare

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's own, about processes and files of checkpoints

STEPS = 8
ALONE = small(
    num_train_epochs=2.0, max_steps=STEPS, teacher=0.0, save_steps=2, logging_steps=1, warmup_ratio=0.5, dropout=0.0,
    train_tokens=24, max_tokens=24,
)  # fmt: skip


def _job(recipe: Recipe, prepared: Prepared, steps: Path) -> Job:
    return Job.of(Task.VERACITY, recipe, str(prepared.folder), threads=1, steps=str(steps))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    data = Data(splits=toy_splits(Task.VERACITY, train=24))  # three steps a pass: runs go on within the second
    return prepare(Task.VERACITY, ALONE, data, tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="module")
def alone(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """The checkpoints of one process without augmentation, and what it said of itself."""
    steps = tmp_path_factory.mktemp("alone")
    return steps, worker.train(_job(ALONE, prepared, steps))


def _losses(outcome: Outcome, name: str = "loss") -> dict[int, float]:
    return {entry["step"]: entry[name] for entry in outcome.history if name in entry}


class _CutOff(TrainerCallback):  # type: ignore[misc]
    """Ends a run as a power cut would, before a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_begin(self, args: object, state: Any, control: object, **kwargs: object) -> None:
        if state.global_step == self.step:
            raise KeyboardInterrupt


def test_only_public_methods_of_the_trainer_are_overridden() -> None:
    own = [name for name, value in vars(NewsTrainer).items() if callable(value) and not name.startswith("__")]
    assert "get_train_dataloader" in own
    for name in own:
        assert not name.startswith("_"), f"{name} is private: transformers may rename it at any time"
        assert callable(getattr(Trainer, name)), f"Trainer has no {name} any more: nothing calls ours"


def test_the_trainer_still_knows_models_that_own_their_shards(tmp_path: Path) -> None:
    """`NewsTrainer` sets this attribute, which is of use only as long as the trainer has it."""
    arguments = TrainingArguments(output_dir=str(tmp_path), report_to=[], use_cpu=True)
    plain = Trainer(model=torch.nn.Linear(1, 1), args=arguments, train_dataset=[])
    assert plain.is_distributed_loading_by_transformers is False


def test_the_rate_rises_for_its_share_of_the_steps(alone: tuple[Path, Outcome]) -> None:
    rates = list(_losses(alone[1], "learning_rate").values())
    top = max(rates)
    assert rates.index(top) == STEPS * ALONE.warmup_ratio  # the log says the rate after the step
    assert top == pytest.approx(ALONE.learning_rate)


def test_the_newest_and_the_best_checkpoint_are_kept(alone: tuple[Path, Outcome]) -> None:
    steps, outcome = alone
    names = {path.name for path in steps.iterdir()}
    assert f"checkpoint-{STEPS}" in names
    assert outcome.checkpoint.name in names
    assert len(names) == 2


def test_checkpoints_are_counted_by_number_not_by_the_time_of_their_files(prepared: Prepared, tmp_path: Path) -> None:
    for number in (2, 4):  # of a run that was cut off, and written to later: a copy, a repair
        folder = tmp_path / f"checkpoint-{number}"
        folder.mkdir()
        os.utime(folder, (4e9, 4e9))
    recipe = small(**{**vars(ALONE), "max_steps": 6, "save_steps": 3})
    worker.train(_job(recipe, prepared, tmp_path))
    assert {path.name for path in tmp_path.iterdir()} >= {"checkpoint-6"}
    assert not (tmp_path / "checkpoint-2").exists()


def test_ddp_looks_for_unused_parameters_only_where_layers_are_left_out(prepared: Prepared, tmp_path: Path) -> None:
    """To look for them takes time in every step, and without it a step that leaves some out fails."""
    model, _ = load_prepared(Task.VERACITY, prepared.model)
    whole = BartConfig(decoder_layerdrop=0.0)
    dropping = BartConfig(decoder_layerdrop=0.1)
    found = []
    for config in (model.config, whole, dropping):
        skips = skips_parts(config, ALONE)
        learning = worker.learning_of(Task.VERACITY, ALONE)
        arguments = training_arguments(ALONE, learning, tmp_path, staged=False, skips_layers=skips)
        found.append(arguments.ddp_find_unused_parameters)
    assert found == [False, False, True]


def test_the_loss_of_the_steps_since_it_was_last_taken_is_that_of_the_log(prepared: Prepared, tmp_path: Path) -> None:
    taken: dict[int, float | None] = {}
    trainers: list[NewsTrainer] = []
    build = worker._build

    class Take(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step % 2 == 0:
                taken[state.global_step] = trainers[0].recent_loss.take(state.global_step)

    def noted(*args: Any) -> NewsTrainer:
        trainers.append(build(*args))
        return trainers[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "_build", noted)
        recipe = replace(ALONE, gradient_accumulation_steps=2)
        outcome = worker.train(_job(recipe, prepared, tmp_path), callbacks=(Take(),))
    losses = _losses(outcome)
    means = {step: (losses[step - 1] + losses[step]) / 2 for step in range(2, STEPS + 1, 2)}
    assert taken == pytest.approx(means, abs=1e-3)


def test_every_pass_has_its_own_order_and_augmentation(prepared: Prepared, tmp_path: Path) -> None:
    class Watched(TrainerCallback):  # type: ignore[misc]
        def on_epoch_end(self, args: object, state: object, control: object, **kwargs: Any) -> None:
            epochs.append(kwargs["train_dataloader"].dataset.epoch)

    epochs: list[int] = []
    worker.train(_job(small(**{**vars(ALONE), "max_steps": 0}), prepared, tmp_path), callbacks=(Watched(),))
    assert epochs == [0, 1]


@pytest.mark.parametrize(("steps", "every", "logged"), [(4, 25, 1), (45, 25, 2), (45, 1, 1)])
def test_a_short_run_has_a_curve_and_each_checkpoint_a_point(
    prepared: Prepared, tmp_path: Path, steps: int, every: int, logged: int
) -> None:
    recipe = small(
        **{**vars(ALONE), "max_steps": steps, "save_steps": 15, "logging_steps": every, "num_train_epochs": 1.0}
    )
    outcome = worker.train(_job(recipe, prepared, tmp_path))
    saved = range(15, steps + 1, 15)
    assert sorted(_losses(outcome)) == sorted({*range(logged, steps + 1, logged), *saved, steps})


def test_event_files_for_tensorboard_lie_where_the_recipe_says(prepared: Prepared, tmp_path: Path) -> None:
    recipe = small(**{**vars(ALONE), "max_steps": 1, "logging_dir": str(tmp_path / "board")})
    worker.train(_job(recipe, prepared, tmp_path / "steps"))
    assert list((tmp_path / "board").glob("events.out.*"))


@dataclass(frozen=True, kw_only=True)
class _Run:
    """What two processes train together."""

    job: Job
    cut: int = 0
    """The step before which they are cut off; 0 for none."""


def _as_worker(rank: int, place: str, runs: list[_Run]) -> None:
    """One of two processes: trains each run and writes what came of it; of one cut off, a copy of what it left."""
    gc.freeze()
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", LOCAL_WORLD_SIZE="2")
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="0")  # the processes meet in a file
    torch.distributed.init_process_group("gloo", init_method=f"file://{place}/meeting", rank=rank, world_size=2)
    for number, run in enumerate(runs):
        try:
            outcome = worker.train(run.job, rank=rank, callbacks=(_CutOff(run.cut),) if run.cut else ())
        except KeyboardInterrupt:
            outcome = None
        torch.distributed.barrier()
        if rank == 0 and outcome:
            Path(place, f"{number}.pickle").write_bytes(pickle.dumps(outcome))
        elif rank == 0:
            shutil.copytree(run.job.steps, f"{run.job.steps}-left")
        torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def _two_workers(place: Path, runs: list[_Run]) -> list[Outcome | None]:
    """Train one run after the other on two processes."""
    multiprocessing.set_forkserver_preload(["training.loop.worker"])  # the libraries are loaded once for both
    multiprocessing.start_processes(_as_worker, args=(str(place), runs), nprocs=2, start_method="forkserver")
    files = [place / f"{number}.pickle" for number in range(len(runs))]
    return [pickle.loads(file.read_bytes()) if file.exists() else None for file in files]


def _whole_and_cut(recipe: Recipe, prepared: Prepared, place: Path, name: str) -> list[_Run]:
    """A run, the same run cut off after its second checkpoint, and what goes on from there."""
    whole, again = (_job(recipe, prepared, place / folder) for folder in (name, f"{name}-cut"))
    return [_Run(job=whole), _Run(job=again, cut=5), _Run(job=again)]


def _checkpoint(steps: Path) -> dict[str, torch.Tensor]:
    folder = steps / f"checkpoint-{STEPS}"
    return {
        f"{file.name} {name}": value for file in folder.glob("*.safetensors") for name, value in load_file(file).items()
    }


@pytest.mark.long
def test_two_workers_with_shards_go_on_exactly_where_they_were_cut_off(
    prepared: Prepared, alone: tuple[Path, Outcome], tmp_path: Path
) -> None:
    """Fails when the trainer wraps shards, saves or loads a shard for the whole, or leaves a state out."""
    two = {**vars(ALONE), "strategy": "fsdp", "workers": 2, "per_device_train_batch_size": 4}
    # With dropout of its own, so that the random numbers must go on too.
    lora = small(**{**two, "lora": True, "gradient_accumulation_steps": 2, "dropout": 0.1})
    runs = [
        *_whole_and_cut(small(**two), prepared, tmp_path, "plain"),
        *_whole_and_cut(lora, prepared, tmp_path, "lora"),
    ]
    _, cut, resumed, _, _, lora_resumed = _two_workers(tmp_path, runs)
    assert cut is None
    assert resumed is not None
    assert lora_resumed is not None
    assert resumed.resumed_step == lora_resumed.resumed_step == 4
    for name in ("plain", "lora"):
        whole, gone_on = (_checkpoint(tmp_path / run) for run in (name, f"{name}-cut"))
        assert whole.keys() == gone_on.keys()
        assert any("average" in key for key in whole)
        assert all(torch.equal(whole[key], gone_on[key]) for key in whole), name
    assert any("lora_A" in key for key in _checkpoint(tmp_path / "lora"))

    # The checkpoints are whole ones: one process goes on from them, and learns what it would have learned alone.
    crossed = worker.train(_job(ALONE, prepared, tmp_path / "plain-cut-left"))
    assert crossed.resumed_step == 4
    for figure in ("loss", "eval_loss"):
        assert _losses(crossed, figure) == pytest.approx(_losses(alone[1], figure), rel=1e-4), figure
