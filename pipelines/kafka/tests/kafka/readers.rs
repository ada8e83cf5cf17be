//! Readers, one after the other: clients are kept, and none is taken for done where another one was.

use millstream_transports::Walk;

use crate::support::{fill, topic, transport};

#[test]
fn a_partition_is_read_whole_however_often_and_after_whichever() {
    let Some(kafka) = transport("a_partition_is_read_whole_however_often_and_after_whichever") else { return };
    let names = [topic(&kafka, "read-a", 2), topic(&kafka, "read-b", 2)];
    for (at, name) in names.iter().enumerate() {
        fill(&kafka, name, 0, &["x"; 50][..=at * 40]);
        fill(&kafka, name, 1, &["y"; 50]);
    }
    let count = |name: &str, partition, from| {
        let mut records = 0;
        Walk::from(&kafka, name, partition, from)
            .expect("a reader")
            .each(u64::MAX, |_| {
                records += 1;
                true
            })
            .expect("read");
        records
    };
    for round in 0..10 {
        for (at, name) in names.iter().enumerate() {
            assert_eq!((count(name, 0, 0), count(name, 1, 0)), (1 + at * 40, 50), "round {round}, {name}");
            assert_eq!(count(name, 1, 20), 30, "round {round}, {name}");
        }
    }
}
