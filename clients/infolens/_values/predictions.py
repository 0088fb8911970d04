"""The ids under which a server notes its answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

PREDICTION_HEADER: Final = "infolens-prediction"
"""Where a server says the id of a prediction; over gRPC in the trailing metadata."""
_ID: Final = re.compile(r"[\w-]{22}", re.ASCII)


def is_prediction(value: object) -> bool:
    """Whether a value has the form of the id of a prediction: 22 letters, digits, ``_`` and ``-``."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def read_prediction(told: Mapping[str, Any], name: str = PREDICTION_HEADER) -> str | None:
    """The id of the prediction that headers, or an answer in JSON under another name, tell; None where they do not."""
    value = next((value for key, value in told.items() if key.lower() == name), None)
    return value if isinstance(value, str) and is_prediction(value) else None
