"""What the commands about feedback do."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from infolens._commands.articles import STDIN
from infolens._commands.running import make_client
from infolens._commands.sources import to_http
from infolens._commands.usage import OK, clean
from infolens._transports.retry import RetryPolicy
from infolens.errors import InvalidSettingError

from .table import quality_text

_MAX_BYTES: Final = 64 * 2**10
_WORDS: Final[Mapping[str, bool]] = {"right": True, "wrong": False}
_WHERE: Final[Mapping[str, str]] = {
    "database": "the server has it",
    "spool": "the server has it, and counts it once its database is back",
}


def rate(options: argparse.Namespace) -> int:
    """Rate answers; returns the exit code."""
    better = None if options.better is None else _read(options.better)
    to_http(options, "answers are rated")
    with make_client(options, RetryPolicy()) as client:
        rated = client.rate(
            options.id,
            stars=options.stars,
            better=better,
            category=_said(options.category),
            veracity=_said(options.veracity),
            note=options.note,
            rater=options.rater,
            consent=options.consent,
        )
    if options.json:
        _write({"id": rated.id, "prediction": rated.prediction, "kept": rated.kept, "repeated": rated.repeated})
    else:
        sys.stdout.write(f"rated: {_where(rated.kept)}\n")
    return OK


def forget(options: argparse.Namespace) -> int:
    """Have answers forgotten; returns the exit code."""
    to_http(options, "answers are forgotten")
    with make_client(options, RetryPolicy()) as client:
        forgotten = client.forget(options.id)
    if options.json:
        _write({"id": forgotten.prediction, "deleted": True, "kept": forgotten.kept})
    elif forgotten.done:
        sys.stdout.write("forgotten, with all that was said of it\n")
    else:
        sys.stdout.write("noted: it is forgotten as soon as the server's database is back\n")
    return OK


def quality(options: argparse.Namespace) -> int:
    """Show how good the models are; returns the exit code."""
    to_http(options, "quality is told")
    with make_client(options, RetryPolicy()) as client:
        found = client.quality(options.days)
    if options.json:
        _write(found.document)
    else:
        sys.stdout.write(quality_text(found))
    return OK


def _said(word: str | None) -> bool | str | None:
    return None if word is None else _WORDS.get(word, word)


def _where(kept: str) -> str:
    return _WHERE.get(kept, f"the server has it ({clean(kept)})")


def _read(name: str) -> str:
    """The better summary of ``--better``.

    Raises:
        InvalidSettingError: It cannot be read, or is no text.
    """
    try:
        if name == STDIN:
            data = sys.stdin.buffer.read(_MAX_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(_MAX_BYTES + 1)
        text = data.decode("utf-8-sig").strip()
    except (OSError, ValueError) as error:
        reason = "it is no UTF-8 text" if isinstance(error, UnicodeError) else getattr(error, "strerror", None) or error
        raise InvalidSettingError(f"--better must name a text that can be read, but {name}: {reason}") from None
    if not text or len(data) > _MAX_BYTES:
        shown = "the standard input" if name == STDIN else name
        raise InvalidSettingError(
            f"--better must name a file with a better summary, but {shown} is "
            f"{'longer than 64 KiB' if text else 'empty'}"
        )
    return text


def _write(document: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(dict(document), ensure_ascii=False) + "\n")
