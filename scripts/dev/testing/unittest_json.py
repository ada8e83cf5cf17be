"""Runs the Python tests of a folder and writes their outcome as JSON: `python -m dev.testing.unittest_json DIR OUT`."""

from __future__ import annotations

import json
import sys
import unittest


class _Counting(unittest.TextTestResult):
    """Keeps the names of passed tests, which unittest itself does not."""

    def __init__(self, *arguments: object, **options: object):
        super().__init__(*arguments, **options)
        self.passed: list[str] = []

    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        self.passed.append(test.id())


def main(folder: str, out: str) -> int:
    """Exit code 0 only if nothing failed."""
    suite = unittest.defaultTestLoader.discover(folder, pattern="test_*.py", top_level_dir=folder)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=_Counting).run(suite)
    outcome = {
        "passed": len(result.passed) + len(result.expectedFailures),
        "failed": [test.id() for test, _ in result.failures + result.errors]
        + [f"{test.id()} (passed, but is marked as a failure)" for test in result.unexpectedSuccesses],
        "skipped": [f"{test.id()}: {reason}" for test, reason in result.skipped],
    }
    with open(out, "w", encoding="utf-8") as file:
        json.dump(outcome, file)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
