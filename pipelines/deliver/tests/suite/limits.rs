//! Batches, memory and time, with a sink that only takes note of what it is given.

use std::sync::Arc;
use std::time::Duration;

use millstream_deliver::{BatchLimits, DeliverError};
use millstream_transports::{Retention, TopicSpec, Transport};

use crate::notes::Notes;
use crate::support::records::{order, session};
use crate::support::world::{PARTITIONS, Put, World};
use crate::support::{Trouble, Troubled};

fn sessions(count: i64) -> Vec<Put<'static>> {
    (0..count).map(|n| ("sessions", 0, session(&n.to_string(), n, 1, false))).collect()
}

#[test]
fn batches_end_at_their_rows_their_bytes_and_their_age() {
    let world = World::new();
    world.append(&sessions(25));
    for (limits, sizes) in [
        (BatchLimits { max_rows: 10, ..BatchLimits::clickhouse() }, vec![10, 10, 5]),
        (BatchLimits { max_bytes: 8_000, ..BatchLimits::clickhouse() }, vec![8, 8, 8, 1]),
        (BatchLimits::clickhouse(), vec![25]),
    ] {
        let notes = Arc::new(Notes::default());
        let mut config = world.config();
        config.group = format!("deliver-{}-{}", limits.max_rows, limits.max_bytes);
        config.limits = limits;
        let mut deliverer = world.deliverer(notes.clone(), config);
        world.deliver_all(&mut deliverer).unwrap();
        let notes = notes.0.lock().unwrap();
        assert_eq!(notes.iter().map(|(batch, _)| batch.rows).collect::<Vec<_>>(), sizes);
        // Exact ranges, one behind the other.
        assert!(notes.iter().all(|(batch, rows)| (batch.first, batch.last) == (rows[0], rows[rows.len() - 1])));
        assert!(notes.windows(2).all(|pair| pair[0].0.last < pair[1].0.first));
    }
}

#[test]
fn a_young_batch_waits_for_more() {
    let world = World::new();
    let notes = Arc::new(Notes::default());
    let mut deliverer = world.deliverer(notes.clone(), world.config());
    world.append(&sessions(1));
    for _ in 0..4 {
        deliverer.step(Duration::ZERO).unwrap();
    }
    assert!(notes.0.lock().unwrap().is_empty());
    assert!(!deliverer.caught_up().unwrap());
    world.clock.advance(499);
    deliverer.step(Duration::ZERO).unwrap();
    assert!(notes.0.lock().unwrap().is_empty());
    world.clock.advance(1);
    deliverer.step(Duration::ZERO).unwrap();
    assert_eq!(notes.0.lock().unwrap().len(), 1);
    assert!(deliverer.caught_up().unwrap());
    // Or at once, where somebody asks for it.
    world.append(&sessions(1));
    assert!(deliverer.drain(Duration::from_secs(3_600)).unwrap());
    assert_eq!(notes.0.lock().unwrap().len(), 2);
}

#[test]
fn more_partitions_mean_longer_batches_not_more_inserts() {
    let limits = BatchLimits { max_age_ms: 500, max_inserts_per_table_and_second: 8, ..BatchLimits::clickhouse() };
    assert_eq!((limits.age_limit_ms(1), limits.age_limit_ms(4), limits.age_limit_ms(64)), (500, 500, 8_000));
}

#[test]
fn an_outage_is_lag_and_not_memory() {
    let world = World::new();
    let notes = Arc::new(Notes::default());
    let sink = Arc::new(Troubled::new(notes.clone(), Trouble::BeforeInsert));
    let mut config = world.config();
    config.limits = BatchLimits {
        max_rows: 10,
        max_buffered_bytes: 20_000,
        max_bytes: 20_000,
        max_inserts_per_table_and_second: 1_000,
        ..BatchLimits::clickhouse()
    };
    let mut deliverer = world.deliverer(sink.clone(), config);
    for round in 0..200 {
        world.append(&sessions(20));
        world.step(&mut deliverer).unwrap();
        assert!(deliverer.buffered_bytes() <= 20_000, "round {round}: {}", deliverer.buffered_bytes());
    }
    assert!(deliverer.sink_is_down());
    // 200 × 600 ms, waits that double up to 10 s.
    let failed = deliverer.stats().failed_inserts;
    assert!((10..=25).contains(&failed), "{failed} attempts");
    assert!(notes.0.lock().unwrap().is_empty());

    sink.heal();
    world.deliver_all(&mut deliverer).unwrap();
    let notes = notes.0.lock().unwrap();
    let offsets: Vec<u64> = notes.iter().flat_map(|(_, rows)| rows.clone()).collect();
    assert_eq!(offsets.len(), 4_000);
    assert!(offsets.windows(2).all(|pair| pair[0] < pair[1]), "each once, in order");
    assert!(!deliverer.sink_is_down());
}

#[test]
fn where_memory_is_short_the_largest_batches_go_and_small_ones_wait_for_more() {
    let world = World::new();
    let notes = Arc::new(Notes::default());
    let mut config = world.config();
    config.limits = BatchLimits { max_buffered_bytes: 20_000, max_bytes: 20_000, max_age_ms: 600_000, ..config.limits };
    let mut deliverer = world.deliverer(notes.clone(), config);
    // 19 rows and 3: more than 20 together, and neither batch is full.
    world.append(&sessions(19));
    world.append(&[
        ("orders", 0, order("a", 1, 1, 0)),
        ("orders", 0, order("b", 1, 1, 0)),
        ("orders", 0, order("c", 1, 1, 0)),
    ]);
    for _ in 0..4 {
        world.step(&mut deliverer).unwrap();
    }
    assert_eq!(notes.tables(), ["sessions"]);
    assert_eq!(deliverer.buffered_bytes(), 3_000);
    deliverer.flush_open().unwrap();
    assert_eq!(notes.tables(), ["sessions", "orders"]);
}

#[test]
fn an_insert_never_starts_long_after_its_intent() {
    let world = World::new();
    let notes = Arc::new(Notes::default());
    let sink = Arc::new(Troubled::new(notes.clone(), Trouble::BeforeInsert));
    let mut deliverer = world.deliverer(sink.clone(), world.config());
    world.append(&sessions(3));
    for _ in 0..4 {
        world.step(&mut deliverer).unwrap();
    }
    let intent = |world: &World| {
        let committed = world.committed("sessions", 0).unwrap();
        millstream_deliver::Intent::decode(&committed.metadata).unwrap().unwrap()
    };
    let first = intent(&world);
    sink.heal();
    world.clock.advance(60_001);
    // The table is asked, holds nothing, and the intent is renewed before the insert.
    deliverer.step(Duration::ZERO).unwrap();
    assert!(notes.0.lock().unwrap().is_empty());
    world.deliver_all(&mut deliverer).unwrap();
    assert_eq!(notes.0.lock().unwrap().len(), 1);
    assert!(first.same_batch(&notes.0.lock().unwrap()[0].0.intent(0)));
}

#[test]
fn a_flood_of_unreadable_records_stops() {
    let world = World::new();
    world.append(&[("sessions", 0, session("a", 1, 1, false))]);
    let bad: Vec<Put<'_>> = (0..30).map(|_| ("sessions", 0, b"bad".to_vec())).collect();
    world.append(&bad);
    let mut config = world.config();
    config.max_rejects_in_a_row = 20;
    let mut deliverer = world.deliverer(Notes::default(), config);
    let error = world.deliver_all(&mut deliverer).unwrap_err();
    assert!(matches!(error, DeliverError::TooManyRejects { partition: 0, count: 20, .. }), "{error}");
}

#[test]
fn a_foreign_note_beside_the_offset_stops() {
    let world = World::new();
    world.append(&sessions(1));
    let note = millstream_transports::Committed { offset: 0, metadata: "mine".to_owned() };
    world.log.commit_foreign("deliver-test", "sessions", 0, note).unwrap();
    let mut deliverer = world.deliverer(Notes::default(), world.config());
    let error = world.deliver_all(&mut deliverer).unwrap_err();
    assert!(matches!(&error, DeliverError::ForeignMetadata { metadata, .. } if metadata == "mine"), "{error}");
}

#[test]
fn what_retention_took_is_named_and_the_rest_delivered() {
    let world = World::new();
    let expiring = TopicSpec { name: "sessions".into(), partitions: PARTITIONS, retention: Retention::TimeMs(1) };
    world.log.ensure_topics(&[expiring]).unwrap();
    world.append(&sessions(3));
    world.deliver(Notes::default());
    world.append(&sessions(4));
    assert_eq!(world.log.trim(1_700_000_000_000).unwrap(), 1);
    world.append(&sessions(5));
    let notes = Arc::new(Notes::default());
    let mut deliverer = world.deliverer(notes.clone(), world.config());
    world.deliver_all(&mut deliverer).unwrap();
    assert_eq!((deliverer.stats().possible_gaps, deliverer.stats().rows()), (1, 5));
}

#[test]
fn limits_that_make_no_sense_are_refused_by_name() {
    let wrong = [
        (BatchLimits { max_rows: 0, ..BatchLimits::default() }, "max_rows"),
        (BatchLimits { max_bytes: 1, ..BatchLimits::default() }, "max_bytes"),
        (BatchLimits { parallel_inserts: 0, ..BatchLimits::default() }, "parallel_inserts"),
        (BatchLimits { max_buffered_bytes: 2_000, ..BatchLimits::default() }, "max_buffered_bytes"),
    ];
    for (limits, name) in wrong {
        assert!(limits.check().unwrap_err().contains(name));
    }
    assert!(BatchLimits::clickhouse().check().is_ok() && BatchLimits::parquet().check().is_ok());
}
