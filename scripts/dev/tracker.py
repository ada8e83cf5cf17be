"""The tracker as it is served: the source without what only its readers need."""

from __future__ import annotations

import gzip
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "tracker"
SOURCE = FOLDER / "tracker.js"
BUILT = FOLDER / "tracker.min.js"

# After one of these a slash begins a regular expression; after anything else it divides.
_BEFORE_REGEX = set("(,=:[!&|?{};\n")


def stripped(source: str) -> str:
    """`source` without comments (but for the first line's licence), indentation and empty lines.

    Strings and regular expressions are left alone. Template literals are not understood and refused.
    """
    out: list[str] = []
    at, last = 0, "\n"
    while at < len(source):
        here = source[at]
        if source.startswith("//", at):
            at = _end(source, "\n", at)
            continue
        if source.startswith("/*", at):
            at = _end(source, "*/", at) + 2
            continue
        if here == "`":
            raise ValueError("a template literal: write a string instead")
        if here in "\"'" or (here == "/" and last in _BEFORE_REGEX):
            end = _closing(source, at)
        else:
            end = at + 1
        out.append(source[at:end])
        if not source[at].isspace() or source[at] == "\n":
            last = source[end - 1]
        at = end
    lines = (line.strip() for line in "".join(out).splitlines())
    return "/*! Millstream tracker, Apache-2.0 */\n" + "\n".join(line for line in lines if line) + "\n"


def _end(source: str, mark: str, at: int) -> int:
    found = source.find(mark, at)
    return len(source) if found < 0 else found


def _closing(source: str, at: int) -> int:
    """The index behind the string or regular expression that begins at `at`."""
    quote, in_class, now = source[at], False, at + 1
    while now < len(source):
        here = source[now]
        if here == "\\":
            now += 2
            continue
        if here == "\n":
            break
        if quote == "/" and here in "[]":
            in_class = here == "["
        elif here == quote and not in_class:
            return now + 1
        now += 1
    raise ValueError(f"no end of what begins with {source[at : at + 20]!r}")


def is_current() -> bool:
    """Whether the built file is what the source gives."""
    return BUILT.is_file() and BUILT.read_text(encoding="utf-8") == stripped(SOURCE.read_text(encoding="utf-8"))


def build() -> str:
    """Writes the built file; its sizes, to be shown."""
    BUILT.write_text(stripped(SOURCE.read_text(encoding="utf-8")), encoding="utf-8")
    return sizes()


def sizes() -> str:
    """Raw and gzipped size of source and built file, in bytes."""
    shown = []
    for path in (SOURCE, BUILT):
        data = path.read_bytes()
        shown.append(f"{path.name}: {len(data)} bytes, {len(gzip.compress(data, 9))} gzipped")
    return "\n".join(shown)
