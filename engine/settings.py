"""What a search is told: the tokens of a checkpoint, the sizes of the buffers, and the wishes of one summary."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

ACTIVATIONS: Final = ("gelu", "relu")
"""The names that a checkpoint's ``activation_function`` may have."""
EARLY_STOPPING: Final[Mapping[bool | str, int]] = {False: 0, True: 1, "never": 2}
"""When a search ends, as in ``transformers``, and its number in a slot. True: at as many finished beams as run. False:
when no running beam is likely to become better than a finished one. ``"never"``: when none can become better."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The entries of a BART's ``config.json`` that its computation depends on."""

    width: int
    encoder_layers: int
    decoder_layers: int
    encoder_heads: int
    decoder_heads: int
    vocabulary: int
    positions: int
    """The longest text, in tokens, of the encoder and of the decoder."""
    activation: str
    scale_embedding: bool
    window: int = 0
    """Tokens that the encoder reads at a time; 0 for a whole article."""

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise ValueError(f"the activation of a layer is one of {known}, not {self.activation!r}")

    @classmethod
    def of(cls, config: Mapping[str, Any], *, window: int = 0) -> Architecture:
        """Read a configuration.

        Args:
            config: As ``json.load`` gives it, or ``PretrainedConfig.to_dict``.
            window: Tokens that the encoder reads at a time; 0 for a whole article.

        Raises:
            KeyError: An entry is missing.
            ValueError: The activation is not known.
        """
        return cls(
            width=config["d_model"],
            encoder_layers=config["encoder_layers"],
            decoder_layers=config["decoder_layers"],
            encoder_heads=config["encoder_attention_heads"],
            decoder_heads=config["decoder_attention_heads"],
            vocabulary=config["vocab_size"],
            positions=config["max_position_embeddings"],
            activation=config["activation_function"],
            scale_embedding=bool(config.get("scale_embedding", False)),
            window=window,
        )


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a checkpoint's generation configuration fixes for all of its summaries."""

    start_token: int
    end_tokens: tuple[int, ...]
    """A summary ends at the first of any of these."""
    pad_token: int
    first_token: int | None = None
    """The token that every summary must have after ``start_token``; None for any."""
    last_token: int | None = None
    """The token that every summary of the greatest length must end with; None for any."""
    repetition_penalty: float = 1.0
    """The score of a token that is there already is divided by it, or multiplied where it is below 0."""
    never: tuple[int, ...] = ()
    """Tokens that no summary has."""
    never_first: tuple[int, ...] = ()
    """Tokens that no summary begins with, after ``start_token`` and ``first_token``."""
    longest_ngram: int = 3
    """The greatest ``no_repeat_ngram_size`` that a summary may ask for; each one more costs a comparison a step."""

    def __post_init__(self) -> None:
        if not self.end_tokens:
            raise ValueError("end_tokens has at least one token: a summary must be able to end")
        if not 0 < self.repetition_penalty < math.inf:
            raise ValueError(f"repetition_penalty is a number greater than 0, not {self.repetition_penalty}")
        if self.longest_ngram < 0:
            raise ValueError(f"longest_ngram is 0 or more, not {self.longest_ngram}")

    @property
    def before(self) -> int:
        """How many tokens stand before the text of every summary."""
        return 1 if self.first_token is None else 2

    @property
    def unquotable(self) -> tuple[int, ...]:
        """Tokens that no quoted sentence has."""
        return tuple(dict.fromkeys((*self.end_tokens, self.pad_token, *self.never)))

    @property
    def candidates_per_beam(self) -> int:
        """Candidates of a step for each beam: it may end in as many ways as there are end tokens, and one runs on."""
        return 1 + len(self.end_tokens)


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """The sizes of the buffers, which stay as they are."""

    slots: int
    """Articles at a time."""
    beams: int
    source_length: int
    """Tokens of an article, padding included."""
    target_length: int
    """Tokens of the longest summary, start and end included."""

    def __post_init__(self) -> None:
        for name in ("slots", "beams", "source_length"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is 1 or more, not {getattr(self, name)}")
        if self.target_length < 2:
            raise ValueError(f"target_length is 2 or more (a start and an end), not {self.target_length}")

    @property
    def rows(self) -> int:
        """Beams of all articles."""
        return self.slots * self.beams

    @property
    def nodes(self) -> int:
        """Places for keys and values of a slot: one for each beam and step, rounded up to a multiple of 8.

        PyTorch's memory-efficient attention takes a mask as it is only if its rows are so aligned.
        """
        return -(-self.beams * self.target_length // 8) * 8

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes by the names that dimensions have in the graphs, see `tensors`."""
        return {
            "slots": self.slots,
            "beams": self.beams,
            "source": self.source_length,
            "target": self.target_length,
            "nodes": self.nodes,
            "draws": self.target_length + 2,
        }


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The wishes of one summary. Lengths count tokens, the start and end tokens included."""

    min_length: int = 0
    max_length: int
    num_beams: int = 1
    length_penalty: float = 1.0
    """A finished beam's log probability is divided by its length to this power."""
    no_repeat_ngram_size: int = 0
    """No sequence of so many tokens occurs twice; 0 allows all."""
    early_stopping: bool | str = True
    """A key of `EARLY_STOPPING`."""

    def check(self, bucket: Bucket, rules: Rules) -> None:
        """Compare with what the buffers hold.

        Raises:
            ValueError: A setting is out of its range; the message has the range.
        """
        if not 2 <= self.max_length <= bucket.target_length:
            raise ValueError(f"max_length is 2 to {bucket.target_length} in this bucket, not {self.max_length}")
        if not 1 <= self.num_beams <= bucket.beams:
            raise ValueError(f"num_beams is 1 to {bucket.beams} in this bucket, not {self.num_beams}")
        if not 0 <= self.no_repeat_ngram_size <= rules.longest_ngram:
            raise ValueError(
                f"no_repeat_ngram_size is 0 to {rules.longest_ngram} with these rules, not {self.no_repeat_ngram_size}"
            )
        if not math.isfinite(self.length_penalty):
            raise ValueError(f"length_penalty is a finite number, not {self.length_penalty}")
        if self.early_stopping not in EARLY_STOPPING:
            known = ", ".join(map(repr, EARLY_STOPPING))
            raise ValueError(f"early_stopping is one of {known}, not {self.early_stopping!r}")
