"""The API key of a file: on a command line every other user of the machine would see it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from infolens.errors import InvalidSettingError

_MAX_BYTES: Final = 4096
_KEY_BEGINS: Final = "il_"
"""What begins so may be a key, and is told to nobody."""


def read_key(name: str) -> str:
    """The key that a file holds, without the line break at its end.

    Raises:
        InvalidSettingError: The file cannot be read, or holds no key. The message does not hold what is in it.
    """
    try:
        with Path(name).open("rb") as file:
            key = file.read(_MAX_BYTES + 1).decode("ascii").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no ASCII text"
        if name.startswith(_KEY_BEGINS):
            raise InvalidSettingError(
                "--api-key-file must name a file with an API key, and was given what looks like the key itself: write "
                "it into a file, or into INFOLENS_API_KEY"
            ) from None
        raise InvalidSettingError(f"--api-key-file must name a file with an API key, but {name}: {reason}") from None
    if not key or len(key) > _MAX_BYTES:
        raise InvalidSettingError(
            f"--api-key-file must name a file with an API key alone, but {name} is "
            f"{'empty' if not key else f'longer than {_MAX_BYTES:,} bytes'}"
        )
    return key
