"""``python -m infolens`` is the command ``infolens``."""

from __future__ import annotations

import sys

from .cli import main

sys.exit(main())
