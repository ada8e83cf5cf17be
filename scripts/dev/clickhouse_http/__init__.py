"""The ClickHouse engine (chDB, in this process) behind ClickHouse's HTTP interface, for development and tests.

`__main__` is HTTP, `request` reads one request, `statement` divides SQL from data, `engine` runs it, `errors` speaks
of failures as a server does.

What it shows: SQL, table engines, types and formats, block de-duplication and insert tokens are the engine's own; a
kill -9 leaves what an acknowledged insert wrote. What it cannot show: users and grants beyond one login, Keeper,
replication and clusters, `query_log`, sessions and their temporary tables, the native protocol, ClickHouse's own
compressed blocks (`compress=1`), TLS, exceptions in mid-answer, limits under overload. Point `CLICKHOUSE_URL` at a
real server for those.
"""
