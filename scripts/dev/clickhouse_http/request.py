"""One HTTP request, taken apart: login, parameters, settings, statement."""

from __future__ import annotations

import base64
import binascii
import gzip
import hmac
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from .errors import ClickHouseError
from .statement import Statement, divide

MAX_BODY_BYTES = 1 << 30

# URL parameters that the interface itself reads; every other one is a setting of the query.
_OF_THE_INTERFACE = {
    "query", "database", "default_format", "user", "password", "query_id", "quota_key", "role", "stacktrace",
    "session_id", "session_timeout", "session_check", "buffer_size", "wait_end_of_query", "enable_http_compression",
    "http_zlib_compression_level", "send_progress_in_http_headers", "http_headers_progress_interval_ms",
    "http_native_compression_disable_checksumming_on_decompress", "client_protocol_version", "add_http_cors_header",
    "cancel_http_readonly_queries_on_client_close", "compress", "decompress",
}  # fmt: skip


@dataclass
class Query:
    """What a request asks the engine to do."""

    statement: Statement
    database: str
    settings: dict[str, str]
    parameters: dict[str, str]
    output: str
    query_id: str
    gzip_answer: bool


def url_parameters(target: str) -> dict[str, str]:
    """The parameters of a request's URL."""
    return dict(parse_qsl(urlsplit(target).query, keep_blank_values=True))


def check_login(parameters: Mapping[str, str], headers: Mapping[str, str], user: str, password: str) -> None:
    """Accepts the one login by URL, by ClickHouse's headers or by basic authentication; refuses every other."""
    given_user = parameters.get("user") or headers.get("X-ClickHouse-User") or ""
    given_password = parameters.get("password") or headers.get("X-ClickHouse-Key") or ""
    authorization = headers.get("Authorization") or ""
    if authorization.lower().startswith("basic "):
        try:
            given_user, _, given_password = base64.b64decode(authorization[6:], validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            given_user = "(unreadable Authorization header)"
    given_user = given_user or "default"
    right = hmac.compare_digest(given_password.encode(), password.encode())
    if given_user != user or not right:
        text = f"{given_user}: Authentication failed: password is incorrect, or there is no user with such name."
        raise ClickHouseError(516, "AUTHENTICATION_FAILED", text)


def query(method: str, parameters: Mapping[str, str], headers: Mapping[str, str], body: bytes) -> Query:
    """What the request asks for, or `ClickHouseError` with what is wrong with it."""
    if "1" in (parameters.get("compress"), parameters.get("decompress")):
        text = "This development server does not speak ClickHouse's own compressed blocks; use Content-Encoding: gzip"
        raise ClickHouseError(48, "NOT_IMPLEMENTED", text)
    statement = divide(parameters.get("query", "").encode(), _decoded(body, headers.get("Content-Encoding") or ""))
    if method != "POST" and statement.changes:
        text = f"Cannot execute query in readonly mode. For queries over HTTP, method {method} implies readonly"
        raise ClickHouseError(164, "READONLY", text)
    return Query(
        statement=statement,
        database=parameters.get("database") or headers.get("X-ClickHouse-Database") or "",
        settings={
            name: value
            for name, value in parameters.items()
            if name not in _OF_THE_INTERFACE and not name.startswith("param_")
        },
        parameters={name[6:]: value for name, value in parameters.items() if name.startswith("param_")},
        output=parameters.get("default_format") or headers.get("X-ClickHouse-Format") or "TabSeparated",
        query_id=parameters.get("query_id", ""),
        # As on a server, an answer is compressed only where both the client and the parameter ask for it.
        gzip_answer=parameters.get("enable_http_compression") == "1"
        and "gzip" in (headers.get("Accept-Encoding") or ""),
    )


def _decoded(body: bytes, encoding: str) -> bytes:
    if not encoding or encoding == "identity":
        return body
    if encoding not in ("gzip", "deflate"):
        raise ClickHouseError(48, "NOT_IMPLEMENTED", f"This development server reads gzip and deflate, not {encoding}")
    # 31 is a gzip wrapper, 15 a zlib one; the limit holds for what comes out, too.
    stream = zlib.decompressobj(31 if encoding == "gzip" else 15)
    try:
        plain = stream.decompress(body, MAX_BODY_BYTES)
    except zlib.error as error:
        raise ClickHouseError(354, "ZLIB_INFLATE_FAILED", f"The {encoding} body is damaged: {error}") from error
    if stream.unconsumed_tail:
        raise too_large()
    if not stream.eof:
        raise ClickHouseError(354, "ZLIB_INFLATE_FAILED", f"The {encoding} body ends in the middle")
    return plain


def compressed(data: bytes) -> bytes:
    """An answer's bytes for a client that takes gzip."""
    return gzip.compress(data, compresslevel=1)


def too_large() -> ClickHouseError:
    """The answer to a body over the limit."""
    return ClickHouseError(
        223, "TOO_LARGE", f"The body is over {MAX_BODY_BYTES} bytes, this development server's limit"
    )
