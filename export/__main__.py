"""``python -m export``."""

import signal
import sys

try:
    from .cli import main
except ModuleNotFoundError as error:
    sys.exit(f"python -m export needs the package {error.name}: `make dev` installs it in .venv")

# As an exception, so that an export that is terminated deletes its temporary folder.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))

if __name__ == "__main__":
    sys.exit(main())
