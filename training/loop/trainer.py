"""The `transformers.Trainer` of this project: our losses, our order of articles, weight averages and full sharding."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import rotate_checkpoints

from training import storage
from training.errors import DivergedError
from training.models.choice import HEADS
from training.progress.losses import RecentLoss
from training.recipes.recipe import Recipe

from . import sharding
from .averaging import WeightAverage
from .dataset import PAIRS, REFERENCE_WORDS, WEIGHTS, Articles, sampler_of
from .whole_state import WholeOptimizer, takes_whole_weights

_KEPT_CHECKPOINTS: Final = 2
"""The newest and the best."""


@dataclass(frozen=True, kw_only=True)
class Learning:
    """What differs between the tasks."""

    loss: Callable[..., torch.Tensor]
    """Function of ``(outputs, labels, num_items_in_batch, *, weights)``."""
    metrics: Callable[[Any], dict[str, float]] | None
    """Function of a ``transformers.EvalPrediction``; without it the validation loss alone is measured."""
    score: str
    """The validation figure that the best checkpoint is chosen by."""
    higher_is_better: bool
    embedding_rate: float = 1.0
    head_rate: float = 1.0
    """Learning rate of the parameters whose names begin as `training.models.choice.HEADS` say, as a multiple."""


def training_arguments(
    recipe: Recipe, learning: Learning, folder: Path, *, staged: bool, skips_layers: bool = False
) -> TrainingArguments:
    """The recipe in the words of `transformers`.

    Args:
        recipe: How to train.
        learning: The task's loss and measure.
        folder: Where checkpoints go.
        staged: Whether the order of articles is a curriculum, which is one pass.
        skips_layers: Whether a step may leave out layers of the model, so that their parameters have no gradient. DDP
            looks for such in every step, which takes time, so it is told only where there can be some.
    """
    gpu = torch.cuda.is_available()
    cadence: dict[str, Any] = {"eval_strategy": "epoch", "save_strategy": "epoch"}
    if recipe.save_steps:
        cadence = {"eval_strategy": "steps", "save_strategy": "steps"}
        cadence |= {"eval_steps": recipe.save_steps, "save_steps": recipe.save_steps}
    # Shards leave every batch's gradients shared out; to wait for the last batch would keep them whole until then.
    each_batch = {"gradient_accumulation_kwargs": {"sync_each_batch": True}} if recipe.strategy == "fsdp" else None
    return OneDevice(
        output_dir=str(folder),
        num_train_epochs=1.0 if staged else recipe.num_train_epochs,
        max_steps=recipe.max_steps or -1,
        per_device_train_batch_size=recipe.per_device_train_batch_size,
        per_device_eval_batch_size=recipe.per_device_eval_batch_size,
        gradient_accumulation_steps=recipe.gradient_accumulation_steps,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.lr_scheduler_type,
        warmup_steps=recipe.warmup_steps or recipe.warmup_ratio,  # below 1 it is a share of all steps
        optim=recipe.optim,
        weight_decay=recipe.weight_decay,
        adam_beta2=recipe.adam_beta2,
        max_grad_norm=recipe.max_grad_norm,
        bf16=recipe.precision == "bf16",
        fp16=recipe.precision == "fp16",
        activation_checkpointing=recipe.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False} if recipe.gradient_checkpointing else None,
        seed=recipe.seed,
        logging_steps=recipe.logging_steps,
        logging_nan_inf_filter=False,  # a loss that is no number must be seen
        report_to=[],
        metric_for_best_model=f"eval_{learning.score}",
        greater_is_better=learning.higher_is_better,
        prediction_loss_only=learning.metrics is None,
        remove_unused_columns=False,
        use_cpu=not gpu,
        dataloader_pin_memory=gpu,
        disable_tqdm=True,
        accelerator_config=each_batch,
        ddp_find_unused_parameters=skips_layers,
        **cadence,
    )


class OneDevice(TrainingArguments):
    """Arguments of a process that trains on one GPU, however many it sees: more of them are more processes."""

    @property
    def n_gpu(self) -> int:
        """1 where there is a GPU; the trainer would share each batch out over all of them (``DataParallel``)."""
        return min(1, int(super().n_gpu))


class NewsTrainer(Trainer):
    """Trains a classifier or a summarizer, alone or as one of several workers; overrides public methods alone."""

    optimizer: Any

    def __init__(
        self,
        *,
        recipe: Recipe,
        learning: Learning,
        model: Any,
        arguments: TrainingArguments,
        collator: Any,
        train: Articles,
        validation: Articles,
        passes: Sequence[float],
        callbacks: Sequence[TrainerCallback],
    ) -> None:
        self.recipe, self.learning, self.passes = recipe, learning, passes
        self.sharded = recipe.strategy == "fsdp"
        self.whole_optimizer: WholeOptimizer | None = None
        if self.sharded:
            arguments.device  # noqa: B018 - joins the process group, which sharding needs
            sharding.shard(model)
            takes_whole_weights(model)
        super().__init__(
            model=model,
            args=arguments,
            data_collator=collator,
            train_dataset=train,
            eval_dataset=validation,
            compute_metrics=learning.metrics,
            compute_loss_func=learning.loss,
            callbacks=[*callbacks, *_board(recipe), _Average(self), _Rotation()],
        )
        self.average = WeightAverage(model, recipe.average) if recipe.average else None
        self.recent_loss = RecentLoss()
        self.remove_callback(PrinterCallback)  # the log has its own words
        # "Sharded at load time" means to the trainer: the model owns its shards, leave it as it is. It is said after
        # the beginning, which would refuse to save what the trainer cannot gather by itself.
        self.is_distributed_loading_by_transformers: bool = self.sharded

    def get_train_dataloader(self) -> Any:
        """The training articles in the order of the recipe, shared out over the workers."""
        loader = DataLoader(
            self.train_dataset,
            batch_size=self.args.train_batch_size,
            sampler=sampler_of(self.train_dataset, self.recipe, self.passes),
            collate_fn=self.data_collator,
            pin_memory=self.args.dataloader_pin_memory,
        )
        return self.accelerator.prepare(loader)

    def create_optimizer(self, model: Any = None) -> Any:
        """AdamW and its like over groups: embeddings and heads (no decay, their own rates), matrices, and the rest."""
        if self.optimizer is None:
            recipe = self.recipe
            embedding = self.model.get_input_embeddings().weight
            heads = [p for name, p in self.model.named_parameters() if name.startswith(HEADS) and p.requires_grad]
            own = {id(p) for p in (embedding, *heads)}
            rest = [p for p in self.model.parameters() if p.requires_grad and id(p) not in own]
            groups = [
                {"params": [p for p in rest if p.ndim > 1], "weight_decay": recipe.weight_decay},
                {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0},
            ]
            if embedding.requires_grad:
                rate = recipe.learning_rate * self.learning.embedding_rate
                groups.append({"params": [embedding], "weight_decay": 0.0, "lr": rate})
            rate = recipe.learning_rate * self.learning.head_rate
            groups.append({"params": heads, "weight_decay": 0.0, "lr": rate})
            kind, settings = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            self.optimizer = kind([group for group in groups if group["params"]], **settings)
            self.whole_optimizer = WholeOptimizer(self.optimizer) if self.sharded else None
        return self.optimizer

    def train(self, resume_from_checkpoint: str | None = None, **more: Any) -> Any:
        """Train, going on from a checkpoint folder where one is given; the average goes on too.

        Where that is the checkpoint of the last step, nothing is trained, and the state is its state.
        """
        if resume_from_checkpoint is not None and _takes_end(self, Path(resume_from_checkpoint)):
            return None
        if resume_from_checkpoint is not None and self.average is not None:
            self.average.load(Path(resume_from_checkpoint))
        return super().train(resume_from_checkpoint=resume_from_checkpoint, **more)

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """The loss of a batch, in which articles count by their weights where the batch has such."""
        more = {name: inputs.pop(name) for name in (WEIGHTS, PAIRS, REFERENCE_WORDS) if name in inputs}
        self.compute_loss_func = partial(self.learning.loss, **more)
        return super().compute_loss(model, inputs, *args, **kwargs)

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Train on a batch, and keep its loss."""
        loss: torch.Tensor = super().training_step(*args, **kwargs)
        self.recent_loss.add(loss)
        return loss

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Measure the averaged weights, where there are such."""
        if self.average is None:
            return dict(super().evaluate(*args, **kwargs))
        with self.average.applied():
            return dict(super().evaluate(*args, **kwargs))

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, but end the run on a loss that is not finite: it must not hide in a plot.

        Raises:
            DivergedError: The loss is not finite.
        """
        loss = logs.get("loss", logs.get("eval_loss"))  # both are known before the checkpoint of their step is written
        if loss is not None and not math.isfinite(loss):
            raise DivergedError(
                f"the loss is {loss} at step {self.state.global_step}: lower learning_rate or max_grad_norm, "
                "raise warmup_steps, or use precision=fp32"
            )
        super().log(logs, start_time)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write the weights, whole, and their average beside them; every worker calls it, before the rest is saved."""
        folder = Path(output_dir or self.args.output_dir)
        if self.sharded:
            state = sharding.state_dict(self.model)
            if self.args.should_save:
                self.model.save_pretrained(folder, state_dict=state)
            if self.whole_optimizer is not None:
                self.whole_optimizer.gather(keep=self.args.should_save)
        else:
            super().save_model(output_dir, _internal_call)
        if self.average is not None:
            self.average.save(folder, write=self.args.should_save)


def _takes_end(trainer: NewsTrainer, checkpoint: Path) -> bool:
    """Whether a checkpoint is the last step's, whose state is then the trainer's: `transformers` would add a step."""
    state = TrainerState.load_from_json(str(checkpoint / storage.WHOLE))
    *_, steps = trainer.set_initial_training_values(trainer.args, trainer.get_train_dataloader())
    if state.global_step < steps:
        return False
    if state.best_model_checkpoint and not Path(state.best_model_checkpoint).is_dir():
        state.best_model_checkpoint = None
    trainer.state = state
    for event in (trainer.callback_handler.on_train_begin, trainer.callback_handler.on_train_end):
        event(trainer.args, state, TrainerControl())
    return True


def _board(recipe: Recipe) -> list[TrainerCallback]:
    """Writes TensorBoard's event files, where the recipe names a folder for them."""
    if not recipe.logging_dir:
        return []
    from transformers.integrations import TensorBoardCallback

    board = TensorBoardCallback()
    board.logging_dir = recipe.logging_dir
    return [board]


class _Rotation(TrainerCallback):
    """Keeps the newest checkpoints, by number: small models save more often than file systems tell times apart."""

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if args.should_save:
            rotate_checkpoints(args.output_dir, _KEPT_CHECKPOINTS, state.best_model_checkpoint, use_mtime=False)
            for kept in Path(args.output_dir).glob("checkpoint-*/optimizer.pt"):
                if kept.parent.name != f"checkpoint-{state.global_step}":
                    kept.unlink()  # a run goes on from the newest one only; this is two thirds of a checkpoint


class _Average(TrainerCallback):
    def __init__(self, trainer: NewsTrainer) -> None:
        self.trainer = trainer

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.trainer.average is not None:
            self.trainer.average.update(state.global_step)
