//! Tables against topics.

use millstream_verify::{Kind, Stand};

use crate::world::World;

#[test]
fn rows_that_are_gone_doubled_changed_or_nobodys_are_named() {
    let world = World::new();
    let whole = world.deliver();
    let rows = whole.rows.get(&("sessions", 1)).unwrap().clone();
    let at = rows[rows.len() / 2].offset;
    let free = (0..at).rev().find(|offset| rows.iter().all(|row| row.offset != *offset));
    type Meddle<'a> = Box<dyn Fn(&mut Vec<millstream_verify::RowCells>) + 'a>;
    let mut cases: Vec<(Meddle<'_>, Kind, u64, &str)> = vec![
        (Box::new(|rows| rows.retain(|row| row.offset != at)), Kind::Missing, at, "missing"),
        (Box::new(|rows| rows.extend(rows.iter().find(|row| row.offset == at).cloned())), Kind::Doubled, at, "2 times"),
        (
            Box::new(|rows| rows.iter_mut().filter(|row| row.offset == at).for_each(|row| row.cells[19] ^= 1)),
            Kind::Changed,
            at,
            "differs in events",
        ),
        (
            Box::new(|rows| {
                rows.extend(rows.first().map(|row| millstream_verify::RowCells { offset: 999_999, ..row.clone() }))
            }),
            Kind::Extra,
            999_999,
            "the log does not have",
        ),
    ];
    if let Some(free) = free {
        let extra = move |rows: &mut Vec<millstream_verify::RowCells>| {
            rows.extend(rows.first().map(|row| millstream_verify::RowCells { offset: free, ..row.clone() }));
        };
        cases.push((Box::new(extra), Kind::Extra, free, "no delivered record"));
    }
    for (meddle, kind, offset, words) in cases {
        let mut tables = world.deliver();
        let rows = tables.rows.get_mut(&("sessions", 1)).unwrap();
        meddle(rows);
        rows.sort_by_key(|row| row.offset);
        let report = world.verify(&mut tables);
        let [found] = report.differences.as_slice() else { panic!("{kind:?}: {:?}", report.differences) };
        let place = (found.place.table.as_deref(), found.place.partition, found.place.offset);
        assert_eq!((found.kind, place), (kind, (Some("sessions"), 1, Some(offset))));
        assert!(found.what.contains(words), "{found}");
        assert_eq!(found.place.key.is_some(), kind != Kind::Extra, "{found}");
        if let Some(key) = &found.place.key {
            assert!(key.starts_with("shop/") && key.len() == 37, "{key}");
        }
        let line = report.tables.iter().find(|line| line.table == "sessions").unwrap();
        assert_eq!(line.stand, Stand::Different);
    }
}

#[test]
fn a_row_of_a_partition_that_there_is_not_is_seen() {
    let world = World::new();
    let mut tables = world.deliver();
    let row = tables.rows[&("sessions", 1)][0].clone();
    let offset = row.offset;
    tables.rows.insert(("sessions", 99), vec![row]);
    let report = world.verify(&mut tables);
    let [found] = report.differences.as_slice() else { panic!("{:?}", report.differences) };
    assert_eq!((found.kind, found.place.partition, found.place.offset), (Kind::Extra, 99, Some(offset)));
}

#[test]
fn what_is_not_delivered_yet_is_lag() {
    let mut world = World::new();
    let mut tables = world.deliver();
    world.feed();
    world.drain();
    let report = world.verify(&mut tables);
    assert!(report.is_equal(), "{:?}", report.differences);
    let lag: u64 = report.tables.iter().map(|line| line.lag).sum();
    assert!(lag > 14, "{lag}");
}
