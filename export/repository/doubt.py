"""What the configurations around a classifier say of doubt: how little text is too little, and how sure is sure."""

from __future__ import annotations

import json

from infolens.contract import UNCLEAR, UNCLEAR_REASONS, TaskContract

from .artefact import Artefact


def tokenizer_parameters(contract: TaskContract, *, other_scripts: bool) -> dict[str, str]:
    """The parameters of the tokenizer backend's output ``unclear``; none for a task without it.

    Args:
        contract: The task.
        other_scripts: Whether it reads languages of other scripts, which need not put blanks between words.
    """
    if UNCLEAR not in contract.past_the_model():
        return {}
    return {"least_words": str(0 if other_scripts else contract.least_words), "least_read": str(contract.least_read)}


def labels_parameters(contract: TaskContract, artefact: Artefact) -> dict[str, str]:
    """The parameters of the labels backend's outputs of signal and doubt."""
    return {
        "temperature": str(artefact.temperature),
        "threshold": str(artefact.threshold),
        "doubt_word": contract.doubt_word,
        "unclear_reasons": json.dumps(dict(UNCLEAR_REASONS)),
    }
