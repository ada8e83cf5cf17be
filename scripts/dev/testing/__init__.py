"""What `scripts/test` runs, and how it counts.

`process` runs a command and shows its output as it comes, `cargo_output` reads what test binaries say, `tally` adds
up, `checks` is the list of checks, `unittest_json` runs the Python tests.
"""
