"""What is asked and answered about files, as pydantic models; the answers are written from the documents themselves."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from serving.gateway.intake.answers import ReviewAnswer

MAX_URL_CHARS: Final = 2048


class LinkRequest(BaseModel):
    """A link to an article."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    url: str = Field(
        min_length=1,
        max_length=MAX_URL_CHARS,
        description="Where the article is; http or https. Only servers that fetch links take one, and from those "
        "callers alone who may (`fetches` of `/v1/models`).",
        examples=["https://news.example/harbour-bridge"],
    )


class ExtractAnswer(BaseModel):
    """An article, as it was read out of a file or a page. Look at it before it is judged."""

    id: str = Field(description="The id of the request.")
    url: str | None = Field(description="Where the page was in the end; null for a file.")
    kind: str = Field(description="`text`, `html`, `docx` or `pdf`.", examples=["pdf"])
    title: str | None = Field(examples=["Harbour bridge to close"])
    text: str = Field(description="Its paragraphs, with a blank line between them.")
    author: str | None
    date: str | None = Field(description="`YYYY-MM-DD`.", examples=["2026-06-01"])
    site: str | None
    language: str | None = Field(description="What the document says of itself.", examples=["en"])
    reviews: list[ReviewAnswer]
    notes: list[str] = Field(description="For people: what was left out, and what may be wrong.")


class ColumnsAnswer(BaseModel):
    """Which of the file's columns was taken for what; null where none was."""

    text: str | None
    title: str | None
    url: str | None
    id: str | None


class RowAnswer(BaseModel):
    """A row of a table, or a file of an archive."""

    id: str | None
    title: str | None
    text: str | None
    url: str | None
    error: str | None = Field(description="Why it is no article; null where it is one.")


class TableAnswer(BaseModel):
    """A table of articles, as it was read."""

    kind: str = Field(description="`csv`, `xlsx`, `jsonl`, `json` or `zip`.", examples=["csv"])
    columns: ColumnsAnswer
    rows: list[RowAnswer]
    notes: list[str] = Field(description="For people: what was left out, and what may be wrong.")


class AnswerLine(BaseModel):
    """A line to be written: an answer as `/v1/analyze` or a line of `/v1/analyze/batch` gives it."""

    id: str | None = None
    title: str | None = None
    url: str | None = None
