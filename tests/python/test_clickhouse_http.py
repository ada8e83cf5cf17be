"""The HTTP interface as Millstream's warehouse client uses it. Holds for a real server as well as for ours."""

import gzip
import http.client
import json
import os
import struct
import unittest
import uuid
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode, urlsplit

URL = os.environ.get("CLICKHOUSE_URL")
USER = os.environ.get("CLICKHOUSE_USER")
LOGIN = {"X-ClickHouse-User": USER, "X-ClickHouse-Key": os.environ.get("CLICKHOUSE_PASSWORD", "")} if USER else {}


def rows(*pairs):
    """RowBinary of (UInt64, String) rows; strings under 128 bytes."""
    return b"".join(struct.pack("<Q", number) + bytes([len(text)]) + text for number, text in pairs)


@unittest.skipUnless(URL, "CLICKHOUSE_URL is not set")
class ClickHouseHttp(unittest.TestCase):
    """One table of its own for each test."""

    def setUp(self):
        self.table = f"http_{uuid.uuid4().hex[:12]}"
        self.ok(
            f"CREATE TABLE {self.table} (id UInt64, text String) ENGINE = MergeTree ORDER BY id "
            "SETTINGS non_replicated_deduplication_window = 100"
        )
        self.addCleanup(lambda: self.ok(f"DROP TABLE {self.table}"))

    def connect(self):
        """A new connection to the server."""
        address = urlsplit(URL)
        kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        return kind(address.netloc, timeout=60)

    def call(self, body=b"", method="POST", headers=None, **parameters):
        """(status, body, headers) of one request."""
        connection = self.connect()
        try:
            connection.request(method, f"/?{urlencode(parameters)}", body, {**LOGIN, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers
        finally:
            connection.close()

    def ok(self, sql, **parameters):
        """The body of an answer that must be a success."""
        status, body, _ = self.call(sql.encode(), **parameters)
        self.assertEqual(status, 200, body)
        return body

    def insert(self, data, headers=None, **parameters):
        return self.call(
            data, headers=headers, query=f"INSERT INTO {self.table} (id, text) FORMAT RowBinary", **parameters
        )

    def count(self):
        return int(self.ok(f"SELECT count() FROM {self.table}"))

    def test_binary_rows_survive_whatever_they_hold(self):
        hostile = [b"", b"\n\n", b"; DROP TABLE x", b"'\\", bytes(range(1, 127)), b"\xff\x00"]
        status, body, headers = self.insert(rows(*enumerate(hostile)))
        self.assertEqual(status, 200, body)
        self.assertEqual(json.loads(headers["X-ClickHouse-Summary"])["written_rows"], str(len(hostile)))
        read = self.ok(f"SELECT hex(text) FROM {self.table} ORDER BY id FORMAT TSV").decode().split("\n")[:-1]
        self.assertEqual([bytes.fromhex(text) for text in read], hostile)

    def test_a_token_makes_a_retry_one_insert_and_another_token_a_second(self):
        for token in ("a", "a", "b", "a"):
            self.assertEqual(self.insert(rows((1, b"x")), insert_deduplication_token=token)[0], 200)
        self.assertEqual(self.count(), 2)

    def test_chunked_and_gzip_bodies(self):
        parts = [rows((number, b"chunk")) for number in range(100)]
        self.assertEqual(self.insert(iter(parts))[0], 200)
        packed = gzip.compress(rows(*((number, b"gzip") for number in range(100))))
        self.assertEqual(self.insert(packed, {"Content-Encoding": "gzip"})[0], 200)
        self.assertEqual(self.count(), 200)

    def test_a_damaged_body_inserts_nothing_and_says_so(self):
        status, body, headers = self.insert(rows((1, b"whole")) + b"\x01\x02")
        self.assertEqual(headers["X-ClickHouse-Exception-Code"], "33", body)
        self.assertGreaterEqual(status, 400)
        self.assertEqual(self.count(), 0)

    def test_a_client_that_leaves_in_mid_body_inserts_nothing(self):
        connection = self.connect()
        query = urlencode({"query": f"INSERT INTO {self.table} FORMAT RowBinary"})
        connection.putrequest("POST", f"/?{query}")
        data = rows((1, b"half"), (2, b"half"))
        for name, value in LOGIN.items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(data) * 2))
        connection.endheaders(data)
        connection.close()
        self.assertEqual(self.count(), 0)

    def test_parameters_settings_database_and_formats(self):
        self.insert(rows((7, b"seven")))
        query = f"SELECT id, text FROM {self.table} WHERE text = {{wanted:String}}"
        self.assertEqual(
            self.ok(f"{query} FORMAT JSONEachRow", param_wanted="seven").strip(), b'{"id":7,"text":"seven"}'
        )
        self.assertEqual(
            self.ok(query, param_wanted="seven", default_format="CSVWithNames"), b'"id","text"\n7,"seven"\n'
        )
        self.assertEqual(self.ok(f"{query} FORMAT Parquet", param_wanted="seven")[:4], b"PAR1")
        self.assertEqual(self.ok("SELECT getSetting('max_block_size')", max_block_size="123").strip(), b"123")
        self.assertEqual(self.ok("SELECT currentDatabase()", database="system").strip(), b"system")
        # Nothing of one request is left in the next.
        self.assertEqual(self.ok("SELECT currentDatabase()").strip(), b"default")
        self.assertEqual(self.call(query.encode())[2]["X-ClickHouse-Exception-Code"], "456")

    def test_errors_have_code_name_and_status(self):
        for sql, code, name, status in (
            ("SELECT * FROM there_is_no_such_table", "60", b"(UNKNOWN_TABLE)", 404),
            ("SELEKT 1", "62", b"(SYNTAX_ERROR)", 400),
            ("SELECT 1; SELECT 2", "62", b"(SYNTAX_ERROR)", 400),
        ):
            got, body, headers = self.call(sql.encode())
            self.assertEqual((got, headers["X-ClickHouse-Exception-Code"]), (status, code), body)
            self.assertIn(name, body)

    def test_a_wrong_login_is_refused_and_get_does_not_write(self):
        status, body, headers = self.call(b"SELECT 1", headers={"X-ClickHouse-User": "nobody", "X-ClickHouse-Key": "x"})
        self.assertEqual((status, headers["X-ClickHouse-Exception-Code"]), (403, "516"), body)
        _, body, headers = self.call(method="GET", query=f"TRUNCATE TABLE {self.table}")
        self.assertEqual(headers["X-ClickHouse-Exception-Code"], "164", body)

    def test_parallel_requests_do_not_disturb_each_other(self):
        def one(number):
            self.insert(rows((number, b"p")), insert_deduplication_token=f"p{number}")
            return int(self.ok("SELECT {n:UInt64}", param_n=str(number)))

        with ThreadPoolExecutor(8) as pool:
            self.assertEqual(list(pool.map(one, range(64))), list(range(64)))
        self.assertEqual(self.count(), 64)


if __name__ == "__main__":
    unittest.main()
