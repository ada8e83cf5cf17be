"""Passed, failed, skipped: the sum over every check, with the names of what did not pass."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Tally:
    """Counts; a skipped or failed entry has a name, so that nothing is lost in a number."""

    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Adds another tally to this one."""
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def report(self) -> str:
        """The names, then the closing line, which is the last line of a test run."""
        lines = [f"SKIPPED {name}" for name in self.skipped] + [f"FAILED {name}" for name in self.failed]
        return "\n".join([*lines, "", self.closing_line()])

    def closing_line(self) -> str:
        """`N passed, N failed, N skipped`."""
        return f"{self.passed} passed, {len(self.failed)} failed, {len(self.skipped)} skipped"
