"""Adds up what the test binaries of one `cargo test` say.

A test that cannot run (no server, no data) appends `name: reason` to the file that MILLSTREAM_SKIP_LOG names and
returns; its binary then calls it passed. Cargo runs one binary after the other, so the lines that the log gained
between a binary's start and its result are that binary's, and are moved from passed to skipped.
"""

from __future__ import annotations

import re
from pathlib import Path

from .tally import Tally

_BINARY = re.compile(r"^\s+(?:Running|Doc-tests) (\S.*)$")
_TEST = re.compile(r"^test (.+?)(?: - should panic)? \.\.\. (ok|FAILED|ignored)(?:, (.*))?$")
_RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;")


class CargoOutput:
    """Feed it every line, then `close` it with cargo's exit code."""

    def __init__(self, skip_log: Path):
        self.tally = Tally()
        self._skip_log = skip_log
        self._seen_bytes = 0
        self._results = 0
        self._begin(None)

    def _begin(self, binary: str | None) -> None:
        self._binary = binary
        self._ok: list[str] = []
        self._failed: list[str] = []
        self._ignored: list[str] = []

    def line(self, text: str) -> None:
        """One line of output, standard output and standard error in their order."""
        if match := _BINARY.match(text):
            self._abandon()
            self._begin(match[1])
        elif match := _TEST.match(text):
            name = f"{self._binary} {match[1]}"
            if match[2] == "ok":
                self._ok.append(match[1])
            elif match[2] == "FAILED":
                self._failed.append(name)
            else:
                self._ignored.append(f"{name}: {match[3] or 'ignored in the source'}")
        elif match := _RESULT.match(text):
            self._finish(int(match[1]), int(match[2]), int(match[3]))

    def close(self, exit_code: int) -> Tally:
        """The sum. A run that ended badly without a failed test, or ran nothing, is a failure by name."""
        self._abandon()
        if exit_code != 0 and not self.tally.failed:
            self.tally.failed.append(f"cargo test ended with exit code {exit_code}")
        elif self._results == 0 and not self.tally.failed:
            self.tally.failed.append("cargo test ran no test binary")
        return self.tally

    def _finish(self, passed: int, failed: int, ignored: int) -> None:
        # The counts are the binary's own; names can be lost in the output of a test, so unnamed ones are made up for.
        self._failed += [f"{self._binary} (name lost in the output)"] * (failed - len(self._failed))
        self._ignored += [f"{self._binary} (name lost in the output)"] * (ignored - len(self._ignored))
        skipped = self._new_skips()
        self.tally.add(Tally(max(passed - len(skipped), 0), self._failed, self._ignored + skipped))
        self._results += 1
        self._begin(None)

    def _abandon(self) -> None:
        """A binary that started but gave no result has crashed or was killed."""
        if self._binary is not None:
            self._failed.append(f"{self._binary} ended without a result")
            skipped = self._new_skips()
            self.tally.add(Tally(max(len(self._ok) - len(skipped), 0), self._failed, self._ignored + skipped))
            self._begin(None)

    def _new_skips(self) -> list[str]:
        """One entry a test that skipped itself since the last call; the first reason that it gave."""
        if not self._skip_log.exists():
            return []
        with open(self._skip_log, "rb") as log:
            log.seek(self._seen_bytes)
            added = log.read()
        self._seen_bytes += len(added)
        reasons: dict[str, str] = {}
        for line in added.decode(errors="replace").splitlines():
            name, _, reason = line.partition(": ")
            if name.strip():
                reasons.setdefault(name.strip(), reason.strip() or "no reason given")
        return [f"{self._binary} {name}: {reason}" for name, reason in reasons.items()]
