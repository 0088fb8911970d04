"""Entry point of ``python -m serving.gateway CONFIGURATION``; `make serve` starts it."""

import sys
from pathlib import Path

from serving.errors import EdgeError, KeysError

from .configuration import ConfigurationError, read_options
from .grpc_door.door import ListenError
from .server import run


def main() -> int:
    """Run the door; returns the exit code."""
    if len(sys.argv) != 2:
        print("usage: python -m serving.gateway CONFIGURATION (a JSON file); `make serve` writes it", file=sys.stderr)
        return 2
    try:
        run(read_options(Path(sys.argv[1])))
    except (ConfigurationError, EdgeError, KeysError, ListenError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
