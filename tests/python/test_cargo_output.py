"""How the test runner counts what Cargo prints: passed, failed, ignored, skipped at run time, crashed."""

import tempfile
import unittest
from pathlib import Path

from dev.testing.cargo_output import CargoOutput

UNIT = "     Running unittests src/lib.rs (target/debug/deps/one-0123)"
SUITE = "     Running tests/suite.rs (target/debug/deps/suite-4567)"


class Counting(unittest.TestCase):
    """Every line below is of Cargo's own form."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.log = Path(folder.name) / "skipped.log"
        self.output = CargoOutput(self.log)

    def feed(self, *lines):
        for line in lines:
            self.output.line(line)

    def skip(self, *lines):
        with open(self.log, "a", encoding="utf-8") as log:
            log.writelines(f"{line}\n" for line in lines)

    def close(self, code=0):
        tally = self.output.close(code)
        return tally.passed, len(tally.failed), len(tally.skipped)

    def test_adds_up_binaries_and_documentation_tests(self):
        self.feed(UNIT, "running 2 tests", "test a ... ok", "test b ... ok")
        self.feed("test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s")
        self.feed("   Doc-tests one", "test src/lib.rs - f (line 3) ... ok", "test src/lib.rs - g (line 9) ... ignored")
        self.feed("test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s")
        self.assertEqual(self.close(), (3, 0, 1))

    def test_a_test_that_skipped_itself_is_not_passed(self):
        self.feed(UNIT, "test kafka::reads ... ok", "test pure ... ok")
        self.skip("kafka::reads: KAFKA_BROKERS is not set", "kafka::reads: KAFKA_BROKERS is not set")
        self.feed("test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s")
        self.assertEqual(self.close(), (1, 0, 1))
        self.assertIn("kafka::reads: KAFKA_BROKERS is not set", self.output.tally.skipped[0])

    def test_the_same_name_in_two_binaries_is_two_skips(self):
        for binary in (UNIT, SUITE):
            self.feed(binary, "test reads ... ok")
            self.skip("reads: no server")
            self.feed("test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s")
        self.assertEqual(self.close(), (0, 0, 2))

    def test_failures_are_counted_once_and_named(self):
        self.feed(UNIT, "test a ... FAILED", "test b - should panic ... ok", "failures:", "    a", "failures:", "    a")
        self.feed("test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s")
        self.feed("error: test failed, to rerun pass `-p one --lib`")
        self.assertEqual(self.close(101), (1, 1, 0))
        self.assertTrue(self.output.tally.failed[0].endswith(" a"))

    def test_a_crashed_binary_is_a_failure_and_does_not_hide_the_next(self):
        self.feed(UNIT, "test a ... ok", "process didn't exit successfully (signal: 11, SIGSEGV)")
        self.feed(SUITE, "test c ... ok")
        self.feed("test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s")
        self.assertEqual(self.close(101), (2, 1, 0))
        self.assertIn("ended without a result", self.output.tally.failed[0])

    def test_a_failed_run_without_a_failed_test_is_a_failure(self):
        self.feed("error: could not compile `one` (lib)")
        self.assertEqual(self.close(101), (0, 1, 0))

    def test_a_run_of_nothing_is_a_failure(self):
        self.assertEqual(self.close(0), (0, 1, 0))


if __name__ == "__main__":
    unittest.main()
