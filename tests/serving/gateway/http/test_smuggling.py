"""Requests whose end a proxy and the door could see in different places: refused, with all that comes behind them."""

from __future__ import annotations

import pytest

from tests.serving.gateway.http.running import FakeTriton, RunningDoor, infer_body, receive

BODY = infer_body().encode()
HIDDEN = b"POST /v2/models/classify/infer HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
ENDED = b"0\r\n\r\n"
SHAPES = {
    "a length, and chunks": b"Content-Length: 5\r\n" + CHUNKED + ENDED,
    "chunks, and a length": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + ENDED,
    "chunks twice": b"Transfer-Encoding: chunked\r\n" + CHUNKED + ENDED,
    "chunks that are not last": b"Transfer-Encoding: chunked, identity\r\n\r\n" + ENDED,
    "an encoding that nobody knows": b"Transfer-Encoding: xchunked\r\n\r\n" + ENDED,
    "a space before the colon": b"Transfer-Encoding : chunked\r\n\r\n" + ENDED,
    "a tab in the name": b"Transfer-\tEncoding: chunked\r\n\r\n" + ENDED,
    "a control character in the value": b"Transfer-Encoding: \x0bchunked\r\n\r\n" + ENDED,
    "a line that is folded": b"Transfer-Encoding:\r\n chunked\r\n\r\n" + ENDED,
    "a length in another form": b"Content-Length: +0\r\n\r\n",
    "a length in hexadecimal": b"Content-Length: 0x0\r\n\r\n",
    "a length with an underscore": b"Content-Length: 0_0\r\n\r\n",
    "a list of lengths": b"Content-Length: 0, 0\r\n\r\n",
    "two lengths that differ": b"Content-Length: 0\r\nContent-Length: 1\r\n\r\n",
    "an absurd length": b"Content-Length: " + b"9" * 40 + b"\r\n\r\n",
    "a chunk of a size that is no number": CHUNKED + b"0x0\r\n\r\n",
    "a chunk of a negative size": CHUNKED + b"-0\r\n\r\n",
    "a chunk that goes on after its end": CHUNKED + b"1\r\n{}\r\n" + ENDED,
    "a header without a colon": b"Content-Length\r\n\r\n",
    "a header without a name": b": 0\r\n\r\n",
}


@pytest.mark.parametrize("name", SHAPES)
def test_nothing_behind_an_unclear_end_is_read(door: RunningDoor, fake: FakeTriton, name: str) -> None:
    with door.raw() as connection:
        connection.sendall(b"POST /v2/models/classify/infer HTTP/1.1\r\nHost: a\r\n" + SHAPES[name] + HIDDEN)
        answer = receive(connection)
    assert answer[:5] == b"HTTP/"
    assert answer.split(b" ", 2)[1] in (b"400", b"413"), answer[:100]
    assert answer.count(b"\r\n\r\n") == 1
    assert fake.requests == []
    assert door.infer("classify", BODY).status == 200
