"""The operations of feedback in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from serving.feedback.records import MAX_TOKEN_CHARACTERS
from serving.gateway.api.openapi import BODY_REFUSALS, Operation
from serving.gateway.refusals import Refusal

from .answers import AuditAnswer, ErasedAnswer, FeedbackAnswer, PredictionAnswer
from .requests import ID_PATTERN, KEY_HEADER, AuditRequest, FeedbackRequest

PATH: Final = "/v1/predictions/{id}"
_EXAMPLE: Final = "hJ3vZc1mQ0yWk8Rr5uXeTg"
_ID: Final[Mapping[str, Any]] = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "What the answer says in `prediction`, or in its header `Infolens-Prediction`.",
    "schema": {"type": "string", "pattern": ID_PATTERN},
    "example": _EXAMPLE,
}
_TOKEN: Final[Mapping[str, Any]] = {
    "name": KEY_HEADER,
    "in": "header",
    "required": False,
    "description": "A random text that is the same for a request and its repetitions: it counts once, however often it "
    "is sent.",
    "schema": {"type": "string", "pattern": f"^[\\x21-\\x7e]{{1,{MAX_TOKEN_CHARACTERS}}}$"},
    "example": "6f1c1e7e-4d0a-4b3e-9f58-1c2d3e4f5a6b",
}
_SAYING: Final = (*BODY_REFUSALS, Refusal.NOT_FOUND, Refusal.CONFLICT)
OPERATIONS: Final = (
    Operation(
        method="post",
        path="/v1/feedback",
        name="feedback",
        summary="Rate an answer",
        description="Stars for a text, and if need be a better one; right or wrong for a label, and which is right. Of "
        "one rater the latest rating of an answer counts. Where callers need a key: one with the role feedback rates "
        "every answer, all others rate those that they asked for. While the database is away what is said is kept in a "
        "spool, and counts once that is back.",
        takes=FeedbackRequest,
        gives=FeedbackAnswer,
        refusals=_SAYING,
        parameters=(_TOKEN,),
        examples={
            "stars and a label": {
                "prediction": _EXAMPLE,
                "rater": "desk-7",
                "ratings": {"summary": {"stars": 4}, "category": {"right": False, "label": "Politics"}},
            },
            "a better summary": {
                "prediction": _EXAMPLE,
                "ratings": {"summary": {"stars": 2, "better": "The harbour bridge closes for repairs in June."}},
                "note": "It misses when.",
                "consent": True,
            },
        },
        answered={"id": "Zr0Qm7pXSE6dVb3yKc9TnA", "prediction": _EXAMPLE, "kept": "database", "repeated": False},
    ),
    Operation(
        method="get",
        path=PATH,
        name="prediction",
        summary="What is kept of an answer, and what was said of it",
        description="For everybody who has the id, without a key. It is gone once its time is up, or somebody has "
        "removed it.",
        gives=PredictionAnswer,
        refusals=(Refusal.NOT_FOUND, Refusal.AWAY),
        parameters=(_ID,),
    ),
    Operation(
        method="delete",
        path=PATH,
        name="prediction_delete",
        summary="Remove what is kept of an answer, and all that was said of it",
        description="Where callers need a key, by the key that asked for the answer, or one with the role admin; where "
        "they need none, by everybody who has the id.",
        gives=ErasedAnswer,
        refusals=(Refusal.NOT_FOUND, Refusal.AWAY),
        parameters=(_ID,),
    ),
    Operation(
        method="post",
        path=f"{PATH}/audit",
        name="prediction_audit",
        summary="Answer a blind audit, and see what was withheld",
        description="Where an answer has `audit`, a person says first which label is right, or passes (no labels), and "
        "gets ours then. It is answered once. Who may: as for `/v1/feedback`.",
        takes=AuditRequest,
        gives=AuditAnswer,
        refusals=_SAYING,
        parameters=(_ID, _TOKEN),
        examples={"a label": {"labels": {"category": "Politics"}}, "passed": {"labels": {}}},
    ),
)
NAMES: Final = frozenset(one.name for one in OPERATIONS)
