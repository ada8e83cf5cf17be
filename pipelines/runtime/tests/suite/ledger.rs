//! Ledgers as text, and whether they balance: with the input, and with what is in the output topics.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_runtime::{LedgerBook, LedgerEntry, Worker};
use millstream_transports::{Batch, Transport, record_hash};

use crate::counter::{Counters, PARTITIONS, TestClock, config, feed, log};

const OUTPUTS: [&str; 2] = ["out", "diverted"];

/// Notes in words, separated by spaces.
pub struct TextBook;

impl LedgerBook for TextBook {
    fn topic(&self) -> u16 {
        2
    }

    fn encode(&self, entry: &LedgerEntry<'_>, value: &mut Vec<u8>) {
        let LedgerEntry { stage, topic, partition, first, next, records, .. } = entry;
        value.extend_from_slice(format!("{stage} {topic} {partition} {first} {next} {records}").as_bytes());
        for fate in entry.fates {
            value.extend_from_slice(format!(" {}={}", fate.name, fate.records).as_bytes());
        }
        for sum in entry.outputs {
            let text =
                format!(" {}[{}]:{}:{}", OUTPUTS[usize::from(sum.topic)], sum.partition, sum.records, sum.hash_sum);
            value.extend_from_slice(text.as_bytes());
        }
    }

    fn next_offset(&self, value: &[u8], topic: &str, partition: u32) -> Option<u64> {
        let note = Note::parse(value)?;
        (note.task == format!("counters {topic} {partition}")).then_some(note.next)
    }
}

#[derive(Debug, PartialEq)]
pub struct Note {
    task: String,
    first: u64,
    pub next: u64,
    records: u64,
    fates: BTreeMap<String, u64>,
    /// Count and hash sum by topic and partition.
    outputs: BTreeMap<String, (u64, u64)>,
}

impl Note {
    fn parse(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let words: Vec<&str> = text.split(' ').collect();
        let numbers: Vec<u64> = words.get(3..6)?.iter().map(|word| word.parse().unwrap()).collect();
        let mut note = Self {
            task: words[..3].join(" "),
            first: numbers[0],
            next: numbers[1],
            records: numbers[2],
            fates: BTreeMap::new(),
            outputs: BTreeMap::new(),
        };
        for word in &words[6..] {
            if let Some((name, count)) = word.split_once('=') {
                note.fates.insert(name.to_owned(), count.parse().unwrap());
            } else {
                let mut parts = word.split(':');
                let place = parts.next().unwrap().to_owned();
                let mut number = || parts.next().unwrap().parse().unwrap();
                note.outputs.insert(place, (number(), number()));
            }
        }
        Some(note)
    }
}

/// Offset, timestamp, key and value of everything committed in a partition.
fn records(transport: &dyn Transport, topic: &str, partition: u32) -> Vec<(u64, i64, Vec<u8>, Vec<u8>)> {
    let mut reader = transport.reader(topic, partition, 0).unwrap();
    let (mut batch, mut all) = (Batch::new(), Vec::new());
    loop {
        let ended = reader.at_end().unwrap();
        reader.poll(Duration::ZERO, &mut batch).unwrap();
        all.extend(batch.iter().map(|r| (r.offset, r.timestamp_ms, r.key.to_vec(), r.value.to_vec())));
        if ended && batch.is_empty() {
            return all;
        }
    }
}

pub fn notes(transport: &dyn Transport, partition: u32) -> Vec<Note> {
    records(transport, "ledger", partition).iter().filter_map(|record| Note::parse(&record.3)).collect()
}

/// Every partition's ledger is without gap or overlap up to the input's end, counts the input's records and each one's fate, and
/// sums up to what is in the output topics.
pub fn balances(transport: &dyn Transport) {
    let mut noted = BTreeMap::<String, (u64, u64)>::new();
    for partition in 0..PARTITIONS {
        let input = records(transport, "in", partition);
        let mut next = 0;
        for note in notes(transport, partition) {
            assert_eq!(note.task, format!("counters in {partition}"));
            assert_eq!(note.first, next, "{note:?}");
            let read = input.iter().filter(|record| (note.first..note.next).contains(&record.0)).count() as u64;
            assert_eq!((note.records, note.fates.values().sum::<u64>()), (read, read), "{note:?}");
            for (place, (records, sum)) in note.outputs {
                let all = noted.entry(place).or_default();
                *all = (all.0 + records, all.1.wrapping_add(sum));
            }
            next = note.next;
        }
        assert_eq!(next, input.last().map_or(0, |record| record.0 + 1));
    }
    let (mut found, mut room) = (BTreeMap::<String, (u64, u64)>::new(), Vec::new());
    for topic in OUTPUTS {
        for partition in 0..PARTITIONS {
            for (_, timestamp_ms, key, value) in records(transport, topic, partition) {
                let all = found.entry(format!("{topic}[{partition}]")).or_default();
                *all = (all.0 + 1, all.1.wrapping_add(record_hash(timestamp_ms, &key, &value, &mut room)));
            }
        }
    }
    assert_eq!(noted, found);
}

#[test]
fn every_transaction_is_noted_with_what_it_read_and_wrote() {
    let (_memory, transport) = log();
    let clock = std::sync::Arc::new(TestClock::default());
    let mut worker =
        Worker::new(std::sync::Arc::clone(&transport), std::sync::Arc::new(Counters), clock, config("w")).unwrap();
    for round in 0..3u8 {
        feed(transport.as_ref(), 0, &[round], b"x");
        feed(transport.as_ref(), 2, &[round], if round == 1 { b"poison" } else { b"y" });
        for _ in 0..6 {
            worker.step().unwrap();
        }
    }
    balances(transport.as_ref());
    let fates = |partition| -> Vec<BTreeMap<String, u64>> {
        notes(transport.as_ref(), partition).into_iter().map(|note| note.fates).collect()
    };
    let one = |name: &str| BTreeMap::from([(name.to_owned(), 1)]);
    assert_eq!(fates(0), vec![one("counted"); 3]);
    assert_eq!(fates(1), vec![]);
    assert_eq!(fates(2), [one("counted"), one("diverted"), one("counted")]);
}
