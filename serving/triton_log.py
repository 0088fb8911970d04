"""What Triton's log says about a start."""

from __future__ import annotations

import re
from typing import Final

_LOADED: Final = re.compile(r"successfully loaded '([^']+)'")
_FAILURES: Final = (
    re.compile(r"""failed to load '(?P<model>[^']+)' version \d+: (?P<reason>.+)"""),
    re.compile(r"""(?P<reason>Poll failed for model directory .+)"""),
    re.compile(r"""(?P<reason>Invalid argument: .+)"""),
    re.compile(r"""^error: (?P<reason>.+)""", re.MULTILINE),
)
_ONE_MODEL: Final = (
    re.compile(r"""failed to load '(?P<model>[^']+)' version \d+: (?P<reason>.+)"""),
    re.compile(r"""Poll failed for model directory '(?P<model>[^']+)': (?P<reason>.+)"""),
    re.compile(r"""ensemble '?(?P<model>[\w.-]+)'? (?P<reason>(depends on|contains models) .+)"""),
)


def loaded_models(text: str) -> list[str]:
    """The models that were loaded so far, in that order."""
    return _LOADED.findall(text)


def failure_reason(text: str) -> str:
    """Why the server did not start, in one line, from its log; the log's last line when nothing better is there."""
    for pattern in _FAILURES:
        if match := pattern.search(text):
            reason = match["reason"].strip().strip('"')
            model = match.groupdict().get("model")
            return f"model {model} cannot be loaded: {reason}" if model else reason
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def model_failures(text: str) -> dict[str, str]:
    """Why each model was not loaded, in one line each, as far as the log says it; the last word on a model counts."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        for pattern in _ONE_MODEL:
            if match := pattern.search(line):
                found[match["model"]] = short_reason(match["reason"].strip().strip('"').replace("\\n", "\n"))
    return found


def short_reason(reason: str) -> str:
    """A reason of Triton's without the kind of the error before it and the places in the code after it."""
    first = reason.strip().partition("\n")[0]
    return re.sub(r"^((Internal|Invalid argument|Unavailable): )?(\w+Error: )?", "", first)
