"""What runs in every process that trains: a job in, checkpoints and an outcome out."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import torch
from transformers import TrainerCallback, set_seed
from transformers.trainer_utils import get_last_checkpoint

from infolens.contract import CONTRACTS, AnswerKind, Task
from training import quiet, storage
from training.errors import DivergedError
from training.metrics.classification import validation_figures
from training.metrics.losses import soft_cross_entropy, summary_loss
from training.models.adapters import learning_part, skips_parts
from training.models.architectures import architecture_of, load_prepared
from training.progress.bars import Relay, display
from training.progress.steps import StepProgress
from training.recipes.kinds import ClassifierRecipe, SummarizerRecipe
from training.recipes.recipe import Recipe
from training.tracking.live import LiveMetrics

from .dataset import Articles, AugmentedArticles, ClassifierCollator, SummaryCollator
from .jobs import Job, Outcome, WorkerFigures
from .prepared import Prepared, read_prepared, read_table
from .sharding import parameter_bytes
from .trainer import Learning, NewsTrainer, training_arguments

logger = logging.getLogger(__name__)

_LOGGED: Final = 20
"""Values of the loss in a run, about and at least, however short it is."""


def learning_of(task: Task, recipe: Recipe, sources: Sequence[str] | None = None) -> Learning:
    """Loss and measure of a task; ``sources`` are those of the validation articles, where each counts the same."""
    return _LEARNING[CONTRACTS[task].answers](recipe, sources)


def _learning_of_texts(recipe: Recipe, _: Sequence[str] | None) -> Learning:
    ours = cast("SummarizerRecipe", recipe)
    loss = partial(summary_loss, pair_weight=ours.choice_pair_weight, length_weight=ours.choice_length_weight)
    return Learning(loss=loss, metrics=None, score="loss", higher_is_better=False, head_rate=ours.choice_head_rate)


def _learning_of_labels(recipe: Recipe, sources: Sequence[str] | None) -> Learning:
    def metrics(prediction: Any) -> dict[str, float]:
        logits = prediction.predictions[0] if isinstance(prediction.predictions, tuple) else prediction.predictions
        predicted, labels = (np.asarray(array).argmax(-1) for array in (logits, prediction.label_ids))
        return validation_figures(predicted, labels, sources)

    return Learning(
        loss=soft_cross_entropy,
        metrics=metrics,
        score="macro_f1",
        higher_is_better=True,
        embedding_rate=cast("ClassifierRecipe", recipe).embedding_rate,
    )


_LEARNING: Final = {AnswerKind.TEXT: _learning_of_texts, AnswerKind.LABELS: _learning_of_labels}


def train(job: Job, *, rank: int = 0, callbacks: tuple[TrainerCallback, ...] = ()) -> Outcome:
    """Train as worker ``rank`` of the process group that this process is in, if it is in one.

    Args:
        job: What to train.
        rank: Of this worker; the first one reports.
        callbacks: More callbacks of the trainer.

    Raises:
        DivergedError: The loss is not finite.
        FileNotFoundError: ``job.prepared`` holds no prepared run.
    """
    task, recipe = job.task, job.recipe
    if job.threads:
        torch.set_num_threads(job.threads)
    set_seed(recipe.seed)
    with storage.local_copy(job.prepared) as folder, contextlib.ExitStack() as closing:
        prepared = read_prepared(folder)
        if prepared is None:
            raise FileNotFoundError(f"{job.prepared}: holds no prepared run")
        watch = _Watch()
        live = [LiveMetrics(job.tracking, job.run_id)] if job.tracking and job.run_id and rank == 0 else []
        trainer = _build(task, recipe, prepared, Path(job.steps), (watch, *live, *callbacks))
        last = job.resume or _last_checkpoint(Path(job.steps))
        if last:
            state = json.loads((Path(last) / storage.WHOLE).read_text(encoding="utf-8"))
            logger.info("going on from step %d", state["global_step"])
        if rank == 0:
            shown = StepProgress(
                recipe.articles_per_step, Relay() if job.relay else display(), trainer.recent_loss.take
            )
            trainer.add_callback(shown)
            closing.callback(shown.close)
        began = time.monotonic()
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    mine = WorkerFigures(
        peak_memory_bytes=peak_memory_bytes(),
        step_ms=watch.median_ms,
        train_s=time.monotonic() - began,
        threads=torch.get_num_threads(),
    )
    return Outcome(
        checkpoint=Path(trainer.state.best_model_checkpoint or _last_checkpoint(Path(job.steps)) or job.steps),
        history=trainer.state.log_history,
        workers=_gather(mine),
        steps=trainer.state.global_step,
        resumed_step=watch.first_step,
        parameter_bytes=parameter_bytes(trainer.model.parameters()),
    )


def train_in_ray(config: Mapping[str, Any]) -> Outcome | DivergedError | None:
    """What Ray Train calls in each worker: `train`, with every checkpoint reported to Ray, and resumed from it.

    Args:
        config: ``{"job": Job, "sent_s": float}``, as Ray Train takes no other kind of argument; ``sent_s`` is the time
            at which the run was handed to Ray, in seconds since 1970.

    Returns:
        The outcome, of the first worker alone. Where the loss is not finite, which every worker sees at the same step,
        the error: if it were raised, Ray would try the same again.
    """
    import ray.train

    context = ray.train.get_context()
    rank = context.get_world_rank()
    quiet.set_up_worker(rank)
    logger.info("Ray started the worker in %.1f s", max(0.0, time.time() - config["sent_s"]))
    before = ray.train.get_checkpoint()
    # Here, in the folder that Ray has made for the run: what a worker that is killed leaves goes with it.
    with tempfile.TemporaryDirectory(prefix="steps-", dir=Path.cwd()) as steps, contextlib.ExitStack() as stack:
        resume = stack.enter_context(before.as_directory()) if before else ""
        job = replace(config["job"], steps=steps, resume=str(resume))
        try:
            outcome: Outcome | DivergedError = train(job, rank=rank, callbacks=(_Report(rank),))
        except DivergedError as error:
            outcome = error
    return outcome if rank == 0 else None


def _build(
    task: Task, recipe: Recipe, prepared: Prepared, steps: Path, callbacks: tuple[TrainerCallback, ...]
) -> NewsTrainer:
    model, tokenizer = load_prepared(task, prepared.model, gradient_checkpointing=recipe.gradient_checkpointing)
    model = learning_part(model, recipe)
    train_table, validation_table = (read_table(prepared.folder / name) for name in ("train", "validation"))
    validation = Articles(validation_table)
    learning = learning_of(task, recipe, validation.sources)
    articles, collator = _BATCHES[CONTRACTS[task].answers](recipe, model, tokenizer, train_table)
    return NewsTrainer(
        recipe=recipe,
        learning=learning,
        model=model,
        arguments=training_arguments(
            recipe, learning, steps, staged=bool(prepared.passes), skips_layers=skips_parts(model.config, recipe)
        ),
        collator=collator,
        train=articles,
        validation=validation,
        passes=prepared.passes,
        callbacks=(_MeasureTheEnd(), _LogOften(), *callbacks),
    )


def _batches_of_texts(_: Recipe, model: Any, tokenizer: Any, table: Any) -> tuple[Articles, Any]:
    start = model.config.decoder_start_token_id
    return Articles(table), SummaryCollator(pad=tokenizer.pad_token_id, start=start)


def _batches_of_labels(recipe: Recipe, model: Any, tokenizer: Any, table: Any) -> tuple[Articles, Any]:
    ours = cast("ClassifierRecipe", recipe)
    room = ours.longest - tokenizer.num_special_tokens_to_add(pair=False)
    types = architecture_of(model.config.model_type).token_types
    return AugmentedArticles(table, ours, room=room), ClassifierCollator(tokenizer, types=types)


_BATCHES: Final = {AnswerKind.TEXT: _batches_of_texts, AnswerKind.LABELS: _batches_of_labels}
"""What a worker learns from, and what makes batches of it."""


def _last_checkpoint(steps: Path) -> str | None:
    """The newest checkpoint that is whole: the trainer writes its state last."""
    last: str | None = get_last_checkpoint(str(steps)) if steps.is_dir() else None
    if last and not (Path(last) / storage.WHOLE).exists():
        import shutil

        logger.warning("%s was cut off; going on from the one before", last)
        shutil.rmtree(last)
        return _last_checkpoint(steps)
    return last


def peak_memory_bytes() -> int:
    """The most memory that this process has had: on the GPU where there is one, else resident."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def _gather(mine: WorkerFigures) -> tuple[WorkerFigures, ...]:
    if not torch.distributed.is_initialized():
        return (mine,)
    every = [mine] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(every, mine)
    return tuple(every)


class _Watch(TrainerCallback):
    """Times optimizer steps; the first one, which allocates, is left out."""

    def __init__(self) -> None:
        self.began = 0.0
        self.first_step = 0
        self.steps_ms: list[float] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.first_step = state.global_step

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.began = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.steps_ms.append((time.perf_counter() - self.began) * 1e3)

    @property
    def median_ms(self) -> float:
        return statistics.median(self.steps_ms[1:] or self.steps_ms or [0.0])


class _MeasureTheEnd(TrainerCallback):
    """The last step is measured and saved too, wherever it falls."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step >= state.max_steps and args.save_strategy == "steps":  # an epoch's end does it by itself
            control.should_evaluate = control.should_save = control.should_log = True


class _LogOften(TrainerCallback):
    """Gives a short run a curve too; a checkpoint's step is logged, so that a run that goes on logs the same means."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        state.logging_steps = min(args.logging_steps, max(1, state.max_steps // _LOGGED))

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_log |= control.should_save

    on_epoch_end = on_step_end


class Upload(TrainerCallback):
    """Copies each checkpoint to a place, and removes there what is kept here no more."""

    def __init__(self, place: str) -> None:
        self.place = place

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Copy the checkpoint that was just written."""
        storage.upload_checkpoint(Path(args.output_dir), f"checkpoint-{state.global_step}", self.place)


class _Report(TrainerCallback):
    """Hands each checkpoint to Ray; workers other than the first add only the state of their random numbers."""

    def __init__(self, rank: int) -> None:
        self.rank = rank

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        import ray.train

        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        figures = {n: v for log in state.log_history for n, v in log.items() if isinstance(v, int | float)}
        figures["pid"] = os.getpid()
        checkpoint = ray.train.Checkpoint.from_directory(str(folder))
        ray.train.report(figures, checkpoint=checkpoint, delete_local_checkpoint_after_upload=True)
        if self.rank == 0:
            # Until Ray has taken note of it, a checkpoint is lost when a worker dies.
            ray.train.get_all_reported_checkpoints(ray.train.CheckpointConsistencyMode.COMMITTED)
