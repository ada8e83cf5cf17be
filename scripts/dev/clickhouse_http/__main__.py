"""Listens, reads bodies, writes answers: `python -m dev.clickhouse_http --port 18123 --data DIR`.

The login is taken from MILLSTREAM_CLICKHOUSE_USER and MILLSTREAM_CLICKHOUSE_PASSWORD (default: `default`, none).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
import traceback
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from . import request
from .engine import Answer, Engine
from .errors import ClickHouseError


class ClientGone(Exception):
    """The client closed the connection inside a body: nothing of it may be inserted."""


class Handler(BaseHTTPRequestHandler):
    """One connection; a thread of its own."""

    engine: Engine
    user: str
    password: str

    protocol_version = "HTTP/1.1"
    server_version = "millstream-dev-clickhouse"
    wbufsize = 1 << 16
    disable_nagle_algorithm = True
    timeout = 300  # seconds without a byte from the client

    def do_GET(self) -> None:
        """Reads only, as on a server."""
        self._serve()

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """Reads and writes."""
        self._serve()

    def _serve(self) -> None:
        started = time.monotonic()
        try:
            self._answer_to(self._body(), started)
        except ClientGone:
            self.close_connection = True
        except ClickHouseError as error:
            self._send(error.status, error.body(self.engine.version), {"X-ClickHouse-Exception-Code": str(error.code)})
        except Exception as error:  # a fault of this program: told to the client, and in full to the log
            traceback.print_exc(file=sys.stderr)
            fault = ClickHouseError(1001, "STD_EXCEPTION", f"{type(error).__name__}: {error}")
            self._send(500, fault.body(self.engine.version), {"X-ClickHouse-Exception-Code": "1001"})

    def _answer_to(self, body: bytes, started: float) -> None:
        path, parameters = urlsplit(self.path).path, request.url_parameters(self.path)
        if path == "/ping" or (path == "/" and self.command != "POST" and "query" not in parameters):
            return self._send(200, b"Ok.\n", {})
        if path != "/":
            return self._send(404, f"There is no handle {path}\n".encode(), {})
        request.check_login(parameters, self.headers, self.user, self.password)
        query = request.query(self.command, parameters, self.headers, body)
        answer = self.engine.run(query.statement, query.database, query.settings, query.parameters, query.output)
        headers = {
            "X-ClickHouse-Query-Id": query.query_id or str(uuid.uuid4()),
            "X-ClickHouse-Summary": _summary(answer, time.monotonic() - started),
        }
        data = answer.data
        if query.gzip_answer and data:
            data, headers["Content-Encoding"] = request.compressed(data), "gzip"
        return self._send(200, data, headers)

    def _body(self) -> bytes:
        if "chunked" in (self.headers.get("Transfer-Encoding") or "").lower():
            return b"".join(self._chunks())
        length = self.headers.get("Content-Length") or "0"
        if not length.isdigit():
            self.close_connection = True
            raise ClickHouseError(36, "BAD_ARGUMENTS", f"Content-Length {length!r} is not a number")
        if int(length) > request.MAX_BODY_BYTES:
            self.close_connection = True
            raise request.too_large()
        return self._exactly(int(length))

    def _chunks(self):
        total = 0
        while True:
            size = self.rfile.readline(1024).split(b";")[0].strip()
            try:
                length = int(size, 16)
            except ValueError as error:
                raise ClientGone from error
            total += length
            if total > request.MAX_BODY_BYTES:
                self.close_connection = True
                raise request.too_large()
            if length == 0:
                while self.rfile.readline(65536) not in (b"\r\n", b"\n", b""):
                    pass  # trailers say nothing that is used here
                return
            yield self._exactly(length)
            self.rfile.readline(1024)

    def _exactly(self, length: int) -> bytes:
        try:
            data = self.rfile.read(length)
        except OSError as error:
            raise ClientGone from error
        if len(data) < length:
            raise ClientGone
        return data

    def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        try:
            self.send_response(status)
            self.send_header(
                "Content-Type", "application/octet-stream" if status == 200 else "text/plain; charset=UTF-8"
            )
            self.send_header("Content-Length", str(len(data)))
            self.send_header("X-ClickHouse-Server-Display-Name", "millstream-dev")
            self.send_header("X-ClickHouse-Timezone", self.engine.timezone)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)
            self.wfile.flush()
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *values: object) -> None:
        """Quiet: tests send thousands of requests."""


class Server(ThreadingHTTPServer):
    """Threads die with the process; a burst of connections waits in the queue."""

    daemon_threads = True
    request_queue_size = 128


def _summary(answer: Answer, elapsed_s: float) -> str:
    figures = {
        "read_rows": answer.read_rows,
        "read_bytes": answer.read_bytes,
        "written_rows": answer.written_rows,
        "written_bytes": answer.written_bytes,
        "result_rows": answer.written_rows,
        "elapsed_ns": int(elapsed_s * 1e9),
    }
    return json.dumps({name: str(value) for name, value in figures.items()}, separators=(",", ":"))


def main() -> None:
    """Runs until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="dev.clickhouse_http", description="The ClickHouse engine behind HTTP.")
    parser.add_argument("--port", type=int, required=True, help="port on the loopback address")
    parser.add_argument("--data", type=Path, required=True, help="the engine's data directory")
    arguments = parser.parse_args()
    engine = Engine(arguments.data)
    Handler.engine = engine
    Handler.user = os.environ.get("MILLSTREAM_CLICKHOUSE_USER") or "default"
    Handler.password = os.environ.get("MILLSTREAM_CLICKHOUSE_PASSWORD") or ""

    def end(_number: int, _frame: object) -> None:
        engine.clean_up()
        os._exit(0)  # the engine can crash in the interpreter's own shutdown; acknowledged data are on disk already

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    Server(("127.0.0.1", arguments.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
