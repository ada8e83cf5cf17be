"""Runs a command, passes its output on line by line, and ends it when it hangs."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

# No line for this long means a hang; linking the largest binary on a slow machine is silent for a few minutes.
STALL_LIMIT_S = 1500
# The command itself has ended, but its output is still held open: a test left a process running.
LEFT_BEHIND_S = 5


def run(
    command: list[str],
    directory: Path,
    environment: dict[str, str] | None = None,
    on_line: Callable[[str], None] = lambda line: None,
    stall_limit_s: float = STALL_LIMIT_S,
) -> int:
    """The exit code; `on_line` sees each line without its end. A command that hangs is killed: 124, as of `timeout`."""
    print(f"$ {' '.join(command)}", flush=True)
    child = subprocess.Popen(
        command,
        cwd=directory,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # a group of its own, so that what it started can be ended with it
    )
    lines: queue.Queue[str | None] = queue.Queue(maxsize=10_000)

    def read() -> None:
        with child.stdout as output:
            for line in output:
                lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    try:
        last = time.monotonic()
        while True:
            try:
                line = lines.get(timeout=1)
            except queue.Empty:
                silent_s = time.monotonic() - last
                if child.poll() is not None and silent_s > LEFT_BEHIND_S:
                    print(f"{command[0]} left a process behind that holds its output: ending it", flush=True)
                    _end(child)
                    return child.returncode
                if silent_s > stall_limit_s:
                    print(f"no output for {stall_limit_s:.0f} s: ending {command[0]}", flush=True)
                    _end(child)
                    return 124
                continue
            if line is None:
                return child.wait()
            last = time.monotonic()
            sys.stdout.write(line)
            sys.stdout.flush()
            on_line(line.rstrip("\n"))
    except BaseException:
        _end(child)
        raise


def _end(child: subprocess.Popen) -> None:
    """Ends the command and all that it started in its group, first politely."""
    for how, limit_s in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(child.pid, how)
            child.wait(timeout=limit_s)
            time.sleep(0.2)
