"""``python -m training``: see `training.cli`."""

import sys

try:
    from .cli import main
except ModuleNotFoundError as error:
    sys.exit(f"python -m training needs the package {error.name}: `make dev` installs it in .venv")

if __name__ == "__main__":
    sys.exit(main())
