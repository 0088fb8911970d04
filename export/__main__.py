"""``python -m export``."""

import signal
import sys

# As an exception, so that an export that is terminated deletes its temporary folder.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))

if __name__ == "__main__":
    try:
        from .cli import main

        sys.exit(main())
    except KeyboardInterrupt:  # while the command line itself was loaded
        print("stopped: nothing was done yet", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        sys.exit(f"this command of python -m export needs the package {package}: `make dev` installs it in .venv")
