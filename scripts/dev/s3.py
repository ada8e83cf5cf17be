"""Object storage with the S3 API and conditional writes: moto, in memory. What it holds is gone with its process."""

from __future__ import annotations

import urllib.request

from . import cache, pins
from .clickhouse import answers
from .instance import Instance

KIND = "s3"
READY_LIMIT_S = 60
BUCKET = "millstream"


def port_names(_instance: Instance) -> list[str]:
    """One listener."""
    return ["http"]


def prepare(_instance: Instance) -> None:
    """Finds or installs the server; raises `cache.Missing`."""
    cache.python_environment("s3", pins.S3_REQUIREMENTS)


def launch(instance: Instance) -> None:
    """Starts the server. It takes any credentials; clients must have some to sign with."""
    port = instance.state.ports["http"]
    instance.state.exports = {
        "S3_ENDPOINT": f"http://127.0.0.1:{port}",
        "S3_BUCKET": BUCKET,
        "S3_REGION": "us-east-1",
        "S3_ACCESS_KEY_ID": "development",
        "S3_SECRET_ACCESS_KEY": "development-secret",
    }
    python = cache.python_environment("s3", pins.S3_REQUIREMENTS)
    # The option is read by nobody: it puts the data directory on the command line, by which `Instance` knows its own.
    named = ["-X", f"millstream={instance.data}"]
    instance.spawn([str(python), *named, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], {})


def ready(instance: Instance) -> bool:
    """Whether it answers."""
    return answers(instance.state.exports["S3_ENDPOINT"])


def after_ready(instance: Instance) -> None:
    """Makes the bucket."""
    request = urllib.request.Request(f"{instance.state.exports['S3_ENDPOINT']}/{BUCKET}", method="PUT")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        answer.read()
