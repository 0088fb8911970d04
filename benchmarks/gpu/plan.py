"""The parts of a run, in their order, each with its share of the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Final

from .context import Context


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a run."""

    name: str
    """As ``--part`` takes it, and the module of `parts` that has its ``run(context)``."""
    title: str
    """As it stands in the report."""
    share_s: float
    """Its time in a run of `FULL_S` seconds; what a part leaves goes to those after it."""
    by_default: bool = True
    """Whether a run has it that names no parts."""

    def run(self, context: Context) -> None:
        """Measure; results are sent as they come."""
        import_module(f"{__package__}.parts.{self.name}").run(context)


FULL_S: Final = 480.0
"""Seconds of a whole run with the shares below."""
PARTS: Final = (
    Part(name="preflight", title="The card and its ceilings", share_s=25),
    Part(name="correctness", title="The beam step against transformers", share_s=65),
    Part(name="pieces", title="The pieces of a step", share_s=25),
    Part(name="summaries", title="Summaries: encoder, step, whole", share_s=120),
    Part(name="executors", title="The engine's executors", share_s=75),
    Part(name="arrivals", title="Slots under load", share_s=60),
    Part(name="classifiers", title="Category and veracity", share_s=60),
    Part(name="peers", title="Beside other engines", share_s=65),
    Part(name="training", title="Training steps", share_s=50),
    Part(name="operators", title="The native operators on this processor", share_s=30),
    # It needs what a machine lacks to which no more is carried than a run needs.
    Part(name="served", title="The whole server", share_s=150, by_default=False),
)


def parts_of(names: Sequence[str]) -> tuple[Part, ...]:
    """The parts with these names, in the order of a run; without names all that a run has by default.

    Raises:
        ValueError: A name is not that of a part.
    """
    unknown = sorted(set(names) - {part.name for part in PARTS})
    if unknown:
        known = ", ".join(part.name for part in PARTS)
        raise ValueError(f"the parts of a run are {known}, not {', '.join(unknown)}")
    return tuple(part for part in PARTS if (part.name in names if names else part.by_default))
