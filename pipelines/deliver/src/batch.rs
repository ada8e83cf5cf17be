//! A batch's name: exactly what is in it.

use std::fmt;

use xxhash_rust::xxh3::Xxh3;

use crate::intent::Intent;

/// Names one batch exactly: where it comes from, from the first to the last delivered record, and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchId {
    /// Table of the rows.
    pub table: &'static str,
    /// Full name of the topic.
    pub topic: String,
    /// The topic's identity: differs where a topic of the same name was made anew.
    pub topic_id: String,
    /// Partition of the topic.
    pub partition: u32,
    /// Offset of the first delivered record.
    pub first: u64,
    /// Offset of the last delivered record.
    pub last: u64,
    /// Rows in it. Fewer than records, where some carry no row.
    pub rows: u64,
    /// XXH3-64 over offset and value of every record that became a row.
    pub content_hash: u64,
}

impl BatchId {
    /// The text under which a sink recognises a repetition of this batch and of no other.
    pub fn token(&self) -> String {
        let Self { table, topic, topic_id, partition, first, last, rows, content_hash } = self;
        format!("millstream/{table}/{topic}/{topic_id}/{partition}/{first}-{last}/{rows}/{content_hash:016x}")
    }

    /// What is committed before it is inserted.
    pub fn intent(&self, at_ms: i64) -> Intent {
        Intent {
            first: self.first,
            last: self.last,
            rows: self.rows,
            content_hash: self.content_hash,
            topic_id: self.topic_id.clone(),
            at_ms,
        }
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, topic, partition, first, last, rows, content_hash, .. } = self;
        write!(f, "{topic}[{partition}] {first} to {last} ({rows} rows of {table}, hash {content_hash:016x})")
    }
}

/// Hashes a batch's rows as they come, independent of how a sink encodes them.
#[derive(Default)]
pub(crate) struct ContentHash(Xxh3);

impl ContentHash {
    pub(crate) fn add(&mut self, offset: u64, value: &[u8]) {
        self.0.update(&offset.to_le_bytes());
        self.0.update(&(value.len() as u64).to_le_bytes());
        self.0.update(value);
    }

    pub(crate) fn finish(&self) -> u64 {
        self.0.digest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_exactly_one_batch() {
        let batch = BatchId {
            table: "orders",
            topic: "orders".into(),
            topic_id: "a".into(),
            partition: 3,
            first: 7,
            last: 12,
            rows: 5,
            content_hash: 0xff,
        };
        let others = [
            BatchId { topic_id: "b".into(), ..batch.clone() },
            BatchId { partition: 4, ..batch.clone() },
            BatchId { first: 6, ..batch.clone() },
            BatchId { last: 13, ..batch.clone() },
            BatchId { content_hash: 0xfe, ..batch.clone() },
            BatchId { table: "refunds", ..batch.clone() },
        ];
        assert!(others.iter().all(|other| other.token() != batch.token()));
        assert_eq!(batch.token(), "millstream/orders/orders/a/3/7-12/5/00000000000000ff");
    }

    #[test]
    fn the_hash_tells_where_a_value_ends() {
        let hash = |records: &[(u64, &[u8])]| {
            let mut hash = ContentHash::default();
            records.iter().for_each(|(offset, value)| hash.add(*offset, value));
            hash.finish()
        };
        assert_ne!(hash(&[(1, b"ab"), (2, b"c")]), hash(&[(1, b"a"), (2, b"bc")]));
        assert_ne!(hash(&[(1, b"a")]), hash(&[(2, b"a")]));
        assert_eq!(hash(&[(1, b"a"), (2, b"b")]), hash(&[(1, b"a"), (2, b"b")]));
    }
}
