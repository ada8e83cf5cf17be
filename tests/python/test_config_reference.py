"""The configuration reference says what the code says."""

import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class ConfigReference(unittest.TestCase):
    """docs/reference/configuration.md is generated."""

    def test_the_page_is_what_the_generator_writes(self):
        ended = subprocess.run([ROOT / "scripts" / "config-reference", "--check"], capture_output=True, text=True)
        self.assertEqual(ended.returncode, 0, ended.stderr)

    def test_every_key_has_a_line(self):
        page = (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")
        for key in ("data_dir", "brokers", "write_keys", "session_gap_ms", "max_body_bytes", "ca_file"):
            self.assertIn(f"| `{key}` |", page)


if __name__ == "__main__":
    unittest.main()
