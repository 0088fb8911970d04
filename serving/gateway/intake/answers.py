"""What is answered about links and what was read, as pydantic models."""

from __future__ import annotations

from pydantic import BaseModel, Field


class ReviewAnswer(BaseModel):
    """What others have found out about a claim, as the page says it (ClaimReview); nothing of this server's."""

    claim: str
    rating: str = Field(examples=["Mostly false"])
    publisher: str | None
    url: str | None = Field(description="Where the review stands: http or https.")
    date: str | None


class ArticleAnswer(BaseModel):
    """The article that was read at a link."""

    url: str = Field(description="Where it was in the end.", examples=["https://news.example/harbour-bridge"])
    title: str | None = Field(description="The headline that the models got.")
    text: str = Field(description="Its paragraphs, with a blank line between them.")
    author: str | None
    date: str | None = Field(examples=["2026-06-01"])
    site: str | None
    language: str | None
    reviews: list[ReviewAnswer]
    notes: list[str] = Field(description="For people: what was left out, and what may be wrong.")


class FetchesAnswer(BaseModel):
    """Whether a request may give a link."""

    allowed: bool = Field(description="Whether whoever asks this may.")
    why_not: str = Field(description="Empty where it is so.")
