"""Examples for the OpenAPI document: what may be asked, and what may be answered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

_TEXT: Final = (
    "The old bridge over the harbour will close for repairs in June, the city said on Monday. Ferries will cross every "
    "ten minutes until the work ends in autumn. Shop owners on the north shore fear for their trade."
)
_MODEL: Final = {"model": "distilbert", "version": "1", "revision": "9f86d081884c"}

ASKED: Final[Mapping[str, Any]] = {
    "a text": {"text": _TEXT},
    "all settings": {
        "text": _TEXT,
        "title": "Harbour bridge to close",
        "id": "desk-4711",
        "tasks": ["summary", "category"],
        "summary": {
            "min_length": 8,
            "max_length": 48,
            "num_beams": 2,
            "length_penalty": 1.0,
            "style": "extractive",
        },
        "deadline_ms": 2000,
        "partial": True,
        "evidence": True,
    },
    "a sample": {"text": _TEXT, "tasks": ["summary"], "summary": {"temperature": 0.7, "top_p": 0.9, "seed": 7}},
}
ANALYZED: Final[Mapping[str, Any]] = {
    "id": "desk-4711",
    "summary": {
        "text": "The old bridge over the harbour will close for repairs in June, the city said on Monday.",
        "sentences": [{"index": 0, "start": 0, "end": 88}],
        "unsupported": [],
    },
    "category": {
        "label": "World News",
        "signal": "unsure",
        "doubt": "calibrated probability 0.597, below 0.632",
        "probability": 0.62,
        "probabilities": {"World News": 0.62, "Business": 0.38},
        "evidence": [{"index": 2, "start": 157, "end": 209, "weight": 0.27}],
    },
    "truncated": False,
    "readings": {
        "summary": {"tokens": 47, "truncated_tokens": 0},
        "category": {"tokens": 51, "truncated_tokens": 0},
    },
    "models": {"summary": _MODEL | {"model": "bart"}, "category": _MODEL},
    "timings": {"waiting_ms": 0.1, "models_ms": 24.8, "total_ms": 25.3},
}


def _lines(*documents: Mapping[str, Any]) -> str:
    return "".join(json.dumps(one) + "\n" for one in documents)


ASKED_LINES: Final[Mapping[str, str]] = {
    "two articles": _lines({"id": "1", "text": _TEXT}, {"id": "2", "text": _TEXT, "tasks": ["category"]})
}
ANALYZED_LINES: Final = _lines({"index": 0, **ANALYZED, "id": "1"}, {"index": 1, **ANALYZED, "id": "2"})
