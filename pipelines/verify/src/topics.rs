//! Output topics against the ledgers.

use millstream_ledger::decode;
use millstream_schemas::topics::{TOPICS, Topic};
use millstream_schemas::{Collected, Control, ImportProgress, Ledger, LedgerOutput, Rejected, SchemaIds, frame};
use millstream_transports::{Result, Transport, Walk, record_hash};

use crate::ledgers::{Books, Sum};
use crate::report::{Kind, Place, Report, Stand, TopicLine};
use crate::{Scope, Steps};

/// Topics that no stage's results go to; ticks, which tell a time and count nothing, are all that stages write there.
const NO_OUTPUTS: [&str; 4] = [Collected::TOPIC, Control::TOPIC, ImportProgress::TOPIC, Ledger::TOPIC];

/// An output topic.
pub(crate) struct Output {
    pub topic: &'static Topic,
    pub partitions: u32,
}

/// The topics that stages write.
pub(crate) fn outputs(transport: &dyn Transport, scope: &Scope<'_>) -> Result<Vec<Output>> {
    let written = TOPICS.iter().filter(|topic| !NO_OUTPUTS.contains(&topic.name));
    written
        .map(|topic| Ok(Output { topic, partitions: transport.partition_count(&scope.topic(topic.name))? }))
        .collect()
}

/// Whether a ledger speaks of this record: control records are copied into the stages' inputs, and dead letters are written by imports
/// and delivery too.
fn is_noted(topic: &str, value: &[u8], ids: &SchemaIds, stages: &[(&str, &str)]) -> bool {
    let Ok((wire_id, body)) = frame::split(value) else { return true };
    match ids.from_wire(wire_id) {
        Control::ID => false,
        Rejected::ID if topic == Rejected::TOPIC => {
            Rejected::decode(body).map_or(true, |letter| stages.iter().any(|(stage, _)| *stage == letter.stage))
        }
        _ => true,
    }
}

/// One partition as it was found.
#[derive(Debug, Default)]
struct Found {
    /// The first records, as many as the ledgers spoke of.
    first: Sum,
    /// All of them.
    all: Sum,
    others: u64,
}

pub(crate) fn compare(
    transport: &dyn Transport,
    scope: &Scope<'_>,
    outputs: &[Output],
    books: &mut Books,
    steps: &mut Steps<'_>,
    report: &mut Report,
) -> Result<()> {
    for output in outputs {
        let name = output.topic.name;
        for partition in 0..output.partitions {
            steps.at(&format!("{name}[{partition}]"));
            if output.topic.compacted {
                let why = format!("compacted; it repeats {}, which is compared", output.topic.repeats);
                let stand = Stand::NotCompared(why);
                let topic = name.to_owned();
                report.topics.push(TopicLine { topic, partition, noted: 0, found: 0, others: 0, stand });
                continue;
            }
            compare_partition(transport, scope, name, partition, books, report)?;
        }
    }
    Ok(())
}

fn compare_partition(
    transport: &dyn Transport,
    scope: &Scope<'_>,
    name: &str,
    partition: u32,
    books: &mut Books,
    report: &mut Report,
) -> Result<()> {
    let key = (name.to_owned(), partition);
    let topic = scope.topic(name);
    let before = books.noted.get(&key).cloned().unwrap_or_default();
    let earliest = transport.earliest(&topic, partition)?;
    let found = count(transport, scope, name, partition, before.sum.records)?;
    // What was committed between the two looks is in the ledgers by now.
    let grown = books.read_on(scope, report)?;
    let after = books.noted.get(&key).cloned().unwrap_or_default();
    let differences = report.differences_in_all;
    let one_writer = (before.writers.len() == 1).then(|| before.writers.first().cloned()).flatten();
    let look = Look { transport, scope, name, partition };
    let mut stand = Stand::Equal;
    if earliest > 0 {
        stand = match one_writer {
            Some(writer) if !grown => look.what_is_left(&writer, before.sum, found.all.records, report)?,
            Some(_) => {
                Stand::NotCompared("its beginning is gone, and its end was moving; try again at rest".to_owned())
            }
            None => Stand::NotCompared(format!(
                "retention has removed what was before offset {earliest}, and several tasks write to it in no order that \
                 ledgers know"
            )),
        };
    } else if one_writer.is_none() && grown && found.all != before.sum && found.all != after.sum {
        stand = Stand::NotCompared("several tasks were writing to it meanwhile; try again at rest".to_owned());
    } else if let Some((kind, what)) = difference(&found, before.sum, after.sum, one_writer.is_some()) {
        let at = one_writer.map(|writer| look.first_difference(&writer)).transpose()?.flatten();
        look.differ(kind, at.map_or(what.clone(), |at| format!("{what}; {at}")), report);
    }
    if report.differences_in_all > differences {
        stand = Stand::Different;
    }
    let (noted, others, topic) = (after.sum.records, found.others, name.to_owned());
    report.topics.push(TopicLine { topic, partition, noted, found: found.all.records, others, stand });
    Ok(())
}

/// What differs between a whole partition and what ledgers said before and after it was read.
fn difference(found: &Found, before: Sum, after: Sum, in_order: bool) -> Option<(Kind, String)> {
    let there = found.all.records;
    if there > after.records {
        let more = there - after.records;
        let what = format!("{there} records, the ledgers say {}: no transaction wrote {more} of them", after.records);
        return Some((Kind::Extra, what));
    }
    if there < before.records {
        let less = before.records - there;
        return Some((
            Kind::Missing,
            format!("{there} records, the ledgers say {}: {less} are missing", before.records),
        ));
    }
    // Where it was read before what the ledgers have noted since, it is still as they said before.
    if found.all == after || found.all == before || (in_order && found.first == before) {
        return None;
    }
    let (found, noted) = if in_order { (found.first, before) } else { (found.all, after) };
    let what = format!(
        "{} records as the ledgers say, but others: their hashes sum up to {:016x}, the ledgers say {:016x}",
        found.records, found.hashes, noted.hashes
    );
    Some((Kind::Changed, what))
}

/// One partition, looked at more closely.
struct Look<'a> {
    transport: &'a dyn Transport,
    scope: &'a Scope<'a>,
    name: &'a str,
    partition: u32,
}

/// What one transaction wrote to the partition.
struct Share {
    /// Its range of input.
    first: u64,
    next: u64,
    sum: Sum,
}

impl Look<'_> {
    fn differ(&self, kind: Kind, what: String, report: &mut Report) {
        let place = Place { topic: self.name.to_owned(), partition: self.partition, ..Place::default() };
        report.differ(kind, place, what);
    }

    /// Hands over what each transaction of the partition's only writer wrote to it, in order.
    fn shares(&self, writer: &(String, u32), mut each: impl FnMut(Share) -> Result<bool>) -> Result<()> {
        let (stage, from) = writer;
        let mut walk = Walk::open(self.transport, &self.scope.topic(Ledger::TOPIC), *from)?;
        let mut result = Ok(());
        walk.each(u64::MAX, |record| {
            let Ok(Some(note)) = decode(record.value, &self.scope.deliver.schema_ids) else { return true };
            if note.stage != stage {
                return true;
            }
            let is_here = |output: &&LedgerOutput<'_>| {
                output.topic == self.name && u32::try_from(output.partition) == Ok(self.partition)
            };
            let Some(output) = note.outputs.iter().find(is_here) else { return true };
            let sum = Sum { records: output.records.cast_unsigned(), hashes: output.hash_sum.cast_unsigned() };
            match each(Share { first: note.first.cast_unsigned(), next: note.next.cast_unsigned(), sum }) {
                Ok(goes_on) => goes_on,
                Err(error) => {
                    result = Err(error);
                    false
                }
            }
        })?;
        result
    }

    /// The next `records` records that ledgers speak of: their sum, and the first one's offset.
    fn next_records(&self, walk: &mut Walk, records: u64, room: &mut Vec<u8>) -> Result<(Sum, Option<u64>)> {
        let (mut sum, mut first) = (Sum::default(), None);
        while sum.records < records {
            let Some(record) = walk.peek()? else { break };
            if self.is_noted(record.value) {
                first = first.or(Some(record.offset));
                sum.add(1, record_hash(record.timestamp_ms, record.key, record.value, room));
            }
            walk.take();
        }
        Ok((sum, first))
    }

    fn is_noted(&self, value: &[u8]) -> bool {
        is_noted(self.name, value, &self.scope.deliver.schema_ids, self.scope.stages)
    }

    /// The first transaction whose records are not there as it wrote them.
    fn first_difference(&self, writer: &(String, u32)) -> Result<Option<String>> {
        let mut walk = Walk::open(self.transport, &self.scope.topic(self.name), self.partition)?;
        let (mut room, mut found) = (Vec::new(), None);
        self.shares(writer, |share| {
            let (sum, at) = self.next_records(&mut walk, share.sum.records, &mut room)?;
            if sum == share.sum {
                return Ok(true);
            }
            let at = at.map_or_else(|| "at the end".to_owned(), |at| format!("from offset {at} on"));
            found = Some(format!(
                "the first that differ are {at}, the {} records of the transaction of {} that read {} to {}",
                share.sum.records, writer.0, share.first, share.next
            ));
            Ok(false)
        })?;
        Ok(found)
    }

    /// Compares the end of the partition with the end of its only writer's ledger, as far as both reach back.
    fn what_is_left(&self, writer: &(String, u32), noted: Sum, left: u64, report: &mut Report) -> Result<Stand> {
        let gone = noted.records.saturating_sub(left);
        let (mut seen, mut expected) = (0, Sum::default());
        // Where the topic reaches further back than the ledger, and the rest of a transaction that is cut in two.
        let mut passed_over = left.saturating_sub(noted.records);
        self.shares(writer, |share| {
            let before = seen;
            seen += share.sum.records;
            if before >= gone {
                expected.add(share.sum.records, share.sum.hashes);
            } else {
                passed_over += seen.saturating_sub(gone);
            }
            Ok(true)
        })?;
        let mut walk = Walk::open(self.transport, &self.scope.topic(self.name), self.partition)?;
        let mut room = Vec::new();
        self.next_records(&mut walk, passed_over, &mut room)?;
        let (found, at) = self.next_records(&mut walk, expected.records, &mut room)?;
        if found != expected {
            let what = format!(
                "of what retention has left, the last {} records are not those that the ledger ends with",
                expected.records
            );
            self.differ(Kind::Changed, what, report);
            return Ok(Stand::Different);
        }
        Ok(Stand::EqualInPart(match at {
            Some(at) => format!("from offset {at} on; what was before is gone from topic or ledger"),
            None => "nothing is left to compare".to_owned(),
        }))
    }
}

/// Counts and sums up a partition; the first `noted` records of it apart.
fn count(transport: &dyn Transport, scope: &Scope<'_>, name: &str, partition: u32, noted: u64) -> Result<Found> {
    let mut walk = Walk::open(transport, &scope.topic(name), partition)?;
    let (mut found, mut room) = (Found::default(), Vec::new());
    walk.each(u64::MAX, |record| {
        if is_noted(name, record.value, &scope.deliver.schema_ids, scope.stages) {
            let hash = record_hash(record.timestamp_ms, record.key, record.value, &mut room);
            found.all.add(1, hash);
            if found.all.records <= noted {
                found.first.add(1, hash);
            }
        } else {
            found.others += 1;
        }
        true
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(records: u64) -> Sum {
        Sum { records, hashes: records * 31 }
    }

    #[test]
    fn a_partition_that_was_read_before_the_ledgers_grew_does_not_differ() {
        let found = Found { first: sum(79), all: sum(79), others: 0 };
        assert_eq!(difference(&found, sum(79), sum(80), false), None, "several writers");
        assert_eq!(difference(&found, sum(78), sum(79), false), None);
        let other = Found { all: Sum { hashes: 1, ..sum(79) }, ..Found::default() };
        assert!(difference(&other, sum(79), sum(80), false).is_some());
        assert!(difference(&other, sum(80), sum(80), false).is_some());
    }
}
