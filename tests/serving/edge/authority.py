"""Certificates for tests, made on the spot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme


@dataclass(frozen=True, kw_only=True)
class Files:
    """A certificate on disk, and who vouches for it."""

    cert: Path
    key: Path
    root: Path

    @property
    def options(self) -> dict[str, Any]:
        return {"tls_cert": self.cert, "tls_key": self.key}


def write(
    folder: Path, authority: trustme.CA, *, names: tuple[str, ...] = ("localhost", "127.0.0.1"), **more: Any
) -> Files:
    """A new certificate and its key, written over those that lie there."""
    issued = authority.issue_cert(*names, **more)
    files = Files(cert=folder / "cert.pem", key=folder / "key.pem", root=folder / "root.pem")
    files.cert.write_bytes(b"".join(one.bytes() for one in issued.cert_chain_pems))
    files.key.write_bytes(issued.private_key_pem.bytes())
    authority.cert_pem.write_to_path(str(files.root))
    return files
