"""The commands `dev-kafka`, `dev-clickhouse`, `dev-registry` and `dev-s3`: one development server each."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from pathlib import Path

from . import cache, servers
from .instance import Instance, ServerFailed

FAILED, NOT_RUNNING, MISSING = 1, 3, 4

EPILOGUE = """\
start   waits until the server answers, then prints lines NAME=value for `eval` or `export`
stop    ends exactly the server of that data directory
kill    ends it with SIGKILL, for crash tests; start with the same --data brings it back with its data and ports
status  prints the same lines as start

Exit codes: 1 the server failed, 3 it is not running (status), 4 the machine lacks something, which is named.

One data directory is one server. Downloads and the default data directory are in
${MILLSTREAM_CACHE:-$HOME/.cache/millstream}; nothing needs root or containers.
"""


def main(kind: str, about: str) -> int:
    """Parses the command line, runs the command, returns the exit code."""
    parser = argparse.ArgumentParser(
        prog=f"dev-{kind}", description=about, epilog=EPILOGUE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["start", "stop", "kill", "status"])
    parser.add_argument("--data", type=Path, help="data directory of the server (default: one in the cache)")
    parser.add_argument(
        "--port", type=int, help="port to listen on (default: the one of the last start, else a free one)"
    )
    if kind == "kafka":
        parser.add_argument("--tls", action="store_true", help="listen on SASL over TLS and on mutual TLS as well")
    if kind == "clickhouse":
        parser.add_argument("--user", help="the one user that may log in (default: default)")
        parser.add_argument("--password", help="its password (default: none)")
    arguments = parser.parse_args()
    options = {name: str(value) for name in ("tls", "user", "password") if (value := getattr(arguments, name, None))}
    default = cache.root() / "servers" / (f"{kind}-tls" if "tls" in options else kind)
    try:
        return _run(arguments.command, Instance(kind, arguments.data or default), arguments.port, options)
    except cache.Missing as error:
        print(f"dev-{kind}: {error}", file=sys.stderr)
        return MISSING
    except ServerFailed as error:
        print(f"dev-{kind}: {error}", file=sys.stderr)
        return FAILED


def _run(command: str, instance: Instance, port: int | None, options: dict[str, str]) -> int:
    if command in ("stop", "kill"):
        was_running = instance.stop(signal.SIGKILL if command == "kill" else signal.SIGTERM)
        cache.note(f"{instance.data}: {'ended' if was_running else 'no server runs here'}")
        return 0
    if command == "start":
        _start(instance, port, options)
    elif not instance.alive():
        cache.note(f"{instance.data}: no server runs here")
        return NOT_RUNNING
    for name, value in {**instance.state.exports, "PID": str(instance.state.pid), "DATA": str(instance.data)}.items():
        print(f"{name}={shlex.quote(value)}")
    return 0


def _start(instance: Instance, port: int | None, options: dict[str, str]) -> None:
    """Starts it; one that runs already is left alone, unless it cannot be what was asked for."""
    state = instance.state
    if "tls" in options and state.ports and "tls" not in state.options:
        raise ServerFailed(f"{instance.data} was made without --tls: name another --data")
    if not instance.alive():
        state.options |= options
        servers.start(instance, port)
    elif port not in (None, next(iter(state.ports.values()))):
        raise ServerFailed(f"{instance.data} runs already, on {state.ports}: stop it or name another --data")
