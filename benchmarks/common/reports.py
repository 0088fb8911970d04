"""What the commands that write a report share."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def command_line() -> str:
    """The command that was called, as it stands in a report."""
    return "python -m benchmarks " + " ".join(sys.argv[1:])


def write_text(path: Path, content: str) -> Path:
    """Write a UTF-8 file beside its place and rename it, so that it is either whole or as it was before."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")  # Two runs may write the same report.
    try:
        partial.write_text(content, encoding="utf-8")
        return partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, document: Mapping[str, Any]) -> Path:
    """Write a document as `write_text` writes a text."""
    return write_text(path, json.dumps(document, indent=1) + "\n")
