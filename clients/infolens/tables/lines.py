"""JSON lines, and a JSON array of objects. Pure."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from infolens.errors import InvalidTableError

from .columns import NAMES, Gathering, choose, gather_single, no_column
from .encoding import mend

_BLANK: Final = re.compile(r"[ \t\r\n]*")
_BEGINS: Final = re.compile(r"[ \t\r\n]*(\[[ \t\r\n]*([\[{\"\]])|\{[ \t\r\n]*[\"}])")
"""An array of objects, arrays or strings, or an object."""
_AN_OBJECT: Final = "an object with the keys text, or url, and title and id where there are some"


def is_json(text: str) -> bool:
    """Whether a text begins as JSON does; the text of an article does not."""
    return _BEGINS.match(text) is not None


def read_json(text: str, gathering: Gathering) -> tuple[str, dict[str, str | None]]:
    """Take the rows of JSON lines, or of a JSON array.

    Args:
        text: The whole file.
        gathering: Takes the rows.

    Returns:
        The kind, ``jsonl`` or ``json``, and the columns, as `Table.columns` has them.

    Raises:
        InvalidTableError: An array is broken or holds no articles, or no key holds texts or links.
    """
    start = _end_of_blanks(text, 0)
    if text.startswith("[", start):
        return "json", _gather(list(itertools.islice(_elements(text, start + 1), gathering.max_rows + 1)), gathering)
    values = list(itertools.islice(_lines(text), gathering.max_rows + 1))
    if isinstance(values[0], _Fault) and (whole := _whole(text)) is not None:
        return "json", _gather([whole], gathering)
    return "jsonl", _gather(values, gathering)


class _Fault(str):
    """Why a value could not be read."""

    __slots__ = ()


def _whole(text: str) -> Any:
    """The one object that a text is, written over many lines; None where it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _lines(text: str) -> Iterator[Any]:
    # Line breaks of JSON lines alone: str.splitlines knows more, which a string may hold.
    for number, line in enumerate(re.split(r"\r?\n|\r", text), start=1):
        if line and not line.isspace():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError) as error:
                reason = error.msg if isinstance(error, json.JSONDecodeError) else "its brackets go too deep"
                yield _Fault(f"each line is {_AN_OBJECT}, but line {number:,} is no JSON: {reason}")


def _elements(text: str, at: int) -> Iterator[Any]:
    """The elements of an array, one after the other, so that a huge one need not be held as a whole."""
    decoder = json.JSONDecoder()
    at = _end_of_blanks(text, at)
    if text.startswith("]", at):
        return
    while True:
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise _broken(text, at) from error
        yield value
        at = _end_of_blanks(text, at)
        if text.startswith("]", at):
            return
        if not text.startswith(",", at):
            raise _broken(text, at)
        at = _end_of_blanks(text, at + 1)


def _broken(text: str, at: int) -> InvalidTableError:
    line = text.count("\n", 0, at) + 1
    return InvalidTableError(
        f"a JSON array must be whole, but this one is broken in line {line:,} at {text[at : at + 20]!r}; write it "
        "anew, or as JSON lines, where a broken line spoils no other"
    )


def _end_of_blanks(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return at if found is None else found.end()


def _gather(values: Sequence[Any], gathering: Gathering) -> dict[str, str | None]:
    if values and all(isinstance(value, str) and not isinstance(value, _Fault) for value in values):
        texts = [mend(value) for value in values if value and not value.isspace()]
        return gather_single(texts, gathering) if texts else dict.fromkeys(NAMES)
    names = list(dict.fromkeys(name for value in values if isinstance(value, dict) for name in value))
    places = choose(names)
    if names and places["text"] is None and places["url"] is None:
        raise no_column(list(map(mend, names)))
    found = {what: None if place is None else names[place] for what, place in places.items()}
    for value in values:
        cells, problem = {}, None
        if isinstance(value, _Fault):
            problem = str(value)
        elif isinstance(value, dict):
            cells = {what: _cell(value.get(name)) for what, name in found.items() if name is not None}
        else:
            problem = f"a row is {_AN_OBJECT}, but this one is a {type(value).__name__}"
        if not gathering.add(cells, problem=problem):
            break
    return {what: None if name is None else mend(name) for what, name in found.items()}


def _cell(value: object) -> object:
    return mend(value) if isinstance(value, str) else value
