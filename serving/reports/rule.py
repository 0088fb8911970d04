"""Whether a server can keep reports, found out before it starts."""

from __future__ import annotations

import dataclasses
import logging
import os
from pathlib import Path
from typing import Final

from serving.errors import ReportsError
from serving.storage.kept import why_not

from .location import KEPT, VARIABLE
from .options import ReportsOptions

_SAID: Final = "it was started with --no-reports"
log = logging.getLogger(__name__)


def check_reports(options: ReportsOptions, cache: Path) -> ReportsOptions:
    """Whether and where reports are kept; says aloud where they are not although nobody said so.

    A database that is named is not asked: one that is away when the server starts may be there later.

    Args:
        options: As they were given.
        cache: The folder of the cache, in which they are kept where no other place is named.

    Returns:
        The options as the door has them, with the whole address of the store, or why there is none.

    Raises:
        ReportsError: The address is none, or reports are to be kept where they cannot be.
    """
    if options.keeps is False:
        return dataclasses.replace(options, url="", texts=False, why_not=_SAID)
    if options.url or os.environ.get(VARIABLE):
        from serving.storage.location import read_url  # the library of the database, for those alone who need it

        url = read_url(KEPT, options.url, cache).render_as_string(hide_password=False)
        return dataclasses.replace(options, keeps=True, url=url)
    file = KEPT.file_in(cache)
    if problem := why_not(file):
        words = (
            f"reports cannot be kept in {file} ({problem}): let this user write there, or name a database with "
            f"--reports-url (or {VARIABLE})"
        )
        if options.keeps:
            raise ReportsError(f"{words}, or leave --reports out")
        log.info("no reports are kept: %s", words)
        return dataclasses.replace(options, keeps=False, texts=False, why_not="it has no place for them")
    return dataclasses.replace(options, keeps=True, url=f"sqlite:///{file}")
