"""Which route needs which role: one closed table for both doors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from serving.keys.records import Role

from .caller import Caller


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What a route needs of its caller."""

    role: Role | None = None
    """The role that a key must have; None for a route that is open to everybody, with a key or without."""
    instead: Role | None = None
    """A role that opens it as well."""
    takes: int = 0
    """How many inferences of the key's minute a request takes as it comes."""
    counts: bool = False
    """Whether it is one of the requests that a key may have at the same time."""


OPEN: Final = Rule()
SEEING: Final = Rule(role=Role.READ)
ASKING: Final = Rule(role=Role.READ, takes=1, counts=True)
BATCH: Final = Rule(role=Role.READ, counts=True)
"""It takes one for each of its rows, by `Doorkeeper.take`."""
READING: Final = Rule(role=Role.READ, counts=True)
"""It reads or writes a file, and asks no model."""
SAYING: Final = Rule(role=Role.FEEDBACK, instead=Role.READ, counts=True)
"""It says something of an answer; of whose a key may is the handler's to know."""
LOOKING: Final = Rule(role=Role.READ, instead=Role.FEEDBACK)
"""It sees what came of what was said."""
MANAGING: Final = Rule(role=Role.ADMIN)

RULES: Final[Mapping[str, Rule]] = {
    # A path or method that the door does not have: whoever asks is told so, and nothing else.
    "unknown": OPEN,
    "health": OPEN,
    "server_live": OPEN,
    "server_ready": OPEN,
    "model_ready": OPEN,
    "server_metadata": SEEING,
    "model_metadata": SEEING,
    "model_config": SEEING,
    "model_statistics": SEEING,
    "infer": ASKING,
    "generate": ASKING,
    "generate_stream": SEEING,  # always refused
    "analyze": ASKING,
    "analyze_batch": BATCH,
    "extract": ASKING,
    "table_read": READING,
    "table_write": READING,
    "models": SEEING,
    "quality": LOOKING,
    "model_card": SEEING,
    "report": OPEN,  # its id is what opens it
    "report_delete": SEEING,
    "feedback": SAYING,
    "prediction": OPEN,  # its id is what opens it
    "prediction_delete": SEEING,
    "prediction_audit": SAYING,
    "problem": OPEN,
    "healthz": OPEN,
    "readyz": OPEN,
    "openapi": OPEN,
    "page": OPEN,
    "repository_index": MANAGING,
    "repository_model_load": MANAGING,
    "repository_model_unload": MANAGING,
    "trace_setting": MANAGING,
    "log_settings": MANAGING,
    # Closed, with every key.
    "system_shared_memory_status": MANAGING,
    "system_shared_memory_register": MANAGING,
    "system_shared_memory_unregister": MANAGING,
    "cuda_shared_memory_status": MANAGING,
    "cuda_shared_memory_register": MANAGING,
    "cuda_shared_memory_unregister": MANAGING,
}
"""By the name of a route, as the metrics and the log have it."""


def lets(rule: Rule, caller: Caller) -> bool:
    """Whether a rule lets the holder of a key in; a caller without one was let in by other means."""
    needed = [one for one in (rule.role, rule.instead) if one is not None]
    return caller.role is None or not needed or any(map(caller.may, needed))


def rule_of(route: str) -> Rule:
    """The rule of a route.

    Raises:
        LookupError: There is none. Nobody gets past it then.
    """
    try:
        return RULES[route]
    except KeyError:
        raise LookupError(f"no rule says who may call the route '{route}': add it to RULES") from None
