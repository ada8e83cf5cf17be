"""One server process and the data directory that names it.

The directory holds the server's data, its log and `instance.json`; a stopped or killed server started again with the
same directory has the same data and the same ports. A process is taken for ours only if its command line names the
directory, so a process id that was given to someone else is never signalled.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

# Below the range from which Linux and macOS take the ports of outgoing connections: those could grab a port between
# the moment it was found free and the moment the server binds it.
PORT_RANGE = range(20_000, 30_000)
POLL_S = 0.05
STOP_GRACE_S = 20


class ServerFailed(Exception):
    """A server that did not start, or could not be found; the text says which and shows the end of its log."""


@dataclass
class State:
    """What is known of an instance between two commands."""

    kind: str
    pid: int = 0
    ports: dict[str, int] = field(default_factory=dict)
    exports: dict[str, str] = field(default_factory=dict)  # the environment variables that name it to a client
    options: dict[str, str] = field(default_factory=dict)  # what a restart must repeat


class Instance:
    """The server of one kind whose data are in `data`."""

    def __init__(self, kind: str, data: Path):
        self.data = data.expanduser().resolve()
        self.log = self.data / "server.log"
        self._file = self.data / "instance.json"
        self._child: subprocess.Popen | None = None
        self.state = State(kind)
        if self._file.exists():
            self.state = State(**json.loads(self._file.read_text(encoding="utf-8")))
        if self.state.kind != kind:
            raise ServerFailed(f"{self.data} holds a {self.state.kind} server, not {kind}: name another --data")

    def save(self) -> None:
        """Writes the state, readable by this user only (it can hold a password)."""
        self.data.mkdir(parents=True, exist_ok=True)
        temporary = self._file.with_suffix(".tmp")
        temporary.touch(mode=0o600)
        temporary.write_text(json.dumps(asdict(self.state), indent=1), encoding="utf-8")
        temporary.replace(self._file)

    def alive(self) -> bool:
        """Whether the recorded process runs and is this instance's."""
        if self._child is not None:
            return self._child.poll() is None  # our own child: its command line is empty while it executes a program
        return self.state.pid > 0 and str(self.data) in command_line(self.state.pid)

    def spawn(self, command: list[str], environment: dict[str, str], directory: Path | None = None) -> None:
        """Starts the process in a session of its own, so that Ctrl-C in the terminal does not reach it first."""
        with open(self.log, "ab") as log:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=directory or self.data,
                env={**os.environ, **environment},
                start_new_session=True,
            )
        self.state.pid = self._child.pid
        self.save()

    def wait_ready(self, ready: Callable[[], bool], limit_s: float) -> None:
        """Waits until `ready` says so, or raises `ServerFailed` when the process ends first or the limit passes."""
        deadline = time.monotonic() + limit_s
        while not ready():
            if not self.alive():
                raise ServerFailed(f"the {self.state.kind} server ended while starting\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise ServerFailed(f"the {self.state.kind} server was not ready after {limit_s} s\n{self.log_tail()}")
            time.sleep(POLL_S)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> bool:
        """Ends the process, with SIGKILL if it outlives the grace period. False if it was not running."""
        if not self.alive():
            return False
        self._signal(how)
        if not self._gone_within(STOP_GRACE_S):
            self._signal(signal.SIGKILL)
            if not self._gone_within(STOP_GRACE_S):
                raise ServerFailed(f"process {self.state.pid} ({self.state.kind}, {self.data}) does not end")
        self.state.pid = 0
        self.save()
        return True

    def log_tail(self, lines: int = 15) -> str:
        """The last lines of the server's log."""
        if not self.log.exists():
            return f"(no log at {self.log})"
        end = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
        return "\n".join([f"--- end of {self.log}", *end])

    def _signal(self, how: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.state.pid, how)

    def _gone_within(self, limit_s: float) -> bool:
        deadline = time.monotonic() + limit_s
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)
        return True


def command_line(pid: int) -> str:
    """The command line of a process, empty if there is none (or if it is a zombie)."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    shown = subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout


def free_ports(count: int) -> list[int]:
    """`count` different ports of the loopback address on which nothing listens now."""
    found: list[int] = []
    for port in random.sample(PORT_RANGE, k=len(PORT_RANGE)):
        if is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise ServerFailed(f"no {count} free ports between {PORT_RANGE.start} and {PORT_RANGE.stop}")


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` of the loopback address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do: TIME_WAIT is no obstacle
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
