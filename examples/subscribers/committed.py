"""Committed records of Millstream's topics, applied exactly once to a small SQLite database.

What every subscriber has to get right is here, once:

- read committed records only (`isolation.level=read_committed`): what an aborted transaction wrote never happened;
- keep, for each key, the highest revision: a lower one that comes later is old news, an equal one is a repetition;
- a retracted record ends its key, until a higher revision brings it back;
- the offset and its effect in one transaction of the subscriber's own database: after a crash it goes on where its
  effects end, not where the broker thinks it was. Consumer groups' offsets are not used at all.
"""

from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

REQUEST_LIMIT_S = 30
MESSAGES_PER_TRANSACTION = 500


@dataclass(frozen=True)
class Change:
    """What a record changed: the key's row before and after; None where there is none."""

    topic: str
    key: str
    before: dict | None
    after: dict | None
    idempotency_key: str


class State:
    """Current rows and read positions, in one SQLite file."""

    def __init__(self, path: str):
        self.database = sqlite3.connect(path, isolation_level=None)
        self.database.executescript(
            """
            PRAGMA journal_mode = WAL;
            CREATE TABLE IF NOT EXISTS position (
                topic TEXT, partition INTEGER, next_offset INTEGER, PRIMARY KEY (topic, partition));
            CREATE TABLE IF NOT EXISTS current (
                topic TEXT, key TEXT, revision INTEGER, retracted INTEGER, record TEXT, PRIMARY KEY (topic, key));
            """
        )

    def next_offset(self, topic: str, partition: int) -> int:
        """Where to go on reading; the beginning where nothing was read."""
        sql = "SELECT next_offset FROM position WHERE topic = ? AND partition = ?"
        row = self.database.execute(sql, (topic, partition)).fetchone()
        return row[0] if row else OFFSET_BEGINNING

    def row(self, topic: str, key: str) -> dict | None:
        """The current row of a key; None where there is none or it is retracted."""
        sql = "SELECT record FROM current WHERE topic = ? AND key = ? AND NOT retracted"
        row = self.database.execute(sql, (topic, key)).fetchone()
        return json.loads(row[0]) if row else None

    def apply(self, topic: str, key: str, record: dict) -> Change | None:
        """Takes a revision in; None where it is no news. To be called within a transaction."""
        sql = "SELECT revision, retracted, record FROM current WHERE topic = ? AND key = ?"
        known = self.database.execute(sql, (topic, key)).fetchone()
        if known and record["revision"] <= known[0]:
            return None
        before = json.loads(known[2]) if known and not known[1] else None
        text = json.dumps(record, default=str)
        self.database.execute(
            "INSERT OR REPLACE INTO current VALUES (?, ?, ?, ?, ?)",
            (topic, key, record["revision"], record["retracted"], text),
        )
        after = None if record["retracted"] else json.loads(text)
        return Change(topic, key, before, after, record["idempotency_key"])

    def moved_to(self, topic: str, partition: int, next_offset: int) -> None:
        """Notes what has been read. To be called within the same transaction."""
        self.database.execute("INSERT OR REPLACE INTO position VALUES (?, ?, ?)", (topic, partition, next_offset))


class Subscriber:
    """Reads topics into a `State` and calls `on_change` for every change, within the transaction that notes it."""

    def __init__(self, state: State, settings: dict, registry_url: str, topics: list[str]):
        # Without a limit the client waits for ever for an answer that was lost; with one it asks again.
        self._decode = AvroDeserializer(SchemaRegistryClient({"url": registry_url, "timeout": REQUEST_LIMIT_S}))
        self._state, self._topics = state, topics
        fixed = {
            "group.id": "unused: positions are kept beside the effects",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
        self._consumer = Consumer(settings | fixed)
        self._stopping = False

    def stop(self, *_signal: object) -> None:
        """Ends `run` after the transaction at hand."""
        self._stopping = True

    def run(self, on_change: Callable[[Change], None], until_end: bool, after_batch: Callable[[], None]) -> None:
        """Reads until stopped, or with `until_end` to the end of every partition. Raises `KafkaException`.

        `after_batch` is called after each transaction and while there is nothing to read: the place for effects that
        leave this database, such as webhooks.
        """
        for caught in (signal.SIGINT, signal.SIGTERM):
            signal.signal(caught, self.stop)
        unread = self._assign()
        try:
            while not self._stopping and not (until_end and not unread):
                messages = self._consumer.consume(num_messages=MESSAGES_PER_TRANSACTION, timeout=0.5)
                unread -= self._take(messages, on_change)
                after_batch()
        finally:
            self._consumer.close()

    def _assign(self) -> set[tuple[str, int]]:
        places = []
        for topic in self._topics:
            metadata = self._consumer.list_topics(topic, timeout=REQUEST_LIMIT_S).topics[topic]
            if metadata.error is not None:
                raise KafkaException(metadata.error)
            places += [(topic, partition) for partition in metadata.partitions]
        self._consumer.assign(
            [TopicPartition(topic, partition, self._state.next_offset(topic, partition)) for topic, partition in places]
        )
        return set(places)

    def _take(self, messages: Iterable, on_change: Callable[[Change], None]) -> set[tuple[str, int]]:
        ended, database = set(), self._state.database
        database.execute("BEGIN IMMEDIATE")
        try:
            for message in messages:
                error = message.error()
                if error is None:
                    self._take_one(message, on_change)
                elif error.code() == KafkaError._PARTITION_EOF:
                    ended.add((message.topic(), message.partition()))
                elif not error.retriable():
                    raise KafkaException(error)
            database.execute("COMMIT")
        except BaseException:
            database.execute("ROLLBACK")
            raise
        return ended

    def _take_one(self, message: object, on_change: Callable[[Change], None]) -> None:
        topic = message.topic()
        self._state.moved_to(topic, message.partition(), message.offset() + 1)
        if message.value() is None:
            return  # a tombstone of a compacted topic: the retracted revision before it has ended the key
        record = self._decode(message.value(), SerializationContext(topic, MessageField.VALUE))
        change = self._state.apply(topic, message.key().decode(), record)
        if change is not None:
            on_change(change)
