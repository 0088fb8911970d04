"""Undoes what a body was packed with, piece by piece, so that a small body never becomes more than a limit."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Protocol

import brotli

from .errors import FetchError

_PIECE_BYTES: Final = 256 * 2**10
ACCEPTED: Final = "gzip, deflate, br"
"""What the request says that it takes."""


class Inflater(Protocol):
    """Undoes one encoding."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What bytes become, in pieces of some 256 KiB; raises `FetchError` where they are not so encoded."""

    def end(self) -> None:
        """All has come; raises `FetchError` where something is missing."""


class _AsItIs:
    def feed(self, data: bytes) -> Iterator[bytes]:
        yield data

    def end(self) -> None:
        pass


class _Zlib:
    """gzip of one member or several, or deflate. What comes after the end, as some servers pad it, is left out."""

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._inflater: Any = None
        self._ended = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        full = False
        while (data or full) and not self._ended:
            self._inflater = self._inflater or self._begun(data)
            try:
                piece = self._inflater.decompress(data, _PIECE_BYTES)
            except zlib.error:
                raise _not_so("gzip" if self._gzip else "deflate") from None
            yield piece
            data, full = self._inflater.unconsumed_tail, len(piece) >= _PIECE_BYTES
            if self._inflater.eof:
                data, full = self._inflater.unused_data, False
                self._inflater = None
                self._ended = not (self._gzip and data[:1] == b"\x1f")

    def end(self) -> None:
        if not self._ended and self._inflater is not None:
            raise _cut_short()

    def _begun(self, data: bytes) -> Any:
        if self._gzip:
            return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        # Servers mean zlib's format (RFC 1950) by it, as the standard does, or the bare one (RFC 1951).
        headed = data[0] & 0x0F == 8 and (len(data) < 2 or int.from_bytes(data[:2], "big") % 31 == 0)
        return zlib.decompressobj(wbits=zlib.MAX_WBITS if headed else -zlib.MAX_WBITS)


class _Brotli:
    def __init__(self) -> None:
        self._inflater = brotli.Decompressor()

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            yield self._inflater.process(data, output_buffer_limit=_PIECE_BYTES)
            while not self._inflater.can_accept_more_data() and not self._inflater.is_finished():
                yield self._inflater.process(b"", output_buffer_limit=_PIECE_BYTES)
        except brotli.error:
            raise _not_so("br") from None

    def end(self) -> None:
        if not self._inflater.is_finished():
            raise _cut_short()


_INFLATERS: Final[Mapping[str, Callable[[], Inflater]]] = {
    "": _AsItIs,
    "identity": _AsItIs,
    "gzip": lambda: _Zlib(gzip=True),
    "x-gzip": lambda: _Zlib(gzip=True),
    "deflate": lambda: _Zlib(gzip=False),
    "br": _Brotli,
}


def inflater_for(encoding: str) -> Inflater:
    """What undoes an encoding.

    Args:
        encoding: The header ``Content-Encoding``.

    Raises:
        FetchError: Nobody asked for it, or there are several.
    """
    try:
        return _INFLATERS[encoding.strip().lower()]()
    except KeyError:
        raise FetchError(
            f"a page comes as it is, or as {ACCEPTED}, and this one comes as '{encoding[:40]}': paste the text instead"
        ) from None


def _not_so(name: str) -> FetchError:
    return FetchError(f"the page says that it is {name}, and is not: paste the text instead")


def _cut_short() -> FetchError:
    return FetchError("the page was cut short on its way: try again, or paste the text instead")
