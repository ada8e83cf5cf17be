"""Runs a command, passes its output on line by line, and ends it when it hangs."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

# No line for this long means a hang; linking the largest binary on a slow machine is silent for a few minutes.
STALL_LIMIT_S = 1500


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
        for line in child.stdout or ():
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    try:
        while True:
            try:
                line = lines.get(timeout=stall_limit_s)
            except queue.Empty:
                print(f"no output for {stall_limit_s:.0f} s: ending {command[0]}", flush=True)
                _end(child)
                return 124
            if line is None:
                return child.wait()
            sys.stdout.write(line)
            sys.stdout.flush()
            on_line(line.rstrip("\n"))
    except BaseException:
        _end(child)
        raise


def _end(child: subprocess.Popen) -> None:
    for how, limit_s in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        try:
            os.killpg(child.pid, how)
            child.wait(timeout=limit_s)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
