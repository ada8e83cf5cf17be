"""`promtool`, which checks and tests alert rules.

The one that `MILLSTREAM_PROMTOOL` names; else an installed one; else that of the machine's Debian package, unpacked in
the cache. Nothing of it needs root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from . import cache, pins


def promtool() -> str:
    """The program, or `cache.Missing` with what this machine lacks."""
    found = os.environ.get("MILLSTREAM_PROMTOOL") or shutil.which("promtool")
    return found or _from_debian()


def _from_debian() -> str:
    apt = cache.need_tool("apt-get", "it downloads promtool (package prometheus), or name one with MILLSTREAM_PROMTOOL")
    unpack = cache.need_tool("dpkg-deb", "it unpacks promtool")
    what = f"download of Debian's package {pins.PROMETHEUS_PACKAGE}"

    def make(path: Path) -> None:
        cache.note(f"downloading {pins.PROMETHEUS_PACKAGE} into {path}")
        got = subprocess.run(
            [apt, "download", "-qq", pins.PROMETHEUS_PACKAGE],
            cwd=path, capture_output=True, text=True, timeout=cache.DOWNLOAD_LIMIT_S, check=False,
        )  # fmt: skip
        packed = next(path.glob("*.deb"), None)
        if packed is None:
            raise cache.Missing(f"{what} failed (does `apt-get update` help?): {got.stderr.strip()[-300:]}")
        cache.run([unpack, "-x", str(packed), str(path)], "unpacking promtool")
        packed.unlink()

    return str(cache.once("promtool", make) / "usr" / "bin" / "promtool")
