"""The operations on files, for the OpenAPI document; their handlers are in `routes`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from serving.gateway.api.openapi import BODY_REFUSALS, NDJSON, Operation
from serving.gateway.refusals import Refusal

from .answers import AnswerLine, ExtractAnswer, LinkRequest, TableAnswer

ANY_FILE: Final = "application/octet-stream"
FORMATS: Final[Mapping[str, str]] = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
}
"""The media type of each format of a table."""


def _query(name: str, description: str, schema: Mapping[str, Any], *, required: bool = False) -> Mapping[str, Any]:
    return {"name": name, "in": "query", "required": required, "description": description, "schema": schema}


_NAME: Final = _query("name", "What the file is called: a hint, its contents count.", {"type": "string"})
FILE_OPERATIONS: Final = (
    Operation(
        method="post",
        path="/v1/extract",
        name="extract",
        summary="Read the article in a file, or at a link",
        description="Text, HTML, DOCX and PDF. Send the file itself, with any `Content-Type` but `application/json`; "
        "or send that with a link. Nothing is judged, and nothing kept.",
        takes=LinkRequest,
        takes_bytes=(ANY_FILE,),
        gives=ExtractAnswer,
        refusals=(*BODY_REFUSALS, Refusal.FORBIDDEN),
        parameters=(_NAME,),
        examples={"a link": {"url": "https://news.example/harbour-bridge"}},
    ),
    Operation(
        method="post",
        path="/v1/tables/read",
        name="table_read",
        summary="Read a table of articles, or an archive of them",
        description="CSV, Excel (.xlsx), JSON lines or a JSON array with columns such as `text`, `title`, `url`, `id`; "
        "or a ZIP archive with an article in each file. At most 10,000 rows, 2,000 files and 64 MiB of text. Send the "
        "rows to `/v1/analyze/batch`.",
        takes_bytes=(ANY_FILE,),
        gives=TableAnswer,
        refusals=BODY_REFUSALS,
        parameters=(_NAME,),
    ),
    Operation(
        method="post",
        path="/v1/tables/write",
        name="table_write",
        summary="Write answers as a table",
        description="One answer a line in, as `/v1/analyze` and `/v1/analyze/batch` give them, with the `title` and "
        "`url` of its article where the table shall have them; a file out. No cell of it can run as a formula.",
        takes=AnswerLine,
        takes_media=NDJSON,
        gives=None,
        gives_media=FORMATS["csv"],
        gives_bytes=(FORMATS["xlsx"], FORMATS["json"]),
        refusals=BODY_REFUSALS,
        parameters=(_query("format", "What to write.", {"type": "string", "enum": list(FORMATS)}, required=True),),
    ),
)
