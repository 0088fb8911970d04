"""What ``/v1/quality`` answers, as pydantic models for the OpenAPI document; they describe it only."""

from __future__ import annotations

from pydantic import BaseModel, Field

_LOW = "The truth lies between `low` and `high` 95 times of 100."


class Rated(BaseModel):
    """A figure out of ratings, with its interval."""

    value: float
    low: float = Field(description=_LOW)
    high: float
    ratings: int = Field(ge=0, description="From how many.")


class Satisfaction(Rated):
    """The mean of the stars of a text, with a bootstrap interval."""

    stars: list[int] = Field(min_length=5, max_length=5, description="How many gave 1, 2, 3, 4 and 5 stars.")


class Audited(Rated):
    """The accuracy of labels in blind audits, with Wilson's interval."""

    passed: int = Field(ge=0, description="Audits in which the person said nothing.")


class Coverage(BaseModel):
    """The share of answers whose label was shown, with Wilson's interval."""

    value: float
    low: float
    high: float
    answers: int


class Shown(BaseModel):
    """Labels that were shown, and not held back by doubt."""

    accuracy: Rated | None
    coverage: Coverage | None


class BatchFigure(BaseModel):
    """The figure of one batch of ratings, in the order in which they came."""

    batch: int
    first_day: str
    last_day: str
    value: float
    low: float
    high: float
    ratings: int
    audit: bool = Field(description="Whether they are of blind audits.")


class DayFigure(BaseModel):
    """One day: how many answers, and what was volunteered about some; null where nothing was."""

    day: str = Field(examples=["2026-01-31"])
    predictions: int
    value: float | None
    low: float | None
    high: float | None
    ratings: int


class Bucket(BaseModel):
    """Shares of one label, length or word."""

    bucket: str
    expected: float
    seen: float


class DriftFigure(BaseModel):
    """How far the articles have moved away from those of the training."""

    psi: float = Field(description="The population stability index: below 0.1 stable, above 0.25 moved.")
    p: float = Field(description="How often chance would move them as far.")
    state: str = Field(description="`stable`, `moving` or `moved`: stable also where it may be chance.")
    seen: int = Field(description="How much was counted: answers, articles or words.")
    buckets: list[Bucket] = Field(description="Of many buckets those that moved most.")


class AgreementFigure(BaseModel):
    """How far people agree on answers that several have judged."""

    answers: int
    raters: int
    same: float = Field(description="The share of pairs of judgments that say the same.")
    alpha: float | None = Field(
        description="Krippendorff's alpha: 1 always, 0 as by chance; null without a difference."
    )


class ModelQuality(BaseModel):
    """One model revision."""

    task: str
    model: str
    revision: str
    serving: bool = Field(description="Whether it is the revision that serves now.")
    predictions: int
    satisfaction: Satisfaction | None = Field(description="Of texts.")
    accuracy: Rated | None = Field(description="Of labels: volunteered, so not of all answers.")
    shown: Shown
    audit: Audited | None
    trusted: bool | None = Field(description="null where nobody can tell yet.")
    trusted_why: str
    batches: list[BatchFigure] = Field(description="The newest.")
    by_day: list[DayFigure]
    drift: dict[str, DriftFigure] | None = Field(description="By what is compared: `label`, `words`, `vocabulary`.")
    drift_why: str = Field(description="Why there is none.")
    agreement: AgreementFigure | None


class QualityAnswer(BaseModel):
    """What people say of the models' answers."""

    made: str = Field(description="When, as ISO 8601.")
    days: int
    batch: int = Field(description="Ratings of a batch.")
    trust_bar: float = Field(description="What the lower bound of the accuracy in blind audits must reach.")
    bias: str = Field(description="What volunteered ratings are worth, in a sentence.")
    models: list[ModelQuality]
    stale_s: int | None = Field(
        default=None, description="How many seconds old it is: there only while the database is away."
    )
