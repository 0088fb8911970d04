"""The settings of the classifiers, and what they are by default for fine-tuning and for the preset ``starter``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from infolens.contract import Task

from .architectures import STARTER


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    """How a classifier is trained; every field can be given as ``--set name=value``."""

    max_tokens: int = 512
    """What the classifier reads when it serves, special tokens included."""
    train_tokens: int = 256
    """Longest training input: longer texts are cropped at the beginning or a random place."""
    long_epochs: int = 0
    """How many last epochs train at ``max_tokens``."""
    epochs: int = 3
    batch: int = 32
    learning_rate: float = 3e-5
    embedding_rate: float = 1.0
    """Learning rate of the token embeddings, as a multiple."""
    weight_decay: float = 0.01
    warmup: float = 0.1
    """Part of the steps in which the learning rate rises."""
    dropout: float = 0.1
    token_dropout: float = 0.0
    """Part of the tokens that each training input loses."""
    join: float = 0.0
    """Part of the training inputs that are followed by others of their class."""
    smoothing: float = 0.05
    """Label smoothing."""
    teacher: float = 0.0
    """Weight of the baseline's out-of-fold probabilities in the targets."""
    balance: bool = False
    """Shift a two-class decision by what the validation split asks for (see `calibration`); the baseline's too."""
    average: float = 0.999
    """Decay of the moving average of the weights; 0 for none."""
    vocabulary: int = 16_000
    """Of a starter's tokenizer, as are the next three of its model."""
    layers: int = 3
    width: int = 192
    heads: int = 4
    threads: int = 0
    """CPU threads; 0 leaves the choice to torch."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.train_tokens < 8 or self.max_tokens < 8:
            raise ValueError(f"max_tokens and train_tokens are 8 or more, not {self.max_tokens}, {self.train_tokens}")
        for name in ("epochs", "batch", "vocabulary", "layers", "width", "heads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is 1 or more, not {getattr(self, name)}")
        for name in ("dropout", "token_dropout", "join", "smoothing", "teacher", "average", "warmup"):
            if not 0 <= getattr(self, name) < 1.0 + (name in {"join", "teacher"}) * 1e-9:
                raise ValueError(f"{name} is a fraction from 0 to below 1, not {getattr(self, name)}")


FINE_TUNING: Final = {
    Task.CATEGORY: ClassifierConfig(max_tokens=256, train_tokens=128),
    Task.VERACITY: ClassifierConfig(max_tokens=512, train_tokens=512, batch=16),
}
"""The defaults for a pre-trained base."""

STARTERS: Final = {
    Task.CATEGORY: ClassifierConfig(
        max_tokens=128,
        train_tokens=128,
        epochs=5,
        batch=128,
        learning_rate=1e-3,
        dropout=0.2,
        token_dropout=0.1,
        join=0.1,
        teacher=0.3,
    ),
    Task.VERACITY: ClassifierConfig(
        max_tokens=256,
        train_tokens=144,
        epochs=6,
        batch=32,
        learning_rate=1e-3,
        dropout=0.2,
        token_dropout=0.1,
        teacher=0.5,
        balance=True,
        layers=2,
        heads=2,
    ),
}
"""The defaults for the preset ``starter``."""


def default_config(task: Task, base: str) -> ClassifierConfig:
    """The configuration that a task and a base begin with."""
    return (STARTERS if base == STARTER else FINE_TUNING)[task]
