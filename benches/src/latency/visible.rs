//! Asks ClickHouse again and again whether the rows of a sample of events are there.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::quantiles::Quantiles;

/// Between two questions: the figures are too high by half of it at most on the mean.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// Between two sampled events.
const SAMPLE_EVERY: Duration = Duration::from_millis(100);

#[derive(Default)]
struct Pending {
    due: HashMap<String, Instant>,
    last_sample: Option<Instant>,
    seen_ms: Vec<f64>,
}

/// Watches a sample of events become rows of `scores_propensity`.
pub struct Watch {
    pending: Arc<Mutex<Pending>>,
    stop: Arc<AtomicBool>,
    asking: JoinHandle<()>,
}

impl Watch {
    pub fn start(url: &str, database: &str) -> Self {
        let (pending, stop) = (Arc::new(Mutex::new(Pending::default())), Arc::new(AtomicBool::new(false)));
        let asking = {
            let (pending, stop) = (Arc::clone(&pending), Arc::clone(&stop));
            let (url, database) = (url.to_owned(), database.to_owned());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Acquire) {
                    let asked: Vec<String> = lock(&pending).due.keys().cloned().collect();
                    if !asked.is_empty() {
                        note(&pending, &ask(&url, &database, &asked));
                    }
                    std::thread::sleep(ASK_EVERY);
                }
            })
        };
        Self { pending, stop, asking }
    }

    /// An informative event on its way; some are taken as samples.
    pub fn offer(&self, id: &str, due: Instant) {
        let mut pending = lock(&self.pending);
        if pending.last_sample.is_none_or(|last| due.saturating_duration_since(last) >= SAMPLE_EVERY) {
            pending.last_sample = Some(due);
            pending.due.insert(id.to_owned(), due);
        }
    }

    /// Waits for the rest; the latencies, and how many rows never came.
    pub fn finish(self, patience: Duration) -> (Quantiles, usize) {
        let since = Instant::now();
        while !lock(&self.pending).due.is_empty() && since.elapsed() < patience {
            std::thread::sleep(ASK_EVERY);
        }
        self.stop.store(true, Ordering::Release);
        self.asking.join().expect("the asking thread ends well");
        let pending = std::mem::take(&mut *lock(&self.pending));
        (Quantiles::of(pending.seen_ms), pending.due.len())
    }
}

fn lock(pending: &Mutex<Pending>) -> std::sync::MutexGuard<'_, Pending> {
    pending.lock().expect("no thread panics with it")
}

fn ask(url: &str, database: &str, ids: &[String]) -> Vec<String> {
    let list = ids.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(",");
    let sql = format!("SELECT DISTINCT source_event FROM {database}.scores_propensity WHERE source_event IN ({list})");
    let mut answer = ureq::post(url).send(sql).expect("ClickHouse answers");
    answer.body_mut().read_to_string().expect("text").lines().map(str::to_owned).collect()
}

fn note(pending: &Mutex<Pending>, seen: &[String]) {
    let now = Instant::now();
    let mut pending = lock(pending);
    for id in seen {
        if let Some(due) = pending.due.remove(id) {
            pending.seen_ms.push(now.saturating_duration_since(due).as_secs_f64() * 1_000.0);
        }
    }
}
