"""What a parity check measures and what it allows: the limits, the measured values, and the table of both."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Tolerances:
    """How far an export may be from its checkpoint, beside the limits of its `precision`."""

    token_f1: float = 0.75
    """Least mean token F1 between the summaries and the checkpoint's, where these need not be the same."""
    agreement: float | None = None
    """Least share of articles with the same label; None for the limit of the precision."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of the table."""

    name: str
    """A key in words joined by underscores."""
    value: float
    limit: float
    at_least: bool
    """Whether ``limit`` is the least value that passes; otherwise it is the greatest."""
    hint: str = ""
    """What to do where the check fails."""

    @property
    def passed(self) -> bool:
        """Whether the value keeps the limit; NaN never does."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass(kw_only=True)
class Parity:
    """The outcome of a parity check."""

    checks: list[Check] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    def figures(self) -> dict[str, float]:
        """The measured values by name, for the artefact."""
        return {check.name: round(check.value, 7) for check in self.checks}

    def table(self) -> str:
        """The checks as text, one a line."""
        rows = [("check", "measured", "limit", "")]
        for check in self.checks:
            limit = f"{'>=' if check.at_least else '<='} {check.limit:g}"
            rows.append((check.name, f"{check.value:.3g}", limit, "ok" if check.passed else "FAILED"))
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        return "\n".join(
            "  ".join((*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[3])).rstrip() for row in rows
        )

    def hints(self) -> str:
        """What to do about the checks that failed, one a line."""
        return "\n".join(check.hint for check in self.checks if check.hint and not check.passed)

    def most(self, name: str, value: float, limit: float) -> None:
        """Record a value that may be ``limit`` at most."""
        self.checks.append(Check(name=name, value=float(value), limit=limit, at_least=False))

    def least(self, name: str, value: float, limit: float, *, hint: str = "") -> None:
        """Record a value that must be ``limit`` at least."""
        self.checks.append(Check(name=name, value=float(value), limit=limit, at_least=True, hint=hint))
