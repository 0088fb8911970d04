"""Makes all that a server starts from, for processors with and without the native operators, when an image is built."""

from __future__ import annotations

import logging
import sys

from operators.library import CACHE, build_ahead
from serving.assembly import assemble
from serving.runtime import ensure_runtime

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    runtime = ensure_runtime(CACHE)
    # Which of the two is used is decided where the image runs, by the processor there.
    for library in (None, build_ahead(CACHE)):
        assemble(runtime, CACHE, library)
