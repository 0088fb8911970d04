"""The files of the page: read once, compressed once, and named by what is in them."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parents[2] / "page"
"""The folder that holds them."""
_MEDIA: Final[Mapping[str, str]] = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, kw_only=True)
class Asset:
    """A file of the page."""

    body: bytes
    packed: bytes
    """The same in gzip."""
    media_type: str
    tag: str
    """Its entity tag: browsers that have it need not load it again."""


def read_assets(folder: Path = PAGE) -> dict[str, Asset]:
    """All files that browsers may have, by their paths below the folder, such as ``words/en.js``.

    Raises:
        OSError: One cannot be read.
    """
    paths = (path for path in sorted(folder.rglob("*")) if path.suffix in _MEDIA)
    return {path.relative_to(folder).as_posix(): _asset(path) for path in paths}


def _asset(path: Path) -> Asset:
    body = path.read_bytes()
    deflater = zlib.compressobj(9, wbits=31)
    return Asset(
        body=body,
        packed=deflater.compress(body) + deflater.flush(),
        media_type=_MEDIA[path.suffix],
        tag=f'"{hashlib.sha256(body).hexdigest()[:20]}"',
    )
