"""A hub that cannot be reached, told apart from a checkpoint that the hub has not."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

from .errors import Unfit


def is_path(source: str) -> bool:
    """Whether a source is the path of a folder, there or not, even if it looks like a hub id."""
    folder = Path(source)
    beside = folder.parent != Path() and folder.parent.is_dir()
    return source.startswith((".", "/", "~")) or source.count("/") > 1 or beside or folder.exists()


def require_reached(error: BaseException) -> None:
    """Raise if an error of loading a hub id comes from a hub that was not reached; return if it has another reason.

    Raises:
        Unfit: The hub was not reached, or must not be (``HF_HUB_OFFLINE``), and its cache has not what was asked for.
    """
    from huggingface_hub import constants
    from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

    missed = (LocalEntryNotFoundError, OfflineModeIsEnabled, ConnectionError, TimeoutError, socket.gaierror)
    if not any(isinstance(each, missed) for each in _chain(error)):
        return
    reason = (
        "HF_HUB_OFFLINE forbids to ask the hub"
        if constants.is_offline_mode()
        else f"the hub ({constants.ENDPOINT}) cannot be reached"
    )
    raise Unfit(
        f"{reason}, and the files are not in its cache ({constants.HF_HUB_CACHE}). Give a local folder that "
        "save_pretrained wrote, or set HF_HOME to a cache from a machine that has loaded the model; behind a proxy set "
        "HTTPS_PROXY, with a mirror HF_ENDPOINT"
    ) from error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those behind it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
