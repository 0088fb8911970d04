"""``python -m export``."""

import signal
import sys

from .cli import main

# A terminated export, too, clears up what it wrote beside the repository.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
sys.exit(main())
