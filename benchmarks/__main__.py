"""``python -m benchmarks``."""

import signal
import sys

from .cli import main

# SIGTERM ends the command as Ctrl-C does: through the blocks that end servers and workers.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
try:
    code = main()
except KeyboardInterrupt:
    code = 128 + signal.SIGINT
raise SystemExit(code)
