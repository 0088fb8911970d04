"""The recipes by kind of answer, and where each task begins: fine-tuning a base, or the preset ``starter``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from infolens.contract import CONTRACTS, AnswerKind, Task
from training.data.labels import label_rule

from .recipe import STARTER, Recipe, require_fractions, require_minimum


@dataclass(frozen=True, kw_only=True)
class ClassifierRecipe(Recipe):
    """How a model is trained whose answers are labels."""

    labels: tuple[str, ...] = ()
    """The labels in the order of their ids, or THEIRS=NAME where the data writes others, such as 0=real; several of
    theirs may be one NAME, and a name with a comma or = stands in double quotes; empty takes all that the data has."""
    convert_to: str = ""
    """Architecture that the base becomes, where its weights allow it: distilbert for a BERT, which then has fewer
    parameters and computes the same; empty keeps the base's own."""
    window: int = 0
    """Tokens of a window: longer articles are judged by windows spread over them, max_tokens in all; 0 for none."""
    train_tokens: int = 256
    """Longest training input: longer texts are cropped at the beginning or a random place; at most a window."""
    smoothing: float = 0.05
    """Label smoothing: the share of a target that all classes get alike."""
    token_dropout: float = 0.0
    """Share of the tokens that each training input loses."""
    join: float = 0.0
    """Share of the training inputs that are followed by others of their class, so that inputs grow longer."""
    teacher: float = 0.0
    """Weight of a teacher's probabilities in the targets."""
    teacher_model: str = ""
    """Checkpoint folder of the teacher; empty: the TF-IDF baseline, out of fold."""
    balance: bool = False
    """Move the decision between two classes to where the validation split's macro-F1 is highest; the baseline's too."""
    embedding_rate: float = 1.0
    """Learning rate of the token embeddings, as a multiple."""
    keep_layers: int = 0
    """Layers of the base that are kept, evenly spread, for a smaller and faster model; 0 keeps all."""
    vocabulary: int = 16_000
    """Tokens of a starter's tokenizer."""
    layers: int = 3
    """Layers of a starter."""
    width: int = 192
    """Size of a starter's hidden states."""
    heads: int = 4
    """Attention heads of a starter's layer."""

    @property
    def at_once(self) -> int:
        """Tokens that the model reads at once, special ones included."""
        return self.window or self.max_tokens

    def __post_init__(self) -> None:
        super().__post_init__()
        label_rule(self.labels)
        if self.convert_to and self.starter:
            raise ValueError(f"convert_to says what a base becomes, and {STARTER!r} is none: leave it out")
        require_minimum(self, "train_tokens", 8)
        if self.window and (self.window < 8 or self.max_tokens % self.window):
            raise ValueError(f"window is at least 8 and divides max_tokens ({self.max_tokens}), not {self.window}")
        require_minimum(self, "keep_layers", 0)
        for name in ("vocabulary", "layers", "width", "heads"):
            require_minimum(self, name, 1)
        require_fractions(self, ("smoothing", "token_dropout", "join", "teacher"))
        if not (self.num_train_epochs or self.max_steps):
            raise ValueError("num_train_epochs is above 0, unless max_steps says how long the run is")


@dataclass(frozen=True, kw_only=True)
class SummarizerRecipe(Recipe):
    """How a summarizer is trained. A starter sees only those summaries of people that stay close to the article."""

    gap_epochs: float = 0.0
    """Passes over the gap sentences of all articles (starter only)."""
    oracle_epochs: float = 0.0
    """Passes over the oracle sentences of the articles with summaries (starter only)."""
    gap_tokens: int = 256
    """Article tokens read while learning from gap sentences: short articles make cheap steps."""
    max_target_tokens: int = 128
    """Longest summary."""
    min_coverage: float = 0.9
    """A starter learns from a person's summary only when this share of its words stands in the article..."""
    min_bigrams: float = 0.5
    """...and this share of its word pairs."""
    evaluate_rows: int = 400
    """Test articles that are summarized for metrics.json; 0 takes all."""
    num_beams: int = 4
    """Beams of the search, here and in the checkpoint's generation config."""
    vocabulary: int = 8192
    """Tokens of a starter's tokenizer."""
    width: int = 256
    """Size of a starter's hidden states."""
    encoder_layers: int = 3
    """Layers of a starter's encoder."""
    decoder_layers: int = 2
    """Layers of a starter's decoder."""
    heads: int = 8
    """Attention heads of a starter's layer."""
    feed_forward: int = 768
    """Width of a starter's feed-forward layers."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("gap_epochs", "oracle_epochs", "evaluate_rows"):
            require_minimum(self, name, 0)
        require_minimum(self, "max_tokens", 16)
        require_minimum(self, "max_target_tokens", 4)
        require_fractions(self, ("min_coverage", "min_bigrams"))
        if not (self.num_train_epochs or self.gap_epochs or self.oracle_epochs):
            raise ValueError("one of num_train_epochs, gap_epochs and oracle_epochs is above 0")


_SUMMARY: Final = SummarizerRecipe(
    max_tokens=1024, num_train_epochs=1.0, per_device_train_batch_size=8, per_device_eval_batch_size=8,
    gradient_accumulation_steps=2, warmup_ratio=0.05,
)  # fmt: skip
_CLASSIFIER: Final = ClassifierRecipe(
    max_tokens=512, train_tokens=256, per_device_train_batch_size=16, per_device_eval_batch_size=32, average=0.999
)
_SUMMARY_STARTER: Final = SummarizerRecipe(
    num_train_epochs=0.0, gap_epochs=0.5, oracle_epochs=3.0, per_device_train_batch_size=16,
    per_device_eval_batch_size=16, learning_rate=5e-4, warmup_ratio=0.05, max_target_tokens=96, save_steps=200,
)  # fmt: skip
_CLASSIFIER_STARTER: Final = ClassifierRecipe(
    max_tokens=128, train_tokens=128, num_train_epochs=5.0, per_device_train_batch_size=32,
    gradient_accumulation_steps=4, learning_rate=1e-3, lr_scheduler_type="cosine", dropout=0.2, token_dropout=0.1,
    join=0.1, teacher=0.3, average=0.999,
)  # fmt: skip

FINE_TUNING: Final[dict[Task, Recipe]] = {
    Task.CATEGORY: ClassifierRecipe(max_tokens=256, train_tokens=128, average=0.999),
    Task.VERACITY: replace(_CLASSIFIER, train_tokens=512),
    Task.SUMMARY: _SUMMARY,
}
"""The recipes for a pre-trained base, of the tasks that have one of their own."""

STARTERS: Final[dict[Task, Recipe]] = {
    Task.CATEGORY: _CLASSIFIER_STARTER,
    Task.VERACITY: ClassifierRecipe(
        max_tokens=256, train_tokens=144, num_train_epochs=6.0, learning_rate=1e-3, lr_scheduler_type="cosine",
        dropout=0.2, token_dropout=0.1, teacher=0.5, balance=True, average=0.999, layers=2, heads=2,
    ),
    Task.SUMMARY: _SUMMARY_STARTER,
}  # fmt: skip
"""The recipes for the preset ``starter``, likewise."""

_OTHERS: Final[dict[AnswerKind, dict[bool, Recipe]]] = {
    AnswerKind.TEXT: {True: _SUMMARY_STARTER, False: _SUMMARY},
    AnswerKind.LABELS: {True: _CLASSIFIER_STARTER, False: _CLASSIFIER},
}
"""What any other task begins with, by what its answers are made of and whether it is a starter."""


def default_recipe(task: Task, base: str) -> Recipe:
    """The recipe that a task and a base begin with."""
    starter = base == STARTER
    own = (STARTERS if starter else FINE_TUNING).get(task)
    return replace(own or _OTHERS[CONTRACTS[task].answers][starter], base=base)
