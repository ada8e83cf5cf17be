//! Ledgers against the input.

use millstream_transports::Committed;
use millstream_verify::{Kind, Stand};

use crate::tampered::{Meddling, Tampered};
use crate::world::{World, told, verify_on};

#[test]
fn all_is_accounted_for_where_nobody_meddled() {
    let world = World::new();
    let mut tables = world.deliver();
    let report = world.verify(&mut tables);
    assert_eq!(told(&report), []);
    assert!(report.tasks.iter().all(|task| task.stand == Stand::Equal), "{:?}", report.tasks);
    let of = |stage: &str, fate: &str| -> u64 {
        report.tasks.iter().filter(|task| task.stage == stage).filter_map(|task| task.fates.get(fate)).sum()
    };
    // Six rounds of twelve views and a purchase; the purchase came twice, into two partitions' tasks or one.
    let events = of("ingest", "accepted") + of("ingest", "duplicate");
    assert_eq!((events, of("ingest", "rejected"), of("ingest", "applied")), (6 * 14, 6, 12));
    assert_eq!(of("profile", "rejected"), 0);
    let transactions: u64 = report.tasks.iter().map(|task| task.transactions).sum();
    assert!(transactions > 12, "{transactions} transactions are too few to say much");
    assert!(report.topics.iter().filter(|line| line.found > 0).count() > 10);
    let compacted = |line: &&millstream_verify::TopicLine| matches!(line.stand, Stand::NotCompared(_));
    assert!(report.topics.iter().filter(compacted).all(|line| line.topic == "profiles.latest"));
    assert!(report.tables.iter().all(|table| table.stand == Stand::Equal && table.lag == 0));
    assert!(report.tables.iter().any(|table| table.table == "sessions" && table.rows > 0));
}

#[test]
fn a_transaction_that_is_not_noted_is_found() {
    let world = World::new();
    let mut tables = world.deliver();
    let ledger = world.read("ledger", 0);
    // Neither the first nor the last note.
    let meddling = Meddling::Without(ledger[ledger.len() / 2].0);
    let tampered = Tampered { log: world.transport.as_ref(), topic: "ledger", partition: 0, meddling };
    let report = verify_on(&tampered, &mut tables);
    assert!(told(&report).iter().any(|(kind, what)| *kind == Kind::Gap && what.contains("no transaction has noted")));
    // What it wrote is there and explained by nobody.
    assert!(report.differences.iter().any(|found| matches!(found.kind, Kind::Extra)));
}

#[test]
fn a_transaction_that_is_noted_twice_is_found() {
    let world = World::new();
    let mut tables = world.deliver();
    let ledger = world.read("ledger", 1);
    let meddling = Meddling::Twice(ledger[2].0);
    let tampered = Tampered { log: world.transport.as_ref(), topic: "ledger", partition: 1, meddling };
    let report = verify_on(&tampered, &mut tables);
    let gap = report.differences.iter().find(|found| found.kind == Kind::Gap).unwrap();
    assert!(gap.to_string().contains("records were processed twice"), "{gap}");
    assert_eq!(gap.place.partition, 1);
}

#[test]
fn input_that_a_ledger_does_not_count_is_found() {
    let world = World::new();
    let mut tables = world.deliver();
    for (meddling, words) in [(Meddling::Without as fn(u64) -> Meddling, "holds"), (Meddling::Twice, "holds")] {
        let input = world.read("events.collected", 0);
        let meddling = meddling(input[5].0);
        let tampered = Tampered { log: world.transport.as_ref(), topic: "events.collected", partition: 0, meddling };
        let report = verify_on(&tampered, &mut tables);
        let [found] = report.differences.as_slice() else { panic!("{:?}", report.differences) };
        assert_eq!((found.kind, found.place.stage.as_deref()), (Kind::Count, Some("ingest")));
        assert!(found.what.contains(words), "{found}");
    }
}

#[test]
fn an_offset_that_somebody_else_committed_is_told() {
    let world = World::new();
    let mut tables = world.deliver();
    let foreign = Committed { offset: 3, metadata: String::new() };
    world.log.commit_foreign("ingest", "events.collected", 1, foreign).unwrap();
    let report = world.verify(&mut tables);
    assert!(report.is_equal());
    let task = report.tasks.iter().find(|task| task.stage == "ingest" && task.partition == 1).unwrap();
    assert!(matches!(&task.stand, Stand::EqualInPart(why) if why.contains("somebody else")));
}

#[test]
fn a_ledger_that_ends_too_early_is_found() {
    let world = World::new();
    let mut tables = world.deliver();
    let ledger = world.read("ledger", 0);
    let meddling = Meddling::Without(ledger[ledger.len() - 1].0);
    let tampered = Tampered { log: world.transport.as_ref(), topic: "ledger", partition: 0, meddling };
    let report = verify_on(&tampered, &mut tables);
    assert!(told(&report).iter().any(|(kind, what)| *kind == Kind::Missing && what.contains("the ledger ends at")));
}
