//! The store of the tests.

use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use millstream_object_store::{ObjectSettings, ObjectSnapshots};

/// Settings of a prefix of the test's own; `None`, and said, where no store is named.
pub fn settings(test: &str) -> Option<ObjectSettings> {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let endpoint = variable("S3_ENDPOINT");
    if endpoint.is_empty() {
        skip(test, "S3_ENDPOINT is not set");
        return None;
    }
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let own = format!("{now}-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    Some(ObjectSettings {
        allow_http: endpoint.starts_with("http://"),
        endpoint,
        region: variable("S3_REGION"),
        access_key_id: variable("S3_ACCESS_KEY_ID"),
        secret_access_key: variable("S3_SECRET_ACCESS_KEY"),
        ..ObjectSettings::new(format!("s3://{}/tests/{own}", variable("S3_BUCKET")))
    })
}

/// A store of the test's own.
pub fn store(test: &str) -> Option<ObjectSnapshots> {
    settings(test).map(|settings| ObjectSnapshots::new(&settings).unwrap())
}

#[allow(clippy::print_stderr, reason = "what is skipped is said where tests are read")]
fn skip(test: &str, reason: &str) {
    eprintln!("SKIPPED {test}: {reason}");
    if let Some(path) = std::env::var_os("MILLSTREAM_SKIP_LOG") {
        let mut log = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        log.write_all(format!("{test}: {reason}\n").as_bytes()).unwrap();
    }
}
