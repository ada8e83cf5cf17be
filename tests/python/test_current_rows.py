"""Current rows from revisions."""

import unittest
from decimal import Decimal

from current_rows import Revisions, key_fields, snake_case


def order(order_id, revision, amount, retracted=False):
    """A record and a frame that differs wherever the record does."""
    record = {"site": "s", "order_id": order_id, "revision": revision, "amount_minor": amount, "retracted": retracted}
    return record, repr(record).encode()


class CurrentRows(unittest.TestCase):
    """The highest revision of a key counts once, whatever the order of arrival."""

    def summary(self, *orders):
        revisions = Revisions(["site", "order_id"])
        for one in orders:
            revisions.add(*order(*one))
        return revisions.summary()

    def test_highest_revision_wins_in_any_order_of_arrival(self):
        for arrival in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
            shown = self.summary(*[[("a", 5, 100), ("a", 7, 130), ("b", 6, 1)][at] for at in arrival])
            self.assertEqual((shown["current"], shown["sums"]), (2, {"amount_minor": 131}))
            self.assertEqual((shown["repeats"], shown["conflicts"]), (0, 0))

    def test_a_retracted_key_is_no_row_and_an_older_retraction_is_no_end(self):
        shown = self.summary(("a", 5, 100), ("a", 7, 100, True), ("b", 3, 0, True), ("b", 4, 9))
        self.assertEqual((shown["keys"], shown["current"], shown["retracted"]), (2, 1, 1))
        self.assertEqual(shown["sums"], {"amount_minor": 9})

    def test_one_revision_written_twice_is_a_repeat_and_with_other_bytes_a_conflict(self):
        shown = self.summary(("a", 5, 100), ("a", 5, 100), ("a", 6, 1), ("a", 6, 2), ("a", 5, 100))
        self.assertEqual((shown["records"], shown["repeats"], shown["conflicts"], shown["current"]), (5, 2, 1, 1))

    def test_decimals_add_exactly(self):
        revisions = Revisions(["id"], ["price"])
        for at in range(10):
            revisions.add({"id": at, "revision": 1, "price": Decimal("0.1")}, bytes([at]))
        self.assertEqual(revisions.summary()["sums"], {"price": "1.0"})

    def test_names_of_avro_records(self):
        self.assertEqual(
            [snake_case(name) for name in ("a.b.OrderLine", "session", "x.order_line")],
            ["order_line", "session", "order_line"],
        )

    def test_keys_come_from_the_record_definitions(self):
        keys = key_fields()
        self.assertEqual(keys["session"], ["site", "session_id"])
        self.assertNotIn("watermark", keys)


if __name__ == "__main__":
    unittest.main()
