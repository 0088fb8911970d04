"""From one version of the tables to another, forth and back, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect

from serving.errors import FeedbackError
from serving.feedback.database import making, migrating
from serving.feedback.database.schema import HEAD, VERSIONS, metadata
from serving.feedback.location import KEPT
from serving.feedback.store import FeedbackStore
from serving.storage.location import read_url
from tests.serving.feedback.said import predicted, said, stars

NEXT = '''"""A later version, for tests."""

import sqlalchemy as sa
from alembic import op

revision = "later"
down_revision = "HEAD"


def upgrade() -> None:
    op.add_column("infolens_feedback_models", sa.Column("language", sa.Text()))


def downgrade() -> None:
    op.drop_column("infolens_feedback_models", "language")
'''


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.system)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'feedback.sqlite3'}"
    found: str = request.getfixturevalue("postgresql").url()
    store = FeedbackStore(read_url(KEPT, found, tmp_path))
    store.migrate("base")
    store.close()
    return found


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[FeedbackStore]:
    store = FeedbackStore(read_url(KEPT, url, tmp_path))
    yield store
    store.migrate("base")
    store.close()


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A program that knows a later version of the tables."""
    folder = tmp_path / "migrations"
    shutil.copytree(migrating.FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "later.py").write_text(NEXT.replace("HEAD", HEAD), encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(migrating, "FOLDER", folder)
        patch.setattr(making, "HEAD", "later")
        yield patch


def tables(connection: Connection) -> set[str]:
    return {name for name in inspect(connection).get_table_names() if name.startswith("infolens_feedback")}


def test_the_migrations_end_at_the_tables_of_the_program_and_lead_back(store: FeedbackStore) -> None:
    assert store.migrate() == ("base", HEAD)
    assert migrating.known()[-1] == HEAD
    store.write([predicted("p"), said("s", "p", stars(3))])
    with store._opened.writing() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSIONS})
        ours = [one for one in compare_metadata(context, metadata) if "infolens_keys" not in str(one)]
        assert [one for one in ours if "infolens_reports" not in str(one)] == []
    assert store.migrate("base") == (HEAD, "base")
    with store._opened._engine.connect() as connection:
        assert tables(connection) == {VERSIONS}
    assert store.version() == "base"
    assert store.prediction("p") is None
    store.write([predicted("p")])
    assert store.version() == HEAD


def test_an_older_store_is_brought_up_when_it_is_opened_and_a_newer_one_refused(
    store: FeedbackStore, url: str, tmp_path: Path, later: pytest.MonkeyPatch
) -> None:
    with later.context() as before:
        before.setattr(making, "HEAD", HEAD)
        store.migrate(HEAD)
        store.write([predicted("p")])
    newer = FeedbackStore(read_url(KEPT, url, tmp_path))
    assert newer.prediction("p") is not None
    assert newer.version() == "later"
    newer.close()
    later.setattr(migrating, "FOLDER", Path(migrating.__file__).parents[1] / "migrations")
    later.setattr(making, "HEAD", HEAD)
    older = FeedbackStore(read_url(KEPT, url, tmp_path))
    for use in (lambda: older.prediction("p"), lambda: older.write([predicted("q")]), older.migrate):
        with pytest.raises(FeedbackError, match=f"kept in version later, and this server knows versions up to {HEAD}"):
            use()
    older.close()
    later.setattr(migrating, "FOLDER", tmp_path / "migrations")
    assert store.migrate(HEAD) == ("later", HEAD)


def test_a_version_that_is_none_is_said(store: FeedbackStore) -> None:
    with pytest.raises(FeedbackError, match=rf"no version '9999' of the tables: it is one of base, {HEAD}"):
        store.migrate("9999")
    assert store.version() == "base"
