"""When a server wants keys, and whether it may start."""

from __future__ import annotations

import ipaddress
import logging
import socket
import time
from collections.abc import Callable
from pathlib import Path

from serving.errors import KeysError

log = logging.getLogger(__name__)


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches a server that listens on an address."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return all(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]).is_loopback for entry in found)


def warn_if_open(host: str, said: bool | None) -> None:
    """Say aloud where no key keeps other machines out.

    Args:
        host: Where the server listens.
        said: As in `wants_keys`.
    """
    if said is False and not is_loopback(host):
        log.warning(
            "warning: --no-keys with --host %s: everybody who reaches these ports may ask the models, as often as they "
            "like",
            host,
        )


def wants_keys(host: str, said: bool | None) -> bool:
    """Whether callers need a key.

    Args:
        host: Where the server listens.
        said: What ``--keys`` and ``--no-keys`` say; None for neither.
    """
    return not is_loopback(host) if said is None else said


def full_url(keys_url: str | None, cache: Path) -> str:
    """The address of the store in full, with its password: for a file that this user alone can read.

    Raises:
        KeysError: It is no address of a store.
    """
    from .location import read_url  # the library of the database is loaded by those alone who need it

    return read_url(keys_url, cache).render_as_string(hide_password=False)


def check_start(
    host: str, said: bool | None, keys_url: str | None, cache: Path, *, now: Callable[[], float] = time.time
) -> bool:
    """Whether callers need a key, once it is sure that one of them can have one.

    Raises:
        KeysError: Keys are needed and there is none, or their store cannot be read.
    """
    if not wants_keys(host, said):
        return False
    # The library of the database is loaded by those alone who need it.
    from .location import VARIABLE, read_url
    from .store import KeyStore

    because = "--keys was given" if said else f"--host {host} lets other machines in"
    ways = (
        "make one with `python -m serving keys create NAME --role read`, or say --no-keys to let everybody in who "
        "reaches the server"
    )
    store = KeyStore(read_url(keys_url, cache))
    try:
        contents = store.read()
    except KeysError as error:
        raise KeysError(f"callers need a key, since {because}, but {error} (or say --no-keys)") from None
    finally:
        store.close()
    if contents is None or not any(one.usable(now()) for one in contents.keys):
        raise KeysError(
            f"callers need a key, since {because}, and {store.shown} (--keys-url, {VARIABLE}) has none that is valid: "
            f"{ways}"
        )
    return True
