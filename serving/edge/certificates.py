"""A certificate and its key: read from their files, and tried out before anybody is served with them."""

from __future__ import annotations

import base64
import os
import re
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from serving.errors import EdgeError

WARN_S: Final = 14 * 86_400.0
"""From so long before its end on there are warnings of a certificate's end."""
_CERTIFICATES: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)
_KEY: Final = re.compile(rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.+?-----END \1-----\n?", re.DOTALL)
_ENDED: Final = 10
"""OpenSSL's code for a certificate whose time is over."""
_EDWARDS: Final = b"\x06\x03\x2b\x65"
"""How the name of such a kind begins in a key, which has it near its start."""
_MAX_BYTES: Final = 2**20


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A certificate that can be served."""

    chain: bytes
    """PEM: the certificate, and those between it and the authority."""
    key: bytes = field(repr=False)
    """PEM: its key."""
    ends_at_s: float
    """When its time is over, in seconds since 1970; 0 if it is over already."""
    names: tuple[str, ...]
    """The hosts and addresses that it is for."""


def read_pair(cert: Path, key: Path) -> Pair:
    """Read both files and try them out, by a handshake within this process.

    Raises:
        EdgeError: They cannot be read, are none, do not fit each other, or their time has not begun. A certificate
            whose time is over is no error.
    """
    chain = b"".join(match.group() for match in _CERTIFICATES.finditer(_read("--tls-cert", cert)))
    if not chain:
        raise EdgeError(f"--tls-cert is a PEM file with a certificate, and {cert} has none: give the full chain")
    found = _KEY.search(_read("--tls-key", key))
    if found is None:
        raise EdgeError(f"--tls-key is a PEM file with the key of the certificate, and {key} has none")
    if b"ENCRYPTED" in found.group():
        raise EdgeError(
            f"--tls-key is a key without a pass phrase, and {key} has one: take it off (openssl pkey -in ... -out ...) "
            "and let nobody else read the file"
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        load(context, chain, found.group())
        seen = _try_out(context, chain)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise EdgeError(
                f"the key {key} does not fit the certificate {cert}: give those that belong together"
            ) from None
        words = getattr(error, "verify_message", "") or error.reason or str(error)
        raise EdgeError(f"the certificate {cert} cannot be served ({words}): have a new one made") from None
    if _EDWARDS in base64.b64decode(b"".join(found.group().splitlines()[1:-1]))[:20]:
        raise EdgeError(
            f"browsers and gRPC know no keys of the kind Ed25519 or Ed448, and {key} has one: have a certificate made "
            "for an ECDSA or RSA key"
        )
    ends_at_s = ssl.cert_time_to_seconds(seen["notAfter"]) if seen else 0.0
    names = tuple(value for _, value in seen.get("subjectAltName", ()))
    return Pair(chain=chain, key=found.group(), ends_at_s=float(ends_at_s), names=names)


def load(context: ssl.SSLContext, chain: bytes, key: bytes) -> None:
    """Have a context serve a certificate on its new connections.

    Raises:
        ssl.SSLError: It cannot be used.
    """
    # The library takes files alone. This one is in memory, so what was read and tried out is what is served, even if
    # the files on disk change meanwhile.
    file = os.memfd_create("pair", os.MFD_CLOEXEC)
    try:
        os.write(file, chain + b"\n" + key)
        context.load_cert_chain(f"/proc/self/fd/{file}", password="")
    finally:
        os.close(file)


def words_about_end(pair: Pair, now_s: float | None = None) -> tuple[str, bool]:
    """What is to be said of the end of a certificate, empty while it is far; and whether it is over."""
    left_s = pair.ends_at_s - (time.time() if now_s is None else now_s)
    if left_s <= 0:
        return "has expired", True
    if left_s < WARN_S:
        return f"ends in {left_s / 86_400:.1f} days", False
    return "", False


def _read(option: str, path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES)
    except OSError as error:
        raise EdgeError(
            f"{option} {path} cannot be read ({error.strerror}): see that it is there, and who may read it"
        ) from None


def _try_out(context: ssl.SSLContext, chain: bytes) -> dict[str, Any]:
    """What a caller who trusts a certificate sees of it; nothing if its time is over."""
    caller = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    caller.check_hostname = False
    caller.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    caller.load_verify_locations(cadata=chain.decode("ascii", "replace"))
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = caller.wrap_bio(back, there), context.wrap_bio(there, back, server_side=True)
    try:
        for _ in range(4):  # each says what it can, until neither waits for the other
            for end in ends:
                with suppress(ssl.SSLWantReadError):
                    end.do_handshake()
    except ssl.SSLCertVerificationError as error:
        if error.verify_code == _ENDED:
            return {}
        raise
    return ends[0].getpeercert() or {}
