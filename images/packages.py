"""What an image installs: the packages that extras of ``pyproject.toml`` name; ``requirements/dev.txt`` pins them."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path


def packages(project: Path, extras: list[str]) -> list[str]:
    """The packages of the project itself and of these extras, as ``pyproject.toml`` has them.

    Raises:
        KeyError: There is no such extra.
    """
    table = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    return sorted(
        {*table["dependencies"], *(name for extra in extras for name in table["optional-dependencies"][extra])}
    )


if __name__ == "__main__":
    print("\n".join(packages(Path(sys.argv[1]), sys.argv[2:])))  # noqa: T201 - its purpose
