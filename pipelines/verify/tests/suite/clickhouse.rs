//! A ClickHouse named by CLICKHOUSE_URL: `scripts/with-servers clickhouse -- cargo test -p millstream-verify`.

use std::sync::Arc;
use std::time::Duration;

use millstream_deliver::{BatchLimits, ClickHouse, ClickHouseConfig, ClickHouseSink, DeliverConfig, Deliverer};
use millstream_runtime::SystemClock;
use millstream_verify::{ClickHouseTables, Kind, Report};

use crate::world::{World, config, verify_on};

/// A database of its own, dropped at the end.
struct Database {
    config: ClickHouseConfig,
    client: ClickHouse,
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = self.client.execute(&format!("DROP DATABASE {}", self.config.database));
    }
}

fn verified(world: &World, database: &Database) -> Report {
    let mut tables = ClickHouseTables::new(ClickHouse::new(&database.config).unwrap());
    verify_on(world.transport.as_ref(), &mut tables)
}

#[test]
fn what_is_done_to_rows_by_hand_is_named() {
    let Some(url) = std::env::var("CLICKHOUSE_URL").ok().filter(|url| !url.is_empty()) else {
        eprintln!("SKIPPED clickhouse::what_is_done_to_rows_by_hand_is_named: CLICKHOUSE_URL is not set");
        return;
    };
    let settings =
        ClickHouseConfig { url, database: format!("verify_{}", std::process::id()), ..ClickHouseConfig::default() };
    let client = ClickHouse::new(&settings).unwrap();
    client.migrate().unwrap();
    let database = Database { config: settings, client };
    let world = World::new();
    let limits = BatchLimits { max_age_ms: 1, ..BatchLimits::clickhouse() };
    let deliver = DeliverConfig { limits, ..config() };
    let sink = ClickHouseSink::new(ClickHouse::new(&database.config).unwrap());
    let mut deliverer =
        Deliverer::open(Arc::new(world.log.clone()), sink, deliver, Arc::new(SystemClock::new())).unwrap();
    for _ in 0..2_000 {
        deliverer.step(Duration::from_millis(1)).unwrap();
        deliverer.flush_open().unwrap();
        if deliverer.caught_up().unwrap() {
            break;
        }
    }
    deliverer.close().unwrap();
    let report = verified(&world, &database);
    assert!(report.is_equal(), "{:?}", report.differences);
    assert!(report.tables.iter().all(|table| table.lag == 0));
    let rows: u64 = report.tables.iter().map(|table| table.rows).sum();
    assert!(rows > 100, "{rows}");

    let sql = |statement: &str| database.client.execute(statement).unwrap();
    let offset = |table: &str| -> u64 {
        database
            .client
            .number(&format!(
                "SELECT log_offset FROM {table} WHERE log_partition = 0 ORDER BY log_offset LIMIT 1 OFFSET 1"
            ))
            .unwrap()
    };
    let (session, order) = (offset("sessions"), offset("events"));
    sql(&format!(
        "ALTER TABLE sessions DELETE WHERE log_partition = 0 AND log_offset = {session} SETTINGS mutations_sync = 2"
    ));
    sql(&format!(
        "INSERT INTO events SELECT * FROM events WHERE log_partition = 0 AND log_offset = {order} SETTINGS insert_deduplicate = 0"
    ));
    sql("ALTER TABLE orders UPDATE amount_minor = amount_minor + 1 WHERE order_id = 'o3' SETTINGS mutations_sync = 2");
    let report = verified(&world, &database);
    let of = |table: &str| -> Vec<(Kind, Option<u64>, String)> {
        let about = report.differences.iter().filter(|found| found.place.table.as_deref() == Some(table));
        about.map(|found| (found.kind, found.place.offset, found.to_string())).collect()
    };
    assert!(matches!(&of("sessions")[..], [(Kind::Missing, Some(at), _)] if *at == session), "{:?}", of("sessions"));
    assert!(matches!(&of("events")[..], [(Kind::Doubled, Some(at), _)] if *at == order), "{:?}", of("events"));
    let orders = of("orders");
    assert!(!orders.is_empty());
    for (kind, _, words) in &orders {
        assert!(
            *kind == Kind::Changed && words.contains("differs in amount_minor") && words.contains("key shop/o3"),
            "{words}"
        );
    }
    assert_eq!(report.differences_in_all, 2 + orders.len() as u64);
}
