"""Looks names up in threads of their own, so that a slow name server holds nobody else up."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from .addresses import Address
from .errors import FetchError

Lookup = Callable[[str, int], Awaitable[Sequence[Address]]]
"""Gives all addresses of a host at a port; raises `OSError` where it has none."""
MAX_THREADS: Final = 32
"""A lookup cannot be broken off: one that nobody waits for any more keeps its thread until the name server gives up."""
_threads = threading.BoundedSemaphore(MAX_THREADS)


async def system_lookup(host: str, port: int) -> Sequence[Address]:
    """All addresses that the system knows of a host.

    Raises:
        OSError: It has none, or nobody can tell.
        FetchError: Too many lookups hang already.
    """
    if not _threads.acquire(blocking=False):
        raise _too_many()
    loop = asyncio.get_running_loop()
    found: asyncio.Future[Sequence[Address]] = loop.create_future()

    def tell(addresses: Sequence[Address], error: Exception | None) -> None:
        if found.done():  # nobody waits any more
            return
        if error is None:
            found.set_result(addresses)
        else:
            found.set_exception(error)

    def look() -> None:
        addresses: Sequence[Address] = ()
        problem: Exception | None = None
        try:
            entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
            addresses = [ipaddress.ip_address(str(entry[4][0])) for entry in entries]
        except UnicodeError as error:
            problem = OSError(str(error))
        except (OSError, ValueError) as error:
            problem = error if isinstance(error, OSError) else OSError(str(error))
        finally:
            _threads.release()
        try:
            loop.call_soon_threadsafe(tell, addresses, problem)
        except RuntimeError:  # the loop has ended meanwhile
            return

    try:
        # A daemon: the end of the process does not wait for a name server.
        threading.Thread(target=look, name="lookup", daemon=True).start()
    except RuntimeError:  # the system has no thread left
        _threads.release()
        raise _too_many() from None
    return await found


def _too_many() -> FetchError:
    return FetchError("the server waits for too many names to be looked up: try again in a minute")
