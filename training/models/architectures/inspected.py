"""What `inspection` asks of a base before it is trained; every fault names the base."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from inspection.configuration import plain, require_buildable
from inspection.errors import Unfit, first_line
from inspection.generation import Search, require_served_settings, searched
from inspection.hub import is_path, require_reached
from inspection.vocabulary import require_in_step, require_tokenizer
from inspection.weights import require_complete, require_finite
from training.errors import BaseModelError
from training.models.tokenization import load_tokenizer

from .record import Architecture


@contextmanager
def naming_base(base: str) -> Iterator[None]:
    """Name the base in what `inspection` says of it."""
    try:
        yield
    except Unfit as fault:
        raise BaseModelError(f"{base}: {fault}") from fault


def read_config(base: str, hint: str) -> Any:
    """The configuration of a base.

    Args:
        base: A hub id or a checkpoint folder.
        hint: What may be given instead.

    Raises:
        BaseModelError: It is not there, cannot be read, or the hub cannot be reached.
    """
    from transformers import AutoConfig

    folder = Path(base)
    if is_path(base) and not folder.is_dir():
        raise BaseModelError(f"{base}: there is no such checkpoint folder; check the path, or {hint}")
    try:
        return AutoConfig.from_pretrained(base)
    except Exception as error:  # it is JSON of any shape, which the library's checks were not made for
        file = folder / "config.json"
        if file.is_file():
            raise BaseModelError(
                f"{file}: cannot be read ({first_line(error)}); copy or save the checkpoint again"
            ) from error
        with naming_base(base):
            if not folder.is_dir():
                require_reached(error)
        raise BaseModelError(
            f"{base}: neither a checkpoint folder, with a config.json, nor a model that the hub gives; {hint}"
        ) from error


def read_tokenizer(base: str, config: Any) -> Any:
    """The tokenizer of a base, in step with the model of a configuration.

    Raises:
        Unfit: It is missing or broken, or gives ids that the model does not embed.
    """
    require_tokenizer(base)
    try:
        tokenizer = load_tokenizer(base)
    except Exception as error:  # the tokenizers library raises plain exceptions
        require_reached(error)
        raise Unfit(f"its tokenizer does not load ({first_line(error)}); save it again with save_pretrained") from error
    require_in_step(tokenizer, config)
    return tokenizer


def load_whole(kind: Any, base: str, *, labels: int = 0, untrained: Sequence[str] = (), **settings: Any) -> Any:
    """A model of a base, in fp32: no weight but those of ``untrained`` modules is random, and all are finite.

    Args:
        kind: A class of `transformers`.
        base: A hub id or a checkpoint folder.
        labels: How many labels its head shall tell; 0 keeps its own.
        untrained: Modules that the base need not have: its head.
        settings: More arguments of ``from_pretrained``.

    Raises:
        Unfit: The weights are missing, cut off, of another model or not finite, or the hub cannot be reached.
    """
    import transformers

    transformers.utils.logging.disable_progress_bar()
    head = {"num_labels": labels} if labels else {}
    try:
        config = plain(transformers.AutoConfig.from_pretrained(base, **head))
        model, told = kind.from_pretrained(
            base,
            config=config,
            dtype="float32",
            output_loading_info=True,
            ignore_mismatched_sizes=bool(labels),
            **settings,
        )
    except Exception as error:  # each format of weights has errors of its own
        require_reached(error)
        raise Unfit(
            f"its weights do not load ({first_line(error)}): they are missing, cut off or damaged, as after a copy or "
            "a training run that was interrupted; copy or save the checkpoint again"
        ) from error
    require_complete(told, untrained=untrained)
    require_finite(model.state_dict())
    return model


def load_writer(base: str, config: Any, record: Architecture) -> tuple[Any, Any]:
    """A base that writes texts: ``(model, tokenizer)``; its search is what the server has too.

    Raises:
        BaseModelError: Something of it is missing, broken or not in step, or its search has what the server's has not.
    """
    if objection := record.objection(config) if record.objection else "":
        raise BaseModelError(f"{base}: {objection}")
    with naming_base(base):
        require_buildable(config, record.model_class)
        tokenizer = read_tokenizer(base, config)
        require_served_settings(base)
        model = load_whole(record.class_for(config), base)
        Search.of(model.generation_config, config.vocab_size)
    model.generation_config = searched(model.generation_config)
    return model, tokenizer
