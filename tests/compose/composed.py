"""``compose.yaml`` as compose reads it: variables put in, each service's commands as words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
FILE: Final = ROOT / "compose.yaml"
EXAMPLE: Final = ROOT / ".env.example"
VARIABLE: Final = re.compile(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}")
NEEDED: Final = {"POSTGRES_PASSWORD": "postgrespassword", "GRAFANA_PASSWORD": "grafanapassword"}
"""What an operator has to write into ``.env``."""


class UnsetError(Exception):
    """A variable that compose refuses to do without."""


def composed(variables: Mapping[str, str] = NEEDED) -> Any:
    """The file with variables put in."""

    def value(match: re.Match[str]) -> str:
        name, kind, words = match.groups()
        if variables.get(name):
            return variables[name]
        if kind != ":-":
            raise UnsetError(f"{name}: {words}")
        return str(words)

    return yaml.safe_load(VARIABLE.sub(value, FILE.read_text(encoding="utf-8")))


def words_of(name: str, part: str = "command") -> list[str]:
    """A service's command, or its health check, without the word CMD."""
    service = composed()["services"][name]
    if part == "command":
        return [str(word) for word in service["command"]]
    kind, *words = service["healthcheck"]["test"]
    assert kind == "CMD"
    return words
