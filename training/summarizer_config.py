"""The settings of the summarizer, and what they are by default for fine-tuning and for the preset ``starter``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .architectures import STARTER


@dataclass(frozen=True, kw_only=True)
class SummarizerConfig:
    """How a summarizer is trained; every field can be given as ``--set name=value``."""

    seed: int = 0
    threads: int = 0
    """CPU threads; 0 takes what torch chooses."""
    gap_epochs: float = 0.5
    """Passes over the gap sentences of all articles (starter only)."""
    oracle_epochs: float = 3.0
    """Passes over the oracle sentences of the articles with summaries (starter only)."""
    pairs_epochs: float = 0.0
    """Passes over the summaries that people wrote; a starter sees only those that stay close to the article."""
    gap_tokens: int = 256
    """Article tokens read while learning from gap sentences: short articles make cheap steps."""
    max_source_tokens: int = 512
    max_target_tokens: int = 96
    batch_tokens: int = 8192
    """Article tokens in a batch, padding included."""
    learning_rate: float = 5e-4
    warmup_share: float = 0.05
    weight_decay: float = 0.01
    max_gradient_norm: float = 1.0
    vocabulary: int = 8192
    width: int = 256
    encoder_layers: int = 3
    decoder_layers: int = 2
    heads: int = 8
    feed_forward: int = 768
    dropout: float = 0.1
    min_coverage: float = 0.9
    """A starter learns from a person's summary only when this share of its words stands in the article..."""
    min_bigrams: float = 0.5
    """...and this share of its bigrams."""
    evaluate_rows: int = 400
    """Test articles that are summarized for ``metrics.json``; 0 takes all."""
    num_beams: int = 4
    log_every_steps: int = 25
    save_every_steps: int = 200

    def __post_init__(self) -> None:
        for name in ("gap_epochs", "oracle_epochs", "pairs_epochs"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is at least 0, not {getattr(self, name)}")
        if self.max_source_tokens < 16 or self.batch_tokens < self.max_source_tokens:
            raise ValueError(
                "batch_tokens holds at least one article of max_source_tokens (16 or more), not "
                f"{self.batch_tokens} for {self.max_source_tokens}"
            )
        if not 0 < self.learning_rate < 1:
            raise ValueError(f"learning_rate lies between 0 and 1, not {self.learning_rate}")


STARTER_CONFIG: Final = SummarizerConfig()
"""The defaults for the preset ``starter``."""

FINE_TUNING: Final = SummarizerConfig(
    gap_epochs=0.0, oracle_epochs=0.0, pairs_epochs=1.0, max_source_tokens=1024, max_target_tokens=128,
    batch_tokens=16_384, learning_rate=3e-5,
)  # fmt: skip
"""The defaults for a pre-trained base."""


def default_config(base: str) -> SummarizerConfig:
    """The configuration that a base begins with."""
    return STARTER_CONFIG if base == STARTER else FINE_TUNING
