"""The built tracker: what the source gives, and small."""

from __future__ import annotations

import gzip
import unittest

from dev import tracker

LIMIT_BYTES = 5 * 1024


class Built(unittest.TestCase):
    def test_it_is_what_the_source_gives(self) -> None:
        self.assertTrue(tracker.is_current(), "run scripts/tracker-build")

    def test_it_is_small(self) -> None:
        print(tracker.sizes())
        self.assertLessEqual(len(gzip.compress(tracker.BUILT.read_bytes(), 9)), LIMIT_BYTES)

    def test_only_what_readers_need_goes(self) -> None:
        source = """// a comment
        const a = "// no comment", b = 'it\\'s /* none */'; /* one
        over lines */ const c = /[/*]\\/\\/"/.test(a);

            return a / b / c; // the end"""
        body = tracker.stripped(source).split("\n", 1)[1]
        kept = """const a = "// no comment", b = 'it\\'s /* none */';  const c = /[/*]\\/\\/"/.test(a);\nreturn a / b / c;\n"""
        self.assertEqual(body, kept)

    def test_what_it_does_not_understand_it_refuses(self) -> None:
        for source in ("a = `x`;", "a = 'no end\n';"):
            with self.assertRaises(ValueError):
                tracker.stripped(source)


if __name__ == "__main__":
    unittest.main()
