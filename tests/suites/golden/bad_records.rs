//! Records on topics that nobody should have written, and mappings that do not fit their data.

use std::path::Path;

use millstream_kafka::{KafkaConfig, KafkaTransport};
use millstream_tests::binary::Installation;
use millstream_tests::service::Service;
use millstream_transports::embedded::{EmbeddedLog, EmbeddedOptions};
use millstream_transports::{Append, CommitOutcome, Transport};
use serde_json::json;

const TOPICS: [&str; 2] = ["events", "events.collected"];

/// What a frame can be that is none: no magic byte, an unknown schema, one cut short, nothing.
const CORRUPT: [&[u8]; 4] = [b"{\"json\": true}", &[0, 0, 0, 0x77, 0x77, 1, 2], b"\0\0\0", b""];

/// Writes every corrupt frame to the first partition of both topics that tasks read.
fn write(log: &dyn Transport, installation: &Installation) {
    let topics: Vec<String> = TOPICS.iter().map(|topic| installation.topic(topic)).collect();
    let mut writer = log.transactions("golden-corrupt", topics).unwrap();
    for topic in 0..2 {
        for value in CORRUPT {
            writer.send(Append { topic, partition: 0, timestamp_ms: 1, key: b"k", value }).unwrap();
        }
    }
    assert!(matches!(writer.commit(), CommitOutcome::Committed));
}

/// Devices enough that every partition has some.
fn visit(service: &Service, installation: &Installation, prefix: &str) {
    let events: Vec<_> = (0..20)
        .map(|n| json!({"id": format!("{prefix}{n}"), "type": "page_view", "device": format!("{prefix}{n}")}))
        .collect();
    service.send(&json!(events));
    let count = |table: &str, column: &str| format!("select count(*) from {table} where {column} like '{prefix}%'");
    service.wait_for(installation, &count("events", "event_id"), "20");
    service.wait_for(installation, &count("sessions_current", "device_id"), "20");
}

/// Both stages reject all of them, each once. Delivery reads the topic `events` as well and says so for itself.
const REJECTED: (&str, &str) = (
    "select stage, count(*), count(distinct rejection_id) from events_rejected where stage <> 'deliver' \
     group by stage order by stage",
    "ingest|4|4\nprofile|4|4",
);

/// Two reasons, and every row says where the record is.
fn check(installation: &Installation) {
    installation.expect(&[
        (
            "select reason, count(*) from events_rejected where stage <> 'deliver' group by reason order by reason",
            "corrupt_frame|6\nunknown_schema|2",
        ),
        ("select count(*) from events_rejected where topic is null or partition <> 0 or offset is null", "0"),
        ("select count(*) from events_rejected where stage = 'deliver' and topic like '%collected'", "0"),
    ]);
}

#[test]
fn corrupt_frames_embedded() {
    let installation = Installation::embedded();
    let service = Service::start(&installation, &["run"]);
    visit(&service, &installation, "before");
    service.stop();
    {
        // The embedded log is one process's: between two runs it can be this one.
        let log = EmbeddedLog::open(installation.folder().join("log"), EmbeddedOptions::default()).unwrap();
        write(&log, &installation);
    }
    let service = Service::start(&installation, &["run"]);
    visit(&service, &installation, "after");
    service.wait_for(&installation, REJECTED.0, REJECTED.1);
    service.stop();
    check(&installation);
}

#[test]
fn corrupt_frames_kafka_clickhouse() {
    let Some(installation) = Installation::on_servers("corrupt_frames_kafka_clickhouse") else { return };
    let service = Service::start(&installation, &["run"]);
    visit(&service, &installation, "before");
    let brokers = std::env::var("KAFKA_BROKERS").unwrap();
    write(&KafkaTransport::new(KafkaConfig { development: true, ..KafkaConfig::new(brokers) }).unwrap(), &installation);
    visit(&service, &installation, "after");
    service.wait_for(&installation, REJECTED.0, REJECTED.1);
    service.stop();
    check(&installation);
}

const MAPPING: &str = r#"data_set = "shop"
site = "shop"

[time]
column = "at"

[[rule]]
event = "view"

[event.view]
type = "page_view"
device = "{visitor}"
page.url = "{address}"
"#;

fn import(installation: &Installation, mapping: &Path, data: &Path) -> (bool, String) {
    let output = installation.try_import(mapping, &[data.to_owned()]);
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_mapping_that_names_a_missing_column_ends_the_import_before_it_writes() {
    let installation = Installation::embedded();
    let mapping = installation.write("shop.toml", MAPPING);
    let data = installation.write("visits.csv", "at,visitor,url\n2026-01-01T10:00:00Z,d1,https://shop.example/\n");
    let (fine, said) = import(&installation, &mapping, &data);
    assert!(!fine);
    // File and line of the mapping, the column, and what there is instead.
    for part in ["shop.toml:13", "address", "visits.csv", "visitor", "url"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // Mended, the same import goes through; a bad row beside it is rejected with its place.
    let mapping = installation.write("shop.toml", &MAPPING.replace("{address}", "{url}"));
    let rows = "at,visitor,url\n2026-01-01T10:00:00Z,d1,https://shop.example/\nyesterday,d2,https://shop.example/\n";
    let data = installation.write("visits.csv", rows);
    let (fine, said) = import(&installation, &mapping, &data);
    assert!(fine, "{said}");
    installation.expect(&[
        ("select count(*), min(device_id) from events", "1|d1"),
        ("select stage, reason, file, line from events_rejected", "import|invalid_time|visits.csv|3"),
    ]);
}
