"""Examples for the OpenAPI document: what may be asked, and what may be answered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

_TEXT: Final = (
    "The old bridge over the harbour will close for repairs in June, the city said on Monday. Ferries will cross every "
    "ten minutes until the work ends in autumn. Shop owners on the north shore fear for their trade."
)
ASKED: Final[Mapping[str, Any]] = {
    "a text": {"text": _TEXT},
    "all settings": {
        "text": _TEXT,
        "title": "Harbour bridge to close",
        "id": "desk-4711",
        "tasks": ["summary", "category", "veracity"],
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
        "text": "The old bridge over the harbour will close for repairs in June, the city said on Monday. Ferries will "
        "cross every ten minutes until the work ends in autumn.",
        "sentences": [{"index": 0, "start": 0, "end": 88}, {"index": 1, "start": 89, "end": 156}],
        "unsupported": [],
    },
    "category": {
        "label": "World News",
        "signal": "World News",
        "doubt": "",
        "probability": 0.514404,
        "probabilities": {
            "Business": 0.1131,
            "Politics": 0.063443,
            "Food & Drink": 0.008217,
            "Travel": 0.25565,
            "Parenting": 0.007519,
            "Style & Beauty": 0.013505,
            "Wellness": 0.004291,
            "World News": 0.514404,
            "Sports": 0.008919,
            "Entertainment": 0.010953,
        },
        "evidence": [{"index": 0, "start": 0, "end": 88, "weight": 0.440629}],
    },
    "veracity": {
        "label": "real",
        "signal": "no clear signal",
        "doubt": "text too short",
        "probability": 0.851915,
        "probabilities": {"real": 0.851915, "fake": 0.148085},
        "evidence": [{"index": 0, "start": 0, "end": 88, "weight": 0.324736}],
    },
    "truncated": False,
    "readings": {
        "summary": {"tokens": 51, "truncated_tokens": 0, "unread": []},
        "category": {"tokens": 52, "truncated_tokens": 0, "unread": []},
        "veracity": {"tokens": 52, "truncated_tokens": 0, "unread": []},
    },
    "models": {
        "summary": {"model": "bart", "version": "1", "revision": "8b26a050e41c"},
        "category": {"model": "distilbert", "version": "1", "revision": "a2dda1f8d4c3"},
        "veracity": {"model": "xlnet", "version": "1", "revision": "3ce46a38c9a5"},
    },
    "timings": {"waiting_ms": 1.399, "models_ms": 25.973, "total_ms": 27.373},
    "prediction": "hJ3vZc1mQ0yWk8Rr5uXeTg",
}
"""What the committed models answer to ``all settings``; the times are of one machine."""


def _lines(*documents: Mapping[str, Any]) -> str:
    return "".join(json.dumps(one) + "\n" for one in documents)


ASKED_LINES: Final[Mapping[str, str]] = {
    "two articles": _lines({"id": "1", "text": _TEXT}, {"id": "2", "text": _TEXT, "tasks": ["category"]})
}
ANALYZED_LINES: Final = _lines({"index": 0, **ANALYZED, "id": "1"}, {"index": 1, **ANALYZED, "id": "2"})
