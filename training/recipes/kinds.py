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
    """Architecture that the base becomes, where its weights allow it: for a BERT distilbert, which has fewer parameters
    and computes the same, or xlnet, which nearly does, without absolute positions; empty keeps the base's own."""
    window: int = 0
    """Tokens of a window: longer articles are judged by windows spread over them, max_tokens in all; 0 for none."""
    train_tokens: int = 256
    """Longest training input: longer texts are cropped at the beginning or a random place; at most a window."""
    least_train_tokens: int = 0
    """Texts are cropped to a length between this and train_tokens, another one in each pass, so that the model learns
    from short texts too; 0 crops only what is longer than train_tokens."""
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
    teacher_tokens: int = 512
    """How much of an article a teacher reads: what is longer than its own input, in windows spread over the article."""
    descriptions: str = ""
    """TOML file with sentences that say what each label is about: label = ["sentence", ...]. The teacher's answers to
    unlabelled articles are moved towards the labels whose sentences they are most like. There is a file for the
    category in recipes/."""
    descriptions_weight: float = 0.5
    """How much: what the likeness counts beside the logarithms of the teacher's probabilities."""
    descriptions_model: str = ""
    """Hub id or checkpoint folder of the encoder that compares these articles with the sentences; empty: the base."""
    unlabelled_passes: float = 0.0
    """How often each article of unlabelled stands in a pass, with the teacher's answer as its target: 1 for once, 0.5
    for a random half of them; 0 does not train on them. Needs teacher_model, also where teacher is 0."""
    unlabelled_balance: float = 0.0
    """How far the shares of the labels in the labelled data are taken out of the teacher's answers to unlabelled
    articles, which other labels may be common in: 0 leaves them in, 1 takes them out."""
    balance: bool = False
    """Move the decision between two classes to where the validation split's macro-F1 is highest; the baseline's too."""
    balance_sources: float = 0.0
    """From 0 to 1, how far collections (the column source) count alike: an article's weight falls with the number of
    articles of its source and label to this power. The best checkpoint is then that of the best mean over sources."""
    embedding_rate: float = 1.0
    """Learning rate of the token embeddings, as a multiple."""
    keep_layers: int = 0
    """Layers of the base that are kept, evenly spread, for a smaller and faster model; 0 keeps all."""
    keep_vocabulary: int = 0
    """Tokens of the base's WordPiece vocabulary that are kept, for a smaller model: the most frequent ones of the
    training and unlabelled texts, and all single characters; 0 keeps all."""
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

    @property
    def longest(self) -> int:
        """Tokens of the longest training input, special ones included."""
        return min(self.train_tokens, self.window or self.train_tokens)

    def __post_init__(self) -> None:
        super().__post_init__()
        label_rule(self.labels)
        if self.convert_to and self.starter:
            raise ValueError(f"convert_to says what a base becomes, and {STARTER!r} is none: leave it out")
        if self.keep_vocabulary and self.starter:
            raise ValueError(f"keep_vocabulary is for a base, and {STARTER!r} is none: its tokens are vocabulary")
        for name in ("train_tokens", "teacher_tokens"):
            require_minimum(self, name, 8)
        if self.window and (self.window < 8 or self.max_tokens % self.window):
            raise ValueError(f"window is at least 8 and divides max_tokens ({self.max_tokens}), not {self.window}")
        if self.least_train_tokens and not 8 <= self.least_train_tokens <= self.longest:
            raise ValueError(
                f"least_train_tokens is 0, or from 8 to the longest training input ({self.longest}), not "
                f"{self.least_train_tokens}"
            )
        for name in ("keep_layers", "keep_vocabulary", "unlabelled_passes", "descriptions_weight"):
            require_minimum(self, name, 0)
        for name in ("vocabulary", "layers", "width", "heads"):
            require_minimum(self, name, 1)
        fractions = ("smoothing", "token_dropout", "join", "teacher", "unlabelled_balance", "balance_sources")
        require_fractions(self, fractions)
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
    choice_layers: int = -1
    """Layers of a head that chooses sentences, which the base gets on its encoder, beside the decoder; -1 for no head,
    but a base that has one keeps it."""
    choice_epochs: float = 0.0
    """Passes over all articles with summaries in which that head is trained, after all other passes."""
    choice_only: bool = False
    """Train the head and its layers alone, without dropout: all other passes are left out, and what the base writes
    stays the same."""
    choice_pair_weight: float = 3.0
    """What the head's loss for pairs of words counts, beside that for words."""
    choice_length_weight: float = 0.1
    """What its loss for the length of the summary counts."""
    choice_head_rate: float = 10.0
    """Learning rate of the head without its layers, as a multiple."""
    choice_title_weight: float = 0.0
    """What an article of unlabelled counts whose title is the head's reference, beside one with a summary; 0 leaves
    these out."""
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
        for name in (
            *("gap_epochs", "oracle_epochs", "evaluate_rows", "choice_epochs", "choice_pair_weight"),
            *("choice_length_weight", "choice_head_rate", "choice_title_weight"),
        ):
            require_minimum(self, name, 0)
        require_minimum(self, "choice_layers", -1)
        require_minimum(self, "max_tokens", 16)
        require_minimum(self, "max_target_tokens", 4)
        require_fractions(self, ("min_coverage", "min_bigrams"))
        if not (self.num_train_epochs or self.gap_epochs or self.oracle_epochs or self.choice_epochs):
            raise ValueError("one of num_train_epochs, gap_epochs, oracle_epochs and choice_epochs is above 0")
        if not self.choice_epochs and (self.choice_only or self.choice_layers >= 0):
            asking = "choice_only=true" if self.choice_only else f"choice_layers={self.choice_layers}"
            raise ValueError(f"choice_epochs is above 0 with {asking}: say how long the head is trained")
        if self.choice_epochs and self.lora:
            raise ValueError("lora trains no head that chooses: leave lora out, or choice_epochs")


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
