"""Where the ClickHouse adapter divides SQL from data."""

import unittest

from dev.clickhouse_http.errors import ClickHouseError
from dev.clickhouse_http.statement import divide


class Divide(unittest.TestCase):
    """The statement can come in the parameter, in the body, or in both."""

    def test_data_of_an_insert_stay_as_they_are(self):
        data = b"\x00;\n\nFORMAT CSV'\xff"
        for sql in (b"INSERT INTO t FORMAT RowBinary", b"insert into t (`a;b`, c) format RowBinary;"):
            statement = divide(sql, data)
            self.assertEqual((statement.format, statement.data), (b"RowBinary", data))
        inline = divide(b"", b"INSERT INTO t FORMAT CSV\n" + data)
        self.assertEqual((inline.sql, inline.format, inline.data), (b"INSERT INTO t ", b"CSV", data))

    def test_settings_come_out_of_an_insert(self):
        statement = divide(b"INSERT INTO t (settings_a) SETTINGS x='FORMAT y', z=1 FORMAT TSV", b"1")
        self.assertEqual(statement.sql, b"INSERT INTO t (settings_a) ")
        self.assertEqual(statement.settings.strip(), b"SETTINGS x='FORMAT y', z=1")

    def test_literals_and_selects_are_sql(self):
        self.assertEqual(divide(b"INSERT INTO t VALUES", b"(1), (2)").sql, b"INSERT INTO t VALUES (1), (2)")
        self.assertEqual(divide(b"INSERT INTO t", b"VALUES (1)").sql, b"INSERT INTO t\nVALUES (1)")
        self.assertEqual(divide(b"", b"INSERT INTO t SELECT 1;").sql, b"INSERT INTO t SELECT 1")
        self.assertEqual(divide(b"SELECT 1", b"FORMAT JSON").sql, b"SELECT 1\nFORMAT JSON")

    def test_a_second_statement_is_refused_and_a_semicolon_in_a_string_is_not(self):
        self.assertEqual(divide(b"", b"SELECT ';' -- ;\n;\n-- the end\n").sql, b"SELECT ';' -- ;\n")
        for sql in (b"SELECT 1; SELECT 2", b"CREATE TABLE a (b Int8) ENGINE = Memory; DROP TABLE c"):
            with self.assertRaises(ClickHouseError):
                divide(b"", sql)

    def test_what_changes_data_is_known(self):
        for sql in (
            b" -- note\n alter table t delete where 1",
            b"(DROP) x",
            b"INSERT INTO t SELECT 1",
            b"/* a */ TRUNCATE t",
        ):
            self.assertTrue(divide(b"", sql).changes, sql)
        for sql in (b"SELECT 'DROP'", b"WITH 1 AS x SELECT x", b"SHOW TABLES", b"EXPLAIN SELECT 1"):
            self.assertFalse(divide(b"", sql).changes, sql)

    def test_nothing_is_an_error(self):
        for sql in (b"", b"  \n", b"-- only a note"):
            with self.assertRaises(ClickHouseError):
                divide(b"", sql)


class Errors(unittest.TestCase):
    """The engine's texts, as a server would send them."""

    def test_code_name_and_status(self):
        error = ClickHouseError.from_engine(
            RuntimeError("Code: 60. DB::Exception: Table a.b does not exist. (UNKNOWN_TABLE)")
        )
        self.assertEqual((error.code, error.status), (60, 404))
        self.assertEqual(
            error.body("1.2"),
            b"Code: 60. DB::Exception: Table a.b does not exist. (UNKNOWN_TABLE) (version 1.2 (official build))\n",
        )

    def test_a_wrapped_error_is_told_once(self):
        text = (
            "Code: 33. DB::Exception: Code: 33. DB::Exception: Cannot read. (CANNOT_READ) (version 1.2). (CANNOT_READ)"
        )
        error = ClickHouseError.from_engine(RuntimeError(text))
        self.assertEqual(
            error.body("9"), b"Code: 33. DB::Exception: Cannot read. (CANNOT_READ) (version 9 (official build))\n"
        )


if __name__ == "__main__":
    unittest.main()
