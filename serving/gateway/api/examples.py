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
        "text": "Ferries will cross every ten minutes until the work ends in autumn. Shop owners on the north shore "
        "fear for their trade.",
        "sentences": [{"index": 1, "start": 89, "end": 156}, {"index": 2, "start": 157, "end": 209}],
        "unsupported": [],
    },
    "category": {
        "label": "World News",
        "signal": "World News",
        "doubt": "",
        "probability": 0.79556,
        "probabilities": {
            "Business": 0.02537,
            "Politics": 0.125087,
            "Food & Drink": 0.003839,
            "Travel": 0.030887,
            "Parenting": 0.002965,
            "Style & Beauty": 0.004081,
            "Wellness": 0.002827,
            "World News": 0.79556,
            "Sports": 0.005763,
            "Entertainment": 0.003622,
        },
        "evidence": [
            {"index": 0, "start": 0, "end": 88, "weight": 0.529878},
            {"index": 1, "start": 89, "end": 156, "weight": 0.012764},
        ],
    },
    "veracity": {
        "label": "real",
        "signal": "no clear signal",
        "doubt": "text too short",
        "probability": 0.79754,
        "probabilities": {"real": 0.79754, "fake": 0.20246},
        "evidence": [
            {"index": 0, "start": 0, "end": 88, "weight": 0.114919},
            {"index": 1, "start": 89, "end": 156, "weight": 0.013095},
        ],
    },
    "truncated": False,
    "readings": {
        "summary": {"tokens": 51, "truncated_tokens": 0, "unread": []},
        "category": {"tokens": 49, "truncated_tokens": 0, "unread": []},
        "veracity": {"tokens": 53, "truncated_tokens": 0, "unread": []},
    },
    "models": {
        "summary": {"model": "bart", "version": "1", "revision": "8b26a050e41c"},
        "category": {"model": "distilbert", "version": "1", "revision": "6c9cfd2ff45f"},
        "veracity": {"model": "xlnet", "version": "1", "revision": "dd0f908fcd93"},
    },
    "timings": {"waiting_ms": 1.176, "models_ms": 81.658, "total_ms": 82.834},
    "prediction": "hJ3vZc1mQ0yWk8Rr5uXeTg",
}
"""What the committed models answer to ``all settings``; the times are of one machine."""


def _lines(*documents: Mapping[str, Any]) -> str:
    return "".join(json.dumps(one) + "\n" for one in documents)


ASKED_LINES: Final[Mapping[str, str]] = {
    "two articles": _lines({"id": "1", "text": _TEXT}, {"id": "2", "text": _TEXT, "tasks": ["category"]})
}
ANALYZED_LINES: Final = _lines({"index": 0, **ANALYZED, "id": "1"}, {"index": 1, **ANALYZED, "id": "2"})
