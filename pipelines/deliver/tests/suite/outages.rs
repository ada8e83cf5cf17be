//! A real ClickHouse engine that is down, slow, full, changed, or whose answers are lost.

use std::time::{Duration, Instant};

use millstream_deliver::{Cause, ClickHouse, ClickHouseConfig, ClickHouseSink, Deliverer};

use crate::clickhouse::Database;
use crate::proxy::{Fate, Proxy};
use crate::support::Engine;
use crate::support::records::{order, session};
use crate::support::world::{Put, World};

/// A database behind a proxy.
fn behind_a_proxy(test: &str) -> Option<(Database, Proxy)> {
    let database = Database::new(&format!("outages::{test}"))?;
    let proxy = Proxy::before(&database.config.url);
    Some((database, proxy))
}

fn sink(database: &Database, proxy: &Proxy) -> ClickHouseSink {
    let config = ClickHouseConfig { url: proxy.url.clone(), timeout_ms: 20_000, ..database.config.clone() };
    ClickHouseSink::new(ClickHouse::new(&config).unwrap())
}

fn sessions(from: i64, count: i64) -> Vec<Put<'static>> {
    (from..from + count).map(|n| ("sessions", (n % 2) as u32, session(&n.to_string(), n, 1, false))).collect()
}

fn steps<S: millstream_deliver::Sink>(world: &World, deliverer: &mut Deliverer<S>, count: u32) {
    for _ in 0..count {
        world.step(deliverer).unwrap();
    }
}

/// History and current rows, each counted twice: all, and the distinct ones.
fn assert_each_once(database: &Database, table: &str, count: i64) {
    assert_eq!(database.number(&format!("SELECT count() FROM {table}")), count);
    let places = format!("SELECT uniqExact(log_topic_id, log_partition, log_offset) FROM {table}");
    assert_eq!(database.number(&places), count);
    assert_eq!(database.number(&format!("SELECT count() FROM {table}_latest")), count);
    assert_eq!(database.number(&format!("SELECT count() FROM {table}_current")), count);
}

#[test]
fn a_lost_answer_doubles_nothing() {
    for restart in [false, true] {
        let Some((database, proxy)) = behind_a_proxy("a_lost_answer_doubles_nothing") else { return };
        // Merges would hide a row that came twice into the latest ones.
        database.client.execute("SYSTEM STOP MERGES sessions_latest").unwrap();
        let world = World::new();
        world.append(&sessions(0, 10));
        let mut deliverer = world.deliverer(sink(&database, &proxy), world.config());
        proxy.set(Fate::AnswerLost);
        steps(&world, &mut deliverer, 8);
        assert!(deliverer.stats().failed_inserts > 1 && proxy.struck() > 1, "{:?}", deliverer.stats());
        assert!(database.number("SELECT count() FROM sessions") > 0, "the insert was applied");
        assert_eq!(deliverer.stats().rows(), 0);
        proxy.set(Fate::Pass);
        if restart {
            // Killed between the insert and its acknowledgement, and more records come before the next process starts.
            deliverer = world.deliverer(sink(&database, &proxy), world.config());
            world.append(&sessions(10, 4));
        }
        world.deliver_all(&mut deliverer).unwrap();
        assert_each_once(&database, "sessions", if restart { 14 } else { 10 });
        assert_eq!(deliverer.stats().rebuilt, if restart { 2 } else { 0 });
    }
}

#[test]
fn a_request_cut_short_leaves_nothing_and_is_sent_again() {
    let Some((database, proxy)) = behind_a_proxy("a_request_cut_short_leaves_nothing_and_is_sent_again") else {
        return;
    };
    let world = World::new();
    world.append(&sessions(0, 200));
    let mut deliverer = world.deliverer(sink(&database, &proxy), world.config());
    proxy.set(Fate::CutInside);
    steps(&world, &mut deliverer, 6);
    assert!(proxy.struck() > 1);
    assert_eq!(database.number("SELECT count() FROM sessions"), 0);
    proxy.set(Fate::Pass);
    world.deliver_all(&mut deliverer).unwrap();
    assert_each_once(&database, "sessions", 200);
}

#[test]
fn an_outage_is_waited_out() {
    let Some((database, proxy)) = behind_a_proxy("an_outage_is_waited_out") else { return };
    let world = World::new();
    proxy.set(Fate::Down);
    let mut deliverer = world.deliverer(sink(&database, &proxy), world.config());
    for round in 0..30 {
        world.append(&sessions(round * 4, 4));
        steps(&world, &mut deliverer, 1);
    }
    assert!(deliverer.sink_is_down());
    assert_eq!(deliverer.trouble("sessions").unwrap().cause, Cause::Unreachable);
    assert!(deliverer.stats().retries.keys().all(|(_, cause)| *cause == Cause::Unreachable));
    proxy.set(Fate::Pass);
    world.deliver_all(&mut deliverer).unwrap();
    assert!(!deliverer.sink_is_down() && deliverer.trouble("sessions").is_none());
    assert_each_once(&database, "sessions", 120);
}

#[test]
fn a_server_slower_than_its_time_out_is_asked_again_and_doubles_nothing() {
    let Some((database, proxy)) = behind_a_proxy("a_server_slower_than_its_time_out") else { return };
    let world = World::new();
    world.append(&sessions(0, 10));
    let slow = ClickHouseConfig { url: proxy.url.clone(), timeout_ms: 150, ..database.config.clone() };
    let sink = ClickHouseSink::new(ClickHouse::new(&slow).unwrap());
    let mut deliverer = world.deliverer(sink, world.config());
    // The server gets each request long after we have given up on it.
    proxy.set(Fate::Late(Duration::from_millis(500)));
    steps(&world, &mut deliverer, 6);
    assert!(deliverer.stats().failed_inserts > 0 && deliverer.stats().rows() == 0);
    proxy.set(Fate::Pass);
    // A loaded machine may need longer than the short time-out that this test set; it is tried until it goes through.
    let give_up = Instant::now() + Duration::from_secs(60);
    while deliverer.stats().rows() < 10 && Instant::now() < give_up {
        steps(&world, &mut deliverer, 1);
    }
    // What was late has arrived by now.
    std::thread::sleep(Duration::from_millis(1_000));
    assert_each_once(&database, "sessions", 10);
}

#[test]
fn too_many_parts_are_waited_out_while_other_tables_go_on() {
    let Some((database, proxy)) = behind_a_proxy("too_many_parts_are_waited_out_while_other_tables_go_on") else {
        return;
    };
    let world = World::new();
    world.append(&sessions(0, 2));
    let mut deliverer = world.deliverer(sink(&database, &proxy), world.config());
    world.deliver_all(&mut deliverer).unwrap();
    database.client.execute("SYSTEM STOP MERGES sessions").unwrap();
    let setting = "ALTER TABLE sessions MODIFY SETTING parts_to_delay_insert = 1, parts_to_throw_insert = 1";
    database.client.execute(setting).unwrap();
    world.append(&sessions(2, 8));
    world.append(&[("orders", 0, order("o1", 3, 1_000, 0))]);
    steps(&world, &mut deliverer, 10);
    assert_eq!(
        deliverer.trouble("sessions").unwrap().cause,
        Cause::TooManyParts,
        "{:?}",
        deliverer.trouble("sessions")
    );
    assert!(deliverer.trouble("orders").is_none() && !deliverer.sink_is_down());
    assert_eq!(database.number("SELECT count() FROM orders"), 1);
    assert!(deliverer.stats().retries[&("sessions", Cause::TooManyParts)] > 1);
    // Merging catches up; nobody touches the deliverer.
    let setting = "ALTER TABLE sessions RESET SETTING parts_to_delay_insert, parts_to_throw_insert";
    database.client.execute(setting).unwrap();
    world.deliver_all(&mut deliverer).unwrap();
    assert_each_once(&database, "sessions", 10);
    assert!(deliverer.trouble("sessions").is_none());
}

#[test]
fn a_full_disk_of_the_server_is_lag() {
    let Some((database, proxy)) = behind_a_proxy("a_full_disk_of_the_server_is_lag") else { return };
    let world = World::new();
    world.append(&sessions(0, 6));
    // The engine's own refusal for want of space.
    let setting = "ALTER TABLE sessions MODIFY SETTING min_free_disk_bytes_to_perform_insert = 1000000000000000";
    database.client.execute(setting).unwrap();
    let mut deliverer = world.deliverer(sink(&database, &proxy), world.config());
    steps(&world, &mut deliverer, 6);
    assert_eq!(deliverer.trouble("sessions").unwrap().cause, Cause::DiskFull, "{:?}", deliverer.trouble("sessions"));
    // The same as the operating system puts it.
    let text = "std::exception. filesystem error: cannot write: No space left on device (STD_EXCEPTION)";
    proxy.set(Fate::Answer(500, 1001, text));
    database.client.execute("ALTER TABLE sessions RESET SETTING min_free_disk_bytes_to_perform_insert").unwrap();
    let before = proxy.struck();
    while proxy.struck() == before {
        steps(&world, &mut deliverer, 1);
    }
    assert_eq!(deliverer.trouble("sessions").unwrap().cause, Cause::DiskFull);
    assert_eq!(database.number("SELECT count() FROM sessions"), 0);
    proxy.set(Fate::Pass);
    world.deliver_all(&mut deliverer).unwrap();
    assert_each_once(&database, "sessions", 6);
}

/// What must be said of a table that is changed by `change`, and that mending it is enough.
fn drift(change: &[&str], said: &[&str], mend: &[&str]) {
    let Some((database, proxy)) = behind_a_proxy("a_changed_table_is_refused_by_name_while_others_go_on") else {
        return;
    };
    let world = World::new();
    for statement in change {
        database.client.execute(statement).unwrap();
    }
    world.append(&sessions(0, 6));
    world.append(&[("orders", 0, order("o1", 3, 1_000, 0))]);
    let mut deliverer = world.deliverer(sink(&database, &proxy), world.config());
    // Nothing must be sent: an insert would be struck.
    proxy.set(Fate::Pass);
    steps(&world, &mut deliverer, 6);
    let trouble = deliverer.trouble("sessions").unwrap().clone();
    assert_eq!(trouble.cause, Cause::SchemaDrift, "{trouble:?}");
    for said in said {
        let said = said.replace("DB", &database.config.database);
        assert!(trouble.why.contains(&said), "{said} is not in: {}", trouble.why);
    }
    assert_eq!(database.number("SELECT count() FROM sessions"), 0);
    assert_eq!(database.number("SELECT count() FROM orders"), 1);
    for statement in mend {
        database.client.execute(statement).unwrap();
    }
    world.deliver_all(&mut deliverer).unwrap();
    assert_each_once(&database, "sessions", 6);
}

#[test]
fn a_changed_table_is_refused_by_name_while_others_go_on() {
    drift(
        &["ALTER TABLE sessions MODIFY COLUMN page_views Int32"],
        &[
            "DB.sessions.page_views is Int32, Int64 is expected",
            "ALTER TABLE DB.sessions MODIFY COLUMN `page_views` Int64",
        ],
        &["ALTER TABLE sessions MODIFY COLUMN `page_views` Int64"],
    );
    drift(
        &["DROP VIEW sessions_feed", "ALTER TABLE sessions DROP COLUMN entry_page"],
        &["DB.sessions.entry_page does not exist", "ALTER TABLE DB.sessions ADD COLUMN `entry_page` Nullable(String)"],
        &[
            "ALTER TABLE sessions ADD COLUMN `entry_page` Nullable(String)",
            millstream_schemas::Session::RECORD.clickhouse_ddl[2],
        ],
    );
    drift(
        &["ALTER TABLE sessions RESET SETTING non_replicated_deduplication_window"],
        &["DB.sessions remembers no insert tokens", "MODIFY SETTING non_replicated_deduplication_window = 10000"],
        &["ALTER TABLE sessions MODIFY SETTING non_replicated_deduplication_window = 10000"],
    );
}

#[test]
fn a_table_that_changes_under_way_takes_no_row_of_another_type() {
    let Some((database, proxy)) = behind_a_proxy("a_table_that_changes_under_way") else { return };
    let world = World::new();
    world.append(&sessions(0, 2));
    let mut deliverer = world.deliverer(sink(&database, &proxy), world.config());
    world.deliver_all(&mut deliverer).unwrap();
    // Of the same width: bytes alone would not tell.
    database.client.execute("ALTER TABLE sessions MODIFY COLUMN searches Float64").unwrap();
    world.append(&sessions(2, 2));
    steps(&world, &mut deliverer, 6);
    let trouble = deliverer.trouble("sessions").unwrap().clone();
    assert!(trouble.cause == Cause::SchemaDrift && trouble.why.contains("searches is Float64"), "{trouble:?}");
    assert_eq!(database.number("SELECT count() FROM sessions"), 2);
    database.client.execute("ALTER TABLE sessions MODIFY COLUMN searches Int64").unwrap();
    world.deliver_all(&mut deliverer).unwrap();
    assert_each_once(&database, "sessions", 4);
}

#[test]
fn rows_of_a_topic_made_anew_are_no_rows_of_the_former() {
    let Some(database) = Database::new("outages::rows_of_a_topic_made_anew_are_no_rows_of_the_former") else { return };
    let world = World::new();
    world.append(&sessions(0, 4));
    world.deliver(database.sink());
    world.log.remake_topic("sessions").unwrap();
    // The same offsets, and as many: by partition and offset alone they would be taken as delivered.
    world.append(&sessions(100, 4));
    let mut dying = world.deliverer(
        crate::support::Troubled::new(database.sink(), crate::support::Trouble::BeforeInsert),
        world.config(),
    );
    steps(&world, &mut dying, 4);
    drop(dying);
    // Long after the intent, so that the table itself is asked.
    world.clock.advance(24 * 3_600_000);
    let mut deliverer = world.deliverer(database.sink(), world.config());
    world.deliver_all(&mut deliverer).unwrap();
    assert_eq!(deliverer.stats().renewed_intents, 2);
    assert_each_once(&database, "sessions", 8);
    assert_eq!(database.number("SELECT uniqExact(log_topic_id) FROM sessions"), 2);
}
