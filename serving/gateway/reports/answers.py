"""What is answered about kept reports, as pydantic models for the OpenAPI document."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from serving.gateway.api.answers import AnalyzeAnswer

_OPEN = ConfigDict(extra="allow")


class ReportedArticle(BaseModel):
    """What was kept of the article."""

    title: str | None
    url: str | None = Field(description="Where the server fetched it; null for a text that was sent.")
    text: str | None = Field(description="null where the server keeps no texts: see `keeps` of /v1/models.")
    text_sha256: str = Field(description="The SHA-256 of its text in UTF-8, by which whoever has the text knows it.")
    words: int = Field(ge=0)
    author: str | None
    date: str | None
    site: str | None


class ReportAnswer(BaseModel):
    """A report as it was made."""

    model_config = _OPEN

    id: str
    made: str = Field(description="When, as ISO 8601.", examples=["2026-01-31T12:00:00+00:00"])
    until: str = Field(description="From then on it is gone.")
    article: ReportedArticle
    answer: AnalyzeAnswer  # type: ignore[valid-type]  # made from the tasks


class DeletedAnswer(BaseModel):
    """A report that was removed."""

    id: str
    deleted: bool
