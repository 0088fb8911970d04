"""The error of this room."""

from __future__ import annotations


class Unfit(Exception):  # noqa: N818 - what it says of a checkpoint; the caller's error has the checkpoint's name
    """A checkpoint cannot be used; the message is a clause that follows the checkpoint's name and a colon."""


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or its type where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
