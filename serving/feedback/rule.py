"""Whether a server can keep feedback, and where, found out before it starts."""

from __future__ import annotations

import dataclasses
import logging
import os
from pathlib import Path
from typing import Final

from serving.errors import FeedbackError
from serving.storage.kept import why_not

from .location import KEPT, VARIABLE
from .options import FeedbackOptions

SPOOL_VARIABLE: Final = "INFOLENS_FEEDBACK_SPOOL"
_SPOOL: Final = "feedback/spool"
_SAID: Final = "it was started with --no-feedback"
log = logging.getLogger(__name__)


def check_feedback(options: FeedbackOptions, cache: Path, run: Path | None = None) -> FeedbackOptions:
    """Whether and where feedback is kept; says aloud where it is not although nobody said so.

    A database that is named is not asked: one that is away when the server starts may be there later.

    Args:
        options: As they were given.
        cache: The folder of the cache, in which it is kept where no other place is named.
        run: A folder that can be written though the cache may not be: there the spool is then.

    Returns:
        The options as the door has them, with the whole address of the store and the folder of the spool, or why there
        is none.

    Raises:
        FeedbackError: The address is none, or feedback or its spool is to be kept where it cannot be.
    """
    if options.keeps is False:
        return dataclasses.replace(options, url="", spool="", texts=False, why_not=_SAID)
    if options.url or os.environ.get(VARIABLE):
        from serving.storage.location import read_url  # the library of the database, for those alone who need it

        url = read_url(KEPT, options.url, cache).render_as_string(hide_password=False)
    else:
        file = KEPT.file_in(cache)
        if problem := why_not(file):
            words = (
                f"feedback cannot be kept in {file} ({problem}): let this user write there, or name a database with "
                f"--feedback-url (or {VARIABLE})"
            )
            if options.keeps:
                raise FeedbackError(f"{words}, or leave --feedback out")
            log.info("no feedback is kept: %s", words)
            none = dataclasses.replace(options, keeps=False, url="", spool="", texts=False)
            return dataclasses.replace(none, why_not="it has no place for it")
        url = f"sqlite:///{file}"
    return dataclasses.replace(options, keeps=True, url=url, spool=_spool(options.spool, cache, run))


def _spool(given: str, cache: Path, run: Path | None) -> str:
    """The folder of the spool; empty where it has no place, which is said aloud."""
    if named := given or os.environ.get(SPOOL_VARIABLE, ""):
        folder = Path(named).resolve()
        if problem := why_not(folder / "1"):
            raise FeedbackError(
                f"the spool of the feedback cannot be kept in {folder} ({problem}): let this user write there, or name "
                f"another folder with --feedback-spool (or {SPOOL_VARIABLE})"
            )
        return str(folder)
    folders = [cache.resolve() / _SPOOL, *([] if run is None else [run / _SPOOL])]
    found = next((folder for folder in folders if not why_not(folder / "1")), None)
    if found is None:
        log.info(
            "no spool for feedback: none can be kept in %s, so what comes while the database is away is refused; name "
            "a folder with --feedback-spool (or %s)",
            folders[0],
            SPOOL_VARIABLE,
        )
    return "" if found is None else str(found)
