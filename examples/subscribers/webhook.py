"""Signed webhooks with an outbox: what was decided is sent, sooner or later, in order, and recognisably once."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import sqlite3
import time
import urllib.error
import urllib.request

REQUEST_LIMIT_S = 10
LONGEST_PAUSE_S = 60
# An endpoint that answers so says that the message will never be taken; anything else may be an outage.
REFUSED = (400, 401, 403, 404, 410, 413, 422)


def signature(secret: bytes, sent_at_s: int, body: bytes) -> str:
    """The header `Millstream-Signature`: HMAC-SHA256 over time and body, so that neither can be replaced."""
    digest = hmac.new(secret, b"%d." % sent_at_s + body, hashlib.sha256).hexdigest()
    return f"t={sent_at_s},v1={digest}"


def verify(secret: bytes, header: str, body: bytes, now_s: float, tolerance_s: int = 300) -> bool:
    """What the receiver does: recompute, compare in constant time, refuse old messages."""
    fields = dict(part.split("=", 1) for part in header.split(",") if "=" in part)
    if not re.fullmatch(r"[0-9]{1,12}", fields.get("t", "")) or abs(now_s - int(fields["t"])) > tolerance_s:
        return False
    expected = signature(secret, int(fields["t"]), body).split("v1=", 1)[1]
    return hmac.compare_digest(expected.encode(), fields.get("v1", "").encode())


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST becomes a GET without body, whose answer says nothing of the message: no redirect is followed."""

    def redirect_request(self, *_arguments: object) -> None:
        """Refuses, so that the redirect is an error, and the message waits."""


class Outbox:
    """Messages that wait for their receiver, in the database of the state that caused them.

    A message is put in within the transaction of its cause and taken out once the receiver has said yes: a crash in
    between sends it again under the same `Idempotency-Key`, by which the receiver knows it.
    """

    def __init__(self, database: sqlite3.Connection, url: str, secret: bytes):
        self._database, self._url, self._secret = database, url, secret
        self._retry_at_s, self._pause_s = 0.0, 1.0
        self._opener = urllib.request.build_opener(NoRedirect)
        database.execute(
            "CREATE TABLE IF NOT EXISTS outbox (number INTEGER PRIMARY KEY, idempotency_key TEXT UNIQUE, body TEXT)"
        )
        database.execute("CREATE TABLE IF NOT EXISTS refused (idempotency_key TEXT, body TEXT, status INTEGER)")

    def put(self, idempotency_key: str, message: dict) -> None:
        """Adds a message, within the caller's transaction."""
        self._database.execute(
            "INSERT OR IGNORE INTO outbox (idempotency_key, body) VALUES (?, ?)",
            (idempotency_key, json.dumps(message, default=str)),
        )

    def waiting(self) -> int:
        """How many messages wait."""
        return self._database.execute("SELECT count(*) FROM outbox").fetchone()[0]

    def send(self) -> int:
        """Sends what waits, in order, until the receiver fails; pauses longer after each failure. Returns how many."""
        sent = 0
        while time.monotonic() >= self._retry_at_s:
            sql = "SELECT number, idempotency_key, body FROM outbox ORDER BY number LIMIT 1"
            row = self._database.execute(sql).fetchone()
            if row is None:
                break
            status = self._post(row[1], row[2].encode())
            if status is None:
                self._retry_at_s = time.monotonic() + self._pause_s
                self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
                break
            self._pause_s = 1.0
            self._database.execute("BEGIN IMMEDIATE")
            if status in REFUSED:
                self._database.execute("INSERT INTO refused VALUES (?, ?, ?)", (row[1], row[2], status))
            self._database.execute("DELETE FROM outbox WHERE number = ?", (row[0],))
            self._database.execute("COMMIT")
            sent += status not in REFUSED
        return sent

    def _post(self, idempotency_key: str, body: bytes) -> int | None:
        request = urllib.request.Request(
            self._url,
            data=body,
            headers={
                "Content-Type": "application/json",
                "Idempotency-Key": idempotency_key,
                "Millstream-Signature": signature(self._secret, int(time.time()), body),
            },
        )
        try:
            with self._opener.open(request, timeout=REQUEST_LIMIT_S) as response:
                return response.status
        except urllib.error.HTTPError as error:
            return error.code if error.code in REFUSED else None
        except OSError:
            return None
