"""Entry point of ``python -m k8s``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
