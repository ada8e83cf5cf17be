"""The checks of `scripts/test`. Each returns a `Tally`; none stops the next."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .. import browser as browsers
from .. import cache
from .. import promtool as promtools
from . import process
from .cargo_output import CargoOutput
from .tally import Tally

ROOT = Path(__file__).resolve().parents[3]
EVERYTHING = ["--workspace"]
PYTHON_TESTS = ROOT / "tests" / "python"
BROWSER_TESTS = ROOT / "tracker" / "tests"


class Workspace:
    """What Cargo says of the workspace, and the features that this machine can build.

    `selection` are the arguments that choose packages.
    """

    def __init__(self, selection: list[str]) -> None:
        self.selection = selection
        command = ["cargo", "metadata", "--no-deps", "--format-version", "1"]
        shown = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
        if shown.returncode != 0:
            raise cache.Missing("cargo metadata failed; its message is above")
        metadata = json.loads(shown.stdout)
        self.binary = Path(metadata["target_directory"]) / "debug" / "millstream"
        offered = [
            (package["name"], feature)
            for package in metadata["packages"]
            for feature in package["features"]
            if selection == EVERYTHING or package["name"] in selection  # Cargo takes no others
        ]
        with_tls = [each for each in offered if each[1] == "kafka-tls" or each == ("millstream-kafka", "tls")]
        self.tls_missing = _openssl_missing() if with_tls else "no chosen crate has the feature kafka-tls"
        chosen = [each for each in offered if each == ("millstream", "s3")] + ([] if self.tls_missing else with_tls)
        named = ",".join(sorted(f"{name}/{feature}" for name, feature in chosen))
        self.features = ["--features", named] if named else []


def _openssl_missing() -> str:
    if not shutil.which("pkg-config"):
        return "pkg-config is not installed (packages pkg-config, libssl-dev)"
    if subprocess.run(["pkg-config", "--exists", "openssl"], check=False).returncode != 0:
        return "OpenSSL's headers are not installed (package libssl-dev)"
    return ""


def one(name: str, command: list[str]) -> Tally:
    """A command that counts as one check."""
    code = process.run(command, ROOT)
    return Tally(passed=1) if code == 0 else Tally(failed=[f"{name} (exit code {code})"])


def formatting() -> Tally:
    """`cargo fmt --check` over the workspace."""
    return _component("fmt", "rustfmt") or one("cargo fmt", ["cargo", "fmt", "--all", "--check"])


def lints(workspace: Workspace) -> Tally:
    """Clippy over every target; a warning is a failure."""
    command = ["cargo", "clippy", "--workspace", "--all-targets", *workspace.features, "--", "-D", "warnings"]
    return _component("clippy", "clippy") or one("cargo clippy", command)


def _component(command: str, name: str) -> Tally | None:
    shown = subprocess.run(["cargo", command, "--version"], capture_output=True, check=False)
    if shown.returncode == 0:
        return None
    return Tally(skipped=[f"cargo {command}: not installed (rustup component add {name})"])


def build(workspace: Workspace) -> Tally:
    """Compiles tests and binaries; counted only where it fails, for nothing can then be said of the tests.

    In one command, so that both have the same features of their dependencies: two would build the heavy ones twice.
    """
    command = ["cargo", "build", *workspace.selection, *workspace.features, "--bins", "--tests"]
    return Tally() if process.run(command, ROOT) == 0 else Tally(failed=["build of tests and binaries"])


def schemas() -> Tally:
    """Generated contracts are those that the definitions give."""
    command = ["cargo", "run", "--quiet", "--package", "millstream-schemas", "--bin", "schemas", "--", "--check"]
    return one("schemas --check", command)


def alerts() -> Tally:
    """The alert rules are well formed, and fire when they should."""
    rules = ROOT / "infra" / "prometheus"
    try:
        tool = promtools.promtool()
    except cache.Missing as missing:
        return Tally(skipped=[f"alert rules: {str(missing).splitlines()[0]}"])
    tally = one("promtool check rules", [tool, "check", "rules", str(rules / "alerts.yaml")])
    tally.add(one("promtool test rules", [tool, "test", "rules", str(rules / "alerts.test.yaml")]))
    return tally


def rust(workspace: Workspace, servers: dict[str, str]) -> Tally:
    """Every test of the chosen packages, documentation tests included."""
    with tempfile.TemporaryDirectory(prefix="millstream-test-") as folder:
        skip_log = Path(folder) / "skipped.log"
        skip_log.touch()
        output = CargoOutput(skip_log)
        environment = {
            **servers,
            "MILLSTREAM_SKIP_LOG": str(skip_log),
            "CARGO_TERM_COLOR": "never",  # the output is read
        }
        if workspace.binary.exists():
            environment["MILLSTREAM_BIN"] = str(workspace.binary)
        command = ["cargo", "test", *workspace.selection, *workspace.features, "--no-fail-fast"]
        code = process.run(command, ROOT, environment, output.line)
        return output.close(code)


def python_environment() -> Path:
    """The Python with the pinned Kafka client; raises `cache.Missing`."""
    lines = (PYTHON_TESTS / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    return cache.python_environment("tests", pins)


def python(servers: dict[str, str]) -> Tally:
    """The Python tests; without the pinned client, those that need it skip themselves."""
    tally = Tally()
    interpreter = Path(sys.executable)
    try:
        interpreter = python_environment()
    except cache.Missing as missing:
        tally.skipped.append(f"Python's Kafka client: {missing}")
    tally.add(_unittests(interpreter, PYTHON_TESTS, servers))
    return tally


def browser(workspace: Workspace, servers: dict[str, str]) -> Tally:
    """The tracker in a real browser and live reads; without a browser, the tests that need one skip themselves."""
    tally = Tally()
    interpreter, environment = Path(sys.executable), dict(servers)
    try:
        environment |= browsers.browser().exports()
        interpreter = browsers.python()
    except cache.Missing as missing:
        tally.skipped.append(f"browser: {missing}")
    if workspace.binary.exists():
        environment["MILLSTREAM_BIN"] = str(workspace.binary)
    tally.add(_unittests(interpreter, BROWSER_TESTS, environment))
    return tally


def _unittests(interpreter: Path, tests: Path, variables: dict[str, str]) -> Tally:
    """The tests of a folder, under a Python of their own."""
    with tempfile.TemporaryDirectory(prefix="millstream-test-") as folder:
        out = Path(folder) / "outcome.json"
        environment = {**variables, "PYTHONPATH": str(ROOT / "scripts"), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [str(interpreter), "-m", "dev.testing.unittest_json", str(tests), str(out)]
        code = process.run(command, ROOT, environment)
        outcome = Tally()
        with contextlib.suppress(OSError, ValueError):
            outcome = Tally(**json.loads(out.read_text(encoding="utf-8")))
        if code != 0 and not outcome.failed:
            outcome.failed.append(f"the tests of {tests.name} in {tests.parent.name} ended with exit code {code}")
    return outcome


def default_target_directory() -> None:
    """Build output goes to the cache, so that a clone stays as small as it was; a value already set is kept."""
    os.environ.setdefault("CARGO_TARGET_DIR", str(cache.root() / "target"))
