//! Tests that cannot run here say so and are counted as skipped.

use std::io::Write;

/// Notes that `test` was skipped, and why: in the file named by `MILLSTREAM_SKIP_LOG`, and on standard error.
pub fn skip(test: &str, reason: &str) {
    eprintln!("SKIPPED {test}: {reason}");
    if let Some(path) = std::env::var_os("MILLSTREAM_SKIP_LOG") {
        let mut log = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(log, "{test}: {reason}").unwrap();
    }
}

/// The value of an environment variable that a test needs; without it the test is skipped.
pub fn need(test: &str, variable: &str) -> Option<String> {
    match std::env::var(variable) {
        Ok(value) if !value.is_empty() => Some(value),
        _ => {
            skip(test, &format!("{variable} is not set"));
            None
        }
    }
}
