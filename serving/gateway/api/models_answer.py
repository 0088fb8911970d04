"""What ``/v1/models`` answers, as pydantic models; they describe it only, as those of `answers` do."""

from __future__ import annotations

from pydantic import BaseModel, Field

from serving.gateway.intake.answers import FetchesAnswer


class Accuracy(BaseModel):
    """How often a label is right, as it was measured with the model as served; null for what was not measured."""

    in_domain: float | None = Field(description="On articles of the collections that it was trained on.")
    unseen: float | None = Field(description="On articles of other collections, each of which counts the same.")
    unseen_answered: float | None = Field(description="Of those that have a signal.")
    answered: float | None = Field(description="How many of the unseen ones have a signal: a share.")


class LineageAnswer(BaseModel):
    """Where a model comes from, as its export found it; what nobody knows is empty."""

    source: str = Field(description="Where the export found it: `registry`, `training`, `hub` or `folder`.")
    registered_model: str = Field(description="Its name in the MLflow registry.")
    registered_version: str = Field(description="Its version there.", examples=["3"])
    run_id: str = Field(description="The MLflow run that trained it.")
    base: str = Field(description="What training began with: a hub id, a folder, or `starter`.")
    base_revision: str = Field(description="The commit of a checkpoint of the hub.")
    licence: str
    teacher: str = Field(description="The model whose answers it learned from too.")
    data: str = Field(description="Name of the table that it learned from.")
    data_hash: dict[str, str] = Field(description="A hash of the articles and answers, by split.")
    articles: dict[str, int] = Field(description="How many articles, by split.")
    recipe_hash: str = Field(description="SHA-256 of its recipe.")
    git_revision: str = Field(description="The revision of the code that trained it.")
    test: dict[str, float] = Field(description="Its figures on the test split.", examples=[{"macro_f1": 0.842}])
    tested_on: int = Field(description="On how many articles; 0 where that is not known.")
    baseline: dict[str, float] = Field(description="A baseline's figures on the same articles.")
    baseline_is: str
    out_of_domain: dict[str, float] = Field(description="Its figures on sources that it was not trained on.")
    out_of_domain_baseline: dict[str, float]


class ServedModelAnswer(BaseModel):
    """A model that serves."""

    task: str = Field(examples=["category"])
    name: str = Field(description="Its name for Triton clients.", examples=["classify"])
    model: str = Field(examples=["distilbert"])
    version: str
    revision: str
    labels: list[str] | None = Field(description="What it tells; null for a model that writes.")
    max_tokens: int | None = Field(description="How many tokens of an article it reads.")
    accuracy: Accuracy | None = Field(description="null for a model that writes, and where nothing was measured.")
    lineage: LineageAnswer | None = Field(description="null where its artefact does not say.")
    is_: str = Field(alias="is", description="What its answers are.")
    is_not: str = Field(description="What they are not.")
    card: str | None = Field(description="Where its card is, relative to this document.")


class SettingLimits(BaseModel):
    """The range of a setting of the summary."""

    name: str
    minimum: float | None = Field(description="null for a setting with choices.")
    maximum: float | None = Field(description="null for a setting with choices.")
    default: float | str | None = Field(description="null where it is no fixed value: `left_out` says what counts.")
    choices: list[str] | None = Field(default=None, description="The values that it may have, where they are words.")
    left_out: str = Field(description="What counts where a request leaves it out.", examples=["80"])


class Limits(BaseModel):
    """What a request may be."""

    max_article_bytes: int
    max_body_bytes: int
    max_file_bytes: int = Field(description="A file for `/v1/extract`, or a table.")
    max_deadline_ms: int
    settings: list[SettingLimits]


class Keeps(BaseModel):
    """What is kept of articles and answers, where a request asks for it (`keep`)."""

    reports: bool = Field(description="Whether reports are kept.")
    texts: bool = Field(description="Whether the texts of articles are kept with them.")
    days: int = Field(description="For how long.")
    where: str


class FeedbackKept(BaseModel):
    """What is kept of answers and of what people say of them."""

    keeps: bool = Field(description="Whether answers have a `prediction`, by which they can be rated.")
    why_not: str = Field(description="Why not; empty where they have.")
    texts: bool = Field(description="Whether the texts of articles are kept too: only then a rating can train a model.")
    days: int = Field(description="For how long.")
    audit_share: float = Field(description="The share of articles that are asked about before our labels are shown.")


class ModelsAnswer(BaseModel):
    """The models that serve, the limits of requests, and what is kept."""

    models: list[ServedModelAnswer]
    limits: Limits
    keeps: Keeps
    fetches: FetchesAnswer
    feedback: FeedbackKept
