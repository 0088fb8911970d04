"""The `transformers.Trainer` of this project: our losses, our order of articles, weight averages and full sharding."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from . import sharding
from .averaging import WeightAverage
from .dataset import Articles, sampler_of
from .recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Learning:
    """What differs between the tasks."""

    loss: Callable[..., torch.Tensor]
    """Of ``(outputs, labels, num_items_in_batch)``."""
    metrics: Callable[[Any], dict[str, float]] | None
    """Of ``transformers.EvalPrediction``; without it the validation loss alone is measured."""
    score: str
    """The validation figure that the best checkpoint is chosen by."""
    higher_is_better: bool
    embedding_rate: float = 1.0


def soft_cross_entropy(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
    """The mean cross entropy of logits (B, classes) against target distributions (B, classes), over all workers."""
    count = labels.numel() if num_items_in_batch is None else num_items_in_batch
    total = functional.cross_entropy(outputs.logits.float(), labels, reduction="sum")
    return total * labels.shape[-1] / count


def token_cross_entropy(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
    """The mean cross entropy of logits (B, T, V) against token ids (B, T), over the tokens of all workers."""
    count = (labels != -100).sum() if num_items_in_batch is None else num_items_in_batch
    logits = outputs.logits.float()
    return functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100, reduction="sum") / count


def training_arguments(recipe: Recipe, learning: Learning, folder: Path, *, staged: bool) -> TrainingArguments:
    """The recipe in the words of `transformers`."""
    gpu = torch.cuda.is_available()
    cadence: dict[str, Any] = {"eval_strategy": "epoch", "save_strategy": "epoch"}
    if recipe.save_steps:
        cadence = {"eval_strategy": "steps", "save_strategy": "steps"}
        cadence |= {"eval_steps": recipe.save_steps, "save_steps": recipe.save_steps}
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=1.0 if staged else recipe.num_train_epochs,
        max_steps=recipe.max_steps or -1,
        per_device_train_batch_size=recipe.per_device_train_batch_size,
        per_device_eval_batch_size=recipe.per_device_eval_batch_size,
        gradient_accumulation_steps=recipe.gradient_accumulation_steps,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.lr_scheduler_type,
        warmup_steps=recipe.warmup_steps,
        warmup_ratio=recipe.warmup_ratio,
        optim=recipe.optim,
        weight_decay=recipe.weight_decay,
        adam_beta2=recipe.adam_beta2,
        max_grad_norm=recipe.max_grad_norm,
        bf16=recipe.precision == "bf16",
        fp16=recipe.precision == "fp16",
        gradient_checkpointing=recipe.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False} if recipe.gradient_checkpointing else None,
        seed=recipe.seed,
        logging_steps=recipe.logging_steps,
        logging_nan_inf_filter=False,  # a loss that is no number must be seen
        logging_dir=recipe.logging_dir or None,
        report_to=["tensorboard"] if recipe.logging_dir else [],
        save_total_limit=2,
        metric_for_best_model=f"eval_{learning.score}",
        greater_is_better=learning.higher_is_better,
        prediction_loss_only=learning.metrics is None,
        remove_unused_columns=False,
        use_cpu=not gpu,
        dataloader_pin_memory=gpu,
        disable_tqdm=True,
        **cadence,
    )


class NewsTrainer(Trainer):
    """Trains a classifier or a summarizer, alone or as one of several workers."""

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
        if self.sharded:
            arguments.device  # noqa: B018 - joins the process group, which sharding needs
            sharding.shard(model)
        self.average = WeightAverage(model, recipe.average) if recipe.average else None
        super().__init__(
            model=model,
            args=arguments,
            data_collator=collator,
            train_dataset=train,
            eval_dataset=validation,
            compute_metrics=learning.metrics,
            compute_loss_func=learning.loss,
            callbacks=[*callbacks, _Average(self)],
        )
        self.remove_callback(PrinterCallback)  # the log has its own words
        # "Tensor parallel" means to the trainer: the model is distributed already, leave it as it is.
        self.is_tp_enabled: bool = self.is_tp_enabled or self.sharded

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return sampler_of(train_dataset or self.train_dataset, self.recipe, self.passes)

    def create_optimizer(self) -> Any:
        """AdamW and its like over three groups: embeddings (no decay, their own rate), matrices, and the rest."""
        if self.optimizer is None:
            recipe = self.recipe
            embedding = self.model.get_input_embeddings().weight
            rest = [p for p in self.model.parameters() if p.requires_grad and p is not embedding]
            groups = [
                {"params": [p for p in rest if p.ndim > 1], "weight_decay": recipe.weight_decay},
                {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0},
            ]
            if embedding.requires_grad:
                rate = recipe.learning_rate * self.learning.embedding_rate
                groups.append({"params": [embedding], "weight_decay": 0.0, "lr": rate})
            kind, settings = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            self.optimizer = kind([group for group in groups if group["params"]], **settings)
        return self.optimizer

    def _wrap_model(self, model: Any, training: bool = True, dataloader: Any = None) -> Any:
        return model if self.sharded else super()._wrap_model(model, training, dataloader)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Measure the averaged weights, where there are such."""
        if self.average is None:
            return dict(super().evaluate(*args, **kwargs))
        with self.average.applied():
            return dict(super().evaluate(*args, **kwargs))

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, but end the run on a loss that is not finite: it must not hide in a plot."""
        loss = logs.get("loss")
        if loss is not None and not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss} at step {self.state.global_step}: lower learning_rate or max_grad_norm, "
                "raise warmup_steps, or use precision=fp32"
            )
        super().log(logs, start_time)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write the weights, whole, and their average beside them."""
        folder = Path(output_dir or self.args.output_dir)
        if self.sharded:
            state = sharding.state_dict(self.model)
            if self.args.should_save:
                self._save(str(folder), state_dict=state)
        else:
            super().save_model(output_dir, _internal_call)
        if self.average is not None:
            self.average.save(folder, write=self.args.should_save)

    def _rotate_checkpoints(self, use_mtime: bool = False, output_dir: str | None = None) -> None:
        # By number: small models save more often than file systems tell times apart.
        super()._rotate_checkpoints(use_mtime=False, output_dir=output_dir)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if not self.sharded:
            super()._save_optimizer_and_scheduler(output_dir)
            return
        folder = Path(output_dir)
        sharding.save_optimizer(self.model, self.optimizer, folder / "optimizer.pt", write=self.args.should_save)
        if self.args.should_save:
            torch.save(self.lr_scheduler.state_dict(), folder / "scheduler.pt")

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        folder = Path(resume_from_checkpoint)
        if self.sharded:
            sharding.load_weights(self.model, _saved_weights(folder, self.model))
        else:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
        if self.average is not None:
            self.average.load(folder)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if not self.sharded or checkpoint is None:
            super()._load_optimizer_and_scheduler(checkpoint)
            return
        folder = Path(checkpoint)
        sharding.load_optimizer(self.model, self.optimizer, folder / "optimizer.pt")
        self.lr_scheduler.load_state_dict(torch.load(folder / "scheduler.pt", weights_only=True))


class _Average(TrainerCallback):
    def __init__(self, trainer: NewsTrainer) -> None:
        self.trainer = trainer

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.trainer.average is not None:
            self.trainer.average.update(state.global_step)


def _saved_weights(folder: Path, model: Any) -> dict[str, torch.Tensor]:
    """Name -> value of a checkpoint of `Trainer.save_model`, by the names that ``model`` uses."""
    from safetensors.torch import load_file

    adapter = folder / "adapter_model.safetensors"
    if adapter.exists():
        names = {name.replace(".default", ""): name for name in model.state_dict()}
        names |= {name.replace(".modules_to_save", ""): full for name, full in names.items()}
        return {names[name]: value for name, value in load_file(adapter).items()}
    return dict(load_file(folder / "model.safetensors"))
