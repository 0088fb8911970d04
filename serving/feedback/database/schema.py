"""The tables of the store.

Numbers are given by the program, since one transaction at a time writes (see `making.Opened.writing`). Texts have no
greatest length here: what comes from a spool was checked when it came in, and must never fail for a column.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

HEAD: Final = "0001"
"""The revision of the tables below: the newest of `serving/feedback/migrations/versions`."""
VERSIONS: Final = "infolens_feedback_version"
"""The table in which Alembic notes the revision."""

metadata = MetaData()


def _number(name: str, **options: object) -> Column[int]:
    return Column(name, BigInteger().with_variant(Integer(), "sqlite"), **options)  # type: ignore[arg-type]


def _of(table: str, name: str, *, nullable: bool = False, primary_key: bool = False) -> Column[int]:
    kind = BigInteger().with_variant(Integer(), "sqlite")
    key = ForeignKey(f"{table}.number", ondelete=None if table == "infolens_feedback_models" else "CASCADE")
    return Column(name, kind, key, nullable=nullable, primary_key=primary_key, autoincrement=False)


about = Table(
    "infolens_feedback_about",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("salt", Text, nullable=False),
)
"""One row about the store itself."""

models = Table(
    "infolens_feedback_models",
    metadata,
    _number("number", primary_key=True, autoincrement=False),
    Column("task", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("revision", Text, nullable=False),
    # How many ratings have got a place in the order of ratings, from which batches are cut.
    Column("ratings", BigInteger, nullable=False),
    Column("audits", BigInteger, nullable=False),
    UniqueConstraint("task", "model", "revision", name="infolens_feedback_models_key"),
)
"""One row for each revision of a model that has answered."""

predictions = Table(
    "infolens_feedback_predictions",
    metadata,
    _number("number", primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False, unique=True),
    Column("made_us", BigInteger, nullable=False, index=True),
    Column("key", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("text_sha256", Text, nullable=False),
    Column("words", BigInteger, nullable=False),
    Column("title", Text),
    Column("text", Text),
    Column("timings", Text, nullable=False),
    Column("audit", Boolean, nullable=False),
)
"""One row for each prediction, with the fields of `serving.feedback.records.Prediction`; `timings` is JSON."""

answers = Table(
    "infolens_feedback_answers",
    metadata,
    _of("infolens_feedback_predictions", "prediction", primary_key=True),
    Column("position", SmallInteger, primary_key=True, autoincrement=False),
    _of("infolens_feedback_models", "model"),
    Column("version", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("signal", Text, nullable=False),
    Column("probability", Double),
    Column("output", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""One row for each answer of a prediction; `output` is JSON."""

submissions = Table(
    "infolens_feedback_submissions",
    metadata,
    _number("number", primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False, unique=True),
    # Either of them: the prediction, or the id of the one that it waits for, and since when.
    _of("infolens_feedback_predictions", "prediction", nullable=True),
    Column("awaited", Text, index=True),
    Column("awaited_since_us", BigInteger),
    Column("made_us", BigInteger, nullable=False),
    Column("token", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("rater", Text, nullable=False),
    Column("note", Text),
    Column("consent", Boolean, nullable=False),
    Column("audit", Boolean, nullable=False),
    UniqueConstraint("key", "token", name="infolens_feedback_submissions_token"),
)
"""One row for each submission. A token is the caller's own: another key may use the same."""

Index("infolens_feedback_submissions_of", submissions.c.prediction)

ratings = Table(
    "infolens_feedback_ratings",
    metadata,
    _of("infolens_feedback_submissions", "submission", primary_key=True),
    Column("position", SmallInteger, primary_key=True, autoincrement=False),
    # What was said.
    Column("task", Text, nullable=False),
    Column("stars", SmallInteger),
    Column("better", Text),
    Column("said_right", Boolean),
    Column("said_label", Text),
    # What it means, once its prediction is there; NULL for a task that was not answered.
    _of("infolens_feedback_predictions", "prediction", nullable=True),
    _of("infolens_feedback_models", "model", nullable=True),
    Column("day", Integer),
    Column("audit", Boolean, nullable=False),
    Column("shown", Boolean),
    Column("is_right", Boolean),
    Column("right_label", Text),
    # Of one rater the latest rating of an answer counts: it has its place among those of its model.
    Column("counts", Boolean, nullable=False),
    Column("place", BigInteger),
    Column("several", Boolean, nullable=False),
)
"""One row for each rating of a submission, and for each answer that an audit withheld and of which nothing was said
(from position `counting.PASSED` on; it counts, without a place). `several` are those of answers that several raters
have judged."""

Index("infolens_feedback_ratings_of", ratings.c.prediction)
Index(
    "infolens_feedback_ratings_counted",
    *(ratings.c[name] for name in ("day", "model", "audit", "place", "stars", "is_right", "shown")),
    sqlite_where=text("counts"),
    postgresql_where=text("counts"),
)
Index(
    "infolens_feedback_ratings_several",
    ratings.c.day,
    sqlite_where=text("counts AND several"),
    postgresql_where=text("counts AND several"),
)

tallies = Table(
    "infolens_feedback_tallies",
    metadata,
    _of("infolens_feedback_models", "model", primary_key=True),
    Column("what", Text, primary_key=True),
    Column("bucket", Text, primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Counts towards drift, by day; in the order in which SQLite sums them up without sorting."""

populations = Table(
    "infolens_feedback_populations",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    _of("infolens_feedback_models", "model", primary_key=True),
    Column("predictions", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""How many predictions there were, by day."""

erased = Table(
    "infolens_feedback_erased",
    metadata,
    Column("id", Text, primary_key=True),
    Column("erased_us", BigInteger, nullable=False, index=True),
)
"""The ids of predictions that were erased: one that comes late, out of a spool, is not kept again."""
