"""The first tables: predictions, what was said of them, and what is counted.

Revision: 0001
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NUMBER: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "infolens_feedback_about",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("salt", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "infolens_feedback_erased",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("erased_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_infolens_feedback_erased_erased_us", "infolens_feedback_erased", ["erased_us"], unique=False)
    op.create_table(
        "infolens_feedback_models",
        sa.Column("number", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("ratings", sa.BigInteger(), nullable=False),
        sa.Column("audits", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("task", "model", "revision", name="infolens_feedback_models_key"),
    )
    op.create_table(
        "infolens_feedback_predictions",
        sa.Column("number", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("text_sha256", sa.Text(), nullable=False),
        sa.Column("words", sa.BigInteger(), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("timings", sa.Text(), nullable=False),
        sa.Column("audit", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
    )
    op.create_index(
        "ix_infolens_feedback_predictions_made_us", "infolens_feedback_predictions", ["made_us"], unique=False
    )
    op.create_table(
        "infolens_feedback_answers",
        sa.Column("prediction", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("position", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("model", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("signal", sa.Text(), nullable=False),
        sa.Column("probability", sa.Double(), nullable=True),
        sa.Column("output", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model"],
            ["infolens_feedback_models.number"],
        ),
        sa.ForeignKeyConstraint(["prediction"], ["infolens_feedback_predictions.number"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("prediction", "position"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "infolens_feedback_populations",
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("model", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("predictions", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model"],
            ["infolens_feedback_models.number"],
        ),
        sa.PrimaryKeyConstraint("day", "model"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "infolens_feedback_submissions",
        sa.Column("number", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("prediction", _NUMBER, autoincrement=False, nullable=True),
        sa.Column("awaited", sa.Text(), nullable=True),
        sa.Column("awaited_since_us", sa.BigInteger(), nullable=True),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("rater", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("consent", sa.Boolean(), nullable=False),
        sa.Column("audit", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["prediction"], ["infolens_feedback_predictions.number"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("key", "token", name="infolens_feedback_submissions_token"),
    )
    op.create_index("infolens_feedback_submissions_of", "infolens_feedback_submissions", ["prediction"], unique=False)
    op.create_index(
        "ix_infolens_feedback_submissions_awaited", "infolens_feedback_submissions", ["awaited"], unique=False
    )
    op.create_table(
        "infolens_feedback_tallies",
        sa.Column("model", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model"],
            ["infolens_feedback_models.number"],
        ),
        sa.PrimaryKeyConstraint("model", "what", "bucket", "day"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "infolens_feedback_ratings",
        sa.Column("submission", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("position", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("stars", sa.SmallInteger(), nullable=True),
        sa.Column("better", sa.Text(), nullable=True),
        sa.Column("said_right", sa.Boolean(), nullable=True),
        sa.Column("said_label", sa.Text(), nullable=True),
        sa.Column("prediction", _NUMBER, autoincrement=False, nullable=True),
        sa.Column("model", _NUMBER, autoincrement=False, nullable=True),
        sa.Column("day", sa.Integer(), nullable=True),
        sa.Column("audit", sa.Boolean(), nullable=False),
        sa.Column("shown", sa.Boolean(), nullable=True),
        sa.Column("is_right", sa.Boolean(), nullable=True),
        sa.Column("right_label", sa.Text(), nullable=True),
        sa.Column("counts", sa.Boolean(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=True),
        sa.Column("several", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model"],
            ["infolens_feedback_models.number"],
        ),
        sa.ForeignKeyConstraint(["prediction"], ["infolens_feedback_predictions.number"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["submission"], ["infolens_feedback_submissions.number"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("submission", "position"),
    )
    op.create_index(
        "infolens_feedback_ratings_counted",
        "infolens_feedback_ratings",
        ["day", "model", "audit", "place", "stars", "is_right", "shown"],
        unique=False,
        sqlite_where=sa.text("counts"),
        postgresql_where=sa.text("counts"),
    )
    op.create_index("infolens_feedback_ratings_of", "infolens_feedback_ratings", ["prediction"], unique=False)
    op.create_index(
        "infolens_feedback_ratings_several",
        "infolens_feedback_ratings",
        ["day"],
        unique=False,
        sqlite_where=sa.text("counts AND several"),
        postgresql_where=sa.text("counts AND several"),
    )


def downgrade() -> None:
    """Drop them, with all that they hold."""
    for name in (
        "infolens_feedback_ratings",
        "infolens_feedback_tallies",
        "infolens_feedback_submissions",
        "infolens_feedback_populations",
        "infolens_feedback_answers",
        "infolens_feedback_predictions",
        "infolens_feedback_models",
        "infolens_feedback_erased",
        "infolens_feedback_about",
    ):
        op.drop_table(name)
