"""API keys: where one comes from, what it may look like, and when a connection would give it away."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Final

from infolens.errors import InsecureKeyWarning, InvalidSettingError

from .url import ServerURL

KEY_VARIABLE: Final = "INFOLENS_API_KEY"
"""The environment variable that holds the API key where none is given."""
_HEADER: Final = "authorization"
_ADVICE: Final = "pass the key as it was printed when it was created, without 'Bearer' before it"


def find_key(api_key: str | None, headers: Mapping[str, str]) -> str | None:
    """The key to send: the one that is given, and without one `KEY_VARIABLE` counts; an empty one is none.

    White space around a key, such as the line break at the end of a file, is no part of it.

    Args:
        api_key: What the caller gave.
        headers: The caller's own headers; an ``authorization`` there counts more than the environment.

    Raises:
        InvalidSettingError: It cannot be a key, or there is an ``authorization`` beside it. The message does not hold
            the key.
    """
    own_header = any(name.lower() == _HEADER for name in headers)
    if api_key is None:
        return None if own_header else _checked(os.environ.get(KEY_VARIABLE, ""), KEY_VARIABLE)
    if not isinstance(api_key, str):
        raise InvalidSettingError(f"api_key is a str, not {type(api_key).__name__}; decode bytes first")
    key = _checked(api_key, "api_key")
    if key and own_header:
        raise InvalidSettingError("api_key is sent as the header authorization, and headers hold one too; give either")
    return key


def _checked(value: str, name: str) -> str | None:
    key = value.strip()
    for position, char in enumerate(key, start=1):
        # What a header line can carry; the character is told by its number alone, and the key never.
        if not "!" <= char <= "~":
            raise InvalidSettingError(
                f"{name} must consist of visible ASCII characters, but character {position} of {len(key)} is "
                f"U+{ord(char):04X}; {_ADVICE}"
            )
    return key or None


def with_key(headers: Mapping[str, str], key: str | None) -> dict[str, str]:
    """The headers that a connection sends with every request."""
    return {**headers, _HEADER: f"Bearer {key}"} if key else dict(headers)


def warn_if_readable(url: ServerURL, key: str | None, *, stacklevel: int) -> None:
    """Warn where a key would travel to another machine without TLS."""
    if key and not url.is_encrypted and not url.is_loopback:
        warnings.warn(
            f"an API key must not travel in the clear, but {url} has no TLS, so everybody on the way can read the key; "
            f"use {url.scheme}s://, or ignore infolens.InsecureKeyWarning where the network is your own",
            InsecureKeyWarning,
            stacklevel=stacklevel + 1,
        )
