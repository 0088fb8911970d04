"""What is wrong with a field of a document, in words: the rule, the value where it is no text, and the way out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from infolens.contract import CONTRACTS, SUMMARY_SETTINGS
from serving.gateway.http.documents import kind
from serving.gateway.refusals import FieldError

MAX_DEADLINE_MS: Final = 300_000
_SHOWN: Final = 40
_RANGES: Final[Mapping[str, str]] = {
    "/deadline_ms": f"a whole number from 1 to {MAX_DEADLINE_MS}; leave it out for as long as the server allows",
    **{f"/summary/{one.name}": f"{one.rule}; leave it out for {one.left_out}" for one in SUMMARY_SETTINGS},
}


def field_error(error: Mapping[str, Any], fields: Mapping[str, str], ranges: Mapping[str, str] = _RANGES) -> FieldError:
    """What pydantic found.

    Args:
        error: An entry of `ValidationError.errors`.
        fields: The names of the fields there are, by the pointer of what holds them.
        ranges: What a field may be whose range is worth words, by its pointer.
    """
    place = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')[:60]}" for part in error["loc"])
    if error["type"] == "extra_forbidden":
        holder = place.rpartition("/")[0]
        return FieldError(pointer=place, words=f"there is no such field: there are {fields[holder]}")
    if place in ranges and error["type"] not in ("missing", "none_required"):
        return FieldError(pointer=place, words=f"this is {ranges[place]}; it is {_shown(error['input'])}")
    write = _WORDS.get(error["type"])
    return FieldError(pointer=place, words=write(error) if write else str(error["msg"]))


def _shown(value: object) -> str:
    """A value, or what it is: a text may be an article's, and none of that is told."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)[:_SHOWN]
    return "true" if value is True else "false" if value is False else kind(value)


def _size(error: Mapping[str, Any]) -> int:
    return int(error["ctx"].get("actual_length") or 0)


_WORDS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "missing": lambda _: "this field is needed",
    "string_type": lambda error: f"this is a string, not {kind(error['input'])}",
    "string_unicode": lambda _: "a text has half a surrogate pair, which is no character",
    "string_too_short": lambda _: (
        "this is a text, and it is empty: send one, or leave the field out if it may be left out"
    ),
    "string_too_long": lambda error: (
        f"this has at most {error['ctx']['max_length']} characters, not {len(error['input'])}"
    ),
    "bool_type": lambda error: f"this is true or false, not {_shown(error['input'])}",
    "list_type": lambda error: f"this is an array, not {kind(error['input'])}",
    "too_short": lambda error: (
        f"this has at least {error['ctx']['min_length']} entry, and it is empty: name some, or "
        "leave the field out for all"
    ),
    "too_long": lambda error: f"this has at most {error['ctx']['max_length']} entries, not {_size(error)}",
    "literal_error": lambda _: f"a task is one of {', '.join(CONTRACTS)}, and this is none of them",
    "model_type": lambda error: f"this is an object, not {kind(error['input'])}",
    "model_attributes_type": lambda error: f"this is an object, not {kind(error['input'])}",
}
