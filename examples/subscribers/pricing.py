#!/usr/bin/env python3
"""A pricing subscriber: who gets the coupon, kept right while scores are revised and retracted.

    "$(scripts/python-env)" examples/subscribers/pricing.py --brokers 127.0.0.1:9092 --registry http://127.0.0.1:8080

A coupon is wasted on a session that buys anyway and on one that never will. So: a session whose probability of a
purchase lies between --low and --high is offered one, unless a trained model did not make the score (`role` is
`fallback`: it ranks, it is no probability) or the traffic is suspected to be automated. One line a decision:

    {"session": "shop/5f…", "coupon": true, "p_purchase": 0.31, "reasons": ["cart_adds", …], "model": "propensity 1", …}

A decision is made again only when it changes; a retracted score withdraws it. Stop it, kill it, start it again: it
goes on where its database ends, and no decision is printed twice unless the process died between print and commit.
"""

from __future__ import annotations

import argparse
import json
import os
import sys

from committed import Change, State, Subscriber
from confluent_kafka import KafkaException

TOPIC = "scores.propensity"


class Pricing:
    """Decides on coupons."""

    def __init__(self, low: float, high: float, fallback_too: bool):
        self._low, self._high, self._fallback_too = low, high, fallback_too

    def wants_coupon(self, row: dict | None) -> bool:
        """Whether the session of this score is offered a coupon."""
        if row is None or row["is_bot"] or (row["role"] == "fallback" and not self._fallback_too):
            return False
        return self._low <= row["p_purchase"] <= self._high

    def decision(self, change: Change) -> dict | None:
        """What to tell the shop; None where nothing changes for it."""
        coupon = self.wants_coupon(change.after)
        if coupon == self.wants_coupon(change.before):
            return None
        row = change.after or change.before
        return {
            "session": change.key,
            "coupon": coupon,
            "p_purchase": change.after and round(change.after["p_purchase"], 4),
            "reasons": change.after["reasons"] if change.after else ["score retracted"],
            "model": f"{row['model']} {row['model_version']} ({row['role']})",
            "scored_at": row["scored_at"],
            "idempotency_key": change.idempotency_key,
        }


def main() -> int:
    """Parses the command line and subscribes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brokers", default=os.environ.get("KAFKA_BROKERS"), help="default: $KAFKA_BROKERS")
    parser.add_argument(
        "--registry", default=os.environ.get("SCHEMA_REGISTRY_URL"), help="registry, or the collector itself"
    )
    parser.add_argument("--prefix", default="", help="namespace prefix of the topics")
    parser.add_argument("--state", default="pricing.sqlite", help="database of positions and current scores")
    parser.add_argument("--low", type=float, default=0.05, help="below it a coupon is wasted (default 0.05)")
    parser.add_argument("--high", type=float, default=0.6, help="above it one is not needed (default 0.6)")
    parser.add_argument("--fallback-too", action="store_true", help="act on the heuristic as well, though it only ranks")
    parser.add_argument("--until-end", action="store_true", help="stop at the end of the topic")
    parser.add_argument("--config", action="append", default=[], metavar="NAME=VALUE", help="Kafka client setting")
    arguments = parser.parse_args()
    if not arguments.brokers or not arguments.registry:
        parser.error("name --brokers and --registry, or set KAFKA_BROKERS and SCHEMA_REGISTRY_URL")
    if not 0 <= arguments.low <= arguments.high <= 1:
        parser.error("--low and --high are probabilities, and --low is not above --high")
    settings = {"bootstrap.servers": arguments.brokers} | dict(pair.split("=", 1) for pair in arguments.config)

    pricing = Pricing(arguments.low, arguments.high, arguments.fallback_too)

    def on_change(change: Change) -> None:
        decision = pricing.decision(change)
        if decision is not None:
            print(json.dumps(decision), flush=True)

    try:
        subscriber = Subscriber(State(arguments.state), settings, arguments.registry, [arguments.prefix + TOPIC])
        subscriber.run(on_change, arguments.until_end, after_batch=lambda: None)
    except KafkaException as error:
        print(f"pricing: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
