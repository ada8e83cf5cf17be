"""Development servers and the test runner, in the standard library of Python 3.9 or newer.

Reading order: `pins` (every version), `cache` (what is downloaded, and where to), `instance` (one running server and
its data directory), `kafka`, `clickhouse`, `registry` (how each server is configured and when it is ready), `servers`
(several at once, for `with-servers` and `test`), `cli` (the `dev-*` commands), `clickhouse_http/` (the adapter in
front of the ClickHouse engine), `testing/` (the checks that `scripts/test` runs, and how they are counted).
"""
