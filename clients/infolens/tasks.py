"""The registry of tasks, and everything that has a name in a task.

Like `contract`, from where everybody takes them, it imports nothing but the standard library.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Final

from .tensors import (
    ATTENTION_MASK,
    INPUT_IDS,
    SAMPLING,
    SENTENCE_ENDS,
    SEQUENCES,
    SOURCE,
    TEXT,
    TITLE,
    TOKEN_TYPE_IDS,
    UNCLEAR,
    UNREAD,
    SummarySetting,
    Tensor,
)

INFO_LENS: Final = "info_lens"
"""The model that answers all tasks, or several of them, at once."""
EVIDENCE_MODEL: Final = "evidence"
"""The model that finds the sentences that moved the answers of classifiers; it is asked through `INFO_LENS`."""


if not TYPE_CHECKING:  # a type checker would take every name for one of this module

    def __getattr__(name: str) -> Any:
        if name == "ENSEMBLE":
            warnings.warn("ENSEMBLE is now INFO_LENS: the model is no ensemble", DeprecationWarning, stacklevel=2)
            return INFO_LENS
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _Registered(type):
    """Lets ``for task in Task`` go through the registered tasks, in the order in which answers are shown."""

    def __iter__(cls) -> Iterator[Task]:
        return iter(CONTRACTS)


class Task(str, metaclass=_Registered):
    """What can be asked of an article: the name of a task of `CONTRACTS`; ``Task(name)`` looks it up.

    Raises:
        ValueError: No task of that name is registered.
    """

    __slots__ = ()
    SUMMARY: ClassVar[Task]
    CATEGORY: ClassVar[Task]
    VERACITY: ClassVar[Task]

    def __new__(cls, name: str) -> Task:  # noqa: PYI034 - one object for each name
        """The registered task of that name: the same object at every call."""
        for task in CONTRACTS:
            if task == name:
                return task
        raise ValueError(f"a task is one of {', '.join(CONTRACTS)}, not {name!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        return Task, (str(self),)

    @property
    def value(self) -> str:
        """The name as a plain string."""
        return str(self)


class AnswerKind(StrEnum):
    """What the answers of a task are made of; the value ends the name of the model that makes them."""

    TEXT = "text"
    """A text that a model writes: a summary."""
    LABELS = "labels"
    """One of the labels that a classifier was trained to tell, with the probability of each."""


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """Names of the three models of the repository that one exported checkpoint becomes."""

    name: str
    """The ONNX model; also the prefix of the two models around it."""
    answers: AnswerKind

    @property
    def tokenizer(self) -> str:
        """The model that makes token ids of text, such as ``bart_tokenizer``."""
        return f"{self.name}_tokenizer"

    @property
    def postprocessor(self) -> str:
        """The model that makes answers of the ONNX model's outputs, such as ``bart_text`` or ``xlnet_labels``."""
        return f"{self.name}_{self.answers.value}"

    @property
    def chain(self) -> tuple[str, str, str]:
        """The three models in the order in which an article passes through them."""
        return self.tokenizer, self.name, self.postprocessor


@dataclass(frozen=True, kw_only=True)
class TaskContract:
    """Everything that has a name in one task: what it reads, what it answers, and the models that do it.

    A task takes any architecture that gives its kind of answers, and several models may lie side by side in a
    repository; the task's ensemble says which of them serves.
    """

    task: Task
    answers: AnswerKind
    ensemble: str
    """The ensemble that answers this task alone: the name that clients use, whatever model stands behind it."""
    model: str
    """Name of the served model where its architecture is ``architecture``, as the starter's is."""
    architecture: str
    """``model_type`` of the checkpoints that become ``model``; see `model_name` for the others."""
    reads: tuple[str, ...]
    """The inputs that the tokenizer joins with a line break, in this order."""
    inputs: tuple[Tensor, ...]
    """Inputs of the ensemble."""
    settings: tuple[SummarySetting, ...] = ()
    """What a request may set; each is one of ``inputs``."""
    default_labels: tuple[str, ...] = ()
    """The labels of the starter. A checkpoint brings its own, and a server's answers carry them."""
    doubt_word: str = "unsure"
    """What the signal of a classifier says in place of a label where the model cannot be sure."""
    least_words: int = 12
    """A text of fewer words is too short for a classifier. The starter of the category is right about 75 % of articles
    of unseen collections that are cut to 48 words, 69 % of 12 words, 52 % of 5, and no less sure of itself."""
    least_read: float = 0.5
    """Share of a text's tokens below which too little of it was read."""
    by_default: bool = True
    """Whether the task is asked for when a request names no task."""

    def model_name(self, architecture: str) -> str:
        """Name in the repository of a model of an architecture: ``distilbert``, or ``category_roberta``."""
        if architecture == self.architecture:
            return self.model
        return f"{self.task}_{architecture}".replace("-", "_")

    def served(self, model: str = "") -> ServedModel:
        """The models of an exported checkpoint, by its name in the repository; the starter's by default."""
        return ServedModel(name=model or self.model, answers=self.answers)

    def model_inputs(self, *, token_types: bool, quotes: bool = False) -> tuple[Tensor, ...]:
        """Inputs of the ONNX model.

        Args:
            token_types: Whether its architecture has types of tokens.
            quotes: Whether the graph of a text's task can quote and sample.
        """
        types = (TOKEN_TYPE_IDS,) if token_types else ()
        more = (SENTENCE_ENDS, SAMPLING) if quotes else ()
        lengths = (setting.name for setting in self.settings if setting.by_length)
        dummies = (Tensor(name=name, dtype="UINT8", dims=(-1,)) for name in lengths)
        return (INPUT_IDS, ATTENTION_MASK, *types, *more, *dummies)

    def model_outputs(self, labels: int = -1) -> tuple[Tensor, ...]:
        """Outputs of the ONNX model; ``labels`` is how many there are, -1 where that is not known."""
        outputs = {AnswerKind.TEXT: SEQUENCES, AnswerKind.LABELS: _probabilities("probabilities", labels)}
        return (outputs[self.answers],)

    def outputs(self, labels: int = -1) -> tuple[Tensor, ...]:
        """Outputs of the last model, under the same names in the ensembles; ``labels`` as in `model_outputs`."""
        name = self.task.value
        answer = Tensor(name=name, dtype="BYTES", dims=(1,))
        more = {
            AnswerKind.TEXT: (
                Tensor(name=self.sentences_output, dtype="BYTES", dims=(1,), optional=True),
                Tensor(name=self.unsupported_output, dtype="BYTES", dims=(1,), optional=True),
            ),
            AnswerKind.LABELS: (
                Tensor(name=f"{name}_probability", dtype="FP32", dims=(1,)),
                _probabilities(f"{name}_probabilities", labels),
                Tensor(name=self.labels_output, dtype="BYTES", dims=(labels,)),
                Tensor(name=self.signal_output, dtype="BYTES", dims=(1,), optional=True),
                Tensor(name=self.doubt_output, dtype="BYTES", dims=(1,), optional=True),
            ),
        }
        return (answer, *more[self.answers])

    def past_the_model(self, *, quotes: bool = False) -> tuple[Tensor, ...]:
        """What the tokenizer hands to the last model, past the ONNX model; ``quotes`` as in `model_inputs`."""
        past = {AnswerKind.TEXT: (SOURCE,), AnswerKind.LABELS: (UNCLEAR,)}[self.answers]
        return (*past, INPUT_IDS, SENTENCE_ENDS) if quotes else past

    @property
    def names(self) -> frozenset[str]:
        """Names of its models and of what they answer; none of them may be another task's."""
        outputs = (tensor.name for tensor in self.ensemble_outputs())
        return frozenset((self.ensemble, *self.served().chain, *outputs)) - {self.task.value}

    @property
    def sentences_output(self) -> str:
        """Name of a text's output that says which of the article's sentences it quotes, in JSON."""
        return f"{self.task.value}_sentences"

    @property
    def unsupported_output(self) -> str:
        """Name of a text's output that says what in it the article does not hold, in JSON."""
        return f"{self.task.value}_unsupported"

    @property
    def labels_output(self) -> str:
        """Name of the output that names the labels, in the order of the probabilities."""
        return f"{self.task.value}_labels"

    @property
    def signal_output(self) -> str:
        """Name of the output with the label of a classifier, or its `doubt_word`."""
        return f"{self.task.value}_signal"

    @property
    def doubt_output(self) -> str:
        """Name of the output that says in words why there is doubt; empty where there is none."""
        return f"{self.task.value}_doubt"

    @property
    def tokens_output(self) -> str:
        """Name in the ensembles of the tokenizer's ``tokens`` output."""
        return f"{self.task.value}_tokens"

    @property
    def truncated_output(self) -> str:
        """Name in the ensembles of the tokenizer's ``truncated_tokens`` output."""
        return f"{self.task.value}_truncated_tokens"

    @property
    def unread_output(self) -> str:
        """Name in the ensembles of the tokenizer's ``unread`` output."""
        return f"{self.task.value}_unread"

    def ensemble_outputs(self, labels: int = -1) -> tuple[Tensor, ...]:
        """All outputs of this task in the ensembles, in the order of the configuration."""
        counts = (Tensor(name=name, dtype="INT32", dims=(1,)) for name in (self.tokens_output, self.truncated_output))
        return (*self.outputs(labels), *counts, replace(UNREAD, name=self.unread_output))


def _probabilities(name: str, labels: int) -> Tensor:
    return Tensor(name=name, dtype="FP32", dims=(labels,))


_RESERVED: Final = {"calibrate", "configs", "error", "evidence", "failed", "file", "list", "readings"} | {
    *("remove", "restore", "serve", "serves", "text", "title", "truncated")
}
"""Names that no task may have: commands of the exporter, inputs, outputs, and keys of reports and deployments."""

CONTRACTS: Final[dict[Task, TaskContract]] = {}
"""The tasks, in the order in which answers are shown. A new task is one more `register` in `contract`."""


def register(task: str, **facts: Any) -> Task:
    """Add a task to `CONTRACTS`.

    Args:
        task: Its name: a lower-case word.
        facts: The other fields of its `TaskContract`.

    Raises:
        ValueError: The name is taken or no lower-case word, or one of its models or outputs is another task's.
    """
    if not (task.isascii() and task.isalpha() and task.islower()) or task in CONTRACTS or task in _RESERVED:
        raise ValueError(
            f"a task's name is a lower-case word that no other task has, and none of {', '.join(sorted(_RESERVED))}; "
            f"not {task!r}"
        )
    name = str.__new__(Task, task)
    contract = TaskContract(task=name, **facts)
    taken = {INFO_LENS, EVIDENCE_MODEL}.union(*(other.names for other in CONTRACTS.values()))
    if clash := sorted(contract.names & taken):
        raise ValueError(f"{', '.join(clash)} of the task {task} is another task's: give it a name of its own")
    if not all(name.isascii() and name.isidentifier() for name in contract.names):
        raise ValueError(f"models are named in letters, digits and underscores, not {sorted(contract.names)}")
    CONTRACTS[name] = contract
    return name


def register_classifier(task: str, **facts: Any) -> Task:
    """Add a task whose answers are labels, read from an article's title and text; arguments as in `register`."""
    shape: dict[str, Any] = {
        "answers": AnswerKind.LABELS,
        "reads": (TITLE.name, TEXT.name),
        "inputs": (TITLE, TEXT),
    }
    return register(task, **{**shape, **facts})
