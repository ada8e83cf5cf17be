"""Runs statements on the engine."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import chdb

from .errors import ClickHouseError, syntax_error
from .statement import Statement


@dataclass
class Answer:
    """A result: its bytes, and what the summary header tells."""

    data: bytes
    read_rows: int
    read_bytes: int
    written_rows: int
    written_bytes: int


class Engine:
    """One engine over one data directory. Every statement runs on a connection of its own.

    A connection costs a tenth of a millisecond, and settings and parameters die with it: nothing leaks from one
    request into the next, and requests run in parallel.
    """

    def __init__(self, data: Path):
        data.mkdir(parents=True, exist_ok=True)
        self._path = str(data)
        self._root = chdb.connect(self._path)  # kept open: the engine ends with its last connection
        self.version = self._constant("version()")
        self.timezone = self._constant("timezone()")
        self._spool = _spool_folder(data)

    def run(
        self, statement: Statement, database: str, settings: dict[str, str], parameters: dict[str, str], output: str
    ) -> Answer:
        """Runs one statement; `output` is the format of a result that names none. Raises `ClickHouseError`."""
        connection = chdb.connect(self._path)
        try:
            if database:
                connection.query(f"USE {_name(database)}")
            for name, value in settings.items():
                connection.query(f"SET {_word(name)} = {_string(value)}")
            for name, value in parameters.items():
                connection.query(f"SET param_{_word(name)} = {_string(value)}")
            if statement.format:
                return self._insert(connection, statement)
            return _answer(connection.query(_text(statement.sql), output), statement)
        except RuntimeError as error:  # what every failure of the engine is
            raise ClickHouseError.from_engine(error) from error
        finally:
            connection.close()

    def _insert(self, connection: object, statement: Statement) -> Answer:
        # From a file: the engine ends inline data at an empty line and runs what follows, and an INSERT of a SELECT
        # from a file is not de-duplicated as a client's block is.
        with tempfile.NamedTemporaryFile(dir=self._spool) as spool:
            spool.write(statement.data)
            spool.flush()
            sql = (
                f"{_text(statement.sql)} FROM INFILE {_string(spool.name)} COMPRESSION 'none' "
                f"{_text(statement.settings)} FORMAT {_text(statement.format)}"
            )
            return _answer(connection.query(sql), statement)

    def _constant(self, expression: str) -> str:
        return self._root.query(f"SELECT {expression}", "TabSeparatedRaw").bytes().decode().strip()

    def clean_up(self) -> None:
        """Removes the folder of insert data. The engine itself needs no closing: what it acknowledged is on disk."""
        shutil.rmtree(self._spool, ignore_errors=True)


def _spool_folder(data: Path) -> Path:
    """An empty folder for the data of INSERTs: in memory, where the machine has such a place, not on the disk.

    Its name is the data directory's, so that what a killed process left is removed by the next one.
    """
    name = f"millstream-clickhouse-{hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:16]}"
    folder = Path("/dev/shm" if os.path.isdir("/dev/shm") else tempfile.gettempdir()) / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    return folder


def _answer(result: object, statement: Statement) -> Answer:
    if statement.is_insert:
        # Rows read from the file are the rows of the insert; an INSERT of literals counts only as written.
        rows = max(result.rows_read(), result.rows_written())
        return Answer(b"", rows, result.bytes_read(), rows, result.bytes_written())
    return Answer(result.bytes() or b"", result.rows_read(), result.bytes_read(), 0, 0)


def _text(sql: bytes) -> str:
    try:
        return sql.decode()
    except UnicodeDecodeError as error:
        raise syntax_error(f"The query is not valid UTF-8 at byte {error.start}") from error


def _string(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _name(value: str) -> str:
    return "`" + value.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _word(name: str) -> str:
    if not name.replace("_", "a").isalnum():
        raise ClickHouseError(115, "UNKNOWN_SETTING", f"Unknown setting '{name}'")
    return name
