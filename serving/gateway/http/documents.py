"""JSON as it comes from outside: parsed once, after a look at how much there is to parse."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from serving.gateway.refusals import Refusal, RefusedError, invalid

MAX_VALUES: Final = 65_536
"""Values and brackets of one document outside its strings: a body of 4 MiB could hold millions, of 50 bytes each."""

# Matches to the end of the text where a string is not closed, and never twice: the time is that of one pass.
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)


def parse(body: bytes | memoryview, *, max_depth: int) -> dict[str, Any]:
    """A JSON object out of a body.

    Raises:
        RefusedError: It is not UTF-8, not JSON, no object, too deep, of too many values, or has a name twice.
    """
    body = bytes(body)
    _check_structure(body, max_depth)
    try:
        document = json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise invalid(f"a JSON body is UTF-8, but its byte {error.start} is not: encode it as UTF-8") from None
    except json.JSONDecodeError as error:
        if not body.strip():
            raise invalid("the body is empty: send a JSON object") from None
        if error.msg == "Extra data":
            words = f"more comes after the document, from character {error.pos} on: send one document, or one a line to"
            raise invalid(f"{words} /v1/analyze/batch (curl -d takes line breaks out: use -T FILE)") from None
        raise invalid(f"the body is not JSON: {error.msg.removesuffix(' at')} at character {error.pos}") from None
    except (ValueError, RecursionError) as error:
        raise invalid(f"the body cannot be read as JSON: {str(error)[:100]}") from None
    if not isinstance(document, dict):
        raise invalid(f"the body is a JSON object, not {kind(document)}")
    return document


def dump(document: Any) -> bytes:
    """A document as UTF-8, without spaces.

    Raises:
        RefusedError: A number in it is not finite.
    """
    try:
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        words = "the model gave a number that is not finite, which JSON cannot carry: ask for the output as binary data"
        raise RefusedError(Refusal.FAILED, words) from None
    return text.encode("utf-8", "replace")


def kind(value: object) -> str:
    """What JSON calls a value."""
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "an array"}
    return names.get(type(value), "an object")


def _check_structure(body: bytes, max_depth: int) -> None:
    """Count values and brackets before anything is made of them: at the speed of memory where there are few."""
    openers = body.count(b"[") + body.count(b"{")
    if openers <= max_depth and openers + body.count(b",") <= MAX_VALUES:
        return
    # At least so many strings begin or end here; taking out millions of them would take a second.
    if body.count(b'"') - body.count(b'\\"') > 2 * MAX_VALUES:
        raise _too_many()
    bare = _STRING.sub(b"", body)
    if bare.count(b",") + bare.count(b"[") + bare.count(b"{") > MAX_VALUES:
        raise _too_many()
    depth = 0
    for mark in re.findall(rb"[\[\]{}]", bare):
        depth += 1 if mark in b"[{" else -1
        if depth > max_depth:
            raise invalid(f"a JSON body is nested at most {max_depth} deep, and this one is deeper")


def _too_many() -> RefusedError:
    return invalid(f"a JSON body has at most {MAX_VALUES} values: send larger tensors as binary data")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise invalid(f"a JSON object has each name once, but '{twice[:60]}' comes twice")
    return found


def _no_constant(name: str) -> Any:
    raise invalid(f"a JSON number is finite, and {name} is none")
