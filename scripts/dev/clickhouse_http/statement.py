"""Where a statement's SQL ends and its data begin.

A client may send the whole statement in the `query` parameter, the whole in the body, or the SQL in the parameter and
an INSERT's data in the body, which can be of any binary format. The SQL is read token by token, so that a FORMAT or a
semicolon inside a string, a comment or a quoted name is not taken for one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .errors import syntax_error

_TOKEN = re.compile(
    rb"""(?P<space>\s+|--[^\n]*|\#[ !][^\n]*|/\*.*?\*/)
    |(?P<quoted>'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*")
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_CHANGES = {
    b"INSERT", b"CREATE", b"ALTER", b"DROP", b"TRUNCATE", b"RENAME", b"EXCHANGE", b"OPTIMIZE", b"DELETE", b"UPDATE",
    b"ATTACH", b"DETACH", b"GRANT", b"REVOKE", b"SYSTEM", b"KILL", b"UNDROP", b"MOVE",
}  # fmt: skip


@dataclass
class Statement:
    """One statement. For an INSERT with a FORMAT, `sql` ends before SETTINGS and FORMAT; `data` is what follows."""

    sql: bytes
    format: bytes = b""
    settings: bytes = b""
    data: bytes = b""
    is_insert: bool = False
    changes: bool = False  # refused by GET, as a server refuses it


def divide(parameter: bytes, body: bytes) -> Statement:
    """The statement that `query` and the request's body make together."""
    first = next((word for kind, word, _, _ in _tokens(parameter or body) if kind == "word"), b"").upper()
    if not first:
        raise syntax_error("Empty query")
    if first == b"INSERT":
        return _insert(parameter, body)
    sql = parameter + (b"\n" if parameter and body else b"") + body
    return Statement(sql=_single(sql), changes=first in _CHANGES)


def _insert(parameter: bytes, body: bytes) -> Statement:
    text = parameter or body
    settings_at = None
    depth = 0
    tokens = _tokens(text)
    for kind, token, start, _ in tokens:
        upper = token.upper() if kind == "word" else b""
        depth += {b"(": 1, b")": -1}.get(token, 0) if kind == "other" else 0
        if depth:
            continue
        if upper == b"SETTINGS":
            settings_at = start
        elif upper == b"FORMAT":
            name, end = next(((word, stop) for kind, word, _, stop in tokens if kind == "word"), (b"", 0))
            if not name:
                raise syntax_error("FORMAT without a name")
            head_end = start if settings_at is None else settings_at
            settings = b"" if settings_at is None else text[settings_at:start]
            if parameter:
                if text[end:].strip(b"; \t\r\n"):
                    raise syntax_error("Data of an INSERT belong into the body when the statement is in the parameter")
                data = body
            else:
                data = re.sub(rb"\A[ \t;]*\r?\n?", b"", text[end:])
            return Statement(text[:head_end], name, settings, data, is_insert=True, changes=True)
        elif upper in (b"SELECT", b"WITH", b"FROM"):
            break  # the data come from the engine's own tables
        elif upper == b"VALUES":
            # Literals belong to the SQL; what follows them is the engine's to judge.
            return Statement(text + (b" " + body if parameter else b""), is_insert=True, changes=True)
    else:
        if parameter and body:  # `INSERT INTO t` in the parameter, `VALUES …` or `FORMAT …` in the body
            return _insert(b"", parameter + b"\n" + body)
    if parameter and body:
        raise syntax_error("An INSERT of a SELECT takes no data")
    return Statement(_single(text), is_insert=True, changes=True)


def _single(sql: bytes) -> bytes:
    """The statement without a closing semicolon; a second statement is refused, for a server refuses it too."""
    end = None
    for kind, token, start, _ in _tokens(sql):
        if end is not None and kind != "space":
            raise syntax_error("Multi-statements are not allowed")
        if kind == "other" and token == b";" and end is None:
            end = start
    return sql if end is None else sql[:end]


def _tokens(text: bytes) -> Iterator[tuple[str, bytes, int, int]]:
    """(kind, token, start, end), lazily: the data after an INSERT's FORMAT are never looked at."""
    for match in _TOKEN.finditer(text):
        yield match.lastgroup or "other", match[0], match.start(), match.end()
