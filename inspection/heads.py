"""The head of a classifier: one label for each article."""

from __future__ import annotations

from typing import Any

from infolens.labels import SINGLE_LABEL

from .errors import Unfit


def require_single_label(config: Any) -> None:
    """Check that a classifier tells one label for each article, the probabilities of all adding up to 1.

    Args:
        config: Its ``transformers`` configuration.

    Raises:
        Unfit: It answers with several labels at once or with a number, or its labels are not numbered from 0.
    """
    way_out = "fine-tune it for single labels: python -m training fit"
    if config.problem_type not in (None, SINGLE_LABEL):
        raise Unfit(
            f"its config.json has problem_type {config.problem_type!r}, and only {SINGLE_LABEL!r} is served: one label "
            f"for each article, the probabilities of all adding up to 1; {way_out}"
        )
    numbers = sorted(int(index) for index in config.id2label)
    if len(numbers) == 1:
        raise Unfit(
            f"its config.json has one label (num_labels=1, id2label={config.id2label}), so its answer is a number "
            f"(regression), and a classifier has at least two labels; {way_out}"
        )
    if not numbers or numbers != list(range(len(numbers))):
        raise Unfit(f"a classifier has at least two labels, numbered from 0, but its id2label is {config.id2label}")
