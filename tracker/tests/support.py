"""A running collector, a shop's page on another origin, and a browser: what the tests of the tracker share.

Without a browser, the library that drives it or the `millstream` binary, tests skip themselves by name.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

try:
    from playwright.sync_api import Browser, BrowserContext, Playwright, sync_playwright
except ImportError:  # scripts/test says so, and every test skips
    sync_playwright = None

TRACKER = Path(__file__).resolve().parents[1]
WRITE_KEY = "demo-write-key"
# A headless browser says so in its user agent, and would be taken for the robot that it is.
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/153.0.0.0 Safari/537.36"
# How long anything may take to appear. Generous: it is only waited for when something is broken.
PATIENCE_S = 60.0


def what_is_missing() -> str:
    """Why these tests cannot run here; empty where they can."""
    if sync_playwright is None:
        return "the Python library playwright is not installed (scripts/dev-browser)"
    if not os.environ.get("MILLSTREAM_BROWSER"):
        return "MILLSTREAM_BROWSER is not set (scripts/dev-browser)"
    if not os.environ.get("MILLSTREAM_BIN"):
        return "MILLSTREAM_BIN is not set (cargo build, then its path)"
    return ""


def until(what: str, look: Callable[[], Any]) -> Any:
    """The first truthy answer of `look`."""
    deadline = time.monotonic() + PATIENCE_S
    while not (answer := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {PATIENCE_S:.0f} s for {what}")
        time.sleep(0.1)
    return answer


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Millstream:
    """`millstream` with everything embedded, in a folder and on ports of its own."""

    def __init__(self, *command: str, config: str = "", **settings: str) -> None:
        """`config` is the text of a configuration file, `settings` override its keys (`SERVE__LISTEN`)."""
        self.folder = Path(tempfile.mkdtemp(prefix="millstream-browser-"))
        self.command = command
        if config:
            (self.folder / "millstream.toml").write_text(config, encoding="utf-8")
            self.command = ("--config", str(self.folder / "millstream.toml"), *command)
        self.url = f"http://127.0.0.1:{free_port()}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MILLSTREAM")},
            "MILLSTREAM_DATA_DIR": str(self.folder / "data"),
            "MILLSTREAM__COLLECT__LISTEN": self.url.removeprefix("http://"),
            "MILLSTREAM__COLLECT__ADMIN_LISTEN": f"127.0.0.1:{free_port()}",
            "MILLSTREAM__DELIVER__MAX_AGE_MS": "100",
            **{f"MILLSTREAM__{name}": value for name, value in settings.items()},
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Starts it and waits until it takes events."""
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [os.environ["MILLSTREAM_BIN"], *self.command], env=self.environment, stdout=log, stderr=log
            )
        until("the collector", self._ready)

    def _ready(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"millstream ended with {self.process.returncode}:\n{self.said()}")
        try:
            return urllib.request.urlopen(f"{self.url}/readyz", timeout=5).status == 200
        except OSError:
            return False

    def said(self) -> str:
        """What it has printed."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def stop(self) -> int:
        """Stops it as an operator does; its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(timeout=60)

    def remove(self) -> None:
        """Stops it and forgets its data."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def query(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a query on the warehouse; none while there is nothing to read."""
        command = [os.environ["MILLSTREAM_BIN"], "query", sql, "--format", "json"]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        if "there is no warehouse" in done.stderr:
            return []
        if done.returncode != 0:
            raise AssertionError(f"{sql}\n{done.stderr}")
        return json.loads(done.stdout or "[]")


class Shop:
    """Pages of a shop, on an origin of their own, with the content security policy that docs/connect-a-shop.md gives."""

    def __init__(self, collector: str) -> None:
        shop = self
        self.collector = collector
        self.attributes = ""

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # noqa: N802
                shop.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        # Another host name, so that the collector is another site and not only another port.
        self.url = f"http://localhost:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """One page; `?tracker` attributes come from the address, so that one server serves every test."""
        path, _, query = request.path.partition("?")
        attributes = urllib.request.unquote(query).replace("&", " ") if query.startswith("data-") else ""
        script = f'<script async src="{self.collector}/tracker.js" data-key="{WRITE_KEY}" {attributes}></script>'
        if path == "/sandbox":
            body = f'<iframe sandbox="allow-scripts" src="/inside"></iframe>'
        else:
            body = (
                f"{script}<h1>{path}</h1><a id=next href='/next{'?' + query if query else ''}'>next</a>"
                "<button id=buy data-ms-click='buy button'><b>Buy</b></button><button id=other>Other</button>"
                "<div style='height:3000px'></div>"
            )
        page = f"<!doctype html><title>Page {path}</title>{body}".encode()
        request.send_response(200)
        request.send_header("content-type", "text/html; charset=utf-8")
        policy = f"default-src 'self'; style-src 'unsafe-inline'; script-src {self.collector}; connect-src {self.collector}"
        request.send_header("content-security-policy", policy)
        request.send_header("content-length", str(len(page)))
        request.end_headers()
        request.wfile.write(page)

    def stop(self) -> None:
        """Stops serving."""
        self.server.shutdown()
        self.server.server_close()


def launch() -> tuple[Playwright, Browser]:
    """A headless browser."""
    playwright = sync_playwright().start()
    environment = dict(os.environ)
    libraries = os.environ.get("MILLSTREAM_BROWSER_LIBRARIES")
    if libraries:
        environment["LD_LIBRARY_PATH"] = f"{libraries}:{environment.get('LD_LIBRARY_PATH', '')}".rstrip(":")
    # The user agent for the whole browser: what a profile says of itself, requests that outlive their page do not say.
    arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", f"--user-agent={USER_AGENT}"]
    program = os.environ["MILLSTREAM_BROWSER"]
    return playwright, playwright.chromium.launch(executable_path=program, args=arguments, env=environment)


class BrowserTest(unittest.TestCase):
    """A browser for the class, a profile of its own for each test."""

    playwright: Playwright
    browser: Browser

    @classmethod
    def setUpClass(cls) -> None:
        missing = what_is_missing()
        if missing:
            raise unittest.SkipTest(missing)
        cls.playwright, cls.browser = launch()
        cls.addClassCleanup(cls.playwright.stop)
        cls.addClassCleanup(cls.browser.close)

    def profile(self, **options: Any) -> BrowserContext:
        """A browser profile without any past."""
        context = self.browser.new_context(**options)
        self.addCleanup(context.close)
        return context


def holds(page: Any, expression: str, what: str, argument: Any = None) -> None:
    """Waits until an expression is true in a page (or frame). Asked from here: the page's policy forbids it to evaluate text."""
    until(what, lambda: page.wait_for_timeout(20) or page.evaluate(expression, argument))


def tracked(page: Any) -> None:
    """Waits until the tracker runs in the page."""
    holds(page, "!!window.millstream && !Array.isArray(window.millstream)", "the tracker")
