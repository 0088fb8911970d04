"""Requests that were valid before somebody changed them, the same ones for the same seed."""

from __future__ import annotations

import copy
import gzip
import json
import random
from collections.abc import Iterator
from typing import Any

TEXT = "Oil rises after output cut, and markets fall."
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, -(2**31), 0.5, 1e308, "", "text", "BYTES", "INT32", "\u0000",
    "x" * 2000, [], {}, [[]], [1, 1], {"name": "text"}, ["a", "b"], [[1], ["a"]],
)  # fmt: skip
KEYS = (
    "name", "shape", "datatype", "data", "parameters", "inputs", "outputs", "id", "classification", "binary_data",
    "binary_data_size", "binary_data_output", "timeout", "shared_memory_region", "sequence_id", "partial",
)  # fmt: skip
TOKENS = (
    b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\\u", b"\\ud800", b"NaN", b"-Infinity", b"1e999", b"\xff",
    b"\x00", b"[" * 40, b"9" * 5000, b'"' * 7, b"\xed\xa0\x80", b"\xff\xff\xff\xff",
)  # fmt: skip

Sent = tuple[str, bytes, dict[str, str]]
"""The path behind the model's, the body and the headers."""


def documents() -> Iterator[tuple[str, Any]]:
    """Valid requests."""
    text = {"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": [TEXT]}
    title = text | {"name": "title", "data": [["Oil"]]}
    ranked = {"name": "category_probabilities", "parameters": {"classification": 3}}
    yield "infer", {"inputs": [text]}
    yield "infer", {"id": "1", "inputs": [text, title], "outputs": [ranked, {"name": "category"}]}
    yield "infer", {"inputs": [text], "parameters": {"timeout": 20_000_000, "binary_data_output": True, "priority": 1}}
    yield "generate", {"text": TEXT, "title": "Oil", "id": "a", "parameters": {"a": 1, "b": "c"}}
    yield "generate", {"text": [TEXT, TEXT]}


def binary() -> tuple[bytes, bytes]:
    """JSON and data of a valid binary request."""
    data = len(TEXT).to_bytes(4, "little") + TEXT.encode()
    given = {"name": "text", "shape": [1, 1], "datatype": "BYTES", "parameters": {"binary_data_size": len(data)}}
    return json.dumps({"inputs": [given], "outputs": [{"name": "category"}]}).encode(), data


def mutated(count: int, seed: int) -> Iterator[Sent]:
    """Requests of all kinds of change."""
    chance = random.Random(seed)
    whole = list(documents())
    for _ in range(count):
        kind = chance.randrange(4)
        path, document = chance.choice(whole)
        headers: dict[str, str] = {}
        if kind == 0:
            body = json.dumps(change(chance, json.loads(json.dumps(document)))).encode()
        elif kind == 1:
            body = spoil(chance, json.dumps(document).encode())
        elif kind == 2:
            path, (head, data) = "infer", binary()
            if chance.random() < 0.5:
                head = json.dumps(change(chance, json.loads(head))).encode()
            headers["Inference-Header-Content-Length"] = str(len(head))
            body = head + (spoil(chance, data) if chance.random() < 0.7 else data)
            if chance.random() < 0.2:
                headers["Inference-Header-Content-Length"] = chance.choice(
                    ["0", "-1", "9" * 30, "x", str(len(head) + 1)]
                )
        else:
            body = gzip.compress(json.dumps(document).encode(), 1)
            headers["Content-Encoding"] = chance.choice(["gzip", "deflate", "br", "gzip, gzip", "identity"])
            body = spoil(chance, body) if chance.random() < 0.7 else body
        yield path, body, headers


def change(chance: random.Random, document: Any, keys: tuple[str, ...] = KEYS) -> Any:
    """A document with some values replaced, taken out or put in."""
    for _ in range(chance.randint(1, 3)):
        place = document
        while isinstance(place, dict | list) and place:
            key = chance.choice(list(place)) if isinstance(place, dict) else chance.randrange(len(place))
            if chance.random() < 0.5 or not isinstance(place[key], dict | list) or not place[key]:
                act = chance.randrange(4)
                if act == 0:
                    del place[key]
                elif act == 1 and isinstance(place, dict):
                    place[chance.choice(keys)] = copy.deepcopy(chance.choice(VALUES))
                elif act == 2 and isinstance(place, list):
                    place.extend([place[key]] * chance.choice([1, 3, 100]))
                else:
                    place[key] = copy.deepcopy(chance.choice(VALUES))
                break
            place = place[key]
    return document


def spoil(chance: random.Random, body: bytes) -> bytes:
    """Bytes with some flipped, cut, repeated or put in."""
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(body) + 1)
        act = chance.randrange(4)
        if act == 0 and body:
            place = min(place, len(body) - 1)
            body = body[:place] + bytes([body[place] ^ (1 << chance.randrange(8))]) + body[place + 1 :]
        elif act == 1:
            body = body[:place]
        elif act == 2:
            body = body[:place] + chance.choice(TOKENS) + body[place:]
        else:
            body = body[:place] + body[chance.randrange(len(body) + 1) :]
    return body
