"""What schemathesis needs to know beside the OpenAPI document; it loads this file by itself."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(_: Any, value: Any) -> bytes:
    """A body of lines is text."""
    return str(value).encode("utf-8", "replace")
