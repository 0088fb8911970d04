"""Loading a checkpoint: from a folder or a hub id to a model, a tokenizer and labels, all checked against the task."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import transformers
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerFast
from transformers.utils import cached_file

from export.architectures import Architecture, Trained, architecture_of, examples
from export.architectures.writing import has_writer, no_writer
from export.errors import CheckpointError
from export.graph.checkpoint_weights import CheckpointWeights
from infolens.contract import CONTRACTS, AnswerKind, Task
from infolens.targets import Target
from inspection.configuration import plain, require_buildable
from inspection.errors import Unfit, first_line
from inspection.generation import Search, left_to_requests, require_served_settings
from inspection.hub import is_path, require_reached
from inspection.vocabulary import require_in_step, require_tokenizer
from inspection.weights import require_complete, require_finite
from reading.spread import WINDOW

from .choice import LAYERS, has_head, read_head, without_head
from .labels import Naming, labels_of
from .spacing import spacing_of

logger = logging.getLogger(__name__)

_DEFAULT_LIMIT: Final = 512
"""Tokens that a model without a limit of its own (XLNet) reads, unless the tokenizer or the user says otherwise."""
MOST_TOKENS: Final = 4096
"""The longest input of any model: that of one which reads windows."""
_NO_LIMIT: Final = 1_000_000
"""A tokenizer without a limit reports a huge number; anything above this counts as no limit."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A loaded checkpoint that fits its task."""

    task: Task
    source: str
    """Name of the folder, or the hub id."""
    architecture: Architecture
    model: Any
    """The ``transformers`` model, in fp32 and evaluation mode."""
    tokenizer: Any
    """The ``transformers`` fast tokenizer."""
    max_tokens: int
    """The longest input that is served."""
    window: int = 0
    """Tokens that the encoder reads at once, where a longer input consists of such windows; 0 where it cannot."""
    labels: tuple[str, ...] = ()
    """The labels of a classifier, in the order of its classes."""
    head: Mapping[str, Any] | None = None
    """The weights of a summarizer's head that chooses sentences, by name; None where it is left out."""

    @property
    def config(self) -> Any:
        """The model's configuration."""
        return self.model.config

    @property
    def parameters(self) -> int:
        """How many weights it has."""
        count: int = self.model.num_parameters()
        return count + sum(int(one.numel()) for one in (self.head or {}).values())

    @property
    def trained(self) -> Trained:
        """The parts of the model from which a graph is written."""
        return Trained(
            config=self.model.config,
            generation=getattr(self.model, "generation_config", None),
            weights=CheckpointWeights({**self.model.state_dict(), **(self.head or {})}),
            max_tokens=self.max_tokens,
            window=self.window,
            spacing=spacing_of(self.tokenizer.get_vocab()) if self.architecture.answers is AnswerKind.TEXT else None,
            choice_layers=None if self.head is None else getattr(self.config, LAYERS),
        )


def load_checkpoint(
    task: Task,
    source: str,
    *,
    max_tokens: int | None = None,
    window: int = 0,
    naming: Naming | None = None,
    own_graph: bool = True,
    target: Target = Target.CPU,
    choice: bool = False,
) -> Checkpoint:
    """Load and examine a checkpoint.

    Args:
        task: What the checkpoint is for.
        source: A folder written by ``save_pretrained``, or a hub id.
        max_tokens: The longest input to serve; by default the smallest limit that the checkpoint knows, and with
            windows `MOST_TOKENS`.
        window: Tokens that the encoder reads at once, where a longer input consists of windows; 0 for what the
            checkpoint was trained for.
        naming: Names for a classifier's classes.
        own_graph: Whether a graph writer of this project must be able to express it.
        target: What that graph is for.
        choice: Whether the head of a summarizer that chooses sentences is wanted too.

    Raises:
        CheckpointError: There is no such checkpoint, its architecture is none that the task takes, its tokenizer is
            missing, its labels are not named, or it cannot read ``max_tokens`` or such windows.
    """
    answers = CONTRACTS[task].answers
    config = _load_config(source, examples(answers))
    architecture = architecture_of(config.model_type, answers)
    _check_config(task, config, architecture, target if own_graph else None)
    labels = labels_of(config, source, naming) if answers is AnswerKind.LABELS else ()
    with _naming_checkpoint(source):
        require_buildable(plain(config), architecture.model_class)
        tokenizer = _load_tokenizer(source)  # Before the weights, because it is fast and may be missing.
        require_in_step(tokenizer, config)
        if answers is AnswerKind.TEXT:
            require_served_settings(source)
        model = _load_model(source, config, architecture)
        if answers is AnswerKind.TEXT:
            _check_search(source, model.generation_config, config, tokenizer)
        head = read_head(source, model) if choice else None
        if has_head(config) and not choice:
            logger.info(
                "%s: its head that chooses sentences is left out; --extraction choice takes it into one graph", source
            )
    bound = architecture.positions(config)
    limit = _limit(bound, tokenizer)
    minimum = 1 + len(architecture.before) + len(architecture.after)
    reads = min(limit if max_tokens is None else minimum, minimum if bound is None else bound)
    if reads < minimum:
        raise CheckpointError(
            f"{source!r}: it reads at most {reads} tokens (its config.json, or model_max_length of its tokenizer), and "
            f"{minimum} are needed, one and the special ones: put back what was changed there"
        )
    if max_tokens is not None:
        if max_tokens < minimum or (bound and max_tokens > bound and not window):
            raise CheckpointError(
                f"--max-tokens must be between {minimum} (one token and the special ones) and the model's limit "
                f"({bound or 'none'}), not {max_tokens}"
            )
        limit = max_tokens
    if not window and (window := int(getattr(config, WINDOW, 0))) and max_tokens is None:
        max_tokens = int(tokenizer.model_max_length)  # as it was trained
    if window:
        if not (architecture.windows and own_graph):
            raise CheckpointError(
                f"{source!r}: the graph of a {architecture.model_type} reads no windows; leave --window out"
            )
        limit = _windowed(window, bound, minimum, max_tokens)
    architecture.prepare(model, tokenizer)
    return Checkpoint(
        task=task,
        source=Path(source).resolve().name if Path(source).is_dir() else source,
        architecture=architecture,
        model=model,
        tokenizer=tokenizer,
        max_tokens=limit,
        window=window,
        labels=labels,
        head=head,
    )


def _windowed(window: int, bound: int | None, minimum: int, max_tokens: int | None) -> int:
    """The longest input of a model that reads windows."""
    if window < minimum or (bound and window > bound):
        raise CheckpointError(
            f"--window must be between {minimum} (one token and the special ones) and what the model reads at once "
            f"({bound or 'anything'}), not {window}"
        )
    limit = MOST_TOKENS // window * window if max_tokens is None else max_tokens
    if limit % window or not window <= limit <= MOST_TOKENS:
        raise CheckpointError(
            f"with --window {window}, --max-tokens must be a multiple of it up to {MOST_TOKENS}, not {limit}; leave it "
            f"out for {MOST_TOKENS // window * window}"
        )
    return limit


@contextmanager
def _naming_checkpoint(source: str) -> Iterator[None]:
    """Name the checkpoint in what `inspection` says of it."""
    try:
        yield
    except Unfit as fault:
        raise CheckpointError(f"{source!r}: {fault}") from fault


def _load_config(source: str, example: str) -> Any:
    folder = Path(source)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise CheckpointError(
                f"{source!r} is no checkpoint: it has no config.json; give the folder that save_pretrained wrote"
            )
    elif is_path(source):
        raise CheckpointError(f"there is no checkpoint folder {source!r}; check the path, or give a hub id")
    try:
        return AutoConfig.from_pretrained(source)
    except Exception as error:  # It is JSON of any shape, which the library's checks were not made for.
        if folder.is_dir():
            raise CheckpointError(
                f"{folder / 'config.json'} cannot be read ({first_line(error)}); copy or save the checkpoint again"
            ) from error
        with _naming_checkpoint(source):
            require_reached(error)
        raise CheckpointError(
            f"{source!r} is neither a folder nor a checkpoint that the hub gives out: {first_line(error)}. Give a "
            f"folder written by save_pretrained, or an id such as {example}"
        ) from error


def _load_model(source: str, config: Any, architecture: Architecture) -> Any:
    kind = without_head(getattr(transformers, architecture.model_class), config)
    try:
        model, info = kind.from_pretrained(source, config=config, dtype="float32", output_loading_info=True)
    except Exception as error:  # Each format of weights has errors of its own.
        require_reached(error)
        raise CheckpointError(
            f"the weights of {source!r} do not load ({first_line(error)}): they are missing, cut off or damaged, as "
            "after a copy or a training run that was interrupted; copy or save the checkpoint again"
        ) from error
    require_complete(info)
    require_finite(model.state_dict())
    return model.float().eval()


def _check_search(source: str, generation: Any, config: Any, tokenizer: Any) -> None:
    search = Search.of(generation, config.vocab_size)
    if search.pad_token != tokenizer.pad_token_id:
        raise Unfit(
            f"pad_token_id of its generation_config.json must be the id of its tokenizer's padding token, "
            f"{tokenizer.pad_token_id}, not {search.pad_token}"
        )
    if left := left_to_requests(generation):
        logger.info("%s: %s yield to what each request says, or the server's defaults", source, ", ".join(left))


def _check_config(task: Task, config: Any, architecture: Architecture, target: Target | None) -> None:
    """Check that a checkpoint is for the task, and its graph for a target; None where no graph of ours is asked for."""
    name = architecture.model_class
    found = getattr(config, "architectures", None) or [name]
    if name not in found:
        raise CheckpointError(
            f"the {task.value} task needs {name}, but the checkpoint is {', '.join(found)}: it has no trained head "
            "for this task; fine-tune it first with python -m training"
        )
    if target is not None and not has_writer(architecture, target):
        raise no_writer(architecture, target)
    unusual = architecture.unsupported(config) if target is not None else []
    if unusual:
        optimum = architecture.answers is AnswerKind.LABELS and target is Target.CPU
        way_out = "; try --exporter optimum" if optimum else ""
        raise CheckpointError(f"the {architecture.model_type} graph cannot express {'; '.join(unusual)}{way_out}")


def _load_tokenizer(source: str) -> Any:
    require_tokenizer(source)
    try:
        named: Any = AutoTokenizer.from_pretrained(source)
        file = cached_file(source, "tokenizer.json", _raise_exceptions_for_missing_entries=False)
        backend = Tokenizer.from_file(str(file)) if file else getattr(named, "backend_tokenizer", None)
    except Exception as error:  # The tokenizers library raises plain exceptions.
        require_reached(error)
        raise CheckpointError(
            f"the tokenizer of {source!r} does not load ({first_line(error)}); save it again with save_pretrained"
        ) from error
    if backend is None:
        raise CheckpointError(f"the tokenizer of {source!r} has no fast form, and only fast tokenizers are served")
    # The tokenizer classes of an architecture build their own normaliser and pre-tokenizer and ignore those of
    # tokenizer.json, with which the model was trained.
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, model_max_length=named.model_max_length, **named.special_tokens_map
    )


def _limit(positions: int | None, tokenizer: Any) -> int:
    limits = [positions, tokenizer.model_max_length]
    return min((int(limit) for limit in limits if limit and 0 < limit < _NO_LIMIT), default=_DEFAULT_LIMIT)
