"""The training loop of the summarizer: batches by tokens, one optimizer over all stages, a state to go on from."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from .summarizer_config import SummarizerConfig

logger = logging.getLogger(__name__)

Encoded = tuple[list[int], list[int]]
"""Token ids of an article and of its target."""


def make_batches(
    encoded: Sequence[Encoded], *, epochs: float, batch_tokens: int, rng: random.Random
) -> list[list[int]]:
    """Indices of batches of articles of about equal length, in random order, over ``epochs`` passes."""
    batches: list[list[int]] = []
    remaining = epochs
    while remaining > 0:
        order = sorted(range(len(encoded)), key=lambda i: len(encoded[i][0]) + rng.uniform(0, 24))
        epoch: list[list[int]] = []
        batch: list[int] = []
        longest = 0
        for index in order:
            longest = max(longest, len(encoded[index][0]))
            if batch and longest * (len(batch) + 1) > batch_tokens:
                epoch.append(batch)
                batch, longest = [], len(encoded[index][0])
            batch.append(index)
        epoch.append(batch)
        rng.shuffle(epoch)
        batches.extend(epoch[: max(1, round(len(epoch) * min(1.0, remaining)))])
        remaining -= 1
    return batches


def collate(items: Sequence[Encoded], pad: int) -> dict[str, torch.Tensor]:
    """Pad a batch: ``input_ids``, ``attention_mask`` (batch, source), ``labels`` (batch, target; -100 is padding)."""
    source = max(len(ids) for ids, _ in items)
    target = max(len(ids) for _, ids in items)
    return {
        "input_ids": torch.tensor([ids + [pad] * (source - len(ids)) for ids, _ in items]),
        "attention_mask": torch.tensor([[1] * len(ids) + [0] * (source - len(ids)) for ids, _ in items]),
        "labels": torch.tensor([ids + [-100] * (target - len(ids)) for _, ids in items]),
    }


class Run:
    """The model, its optimizer and where the run stands; saved in ``out`` as it goes."""

    def __init__(self, model: Any, tokenizer: Any, steps: int, config: SummarizerConfig, out: Path) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = model.to(self.device)
        self.tokenizer, self.config, self.out = tokenizer, config, out
        decayed = [p for p in model.parameters() if p.ndim > 1]
        plain = [p for p in model.parameters() if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}],
            lr=config.learning_rate,
            betas=(0.9, 0.98),
        )
        warmup = max(1, round(steps * config.warmup_share))
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer,
            lambda step: min((step + 1) / warmup, max(0.02, (steps - step) / max(1, steps - warmup))),
        )
        self.step, self.steps = 0, steps

    @property
    def _state(self) -> Path:
        return self.out / "run_state.pt"

    def save(self) -> None:
        """Write the state beside the old one, then rename."""
        self.out.mkdir(parents=True, exist_ok=True)
        partial = self._state.with_suffix(".partial")
        torch.save(
            {
                "step": self.step,
                "steps": self.steps,
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "schedule": self.schedule.state_dict(),
            },
            partial,
        )
        partial.replace(self._state)

    def resume(self) -> None:
        """Go on from a saved state of the same length, when there is one."""
        if not self._state.exists():
            return
        state = torch.load(self._state, weights_only=True, map_location=self.device)
        if state["steps"] != self.steps:
            logger.warning("%s is of a run with other settings; starting anew", self._state)
            return
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.step = state["step"]
        logger.info("resuming at step %d of %d", self.step, self.steps)

    def finish(self) -> None:
        """Drop the state of a run that is complete."""
        self._state.unlink(missing_ok=True)

    def train_step(self, batch: dict[str, torch.Tensor]) -> float:
        """One optimizer step; returns the loss."""
        self.model.train()
        batch = {name: tensor.to(self.device) for name, tensor in batch.items()}
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda"):
            loss = self.model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.max_gradient_norm)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return float(loss.detach())


def train(run: Run, plan: Sequence[tuple[str, list[Encoded], list[list[int]]]]) -> None:
    """Go through the stages (name, encoded pairs, batches of indices) from where the run stands."""
    pad = run.tokenizer.pad_token_id
    started, first, losses = time.monotonic(), run.step, []
    position = 0
    for name, encoded, batches in plan:
        for batch in batches:
            position += 1
            if position <= run.step:
                continue
            losses.append(run.train_step(collate([encoded[i] for i in batch], pad)))
            if run.step % run.config.log_every_steps == 0:
                elapsed_s = time.monotonic() - started
                left_s = elapsed_s / (run.step - first) * (run.steps - run.step)
                recent = losses[-run.config.log_every_steps :]
                logger.info(
                    "%s: step %d of %d, loss %.3f, %.0f s gone, about %.0f s left",
                    name, run.step, run.steps, sum(recent) / len(recent), elapsed_s, left_s,
                )  # fmt: skip
            if run.step % run.config.save_every_steps == 0:
                run.save()
