"""The development servers survive kill -9: what was acknowledged is there again, at the same address."""

import subprocess
import tempfile
import unittest
import urllib.request
import uuid
from pathlib import Path

from dev.cli import MISSING, NOT_RUNNING

try:
    from confluent_kafka import Consumer, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient, NewTopic
except ImportError:
    Producer = None

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


class DevServers(unittest.TestCase):
    """Each test has a server of its own, because it kills it."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="millstream-dev-")
        self.addCleanup(folder.cleanup)
        self.data = Path(folder.name) / "server"

    def command(self, kind, command):
        """(exit code, the lines NAME=value as a mapping)."""
        done = subprocess.run(
            [str(SCRIPTS / f"dev-{kind}"), command, "--data", str(self.data)],
            capture_output=True, text=True, timeout=900, check=False,
        )  # fmt: skip
        if done.returncode == MISSING:
            self.skipTest(done.stderr.strip().splitlines()[0])
        self.assertIn(done.returncode, (0, NOT_RUNNING), done.stderr)
        return done.returncode, dict(line.split("=", 1) for line in done.stdout.splitlines())

    def start(self, kind):
        code, lines = self.command(kind, "start")
        self.assertEqual(code, 0)
        self.addCleanup(self.command, kind, "stop")
        return lines

    def test_clickhouse(self):
        first = self.start("clickhouse")

        def run(sql):
            with urllib.request.urlopen(first["CLICKHOUSE_URL"], data=sql.encode(), timeout=60) as answer:
                return answer.read().strip()

        run("CREATE TABLE kept (n UInt32) ENGINE = MergeTree ORDER BY n")
        run("INSERT INTO kept SELECT number FROM numbers(1000)")
        self.command("clickhouse", "kill")
        self.assertEqual(self.command("clickhouse", "status")[0], NOT_RUNNING)
        again = self.start("clickhouse")
        self.assertEqual(again["CLICKHOUSE_URL"], first["CLICKHOUSE_URL"])
        self.assertEqual(run("SELECT count(), sum(n) FROM kept"), b"1000\t499500")

    @unittest.skipIf(Producer is None, "confluent-kafka is not installed")
    def test_kafka(self):
        first = self.start("kafka")
        brokers, topic = first["KAFKA_BROKERS"], f"kept-{uuid.uuid4().hex[:8]}"
        quiet = {"bootstrap.servers": brokers, "log_level": 0}  # the client would report every lost connection
        admin = AdminClient(quiet)
        admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(timeout=30)
        acknowledged = []
        producer = Producer(quiet | {"enable.idempotence": True})
        for number in range(1000):
            # A time of long ago: history must neither be refused nor deleted.
            producer.produce(
                topic, str(number), timestamp=1_000_000_000_000 + number,
                on_delivery=lambda error, message: acknowledged.append(message.value()) if error is None else None,
            )  # fmt: skip
        producer.flush(60)
        self.command("kafka", "kill")
        self.assertEqual(self.start("kafka")["KAFKA_BROKERS"], brokers)
        consumer = Consumer(quiet | {"group.id": topic})
        self.addCleanup(consumer.close)
        consumer.assign([TopicPartition(topic, 0, 0)])
        messages = []
        while len(messages) < 1000 and (batch := consumer.consume(1000, timeout=30)):
            messages += [message for message in batch if message.error() is None]
        self.assertEqual(len(acknowledged), 1000)
        self.assertEqual([message.value() for message in messages], [str(number).encode() for number in range(1000)])
        self.assertEqual(messages[0].timestamp()[1], 1_000_000_000_000)

    def test_registry(self):
        first = self.start("registry")
        url = first["SCHEMA_REGISTRY_URL"]
        request = urllib.request.Request(
            f"{url}/subjects/kept/versions", b'{"schema": "\\"string\\""}',
            {"Content-Type": "application/vnd.schemaregistry.v1+json"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=60) as answer:
            registered = answer.read()
        self.command("registry", "stop")
        self.assertEqual(self.start("registry")["SCHEMA_REGISTRY_URL"], url)
        with urllib.request.urlopen(f"{url}/subjects/kept/versions/latest", timeout=60) as answer:
            self.assertIn(registered.strip(b"{}"), answer.read())
        with urllib.request.urlopen(f"{url}/config", timeout=60) as answer:
            self.assertIn(b'"BACKWARD"', answer.read())

    def test_s3(self):
        first = self.start("s3")
        object_of = f"{first['S3_ENDPOINT']}/{first['S3_BUCKET']}/kept"

        def put(body):
            request = urllib.request.Request(object_of, body, method="PUT")
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status

        self.assertEqual(put(b"one"), 200)
        self.command("s3", "kill")
        # In memory: the bucket is made anew and empty, at the same address.
        self.assertEqual(self.start("s3")["S3_ENDPOINT"], first["S3_ENDPOINT"])
        self.assertEqual(put(b"two"), 200)


if __name__ == "__main__":
    unittest.main()
