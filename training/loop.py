"""The training loop of the classifiers: batches of like length, bf16 autocast, one-cycle AdamW, averaged weights."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from .batches import Ids, collate, crop, drop_tokens, join_same_class, length_sorted, special_tokens
from .classifier_config import ClassifierConfig
from .evaluation import evaluate

logger = logging.getLogger(__name__)


class Trainer:
    """The training loop around one model."""

    def __init__(self, model: Any, tokenizer: Any, config: ClassifierConfig, classes: int) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = model.to(self.device)
        self.tokenizer = tokenizer
        self.config = config
        self.classes = classes
        self.types = model.config.model_type == "xlnet"
        self.average = [p.detach().clone() for p in model.parameters()]
        self.rng = np.random.default_rng(config.seed)

    def forward(self, items: Sequence[Ids]) -> torch.Tensor:
        """Logits (B, classes) in fp32."""
        batch: dict[str, Any] = collate(self.tokenizer, items, types=self.types)
        batch = {name: tensor.to(self.device) for name, tensor in batch.items()}
        if self.types:
            batch["use_mems"] = False
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            logits: torch.Tensor = self.model(**batch).logits
        return logits.float()

    def predict(self, items: Sequence[Ids], tokens: int) -> NDArray[np.float32]:
        """Probabilities (articles, classes) of the articles' first ``tokens`` tokens, special ones included."""
        room = tokens - special_tokens(self.tokenizer)
        short = [item[:room] for item in items]
        result = np.zeros((len(items), self.classes), dtype=np.float32)
        self.model.eval()
        with torch.inference_mode():
            for rows in length_sorted([len(item) for item in short], batch=64):
                result[rows] = self.forward([short[i] for i in rows]).softmax(-1).cpu().numpy()
        return result

    def fit(
        self,
        items: list[Ids],
        classes: NDArray[np.int64],
        targets: NDArray[np.float32],
        validation_items: list[Ids],
        validation_classes: NDArray[np.int64],
        work: Path,
    ) -> list[dict[str, float]]:
        """Train; leaves the weights of the best epoch in the model and returns the validation figures of each."""
        config = self.config
        steps = math.ceil(len(items) / config.batch) * config.epochs
        optimizer, schedule = self._optimizer(steps)
        history: list[dict[str, float]] = []
        best, best_score, step, began = None, -1.0, 0, time.monotonic()
        names = list(self.model.config.id2label.values())
        for epoch in range(1, config.epochs + 1):
            long = epoch > config.epochs - config.long_epochs
            inputs = self._augment(items, classes, config.max_tokens if long else config.train_tokens)
            self.model.train()
            losses: list[float] = []
            for rows in length_sorted([len(item) for item in inputs], batch=config.batch, rng=self.rng):
                logits = self.forward([inputs[i] for i in rows])
                loss = functional.cross_entropy(logits, torch.from_numpy(targets[rows]).to(self.device))
                loss.backward()
                torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad(set_to_none=True)
                step += 1
                self._update_average(step)
                losses.append(loss.item())
                if step % 100 == 0:
                    elapsed = time.monotonic() - began
                    logger.info(
                        "epoch %d step %d/%d loss %.4f, %.0f s, %.0f s left",
                        epoch, step, steps, np.mean(losses[-100:]), elapsed, elapsed / step * (steps - step),
                    )  # fmt: skip
            current = self._swap()
            figures = evaluate(self.predict(validation_items, config.max_tokens), validation_classes, names)
            history.append({"epoch": epoch, "loss": float(np.mean(losses))} | {
                name: figures[name] for name in ("accuracy", "macro_f1", "log_loss")
            })  # fmt: skip
            logger.info(
                "epoch %d: validation accuracy %.4f, macro-F1 %.4f, log loss %.4f",
                epoch,
                figures["accuracy"],
                figures["macro_f1"],
                figures["log_loss"],
            )
            if figures["macro_f1"] > best_score:
                best_score = figures["macro_f1"]
                best = [p.detach().clone() for p in self.model.parameters()]
                self.save(work)
            self._restore(current)
        if best is not None:
            self._restore(best)
        return history

    def shift_decision(self, offset: float) -> None:
        """Add ``offset`` to the logit of the second class, in the bias of the model's last layer."""
        head = self.model.logits_proj if self.types else self.model.classifier
        with torch.no_grad():
            head.bias[1] += offset

    def save(self, folder: Path) -> None:
        """Write the model and its tokenizer as a checkpoint folder."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def _augment(self, items: list[Ids], classes: NDArray[np.int64], tokens: int) -> list[Ids]:
        room = tokens - special_tokens(self.tokenizer)
        longer = join_same_class(items, classes.tolist(), self.config.join, self.rng)
        return [drop_tokens(crop(item, room, self.rng), self.config.token_dropout, self.rng) for item in longer]

    def _optimizer(self, steps: int) -> tuple[torch.optim.Optimizer, Any]:
        config = self.config
        embedding = self.model.get_input_embeddings().weight
        rest = [p for p in self.model.parameters() if p is not embedding]
        groups = [
            {"params": [embedding], "weight_decay": 0.0, "lr": config.learning_rate * config.embedding_rate},
            {"params": [p for p in rest if p.ndim > 1], "weight_decay": config.weight_decay},
            {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), fused=True)
        rates = [float(group["lr"]) for group in optimizer.param_groups]
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=rates, total_steps=steps + 1, pct_start=config.warmup, cycle_momentum=False
        )
        return optimizer, schedule

    def _update_average(self, step: int) -> None:
        decay = min(self.config.average, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, [p.detach() for p in self.model.parameters()], 1 - decay)

    def _swap(self) -> list[torch.Tensor]:
        """Put the averaged weights in; returns the current ones."""
        current = [p.detach().clone() for p in self.model.parameters()]
        if self.config.average:
            self._restore(self.average)
        return current

    def _restore(self, weights: Sequence[torch.Tensor]) -> None:
        with torch.no_grad():
            for parameter, weight in zip(self.model.parameters(), weights, strict=True):
                parameter.copy_(weight)
