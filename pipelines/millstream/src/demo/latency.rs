//! From an event's request to its committed score, one at a time through the running services.

use std::time::{Duration, Instant};

use millstream_schemas::{Propensity, frame};
use millstream_transports::{Batch, Reader, Transport};

use crate::error::Failure;
use crate::sender::Sender;

/// Events sent for the measurement.
const PROBES: usize = 60;
/// A score that takes longer is an error of its own.
const PATIENCE: Duration = Duration::from_secs(10);

/// Milliseconds from request to committed score, sorted.
///
/// # Errors
/// Where an event is not scored.
pub fn probe(transport: &dyn Transport, topic: &str, sender: &Sender) -> Result<Vec<f64>, Failure> {
    let mut readers = Vec::new();
    for partition in 0..transport.partition_count(topic)? {
        let mut reader = transport.reader(topic, partition, 0)?;
        skip_to_end(reader.as_mut())?;
        readers.push(reader);
    }
    let mut latencies_ms = Vec::with_capacity(PROBES);
    let mut batch = Batch::new();
    for probe in 0..PROBES {
        let id = format!("latency-probe-{probe}");
        let body = format!(
            r#"{{"events":[{{"id":"{id}","type":"product_view","device":"{id}","product":{{"id":"p","price":"9.90","currency":"EUR"}}}}]}}"#
        );
        let started = Instant::now();
        sender.send(body.as_bytes())?;
        while !seen(&mut readers, &mut batch, &id)? {
            if started.elapsed() > PATIENCE {
                return Err(Failure::new(format!("the event {id} was not scored within {PATIENCE:?}")));
            }
        }
        latencies_ms.push(started.elapsed().as_secs_f64() * 1_000.0);
    }
    latencies_ms.sort_by(f64::total_cmp);
    Ok(latencies_ms)
}

fn skip_to_end(reader: &mut dyn Reader) -> Result<(), Failure> {
    let mut batch = Batch::new();
    loop {
        let ended = reader.at_end()?;
        reader.poll(Duration::ZERO, &mut batch)?;
        if ended && batch.is_empty() {
            return Ok(());
        }
    }
}

fn seen(readers: &mut [Box<dyn Reader>], batch: &mut Batch, id: &str) -> Result<bool, Failure> {
    for reader in readers.iter_mut() {
        reader.poll(Duration::from_micros(200), batch)?;
        for record in batch.iter() {
            let (_, body) = frame::split(record.value)?;
            if Propensity::decode(body)?.source_event == id {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The value below which `share` of the sorted values lie.
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get(((last as f64) * share).round() as usize).copied()
}
