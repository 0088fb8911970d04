"""Small checkpoints of every architecture with a graph of ours, and how they are spoiled."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import torch

from infolens.contract import CATEGORIES
from tests import families
from tests.export import conftest as starters

ARCHITECTURES: Final = ("bart", "bert", "distilbert", "roberta", "xlnet")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """For models as small as these, handing out the work takes longer than the work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def made(
    place: Path,
    model_type: str,
    spoil: Callable[[Any], None] | None = None,
    *,
    labels: tuple[str, ...] = CATEGORIES,
    **changes: Any,
) -> Path:
    """Write a checkpoint folder.

    Args:
        place: Where the folder is made.
        model_type: One of `ARCHITECTURES`.
        spoil: Changes the model in place.
        labels: Of a classifier.
        changes: Fields of the configuration from which the model is built.
    """
    if model_type in families.FAMILIES:
        model, tokenizer = families.FAMILIES[model_type](labels)
    else:
        make_tokenizer, make_model = starters._MAKERS[model_type]
        tokenizer = make_tokenizer()
        torch.manual_seed(0)
        model = make_model(len(tokenizer), labels)
    if changes:
        other = type(model)(type(model.config).from_dict(model.config.to_dict() | changes)).eval()
        if getattr(model, "generation_config", None):
            other.generation_config = model.generation_config
        model = other
    if spoil:
        spoil(model)
    folder = place / f"their-{model_type}"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def rewritten(folder: Path, file: str, changes: dict[str, Any]) -> Path:
    """Change values of a JSON file of a checkpoint, and return its folder."""
    document = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps({**document, **changes}))
    return folder
