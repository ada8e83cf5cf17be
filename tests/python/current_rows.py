"""The current rows of a set of revisions, worked out without any of Millstream's own code."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

RECORDS = Path(__file__).resolve().parents[2] / "schemas" / "records"


def key_fields(folder: Path = RECORDS) -> dict[str, list[str]]:
    """The key's fields of each record type, read from the record definitions; types without a key are absent."""
    found = {}
    for definition in sorted(folder.glob("*.toml")):
        text = definition.read_text(encoding="utf-8")
        name = re.search(r'^name\s*=\s*"(\w+)"', text, re.MULTILINE)
        key = re.search(r"^key\s*=\s*\[(.*?)\]", text, re.MULTILINE | re.DOTALL)
        if name and key:
            found[name[1]] = re.findall(r'"(\w+)"', key[1])
    return found


def snake_case(avro_name: str) -> str:
    """`org.millstream.OrderLine` is the record type `order_line`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", avro_name.rsplit(".", 1)[-1]).lower()


@dataclass
class Revisions:
    """All records of one type: the highest revision of each key is its current row.

    Two records of one key and one revision are never right: equal ones were written twice (`repeats`), different ones
    contradict each other (`conflicts`).
    """

    key: list[str]
    sum_fields: list[str] = field(default_factory=list)
    records: int = 0
    repeats: int = 0
    conflicts: int = 0
    _seen: dict[tuple, bytes] = field(default_factory=dict)  # (key, revision) → digest of the frame
    _current: dict[tuple, tuple[int, bool, dict]] = field(default_factory=dict)  # key → (revision, retracted, sums)

    def add(self, record: dict, frame: bytes) -> None:
        """One decoded record and the bytes that it came in."""
        self.records += 1
        key = tuple(hashable(record[name]) for name in self.key)
        revision = record.get("revision", 0)
        digest = hashlib.sha256(frame).digest()[:16]
        earlier = self._seen.setdefault((key, revision), digest)
        if self.records != len(self._seen) + self.repeats + self.conflicts:
            if earlier == digest:
                self.repeats += 1
            else:
                self.conflicts += 1
        if key not in self._current or revision >= self._current[key][0]:
            self._current[key] = (revision, bool(record.get("retracted", False)), self._amounts(record))

    def summary(self) -> dict:
        """Counts and sums over the current rows, as JSON takes them."""
        live = [amounts for _, retracted, amounts in self._current.values() if not retracted]
        sums: dict[str, int | Decimal] = {}
        for amounts in live:
            for name, amount in amounts.items():
                sums[name] = sums.get(name, 0) + amount
        return {
            "records": self.records,
            "keys": len(self._current),
            "current": len(live),
            "retracted": len(self._current) - len(live),
            "repeats": self.repeats,
            "conflicts": self.conflicts,
            "sums": {name: amount if isinstance(amount, int) else str(amount) for name, amount in sorted(sums.items())},
        }

    def _amounts(self, record: dict) -> dict[str, int | Decimal]:
        return {
            name: value
            for name, value in record.items()
            if (name.endswith("_minor") or name in self.sum_fields)
            and isinstance(value, (int, Decimal))
            and not isinstance(value, bool)
        }


def hashable(value: object) -> object:
    """A key's value as something that a dictionary takes."""
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, (list, tuple)):
        return tuple(hashable(item) for item in value)
    return value
