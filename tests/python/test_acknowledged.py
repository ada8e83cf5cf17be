"""The witness of fates sees what is lost, doubled, or gone without a reason."""

from __future__ import annotations

import json
import unittest

try:
    from acknowledged import Fates, judge
except ImportError as error:
    raise unittest.SkipTest(f"Kafka's client for Python is not installed: {error}") from error

BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


class Judged(unittest.TestCase):
    """A small log in which every fate occurs, and what is done to it."""

    def setUp(self) -> None:
        self.fates = Fates()
        self.offset = 0
        for event in [
            {"id": "a", "type": "page_view", "device": "d1"},
            {"id": "a", "type": "page_view", "device": "d1"},
            {"id": "bad", "type": "no_such_event", "device": "d1"},
            {"id": "bot", "type": "page_view", "device": "d2", "user_agent": BOT},
            {"id": "no", "type": "consent", "device": "d3", "consent": {"necessary": True, "analytics": False}},
            {"id": "after", "type": "page_view", "device": "d3"},
        ]:
            self.collect(event)
        for event_id in ("a", "no"):
            self.fates.event(0, 0, {"event_id": event_id})
        self.reject(2)
        fates = {"accepted": 2, "rejected": 1, "duplicate": 1, "declared_bot": 1, "consent_refused": 1}
        note = [{"name": name, "records": records} for name, records in fates.items()]
        self.fates.note(0, 0, {"stage": "ingest", "fates": note})

    def collect(self, event: dict) -> None:
        payload = json.dumps(event, separators=(",", ":")).encode()
        self.fates.collected(0, self.offset, {"payload": payload})
        self.offset += 1

    def reject(self, offset: int) -> None:
        place = {"topic": "events.collected", "partition": 0, "offset": offset}
        self.fates.reject(0, 0, place | {"reason": "unknown_event_type"})

    def wrong(self, acknowledged: set[str]) -> set[str]:
        return {check["name"] for check in judge(self.fates, acknowledged) if not check["good"]}

    def test_every_fate_is_accounted_for(self) -> None:
        self.assertEqual(self.wrong({"a", "bad", "bot", "no", "after"}), set())

    def test_an_acknowledged_event_that_is_lost(self) -> None:
        self.assertIn("acknowledged ids are in the log", self.wrong({"a", "lost"}))

    def test_an_event_that_is_processed_twice(self) -> None:
        self.fates.event(0, 0, {"event_id": "a"})
        wrong = self.wrong(set())
        self.assertIn("no id is processed twice", wrong)
        self.assertIn("the ledger notes the same fates", wrong)

    def test_an_event_that_vanished_without_a_reason(self) -> None:
        self.collect({"id": "gone", "type": "page_view", "device": "d1"})
        wrong = self.wrong({"gone"})
        self.assertIn("what is neither was dropped with a reason", wrong)
        self.assertIn("every copy has one fate", wrong)

    def test_a_copy_that_is_rejected_twice(self) -> None:
        self.reject(2)
        self.assertIn("no copy is rejected twice", self.wrong(set()))

    def test_what_comes_from_nowhere(self) -> None:
        self.fates.event(0, 0, {"event_id": "stranger"})
        self.reject(99)
        self.assertIn("nothing comes from nowhere", self.wrong(set()))


if __name__ == "__main__":
    unittest.main()
