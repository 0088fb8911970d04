"""Where reports are kept; it loads the library of the database only where a URL is given."""

from __future__ import annotations

from typing import Final

from serving.errors import ReportsAwayError, ReportsError
from serving.storage.kept import Kept

VARIABLE: Final = "INFOLENS_REPORTS_URL"
KEPT: Final = Kept(
    what="reports",
    file="reports/reports.sqlite3",
    option="--reports-url",
    variable=VARIABLE,
    error=ReportsError,
    away=ReportsAwayError,
)
