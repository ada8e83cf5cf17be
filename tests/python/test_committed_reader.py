"""The committed reader against a real Kafka and a real registry: aborted transactions, several types on one topic."""

import json
import os
import subprocess
import sys
import unittest
import uuid
from pathlib import Path

try:
    from confluent_kafka import Producer
    from confluent_kafka.admin import AdminClient, NewTopic
    from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
    from confluent_kafka.schema_registry.avro import AvroSerializer
    from confluent_kafka.serialization import MessageField, SerializationContext
except ImportError:
    Producer = None

READER = Path(__file__).with_name("committed_reader.py")
BROKERS, REGISTRY = os.environ.get("KAFKA_BROKERS"), os.environ.get("SCHEMA_REGISTRY_URL")

FIELDS = [
    {"name": "site", "type": "string"},
    {"name": "revision", "type": "long"},
    {"name": "retracted", "type": "boolean"},
    {"name": "amount_minor", "type": "long"},
]


def schema(name, id_field):
    """An Avro record with a key of `site` and `id_field`."""
    fields = [{"name": id_field, "type": "string"}, *FIELDS]
    return json.dumps({"type": "record", "name": name, "namespace": "org.millstream", "fields": fields})


@unittest.skipIf(Producer is None, "confluent-kafka is not installed")
@unittest.skipUnless(BROKERS, "KAFKA_BROKERS is not set")
@unittest.skipUnless(REGISTRY, "SCHEMA_REGISTRY_URL is not set")
class CommittedReader(unittest.TestCase):
    """What the reader prints is what was committed, and nothing else."""

    def setUp(self):
        self.topic = f"reader-{uuid.uuid4().hex[:8]}"
        admin = AdminClient({"bootstrap.servers": BROKERS})
        admin.create_topics([NewTopic(self.topic, 3, 1)])[self.topic].result(timeout=30)
        self.addCleanup(lambda: admin.delete_topics([self.topic])[self.topic].result(timeout=30))
        registry = SchemaRegistryClient({"url": REGISTRY, "timeout": 10})
        self.serializers = {}
        for name, id_field in (("Order", "order_id"), ("Refund", "refund_id")):
            conf = {"subject.name.strategy": lambda _context, record, topic=self.topic: f"{topic}-{record}"}
            self.serializers[name] = AvroSerializer(registry, Schema(schema(name, id_field), "AVRO"), conf=conf)
        self.producer = Producer({"bootstrap.servers": BROKERS, "transactional.id": self.topic, "log_level": 0})
        self.producer.init_transactions(30)

    def transaction(self, records, commit):
        """Produces records of (type, id, revision, amount, retracted), then commits or aborts."""
        self.producer.begin_transaction()
        for name, identity, revision, amount, retracted in records:
            record = {"site": "s", "revision": revision, "retracted": retracted, "amount_minor": amount}
            record["order_id" if name == "Order" else "refund_id"] = identity
            frame = self.serializers[name](record, SerializationContext(self.topic, MessageField.VALUE))
            self.producer.produce(self.topic, frame, key=identity)
        self.producer.flush(30)  # an abort with unsent messages would be fatal to the producer
        if commit:
            self.producer.commit_transaction(30)
        else:
            self.producer.abort_transaction(30)

    def read(self):
        """The reader's exit code, its summary of the topic, and its errors."""
        command = [sys.executable, str(READER), "--limit-s", "60", self.topic]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        self.assertTrue(done.stdout, done.stderr)
        return done.returncode, json.loads(done.stdout)["topics"][self.topic], done.stderr

    def test_counts_committed_records_only(self):
        for at in range(20):
            orders = [("Order", f"o{number}", at, number, False) for number in range(50)]
            self.transaction(orders, commit=at % 3 != 0)
        self.transaction([("Order", "o0", 30, 0, True), ("Refund", "r1", 1, 77, False)], commit=True)
        code, shown, _ = self.read()
        committed = sum(1 for at in range(20) if at % 3 != 0)
        self.assertEqual(code, 0)
        self.assertEqual((shown["partitions"], shown["messages"]), (3, committed * 50 + 2))
        orders = shown["types"]["order"]
        self.assertEqual((orders["records"], orders["current"], orders["retracted"]), (committed * 50 + 1, 49, 1))
        self.assertEqual((orders["repeats"], orders["conflicts"]), (0, 0))
        self.assertEqual(orders["sums"], {"amount_minor": sum(range(50))})
        self.assertEqual(shown["types"]["refund"]["sums"], {"amount_minor": 77})

    def test_names_a_record_that_cannot_be_decoded_and_reads_on(self):
        self.transaction([("Order", "before", 1, 10, False)], commit=True)
        self.producer.begin_transaction()
        self.producer.produce(self.topic, b"\x00\x00\x00\x00", partition=1)
        self.producer.flush(30)
        self.producer.commit_transaction(30)
        self.transaction([("Order", "after", 1, 5, False)], commit=True)
        code, shown, errors = self.read()
        self.assertEqual((code, shown["undecodable"], shown["types"]["order"]["current"]), (1, 1, 2))
        self.assertIn("partition 1", errors)


if __name__ == "__main__":
    unittest.main()
