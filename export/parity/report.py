"""The report of a parity check: each measured value with its limit, and the table of them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of the table."""

    name: str
    """A key in words joined by underscores."""
    value: float
    limit: float
    is_minimum: bool
    """Whether ``limit`` is a minimum; otherwise it is a maximum."""
    hint: str = ""
    """What a user can do if the check fails."""

    @property
    def passed(self) -> bool:
        """Whether the value keeps the limit; NaN never does."""
        return self.value >= self.limit if self.is_minimum else self.value <= self.limit


@dataclass(kw_only=True)
class ParityReport:
    """The measured values of a parity check, in the order in which they were recorded."""

    checks: list[Check] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    def figures(self) -> dict[str, float]:
        """The measured values by name, for the artefact."""
        return {check.name: round(check.value, 7) for check in self.checks}

    def table(self) -> str:
        """The checks as a text table, one on each line."""
        rows = [("check", "measured", "limit", "")]
        for check in self.checks:
            limit = f"{'>=' if check.is_minimum else '<='} {check.limit:g}"
            rows.append((check.name, f"{check.value:.3g}", limit, "ok" if check.passed else "FAILED"))
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        return "\n".join(
            "  ".join((*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[3])).rstrip() for row in rows
        )

    def hints(self) -> str:
        """The hints of the checks that failed, one on each line."""
        return "\n".join(check.hint for check in self.checks if check.hint and not check.passed)

    def at_most(self, name: str, value: float, limit: float, *, hint: str = "") -> None:
        """Record a value that must not be above ``limit``."""
        self.checks.append(Check(name=name, value=float(value), limit=limit, is_minimum=False, hint=hint))

    def at_least(self, name: str, value: float, limit: float, *, hint: str = "") -> None:
        """Record a value that must not be below ``limit``."""
        self.checks.append(Check(name=name, value=float(value), limit=limit, is_minimum=True, hint=hint))
