#!/usr/bin/env python3
"""The outside witness of fates: what became of each event that a load client had acknowledged.

    "$(scripts/python-env)" tests/python/acknowledged.py --brokers 127.0.0.1:9092 --registry http://127.0.0.1:8081 \
        --acknowledged ids.txt

Reads `events.collected`, `events`, `events.rejected` and `ledger`, committed records only, with Confluent's client and
Avro deserializer. `ids.txt` has an acknowledged id a line. Works out, with none of Millstream's own code, the fate of
every copy of every event in the log, and compares the sums with what the ledger notes:

* every acknowledged id is in the log;
* every id is processed at most once, and a copy is never both processed and rejected;
* an id that is neither is a bot that says so, or of a device whose visitor refused consent: dropped, with that reason;
* of an id that is processed or refused consent, each further copy is a duplicate;
* nothing is processed or rejected that is not in the log.

Prints one JSON object, `{"checks": [{"name": ..., "good": true, "says": ...}], ...}`. Exit code 1 if a check failed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections import Counter

from committed_reader import FRAME_BYTES, REQUEST_LIMIT_S, read_topics
from confluent_kafka import Consumer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from current_rows import snake_case

SHOWN = 5
ID = re.compile(rb'"id":"([^"]+)"')
DECLARED_BOT = re.compile(r"bot\b|crawler|spider", re.IGNORECASE)
TOPICS = ("events.collected", "events", "events.rejected", "ledger")


class Log:
    """Decodes what concerns fates; everything else in these topics is passed over."""

    def __init__(self, topic: str, registry: SchemaRegistryClient, wanted: str, each):
        self._topic, self._registry, self._wanted, self._each = topic, registry, wanted, each
        self._deserialize = AvroDeserializer(registry)
        self._names: dict[int, str] = {}

    def add(self, partition: int, offset: int, frame: bytes | None) -> None:
        """One committed message."""
        if frame is None or len(frame) < FRAME_BYTES:
            return
        schema_id = int.from_bytes(frame[1:FRAME_BYTES], "big")
        if schema_id not in self._names:
            schema = json.loads(self._registry.get_schema(schema_id).schema_str)
            self._names[schema_id] = snake_case(schema["name"])
        if self._names[schema_id] == self._wanted:
            record = self._deserialize(frame, SerializationContext(self._topic, MessageField.VALUE))
            self._each(partition, offset, record)


class Fates:
    """What is known of each event, by id."""

    def __init__(self) -> None:
        self.copies: Counter[str] = Counter()
        self.place: dict[tuple[int, int], str] = {}
        self.payload: dict[str, bytes] = {}
        self.refused_devices: set[str] = set()
        self.processed: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self.rejected_places: Counter[tuple[int, int]] = Counter()
        self.reasons: Counter[str] = Counter()
        self.noted: Counter[str] = Counter()
        self.strangers: list[str] = []

    def collected(self, partition: int, offset: int, record: dict) -> None:
        """A copy of an event in the log."""
        payload = bytes(record["payload"])
        found = ID.search(payload)
        event_id = found[1].decode("utf-8", "replace") if found else f"without id at {partition}:{offset}"
        self.copies[event_id] += 1
        self.place[partition, offset] = event_id
        self.payload.setdefault(event_id, payload)
        if b'"consent":' in payload:
            event = parsed(payload)
            said = event.get("consent")
            if event.get("type") == "consent" and isinstance(said, dict) and said.get("analytics") is False:
                self.refused_devices.add(event.get("device", ""))

    def event(self, _partition: int, _offset: int, record: dict) -> None:
        """A processed one."""
        self.processed[record["event_id"]] += 1

    def reject(self, _partition: int, _offset: int, record: dict) -> None:
        """A rejected one, by the place that it names."""
        place = (record["partition"], record["offset"])
        self.rejected_places[place] += 1
        self.reasons[record["reason"]] += 1
        if place in self.place:
            self.rejected[self.place[place]] += 1
        else:
            self.strangers.append(f"rejected {record['topic']}{place}")

    def note(self, _partition: int, _offset: int, record: dict) -> None:
        """A transaction of ingest, as its ledger has it."""
        if record["stage"] == "ingest":
            for fate in record["fates"]:
                self.noted[fate["name"]] += fate["records"]


def parsed(payload: bytes) -> dict:
    """The event, as far as it is one."""
    try:
        event = json.loads(payload.decode("utf-8", "replace"), strict=False)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def judge(fates: Fates, acknowledged: set[str]) -> list[dict]:
    """The checks, each with what it found."""
    checks: list[dict] = []

    def check(name: str, wrong: list, says: str) -> None:
        shown = f"; {len(wrong)} wrong, such as {wrong[:SHOWN]}" if wrong else ""
        checks.append({"name": name, "good": not wrong, "says": says + shown})

    copies = sum(fates.copies.values())
    lost = sorted(acknowledged - fates.copies.keys())
    check("acknowledged ids are in the log", lost, f"{len(acknowledged)} ids, {copies} copies of {len(fates.copies)}")
    twice = [event_id for event_id, times in fates.processed.items() if times > 1]
    check("no id is processed twice", twice, f"{len(fates.processed)} ids processed")
    places = [place for place, times in fates.rejected_places.items() if times > 1]
    check("no copy is rejected twice", places, f"{sum(fates.rejected.values())} copies, {dict(fates.reasons)}")
    both = [i for i in fates.copies if fates.processed[i] + fates.rejected[i] > fates.copies[i]]
    check("no copy is both processed and rejected", both, "processed + rejected <= copies of each id")
    foreign = [event_id for event_id in fates.processed if event_id not in fates.copies] + fates.strangers
    check("nothing comes from nowhere", foreign, "each processed or rejected event is in the log")

    bots, refused, unexplained = 0, 0, []
    duplicates = sum(fates.copies[event_id] - 1 - fates.rejected[event_id] for event_id in fates.processed)
    for event_id, times in fates.copies.items():
        if fates.processed[event_id] or fates.rejected[event_id] == times:
            continue
        event = parsed(fates.payload[event_id])
        left = times - fates.rejected[event_id]
        if DECLARED_BOT.search(event.get("user_agent") or ""):
            bots += left
        elif event.get("device") in fates.refused_devices:
            refused += 1
            duplicates += left - 1
        else:
            unexplained.append(event_id)
    dropped = f"{bots} copies of declared bots, {refused} events without consent, {duplicates} further copies"
    check("what is neither was dropped with a reason", unexplained, dropped)

    expected = {
        "accepted": sum(fates.processed.values()),
        "rejected": sum(fates.rejected.values()),
        "declared_bot": bots,
        "consent_refused": refused,
        "duplicate": duplicates,
    }
    wrong = [f"{name}: {fates.noted[name]} noted, {n} found" for name, n in expected.items() if fates.noted[name] != n]
    check("the ledger notes the same fates", wrong, ", ".join(f"{name} {n}" for name, n in expected.items()))
    unsettled = [] if sum(expected.values()) == copies else [f"{sum(expected.values())} fates"]
    check("every copy has one fate", unsettled, f"{copies} copies = {' + '.join(map(str, expected.values()))}")
    return checks


def main() -> int:
    """Parses the command line, reads, judges, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--registry", required=True, help="where the schemas are")
    parser.add_argument("--acknowledged", required=True, help="file with an acknowledged event id a line")
    parser.add_argument("--limit-s", type=float, default=600, help="give up after so many seconds")
    arguments = parser.parse_args()
    with open(arguments.acknowledged, encoding="utf-8") as lines:
        acknowledged = {line.rstrip("\n") for line in lines}
    registry = SchemaRegistryClient({"url": arguments.registry, "timeout": REQUEST_LIMIT_S})
    fates = Fates()
    wanted = {
        "events.collected": ("collected", fates.collected),
        "events": ("event", fates.event),
        "events.rejected": ("rejected", fates.reject),
        "ledger": ("ledger", fates.note),
    }
    # One after the other: what is rejected is looked up in what was collected.
    for topic in TOPICS:
        consumer = Consumer(
            {
                "bootstrap.servers": arguments.brokers,
                "group.id": f"acknowledged-{os.getpid()}",  # required by the client; nothing is committed under it
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
            }
        )
        try:
            read_topics(consumer, {topic: Log(topic, registry, *wanted[topic])}, arguments.limit_s)
        finally:
            consumer.close()
    checks = judge(fates, acknowledged)
    print(json.dumps({"checks": checks}, indent=1))
    return 0 if all(check["good"] for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
