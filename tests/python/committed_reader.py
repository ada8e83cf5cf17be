#!/usr/bin/env python3
"""The outside witness: reads committed records with Confluent's Kafka client and Avro deserializer, and counts.

    "$(scripts/python-env)" tests/python/committed_reader.py --brokers 127.0.0.1:9092 --registry http://127.0.0.1:8081 \
        orders sessions

Reads every topic from its beginning to its end (as of the last stable offset), `read_committed`, decodes each record
by the schema id in its frame, and works out the current row of every key: the highest revision, unless it is
retracted. Prints one JSON object:

    {"topics": {"orders": {"partitions": 4, "messages": 214, "tombstones": 0, "undecodable": 0,
                           "types": {"order": {"records": 214, "keys": 214, "current": 214, "retracted": 0,
                                               "repeats": 0, "conflicts": 0, "sums": {"amount_minor": 5944263}}}}}}

`repeats` are records written twice, `conflicts` are different records of one key and revision; both must be 0. Sums
are over current rows, of fields that end in `_minor` and of those that --sum names. Exit code 1 if a record could not
be decoded (the first one is named), 2 on wrong arguments.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from current_rows import Revisions, key_fields, snake_case

FRAME_BYTES = 5
REQUEST_LIMIT_S = 30


class TopicReader:
    """Decodes one topic's messages and keeps their revisions by record type."""

    def __init__(self, topic: str, registry: SchemaRegistryClient, keys: dict[str, list[str]], sum_fields: list[str]):
        self.topic, self._registry, self._keys, self._sum_fields = topic, registry, keys, sum_fields
        self._deserialize = AvroDeserializer(registry)
        self._names: dict[int, str] = {}
        self._types: dict[str, Revisions] = {}
        self._unkeyed: dict[str, int] = {}
        self.messages = self.tombstones = self.undecodable = 0
        self.first_undecodable = ""

    def add(self, partition: int, offset: int, frame: bytes | None) -> None:
        """One committed message."""
        self.messages += 1
        if frame is None:
            self.tombstones += 1
            return
        try:
            name = self._type_of(frame)
            record = self._deserialize(frame, SerializationContext(self.topic, MessageField.VALUE))
        except Exception as error:  # whatever the client raises, the record could not be read from outside
            self.undecodable += 1
            self.first_undecodable = self.first_undecodable or f"partition {partition}, offset {offset}: {error!r}"
            return
        if name not in self._keys:
            self._unkeyed[name] = self._unkeyed.get(name, 0) + 1
            return
        self._types.setdefault(name, Revisions(self._keys[name], self._sum_fields)).add(record, frame)

    def _type_of(self, frame: bytes) -> str:
        if len(frame) < FRAME_BYTES or frame[0] != 0:
            raise ValueError(f"no Confluent frame: begins with {frame[:FRAME_BYTES].hex()}")
        schema_id = int.from_bytes(frame[1:FRAME_BYTES], "big")
        if schema_id not in self._names:
            schema = json.loads(self._registry.get_schema(schema_id).schema_str)
            self._names[schema_id] = snake_case(schema["name"])
        return self._names[schema_id]

    def summary(self, partitions: int) -> dict:
        """What was read, as JSON takes it."""
        types = {name: revisions.summary() for name, revisions in self._types.items()}
        types |= {name: {"records": count} for name, count in self._unkeyed.items()}
        shown = {
            "partitions": partitions,
            "messages": self.messages,
            "tombstones": self.tombstones,
            "undecodable": self.undecodable,
            "types": dict(sorted(types.items())),
        }
        return shown | ({"first_undecodable": self.first_undecodable} if self.undecodable else {})


def read_topics(consumer: Consumer, readers: dict[str, TopicReader], limit_s: float) -> dict[str, int]:
    """Reads every partition to its end; the number of partitions by topic. Raises `KafkaException` or `TimeoutError`.

    The end is the client's end-of-partition event: offsets have gaps where transactions end, so no arithmetic on the
    last offset and the watermark says that all was read.
    """
    partitions: dict[str, int] = {}
    open_partitions: set[tuple[str, int]] = set()
    for topic in readers:
        metadata = consumer.list_topics(topic, timeout=REQUEST_LIMIT_S).topics[topic]
        if metadata.error is not None:
            raise KafkaException(metadata.error)
        partitions[topic] = len(metadata.partitions)
        open_partitions |= {(topic, partition) for partition in metadata.partitions}
    consumer.assign(
        [TopicPartition(topic, partition, OFFSET_BEGINNING) for topic, partition in sorted(open_partitions)]
    )
    deadline = time.monotonic() + limit_s
    while open_partitions:
        for message in consumer.consume(num_messages=1000, timeout=1.0):
            error = message.error()
            if error is None:
                readers[message.topic()].add(message.partition(), message.offset(), message.value())
            elif error.code() == KafkaError._PARTITION_EOF:
                open_partitions.discard((message.topic(), message.partition()))
            elif not error.retriable():
                raise KafkaException(error)
        if time.monotonic() > deadline:
            raise TimeoutError(f"not at the end of {sorted(open_partitions)} after {limit_s} s")
    return partitions


def main() -> int:
    """Parses the command line, reads, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("topics", nargs="+", help="topics to read")
    parser.add_argument("--brokers", default=os.environ.get("KAFKA_BROKERS"), help="default: $KAFKA_BROKERS")
    parser.add_argument(
        "--registry", default=os.environ.get("SCHEMA_REGISTRY_URL"), help="default: $SCHEMA_REGISTRY_URL"
    )
    parser.add_argument("--key", action="append", default=[], metavar="TYPE=FIELD,FIELD", help="key of a record type")
    parser.add_argument("--sum", action="append", default=[], metavar="FIELD", help="sum this field as well")
    parser.add_argument(
        "--config", action="append", default=[], metavar="NAME=VALUE", help="setting of the Kafka client"
    )
    parser.add_argument("--limit-s", type=float, default=300, help="give up after so many seconds")
    arguments = parser.parse_args()
    if not arguments.brokers or not arguments.registry:
        parser.error("name --brokers and --registry, or set KAFKA_BROKERS and SCHEMA_REGISTRY_URL")
    for pair in arguments.key + arguments.config:
        if "=" not in pair:
            parser.error(f"{pair!r} is not NAME=VALUE")
    keys = key_fields() | {
        name: fields.split(",") for name, _, fields in (pair.partition("=") for pair in arguments.key)
    }

    # Without a limit the client waits for ever for an answer that was lost; with one it asks again.
    registry = SchemaRegistryClient({"url": arguments.registry, "timeout": REQUEST_LIMIT_S})
    readers = {topic: TopicReader(topic, registry, keys, arguments.sum) for topic in arguments.topics}
    settings = {
        "bootstrap.servers": arguments.brokers,
        "group.id": f"committed-reader-{os.getpid()}",  # required by the client; nothing is committed under it
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
    }
    settings |= {name: value for name, _, value in (pair.partition("=") for pair in arguments.config)}
    consumer = Consumer(settings)
    try:
        partitions = read_topics(consumer, readers, arguments.limit_s)
    except (KafkaException, TimeoutError) as error:
        print(f"committed_reader: {error}", file=sys.stderr)
        return 1
    finally:
        consumer.close()
    topics = {topic: reader.summary(partitions[topic]) for topic, reader in readers.items()}
    print(json.dumps({"topics": topics}, indent=1))
    undecodable = [reader for reader in readers.values() if reader.undecodable]
    for reader in undecodable:
        print(f"committed_reader: {reader.topic}: {reader.first_undecodable}", file=sys.stderr)
    return 1 if undecodable else 0


if __name__ == "__main__":
    sys.exit(main())
