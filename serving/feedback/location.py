"""Where feedback is kept; it loads the library of the database only where a URL is given."""

from __future__ import annotations

from typing import Final

from serving.errors import FeedbackAwayError, FeedbackError
from serving.storage.kept import Kept

VARIABLE: Final = "INFOLENS_FEEDBACK_URL"
KEPT: Final = Kept(
    what="ratings",
    file="feedback/feedback.sqlite3",
    option="--feedback-url",
    variable=VARIABLE,
    error=FeedbackError,
    away=FeedbackAwayError,
)
