//! A ClickHouse named by CLICKHOUSE_URL: `scripts/with-servers clickhouse -- cargo test -p millstream-deliver`.

use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};

use millstream_deliver::{BatchId, ClickHouse, ClickHouseConfig, ClickHouseSink, QueryFormat, Row, Sink};
use millstream_schemas::{RECORDS, Session, Value, frame, visit};

use crate::support::records::session;
use crate::support::{Engine, Trouble, scenarios};

/// A database of its own, dropped at the end.
pub struct Database {
    pub config: ClickHouseConfig,
    pub client: ClickHouse,
}

impl Database {
    /// `None`, and a skip by name, where no server is named.
    pub fn new(test: &str) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let Some(url) = std::env::var("CLICKHOUSE_URL").ok().filter(|url| !url.is_empty()) else {
            let test = if test.contains("::") { test.to_owned() } else { format!("clickhouse::{test}") };
            skip(&test, "CLICKHOUSE_URL is not set");
            return None;
        };
        let database = format!("deliver_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let config = ClickHouseConfig { url, database, ..ClickHouseConfig::default() };
        let client = ClickHouse::new(&config).unwrap();
        client.migrate().unwrap();
        Some(Self { config, client })
    }
}

/// Says that the test cannot run here, and why.
fn skip(test: &str, reason: &str) {
    eprintln!("SKIPPED {test}: {reason}");
    if let Some(path) = std::env::var_os("MILLSTREAM_SKIP_LOG") {
        let mut log = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        log.write_all(format!("{test}: {reason}\n").as_bytes()).unwrap();
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = self.client.execute(&format!("DROP DATABASE {}", self.config.database));
    }
}

impl Engine for Database {
    type Sink = ClickHouseSink;

    fn sink(&self) -> ClickHouseSink {
        ClickHouseSink::new(ClickHouse::new(&self.config).unwrap())
    }

    fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        // TSV's null; the texts that the scenarios ask for hold no backslash.
        let text = |text: String| (text != "\\N").then(|| text.replace("\\'", "'"));
        self.client.rows(sql).unwrap().into_iter().map(|row| row.into_iter().map(text).collect()).collect()
    }
}

#[test]
fn revisions_and_retractions() {
    let Some(database) = Database::new("revisions_and_retractions") else { return };
    scenarios::revisions_and_retractions(&database);
}

#[test]
fn attribution_views() {
    let Some(database) = Database::new("attribution_views") else { return };
    scenarios::attribution_views(&database);
}

#[test]
fn equal_revisions_are_one_row() {
    let Some(database) = Database::new("equal_revisions_are_one_row") else { return };
    scenarios::equal_revisions_are_one_row(&database);
}

#[test]
fn every_type() {
    let Some(database) = Database::new("every_type") else { return };
    scenarios::every_type(&database);
    // Nested records, in ClickHouse's own words.
    let lines = "SELECT lines.product_id, lines.unit_price, lines.cost_minor, length(lines.line_no) FROM events WHERE event_id = 'e1'";
    let expected = ["['p-1','p-2']", "[0.000001,12.5]", "[-1,NULL]", "2"].map(|text| Some(text.to_owned()));
    assert_eq!(database.rows(lines), [expected.to_vec()]);
    let reasons = database.rows("SELECT reasons[1], reasons[2], length(reasons) FROM scores_propensity_current");
    assert_eq!(reasons, [["cart_adds", "it's, \"two\"", "2"].map(|text| Some(text.to_owned()))]);
    assert_eq!(database.number("SELECT toUnixTimestamp64Milli(event_time) FROM events LIMIT 1"), 1_571_400_000_123);
}

#[test]
fn restart_between_intent_and_insert() {
    let Some(database) = Database::new("restart_between_intent_and_insert") else { return };
    scenarios::restart_with_an_intent(&database, Trouble::BeforeInsert);
}

#[test]
fn restart_between_insert_and_commit() {
    let Some(database) = Database::new("restart_between_insert_and_commit") else { return };
    scenarios::restart_with_an_intent(&database, Trouble::AfterInsert);
}

#[test]
fn restart_with_an_old_intent() {
    let Some(database) = Database::new("restart_with_an_old_intent") else { return };
    scenarios::restart_with_an_old_intent(&database, Trouble::AfterInsert);
    database.client.execute("TRUNCATE TABLE sessions").unwrap();
    database.client.execute("TRUNCATE TABLE sessions_latest").unwrap();
    scenarios::restart_with_an_old_intent(&database, Trouble::BeforeInsert);
}

#[test]
fn a_changed_batch_stops() {
    let Some(database) = Database::new("a_changed_batch_stops") else { return };
    scenarios::a_changed_batch_stops(&database);
}

#[test]
fn corrupt_records() {
    let Some(database) = Database::new("corrupt_records") else { return };
    scenarios::corrupt_records(&database);
}

#[test]
fn consent_is_enforced() {
    let Some(database) = Database::new("consent_is_enforced") else { return };
    scenarios::consent_is_enforced(&database);
}

#[test]
fn consent_taken_back_ends_the_row() {
    let Some(database) = Database::new("consent_taken_back_ends_the_row") else { return };
    scenarios::consent_taken_back_ends_the_row(&database);
}

#[test]
fn every_row_once_whatever_fails() {
    for seed in [1, 2] {
        let Some(database) = Database::new("every_row_once_whatever_fails") else { return };
        scenarios::every_row_once_whatever_fails(&database, seed);
    }
}

/// Two sessions, each with its offset, as a batch.
fn batch(sink: &ClickHouseSink, hash: u64) -> (BatchId, <ClickHouseSink as Sink>::Rows) {
    let mut rows = sink.begin_of(Session::RECORD, "t");
    for (offset, name) in [(4u64, "a"), (6, "b")] {
        let bytes = session(name, 1, 1, false);
        let mut values: Vec<Value<'_>> = Vec::new();
        visit(Session::RECORD, frame::split(&bytes).unwrap().1, &mut |_, value| values.push(value)).unwrap();
        sink.add(&mut rows, &Row { log_partition: 0, log_offset: offset, values: &values }).unwrap();
    }
    let batch = BatchId {
        table: "sessions",
        topic: "sessions".into(),
        topic_id: "t".into(),
        partition: 0,
        first: 4,
        last: 6,
        rows: 2,
        content_hash: hash,
    };
    (batch, rows)
}

#[test]
fn a_repeated_token_changes_neither_history_nor_latest_rows() {
    let Some(database) = Database::new("a_repeated_token_changes_neither_history_nor_latest_rows") else { return };
    let sink = database.sink();
    let (id, mut rows) = batch(&sink, 1);
    // What merges would hide must not be hidden here.
    database.client.execute("SYSTEM STOP MERGES sessions_latest").unwrap();
    for _ in 0..3 {
        sink.insert(&id, &mut rows).unwrap();
    }
    let counts =
        || (database.number("SELECT count() FROM sessions"), database.number("SELECT count() FROM sessions_latest"));
    assert_eq!(counts(), (2, 2));
    // The same rows as another batch are other rows: the token, and nothing else, is what is recognised.
    let (other, mut rows) = batch(&sink, 2);
    sink.insert(&other, &mut rows).unwrap();
    assert_eq!(counts(), (4, 4));
    // And still the current rows are right, before any merge.
    assert_eq!(database.number("SELECT count() FROM sessions_current"), 2);
}

#[test]
fn an_old_batch_is_completed_in_the_latest_rows() {
    let Some(database) = Database::new("an_old_batch_is_completed_in_the_latest_rows") else { return };
    let sink = database.sink();
    let (id, mut rows) = batch(&sink, 1);
    assert_eq!(sink.holds(&id).unwrap(), millstream_deliver::Holding::Nothing);
    sink.insert(&id, &mut rows).unwrap();
    // As if the server had died between the two tables.
    database.client.execute("TRUNCATE TABLE sessions_latest").unwrap();
    assert_eq!(sink.holds(&id).unwrap(), millstream_deliver::Holding::Everything);
    assert_eq!(database.number("SELECT count() FROM sessions_current"), 2);
    let wider = BatchId { rows: 3, ..id };
    assert_eq!(sink.holds(&wider).unwrap(), millstream_deliver::Holding::Part { rows: 2 });
}

#[test]
fn migrations_may_be_repeated_and_check_names_what_is_missing() {
    let Some(database) = Database::new("migrations_may_be_repeated_and_check_names_what_is_missing") else { return };
    assert_eq!(database.client.migrate().unwrap().applied, Vec::<u32>::new());
    assert_eq!(database.client.check().unwrap(), Vec::<String>::new());
    let tables = RECORDS.iter().filter(|record| record.table.is_some()).count();
    let views = "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name LIKE '%\\_current'";
    assert_eq!(database.number(views), tables as i64);
    database.client.execute("ALTER TABLE events DROP COLUMN page_title").unwrap();
    database.client.execute("DROP TABLE orders_latest").unwrap();
    database.client.execute("ALTER TABLE refunds RESET SETTING non_replicated_deduplication_window").unwrap();
    let problems = database.client.check().unwrap().join("\n");
    assert!(problems.contains("refunds remembers no insert tokens"), "{problems}");
    assert!(problems.contains("events.page_title") && problems.contains("orders_latest"), "{problems}");
    let nowhere = ClickHouseConfig { database: "no_such_database".into(), ..database.config.clone() };
    let problems = ClickHouse::new(&nowhere).unwrap().check().unwrap();
    assert!(problems.len() == 1 && problems[0].contains("millstream migrate"), "{problems:?}");
}

#[test]
fn a_wrong_password_is_refused_and_not_shown() {
    let Some(database) = Database::new("a_wrong_password_is_refused_and_not_shown") else { return };
    let config = ClickHouseConfig { user: "somebody".into(), password: "hunter2".into(), ..database.config.clone() };
    let error = ClickHouse::new(&config).unwrap().execute("SELECT 1").unwrap_err();
    assert!(!error.passes(), "{error}");
    assert!(error.to_string().contains("516") && !error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn answers_come_in_three_formats() {
    let Some(database) = Database::new("answers_come_in_three_formats") else { return };
    let sink = database.sink();
    let (id, mut rows) = batch(&sink, 1);
    sink.insert(&id, &mut rows).unwrap();
    let answer = |format| {
        let mut out = Vec::new();
        let sql = "SELECT page_views, user_id, started_at FROM sessions ORDER BY log_offset LIMIT 1";
        database.client.query(sql, format, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert_eq!(
        answer(QueryFormat::Csv).replace('"', ""),
        "page_views,user_id,started_at\n1,,2019-10-18T12:00:00.123Z\n"
    );
    let json: serde_json::Value = serde_json::from_str(&answer(QueryFormat::Json)).unwrap();
    assert_eq!(json, serde_json::json!([{"page_views": 1, "user_id": null, "started_at": "2019-10-18T12:00:00.123Z"}]));
    assert!(answer(QueryFormat::Table).contains("page_views"));
    let mut nothing = Vec::new();
    let error = database.client.query("SELECT nonsense", QueryFormat::Json, &mut nothing).unwrap_err();
    assert!(error.to_string().contains("nonsense") && nothing.is_empty(), "{error}");
}
