"""The OpenAPI document: the operations of the JSON API, with the schemas of what they take and give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from infolens.problems import KINDS
from serving.gateway.access.rules import OPEN, rule_of
from serving.gateway.http.problems import ADVICE, CONTENT_TYPE
from serving.gateway.refusals import CODES, Refusal

from . import answers
from .examples import ANALYZED, ANALYZED_LINES, ASKED, ASKED_LINES
from .models_answer import ModelsAnswer
from .requests import AnalyzeRequest

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
MARKDOWN: Final = "text/markdown"
_REFERENCE: Final = "#/components/schemas/{model}"
_DESCRIPTION: Final = """\
A news article in, three answers out: a **summary**, a **category** and a **veracity**: whether the article is worded
like the real or the fake news that the model learned from. That is not a fact check.

```
curl -s $SERVER/v1/analyze -H 'Content-Type: application/json' -d '{"text": "The old bridge over the harbour ..."}'
```

Errors are problem documents (RFC 9457). Every answer has the header `X-Request-Id`, under which the server's log has
the request; one that a caller sends (letters, digits and `_.:/+=@-`, at most 64) is kept.
"""
# What may come of every request, whatever it asks.
_ANY: Final = (Refusal.HEADERS,)
# What may come where a key is needed.
_KEYED: Final = (Refusal.UNAUTHENTICATED, Refusal.FORBIDDEN, Refusal.LIMITED, Refusal.AWAY)
_SCHEMES: Final = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "The key of the caller: `Authorization: Bearer KEY`.",
    },
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key, in this header."},
}
BODY_REFUSALS: Final = (
    Refusal.INVALID,
    Refusal.TOO_SLOW,
    Refusal.TOO_LARGE,
    Refusal.ENCODING,
    Refusal.BUSY,
    Refusal.AWAY,
)
"""What may come of every request with a body that takes work."""


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation of the API."""

    method: str
    path: str
    name: str
    """What metrics and log call it too."""
    summary: str
    description: str
    takes: type[BaseModel] | None = None
    takes_media: str = JSON
    takes_bytes: Sequence[str] = ()
    """Media types of files that it takes, as they are."""
    gives: type[BaseModel] | None
    """None: text."""
    gives_media: str = JSON
    gives_bytes: Sequence[str] = ()
    """Media types of files that it gives, each for another request."""
    otherwise: Mapping[int, type[BaseModel]] = field(default_factory=dict)
    """Answers of other codes that are no problem documents."""
    refusals: Sequence[Refusal] = ()
    parameters: Sequence[Mapping[str, Any]] = ()
    examples: Mapping[str, Any] = field(default_factory=dict)
    """Bodies that it takes, by name."""
    answered: Any = None
    """An answer that it may give."""


_ORDER: Final = {
    "name": "order",
    "in": "query",
    "description": "Whether rows are answered in their order, or as they are done.",
    "schema": {"type": "string", "enum": ["input", "finished"], "default": "input"},
}
OPERATIONS: Final = (
    Operation(
        method="post",
        path="/v1/analyze",
        name="analyze",
        summary="Ask for the answers of one article",
        description="An answer takes tens of milliseconds, a link up to ten seconds more. A server that is too busy "
        "for one in time says so at once.",
        takes=AnalyzeRequest,
        gives=answers.AnalyzeAnswer,
        refusals=(*BODY_REFUSALS, Refusal.LATE, Refusal.FORBIDDEN),
        examples=ASKED,
        answered=ANALYZED,
    ),
    Operation(
        method="post",
        path="/v1/analyze/batch",
        name="analyze_batch",
        summary="Ask for the answers of many articles",
        description="One JSON object a line in, as `/v1/analyze` takes it; one a line out, as it gives it, with the "
        "`index` of its row (blank lines are no rows). A refused row has `index` and `error`, a problem document. Rows "
        "wait for a busy server. Lines are read and answers sent at the same time: read while you send, or send a few "
        "thousand articles at most. A caller who leaves ends it. Whatever ends the whole batch early stands in a last "
        "line whose `index` is null.",
        takes=AnalyzeRequest,
        takes_media=NDJSON,
        gives=answers.BatchLine,
        gives_media=NDJSON,
        refusals=(Refusal.INVALID, Refusal.ENCODING, Refusal.BUSY, Refusal.AWAY),
        parameters=(_ORDER,),
        examples=ASKED_LINES,
        answered=ANALYZED_LINES,
    ),
    Operation(
        method="get",
        path="/v1/models",
        name="models",
        summary="Which models serve, and what a request may be",
        description="Labels, versions, revisions and limits; what each model's answers are and are not, and where it "
        "comes from: registered version, run, data, recipe, code, and test figures beside a baseline's.",
        gives=ModelsAnswer,
        refusals=(Refusal.AWAY,),
    ),
    Operation(
        method="get",
        path="/v1/models/{task}/card",
        name="model_card",
        summary="The card of a task's model",
        description="How it was trained, on what, and how often it is right.",
        gives=None,
        gives_media=MARKDOWN,
        refusals=(Refusal.NOT_FOUND, Refusal.AWAY),
        parameters=(
            {"name": "task", "in": "path", "required": True, "schema": {"type": "string"}, "example": "category"},
        ),
    ),
    Operation(
        method="get",
        path="/v1/problems/{kind}",
        name="problem",
        summary="What a kind of problem is",
        description="The `type` of a problem document is a path of this form.",
        gives=answers.ProblemKind,
        refusals=(Refusal.NOT_FOUND,),
        parameters=(
            {
                "name": "kind",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "enum": [one.value for one in Refusal]},
            },
        ),
    ),
    Operation(
        method="get",
        path="/healthz",
        name="healthz",
        summary="Whether the process runs",
        description="Nothing is asked of the models: for liveness probes of the front door alone.",
        gives=answers.Alive,
    ),
    Operation(
        method="get",
        path="/readyz",
        name="readyz",
        summary="Whether the server answers",
        description="The supervisor's verdict, and a small real question, which counts for two seconds. `models` names "
        "what is not ready, and why.",
        gives=answers.Readiness,
        otherwise={503: answers.Readiness},
    ),
)


def at(prefix: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The document of a server that a proxy has put under a path; without one it is where the document is."""
    return {**document, "servers": [{"url": prefix, "description": "This server"}]} if prefix else document


def document(*, keys: bool = False, also: Sequence[Operation] = ()) -> dict[str, Any]:
    """The OpenAPI document, of version 3.1; `at` has it for a server under a path.

    Args:
        keys: Whether callers need a key.
        also: Operations that others add to `OPERATIONS`.
    """
    operations = (*OPERATIONS, *also)
    models = {model for one in operations for model in (one.takes, one.gives, *one.otherwise.values()) if model}
    models.add(answers.Problem)
    ordered = sorted(models, key=lambda model: model.__name__)
    references, definitions = models_json_schema([(model, "validation") for model in ordered], ref_template=_REFERENCE)
    schemas = {model: references[model, "validation"] for model in ordered}
    paths: dict[str, Any] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method] = _operation(one, schemas, keys=keys)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Info Lens",
            "version": _version(),
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": ".", "description": "This server"}],
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "responses": {one.value: _problem([one], schemas[answers.Problem]) for one in Refusal},
            **({"securitySchemes": _SCHEMES} if keys else {}),
            "headers": {"request_id": {"description": "The id of the request.", "schema": {"type": "string"}}},
        },
    }


def _operation(one: Operation, schemas: Mapping[type[BaseModel], Mapping[str, Any]], *, keys: bool) -> dict[str, Any]:
    given = schemas[one.gives] if one.gives is not None else {"type": "string"}
    found: dict[str, Any] = {
        "operationId": one.name,
        "summary": one.summary,
        "description": one.description,
        "responses": {"200": _response("The answer.", one.gives_media, given)},
    }
    if one.answered is not None:
        found["responses"]["200"]["content"][one.gives_media]["example"] = one.answered
    for code, model in one.otherwise.items():
        found["responses"][str(code)] = _response("Not now; why stands in it.", one.gives_media, schemas[model])
    secured = keys and rule_of(one.name) != OPEN
    refusals = list(dict.fromkeys((*one.refusals, *_ANY, *(_KEYED if secured else ()))))
    for code in sorted({CODES[refusal].http for refusal in refusals}):
        kinds = [refusal for refusal in refusals if CODES[refusal].http == code]
        found["responses"][str(code)] = (
            {"$ref": f"#/components/responses/{kinds[0].value}"}
            if len(kinds) == 1
            else _problem(kinds, schemas[answers.Problem])
        )
    if secured:
        found["security"] = [{name: []} for name in _SCHEMES]
    if one.parameters:
        found["parameters"] = list(one.parameters)
    for media in one.gives_bytes:
        found["responses"]["200"]["content"][media] = {"schema": {}}
    content: dict[str, Any] = {media: {"schema": {}} for media in one.takes_bytes}
    if one.takes is not None:
        content[one.takes_media] = _media(one.takes_media, schemas[one.takes])
        content[one.takes_media]["examples"] = {name: {"value": value} for name, value in one.examples.items()}
    if content:
        found["requestBody"] = {"required": one.takes_media == JSON, "content": content}  # no lines are an empty batch
    return found


def _response(words: str, media: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "description": words,
        "headers": {"X-Request-Id": {"$ref": "#/components/headers/request_id"}},
        "content": {media: _media(media, schema)},
    }


def _media(media: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    if media == NDJSON:  # a document of lines is described by one of them
        return {"schema": {"description": "One object a line; blank lines are none."}, "x-line-schema": schema}
    return {"schema": schema}


def _problem(kinds: Sequence[Refusal], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The response of a code, which several kinds of problems may share."""
    words = " Or: ".join(f"{KINDS[kind.value].title}. {ADVICE[kind]}" for kind in kinds)
    found = _response(words, CONTENT_TYPE, schema)
    if not {Refusal.BUSY, Refusal.AWAY, Refusal.LIMITED}.isdisjoint(kinds):
        words = "Seconds until it is worth another attempt."
        found["headers"]["Retry-After"] = {"description": words, "schema": {"type": "integer", "minimum": 1}}
    if Refusal.UNAUTHENTICATED in kinds:
        found["headers"]["WWW-Authenticate"] = {"description": "`Bearer`.", "schema": {"type": "string"}}
    return found


def _version() -> str:
    try:
        return metadata.version("infolens")
    except metadata.PackageNotFoundError:
        return "unknown"
