"""ClickHouse's way to say that something failed: a code, a text, an HTTP status."""

from __future__ import annotations

import re

# The statuses that a server gives to the codes that clients meet; every other code is a 500.
_STATUS = {
    400: (6, 26, 27, 33, 36, 38, 41, 44, 53, 62, 70, 72, 117, 386, 456, 457, 467),
    403: (192, 193, 194, 497, 516),
    404: (16, 46, 47, 50, 60, 81, 115),
    413: (223,),
    501: (48,),
    503: (202,),
}


class ClickHouseError(Exception):
    """A failure with its ClickHouse code; `name` is the code's symbolic name, `text` says what was wrong."""

    def __init__(self, code: int, name: str, text: str):
        super().__init__(text)
        self.code, self._name, self._text = code, name, text

    @classmethod
    def from_engine(cls, error: Exception) -> ClickHouseError:
        """The engine's own text, taken apart."""
        text = str(error).strip()
        # An error inside a file comes wrapped in a second one of the same code: both prefixes and both names go.
        match = re.match(r"(?:Code: (\d+)\. DB::\w*Exception: )+(.*)", text, re.DOTALL)
        if not match:
            return cls(1002, "UNKNOWN_EXCEPTION", text)
        body = re.sub(r"\s*\(version [^()]*(?:\([^()]*\))?\)\.?", "", match[2])
        name = re.search(r"(?:\s*\(([A-Z][A-Z0-9_]+)\))+\s*$", body)
        return cls(int(match[1]), name[1] if name else "UNKNOWN_EXCEPTION", body[: name.start()] if name else body)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return next((status for status, codes in _STATUS.items() if self.code in codes), 500)

    def body(self, version: str) -> bytes:
        """The answer's text, as a server writes it."""
        return (
            f"Code: {self.code}. DB::Exception: {self._text} ({self._name}) (version {version} (official build))\n"
        ).encode()


def syntax_error(text: str) -> ClickHouseError:
    """A statement that cannot be what the client meant."""
    return ClickHouseError(62, "SYNTAX_ERROR", text)
