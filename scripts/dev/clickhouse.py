"""The ClickHouse engine behind its HTTP interface: one process of `clickhouse_http`."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

from . import cache, pins
from .instance import Instance

KIND = "clickhouse"
READY_LIMIT_S = 60


def port_names(_instance: Instance) -> list[str]:
    """One listener."""
    return ["http"]


def prepare(_instance: Instance) -> None:
    """Finds or installs the engine; raises `cache.Missing`."""
    cache.python_environment("clickhouse", pins.CLICKHOUSE_REQUIREMENTS)


def launch(instance: Instance) -> None:
    """Starts the adapter; the engine makes its own data directory."""
    port, options = instance.state.ports["http"], instance.state.options
    instance.state.exports = {"CLICKHOUSE_URL": f"http://127.0.0.1:{port}"}
    if "user" in options or "password" in options:
        instance.state.exports["CLICKHOUSE_USER"] = options.get("user", "default")
        instance.state.exports["CLICKHOUSE_PASSWORD"] = options.get("password", "")
    python = cache.python_environment("clickhouse", pins.CLICKHOUSE_REQUIREMENTS)
    command = [str(python), "-m", "dev.clickhouse_http", "--port", str(port), "--data", str(instance.data / "store")]
    environment = {
        "PYTHONPATH": str(Path(__file__).parent.parent),
        # Results must not depend on where the machine stands.
        "TZ": "UTC",
        # By environment, so that a password does not stand in the process list.
        "MILLSTREAM_CLICKHOUSE_USER": options.get("user", "default"),
        "MILLSTREAM_CLICKHOUSE_PASSWORD": options.get("password", ""),
    }
    instance.spawn(command, environment)


def ready(instance: Instance) -> bool:
    """Whether `/ping` answers; the adapter listens only once the engine is up."""
    return answers(f"{instance.state.exports['CLICKHOUSE_URL']}/ping")


def after_ready(_instance: Instance) -> None:
    """Nothing more: tables are made by migrations."""


def answers(url: str) -> bool:
    """Whether a GET of `url` succeeds."""
    try:
        # No proxy: the server is on this machine, whatever the environment says.
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False
