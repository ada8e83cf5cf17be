"""The example subscribers: revisions, retractions, repetitions, restarts, and a receiver that is down."""

import http.server
import itertools
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples" / "subscribers"))

from alerting import Alerting  # noqa: E402
from committed import State  # noqa: E402
from pricing import Pricing  # noqa: E402
from webhook import Outbox, signature, verify  # noqa: E402

SECRET = b"sixteen bytes or more"


def score(revision, p, retracted=False, role="champion"):
    """A record of scores.propensity, as far as pricing looks."""
    return {
        "revision": revision, "retracted": retracted, "idempotency_key": f"k{revision}", "is_bot": False, "role": role,
        "p_purchase": p, "reasons": ["cart_adds"], "model": "m", "model_version": "1", "scored_at": 0,
    }  # fmt: skip


def tier(revision, value, retracted=False):
    """A record of scores.churn or clv, as far as alerting looks."""
    return {
        "revision": revision, "retracted": retracted, "idempotency_key": f"{value}{revision}", "tier": value,
        "p_active_90d": 0.2, "reasons": [], "user_id": None, "model": "bg_nbd", "model_version": "1",
        "clv_365d_minor": 5, "currency": "EUR",
    }  # fmt: skip


class CurrentState(unittest.TestCase):
    """The state is a function of the set of records."""

    def test_any_order_of_arrival_with_repetitions_ends_in_the_same_row(self):
        records = [score(1, 0.1), score(2, 0.3), score(3, 0.3, retracted=True), score(4, 0.9)]
        for arrival in itertools.permutations(records):
            state = State(":memory:")
            for record in (*arrival, arrival[0]):
                state.apply("t", "k", record)
            self.assertEqual(state.row("t", "k")["p_purchase"], 0.9)

    def test_a_retraction_ends_the_key_and_an_old_revision_does_not_bring_it_back(self):
        state = State(":memory:")
        state.apply("t", "k", score(5, 0.5, retracted=True))
        self.assertIsNone(state.apply("t", "k", score(4, 0.4)))
        self.assertIsNone(state.row("t", "k"))

    def test_a_rolled_back_transaction_leaves_neither_position_nor_row(self):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/state.sqlite"
            state = State(path)
            state.database.execute("BEGIN")
            state.apply("t", "k", score(1, 0.5))
            state.moved_to("t", 0, 7)
            state.database.close()  # as a crash would
            state = State(path)
            self.assertIsNone(state.row("t", "k"))
            self.assertLess(state.next_offset("t", 0), 0)
            state.database.execute("BEGIN")
            state.moved_to("t", 0, 8)
            state.database.execute("COMMIT")
            state.database.close()
            self.assertEqual(State(path).next_offset("t", 0), 8)


class Coupons(unittest.TestCase):
    """Pricing speaks only when its decision changes."""

    def decisions(self, *records, fallback_too=False):
        state, pricing = State(":memory:"), Pricing(0.05, 0.6, fallback_too)
        changes = [state.apply("t", "s", record) for record in records]
        return [told["coupon"] for told in map(pricing.decision, filter(None, changes)) if told]

    def test_offered_kept_withdrawn(self):
        self.assertEqual(self.decisions(score(1, 0.01), score(2, 0.3), score(3, 0.4), score(4, 0.9)), [True, False])

    def test_a_retracted_score_withdraws(self):
        self.assertEqual(self.decisions(score(1, 0.3), score(2, 0.3, retracted=True)), [True, False])

    def test_a_ranking_is_no_probability(self):
        self.assertEqual(self.decisions(score(1, 0.3, role="fallback")), [])
        self.assertEqual(self.decisions(score(1, 0.3, role="fallback"), fallback_too=True), [True])


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes webhooks; answers what it is told to."""

    def do_POST(self):  # noqa: N802 - the name is the interface
        body = self.rfile.read(int(self.headers["Content-Length"]))
        genuine = verify(SECRET, self.headers["Millstream-Signature"], body, time.time())
        self.server.got.append((self.headers["Idempotency-Key"], genuine))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 200)
        self.end_headers()

    def log_message(self, *_):
        """Says nothing."""


class Alerts(unittest.TestCase):
    """Raised once, cleared once, sent at least once under the same key."""

    def setUp(self):
        self.server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
        self.server.got, self.server.answers = [], []
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.state = State(":memory:")
        self.outbox = Outbox(self.state.database, f"http://127.0.0.1:{self.server.server_port}/", SECRET)
        self.alerting = Alerting(self.state, self.outbox, "", {"high"}, {"at_risk", "lost"})

    def take(self, topic, record):
        change = self.state.apply(topic, "shop/p", record)
        if change:
            self.alerting.on_change(change)

    def keys(self):
        return [key for key, _ in self.server.got]

    def test_raised_and_cleared_once(self):
        self.take("clv", tier(1, "high"))
        self.take("scores.churn", tier(2, "at_risk"))
        self.take("scores.churn", tier(3, "lost"))
        self.take("clv", tier(4, "high", retracted=True))
        self.assertEqual(self.outbox.send(), 2)
        self.assertEqual(self.server.got, [("at_risk2", True), ("high4", True)])

    def test_what_the_receiver_did_not_take_is_sent_again_under_its_key(self):
        self.take("clv", tier(1, "high"))
        self.take("scores.churn", tier(2, "lost"))
        self.server.answers = [503]
        self.assertEqual((self.outbox.send(), self.outbox.waiting()), (0, 1))
        self.assertEqual(self.outbox.send(), 0, "it pauses")
        self.outbox._retry_at_s = 0
        self.assertEqual((self.outbox.send(), self.outbox.waiting()), (1, 0))
        self.assertEqual(self.keys(), ["lost2", "lost2"])

    def test_a_redirect_is_no_delivery(self):
        self.outbox.put("k1", {})
        self.server.answers = [302]
        self.assertEqual((self.outbox.send(), self.outbox.waiting()), (0, 1))

    def test_what_the_receiver_refuses_does_not_block_and_is_kept(self):
        for at in (1, 2):
            self.outbox.put(f"k{at}", {})
        self.server.answers = [422]
        self.assertEqual((self.outbox.send(), self.outbox.waiting()), (1, 0))
        self.assertEqual(self.state.database.execute("SELECT idempotency_key, status FROM refused").fetchall(), [("k1", 422)])

    def test_a_changed_body_an_old_time_and_another_secret_are_no_signature(self):
        header = signature(SECRET, 1_000, b"body")
        self.assertTrue(verify(SECRET, header, b"body", 1_001))
        for secret, body, now_s in ((SECRET, b"b0dy", 1_001), (SECRET, b"body", 2_000), (b"another secret..", b"body", 1_001)):
            self.assertFalse(verify(secret, header, body, now_s))
        for header in ("nonsense", "t=1000,v1=é", "t=" + "9" * 5_000 + ",v1=0"):
            self.assertFalse(verify(SECRET, header, b"body", 1_001))


if __name__ == "__main__":
    unittest.main()
