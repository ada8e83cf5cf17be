"""Live reads of `millstream run`: what a shop's server is pushed, embedded and on Kafka."""

from __future__ import annotations

import json
import os
import unittest
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from typing import Any

from support import Millstream, free_port

CONFIG = """
[[sites]]
name = "shop"
write_keys = ["write-key-of-shop"]
read_tokens = ["read-token-of-shop"]

[[sites]]
name = "other"
write_keys = ["write-key-of-other"]
read_tokens = ["read-token-of-other"]
"""


class Embedded(unittest.TestCase):
    """Everything in one process."""

    settings: dict[str, str] = {}

    @classmethod
    def setUpClass(cls) -> None:
        if not os.environ.get("MILLSTREAM_BIN"):
            raise unittest.SkipTest("MILLSTREAM_BIN is not set (cargo build, then its path)")
        listen = f"127.0.0.1:{free_port()}"
        cls.live = f"http://{listen}"
        cls.millstream = Millstream("run", config=CONFIG, SERVE__LISTEN=listen, **cls.settings)
        cls.addClassCleanup(cls.millstream.remove)

    def send(self, device: str, *types: str, key: str = "write-key-of-shop") -> None:
        """Events of a device, all of which the collector must accept."""
        product = {"id": "p-1", "price": "9.90", "currency": "EUR"}
        events = [{"id": str(uuid.uuid4()), "type": kind, "device": device, "product": product} for kind in types]
        body = json.dumps({"events": events}).encode()
        request = urllib.request.Request(f"{self.millstream.url}/v1/events?key={key}", body)
        with urllib.request.urlopen(request, timeout=30) as answer:
            self.assertEqual(json.load(answer)["accepted"], len(types))

    def open(self, path: str, token: str = "read-token-of-shop") -> Any:
        """An open stream."""
        request = urllib.request.Request(self.live + path, headers={"authorization": f"Bearer {token}"})
        stream = urllib.request.urlopen(request, timeout=60)
        self.addCleanup(stream.close)
        return stream

    def messages(self, stream: Any) -> Iterator[dict[str, Any]]:
        """What is pushed, until the stream ends."""
        for line in stream:
            if line.startswith(b"data: "):
                yield json.loads(line[6:])

    def test_a_visitor_is_pushed_at_each_change(self) -> None:
        device = f"d-{uuid.uuid4()}"
        pushed = self.messages(self.open(f"/v1/live?device={device}"))
        self.assertEqual(next(pushed), {"device": device, "session": None, "score": None, "profile": None})
        self.send(device, "product_view")
        first = next(seen for seen in pushed if seen["score"] and seen["session"])
        self.send(device, "add_to_cart")
        second = next(seen for seen in pushed if seen["session"]["cart_adds"] == 1)
        self.assertEqual(second["session"]["session_id"], first["session"]["session_id"])
        self.assertGreater(second["score"]["p_purchase"], first["score"]["p_purchase"])
        self.assertTrue(second["score"]["reasons"])

    def test_a_site_sees_its_own_visitors_only(self) -> None:
        device = f"d-{uuid.uuid4()}"
        self.send(device, "product_view", key="write-key-of-other")
        other = self.messages(self.open(f"/v1/live?device={device}", "read-token-of-other"))
        next(seen for seen in other if seen["session"])
        own = self.messages(self.open(f"/v1/live?device={device}"))
        self.assertIsNone(next(own)["session"])

    def test_figures_follow_the_stream(self) -> None:
        pushed = self.messages(self.open("/v1/live/stream"))
        before = next(seen for seen in pushed if seen["state"] == "live")
        self.send(f"d-{uuid.uuid4()}", "page_view", "product_view")
        after = next(seen for seen in pushed if seen["sessions_open"] > before["sessions_open"] and seen["latency_ms"]["samples"])
        self.assertGreaterEqual(after["latency_ms"]["p99"], after["latency_ms"]["p50"])

    def test_a_write_key_reads_nothing(self) -> None:
        for token in ("write-key-of-shop", "", "wrong"):
            with self.assertRaises(urllib.error.HTTPError) as refused:
                self.open("/v1/live/stream", token)
            self.assertEqual(refused.exception.code, 401)
            refused.exception.close()

    def test_after_a_restart_it_is_all_there_again(self) -> None:
        device = f"d-{uuid.uuid4()}"
        self.send(device, "product_view")
        stream = self.open(f"/v1/live?device={device}")
        before = next(seen for seen in self.messages(stream) if seen["score"])
        self.assertEqual(self.millstream.stop(), 0)
        self.assertEqual(list(self.messages(stream)), [], "an open stream ends with the process")
        self.millstream.start()
        again = next(seen for seen in self.messages(self.open(f"/v1/live?device={device}")) if seen["score"])
        self.assertEqual(again["session"], before["session"])
        self.assertEqual(again["score"], before["score"])


class Kafka(Embedded):
    """The same on a real broker."""

    @classmethod
    def setUpClass(cls) -> None:
        brokers = os.environ.get("KAFKA_BROKERS")
        if not brokers:
            raise unittest.SkipTest("KAFKA_BROKERS is not set (scripts/with-servers kafka -- …)")
        cls.settings = {
            "TRANSPORT": "kafka",
            "KAFKA__BROKERS": brokers,
            "KAFKA__DEVELOPMENT": "true",
            "NAMESPACE": f"live-{uuid.uuid4().hex[:8]}.",
        }
        super().setUpClass()


if __name__ == "__main__":
    unittest.main()
