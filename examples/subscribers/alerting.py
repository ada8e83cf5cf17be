#!/usr/bin/env python3
"""An alerting subscriber: tells a webhook when a valuable customer is about to be lost, and when that is over.

    ALERT_SECRET=… "$(scripts/python-env)" examples/subscribers/alerting.py --brokers 127.0.0.1:9092 \
        --registry http://127.0.0.1:8080 --url https://crm.example/hooks/millstream

Joins two score topics by person: `clv` (what a customer is worth) and `scores.churn` (whether the customer will come
back). A customer of a tier in --worth whose churn tier is one of --risk is an alert; it is `raised` once and `cleared`
once, when either score changes, is retracted, or the person ceases (merged into another one). Messages are signed
(HMAC-SHA256, header `Millstream-Signature`), carry an `Idempotency-Key`, and wait in an outbox while the receiver is
down. `webhook.verify` is the receiver's side.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

from committed import Change, State, Subscriber
from confluent_kafka import KafkaException
from webhook import Outbox

CHURN, CLV = "scores.churn", "clv"


class Alerting:
    """Which persons are in alert, as a function of their two current scores."""

    def __init__(self, state: State, outbox: Outbox, prefix: str, worth: set[str], risk: set[str]):
        self._state, self._outbox, self._prefix, self._worth, self._risk = state, outbox, prefix, worth, risk
        state.database.execute("CREATE TABLE IF NOT EXISTS alert (key TEXT PRIMARY KEY)")

    def on_change(self, change: Change) -> None:
        """Raises or clears, within the transaction of the record that causes it."""
        churn = self._state.row(self._prefix + CHURN, change.key)
        clv = self._state.row(self._prefix + CLV, change.key)
        wanted = bool(churn and clv and churn["tier"] in self._risk and clv["tier"] in self._worth)
        known = self._state.database.execute("SELECT 1 FROM alert WHERE key = ?", (change.key,)).fetchone() is not None
        if wanted == known:
            return
        if wanted:
            self._state.database.execute("INSERT INTO alert VALUES (?)", (change.key,))
        else:
            self._state.database.execute("DELETE FROM alert WHERE key = ?", (change.key,))
        self._outbox.put(change.idempotency_key, self._message("raised" if wanted else "cleared", change, churn, clv))

    @staticmethod
    def _message(what: str, change: Change, churn: dict | None, clv: dict | None) -> dict:
        message = {"alert": "valuable_customer_at_risk", "state": what, "customer": change.key, "because_of": change.topic}
        if churn:
            message |= {"churn_tier": churn["tier"], "p_active_90d": churn["p_active_90d"], "reasons": churn["reasons"]}
            message |= {"user_id": churn["user_id"], "churn_model": f"{churn['model']} {churn['model_version']}"}
        if clv:
            message |= {"clv_tier": clv["tier"], "clv_365d_minor": clv["clv_365d_minor"], "currency": clv["currency"]}
        return message


def main() -> int:
    """Parses the command line and subscribes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brokers", default=os.environ.get("KAFKA_BROKERS"), help="default: $KAFKA_BROKERS")
    parser.add_argument(
        "--registry", default=os.environ.get("SCHEMA_REGISTRY_URL"), help="registry, or the collector itself"
    )
    parser.add_argument("--prefix", default="", help="namespace prefix of the topics")
    parser.add_argument("--state", default="alerting.sqlite", help="database of positions, scores, alerts and outbox")
    parser.add_argument("--url", required=True, help="where to send; https outside development")
    parser.add_argument("--worth", default="high", help="clv tiers worth an alert, comma-separated (default high)")
    parser.add_argument("--risk", default="at_risk,lost", help="churn tiers that raise one (default at_risk,lost)")
    parser.add_argument("--until-end", action="store_true", help="stop at the end of the topics, outbox sent")
    parser.add_argument("--config", action="append", default=[], metavar="NAME=VALUE", help="Kafka client setting")
    arguments = parser.parse_args()
    secret = os.environ.get("ALERT_SECRET", "").encode()
    if not arguments.brokers or not arguments.registry:
        parser.error("name --brokers and --registry, or set KAFKA_BROKERS and SCHEMA_REGISTRY_URL")
    if len(secret) < 16:
        parser.error("set ALERT_SECRET to at least 16 bytes, shared with the receiver; never on the command line")
    settings = {"bootstrap.servers": arguments.brokers} | dict(pair.split("=", 1) for pair in arguments.config)

    state = State(arguments.state)
    outbox = Outbox(state.database, arguments.url, secret)
    alerting = Alerting(state, outbox, arguments.prefix, set(arguments.worth.split(",")), set(arguments.risk.split(",")))
    topics = [arguments.prefix + CHURN, arguments.prefix + CLV]
    try:
        subscriber = Subscriber(state, settings, arguments.registry, topics)
        subscriber.run(alerting.on_change, arguments.until_end, after_batch=outbox.send)
    except KafkaException as error:
        print(f"alerting: {error}", file=sys.stderr)
        return 1
    while arguments.until_end and outbox.waiting():
        if outbox.send() == 0:
            time.sleep(0.2)
    return 0


if __name__ == "__main__":
    sys.exit(main())
