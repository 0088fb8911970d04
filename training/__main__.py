"""``python -m training``: see `training.cli`."""

import sys

if __name__ == "__main__":
    try:
        from .cli import main

        sys.exit(main())
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        sys.exit(f"this command of python -m training needs the package {package}: `make dev` installs it in .venv")
