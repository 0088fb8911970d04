"""What a part of a run is given: the device, its time, and where its results go."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from benchmarks.common.shapes import Shape

    from .roofline import Rates

Cell = str | int | float | bool | None
Answer = TypeVar("Answer")
SERVING: Final = "serving"
"""The setting with further options for the server that a part starts, a list of words."""
MODELS: Final = "models"
"""The setting with the folder that keeps the models of that server for a further run; empty for none."""
_REASON_CHARACTERS = 300


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of one of the report's tables."""

    table: str
    cells: Mapping[str, Cell]
    """By column; a name carries its unit (``step_ms``). All rows of a table have the same columns."""


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """What could not be measured, and why."""

    table: str
    what: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a part found best, for the parts after it: they read it in `Context.settings`."""

    name: str
    value: Any
    """What JSON can hold: words, numbers, lists and mappings of them."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """The surroundings of a part."""

    device: str
    """``cuda`` or ``cpu``."""
    toy: bool
    """Small models and few repetitions, to see on any machine that all of it runs."""
    deadline_s: float
    """When the part must be over, by `time.monotonic`."""
    send: Callable[[Row | Skipped | Setting | Rates], None]
    """Takes each result as soon as it is there: a part that is ended keeps what it has sent. The rates of the card
    become `rates` of the parts after it."""
    rates: Rates | None = None
    """What the card reaches, from the first part; None where that failed, and then rows have no floor."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Choices that an earlier part found best, by name."""

    @property
    def left_s(self) -> float:
        """Seconds until the deadline."""
        return self.deadline_s - time.monotonic()

    @property
    def cuda(self) -> bool:
        """Whether the device is a GPU."""
        return self.device == "cuda"

    def sizes(self, shape: Shape) -> Mapping[str, int]:
        """The entries of a configuration that say how large a model is."""
        return shape.sizes["small" if self.toy else "full"]

    def row(self, table: str, **cells: Cell) -> None:
        """Send a line of a table."""
        self.send(Row(table=table, cells=cells))

    def setting(self, name: str, value: Any) -> None:
        """Tell the parts after this one what was found best: words, numbers, lists and mappings of them."""
        self.send(Setting(name=name, value=value))

    def skip(self, table: str, what: str, reason: str) -> None:
        """Say what is not measured."""
        self.send(Skipped(table=table, what=what, reason=reason))

    def attempt(self, table: str, what: str, call: Callable[[], Answer], *, at_least_s: float = 0.0) -> Answer | None:
        """Call something that may fail; a failure is sent with its reason, and the part goes on.

        Args:
            table: The table that the result would stand in.
            what: Words for it.
            call: What is done; it sends its own rows.
            at_least_s: It is left out when the part has less time than this.

        Returns:
            What the call returned; None where it failed or was left out.
        """
        if self.left_s < at_least_s:
            self.skip(table, what, f"{max(self.left_s, 0):.0f} s were left, and it takes about {at_least_s:.0f}")
            return None
        try:
            return call()
        except Exception as error:  # Whatever it is, the other measurements are worth having.
            self.skip(table, what, reason_of(error))
            return None
        finally:
            self.free()

    def free(self) -> None:
        """Return the memory of what is no longer used to the card."""
        import gc

        import torch

        gc.collect()
        if self.cuda:
            torch.cuda.empty_cache()


def reason_of(error: Exception) -> str:
    """An error's class and the first line of what it says, at most 300 characters."""
    words = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {words}"[:_REASON_CHARACTERS]
