"""The test runner's hold on the commands that it runs."""

import contextlib
import io
import time
import unittest
from pathlib import Path

from dev.instance import command_line
from dev.testing import process


class Run(unittest.TestCase):
    """Exit code, lines, and no process left behind."""

    def run_shell(self, script, **options):
        lines = []
        with contextlib.redirect_stdout(io.StringIO()):
            code = process.run(["sh", "-c", script], Path("/"), on_line=lines.append, **options)
        return code, lines

    def test_code_and_lines_of_both_streams(self):
        self.assertEqual(self.run_shell("echo a; echo b >&2; exit 3"), (3, ["a", "b"]))

    def test_a_command_that_hangs_is_ended(self):
        self.assertEqual(self.run_shell("echo a; sleep 600", stall_limit_s=2), (124, ["a"]))

    def test_a_process_left_behind_is_ended_and_does_not_hold_the_run(self):
        started = time.monotonic()
        code, lines = self.run_shell("sleep 601 & echo $!; exit 5")
        self.assertEqual(code, 5)
        self.assertLess(time.monotonic() - started, 60)
        self.assertNotIn("601", command_line(int(lines[0])))


if __name__ == "__main__":
    unittest.main()
