//! A storm over real servers: collector, two workers and a deliverer on Kafka and ClickHouse, under load, killed and frozen at random
//! moments together with the servers themselves; then everything is compared with everything.
//!
//! [`place`] are the servers, [`fleet`] are the processes, [`load`] is the client that keeps its own list, [`chaos`] hits them,
//! [`recorded`] reads what is committed, [`replay`] runs the stages over it without anybody else, [`compare`] judges, and [`verify`] asks
//! the program itself.

mod chaos;
mod compare;
pub mod fleet;
mod load;
mod place;
mod recorded;
mod replay;
mod rows;
mod verify;

use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream_kafka::KafkaTransport;
use millstream_transports::Transport;

use crate::binary::Installation;
use crate::crash::outside;
use chaos::{Chaos, SESSION_TIMEOUT_MS};
use fleet::Node;
use load::{Client, Known, Load};
use place::Place;
use recorded::Recorded;

/// Partitions of every topic that has several.
const PARTITIONS: u32 = 4;
/// The key of the storm's shop.
const KEY: &str = "storm-write-key";
/// The database.
const DATABASE: &str = "storm";
/// For what comes true soon unless something is broken.
const PATIENCE: Duration = Duration::from_secs(180);
/// After the last event: sessions end, and their timers fire.
const SETTLE: Duration = Duration::from_secs(8);

/// A run.
#[derive(Debug, Clone)]
pub struct Storm {
    /// Kills and freezes.
    pub hits: u32,
    /// Seed of the hits and of the traffic.
    pub seed: u64,
    /// Events a second, sent whatever becomes of them.
    pub events_per_second: u32,
    /// Visitors of the shop.
    pub people: u32,
    /// `classic` or `consumer`.
    pub protocol: String,
    /// Whether operators' state is snapshotted; without, every recovery replays the whole log.
    pub snapshots: bool,
    /// Between two snapshots of a partition, milliseconds.
    pub snapshot_interval_ms: u64,
    /// Whether tables are damaged by hand at the end, which must be seen.
    pub damage: bool,
}

impl Default for Storm {
    fn default() -> Self {
        Self {
            hits: 50,
            seed: 7,
            events_per_second: 150,
            people: 3_000,
            protocol: "classic".to_owned(),
            snapshots: true,
            snapshot_interval_ms: 2_000,
            damage: true,
        }
    }
}

/// One thing that was compared.
#[derive(Debug, Clone)]
pub struct Check {
    /// What.
    pub name: String,
    /// How it came out; `None` where it could not be looked at.
    pub good: Option<bool>,
    /// What was found.
    pub says: String,
}

impl Check {
    fn new(name: impl Into<String>, wrong: &[String], says: impl Into<String>) -> Self {
        let mut says = says.into();
        if !wrong.is_empty() {
            says =
                format!("{says}; {} differences:\n      {}", wrong.len(), wrong[..wrong.len().min(5)].join("\n      "));
        }
        Self { name: name.into(), good: Some(wrong.is_empty()), says }
    }
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Report {
    /// Everything that was compared.
    pub checks: Vec<Check>,
    /// Figures, in words.
    pub figures: Vec<String>,
}

impl Report {
    /// Whether nothing differs.
    pub fn is_good(&self) -> bool {
        self.checks.iter().all(|check| check.good != Some(false))
    }

    fn add(&mut self, check: Check) {
        eprintln!("{}", line(&check));
        self.checks.push(check);
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for figure in &self.figures {
            writeln!(f, "{figure}")?;
        }
        self.checks.iter().try_for_each(|check| writeln!(f, "{}", line(check)))
    }
}

fn line(check: &Check) -> String {
    let mark = match check.good {
        Some(true) => "equal",
        Some(false) => "WRONG",
        None => "not looked at",
    };
    format!("{mark:13} {:44} {}", check.name, check.says)
}

/// Runs a storm and compares; `None` where the machine lacks a server.
///
/// # Panics
/// Where the processes do not come to rest, so that there is nothing to compare.
pub fn run(test: &str, storm: &Storm) -> Option<Report> {
    let place = Place::new(test, storm)?;
    let mut report = Report::default();
    let known = rage(&place, storm, &mut report);
    let recorded = rest(&place, &mut report);
    judge(&place, &recorded, &known, &mut report);
    verify::check(&place.installation, storm.damage.then_some(&place.warehouse.address), &recorded, &mut report);
    Some(report)
}

/// The storm itself: everything runs, is loaded and hit, and stands again at the end.
fn rage(place: &Place, storm: &Storm, report: &mut Report) -> Known {
    let installation = &place.installation;
    let made = installation.command().arg("migrate").output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let node = |name, arguments| Node::new(installation, name, arguments);
    let mut fleet = [
        node("collector", &["collect"]),
        node("worker-a", &["run", "ingest", "profile"]),
        node("worker-b", &["run", "ingest", "profile"]),
        node("deliver", &["deliver"]),
    ];
    for node in &mut fleet {
        node.start(installation);
    }
    let url = fleet[0].url();
    let mut chaos =
        Chaos::new(installation, &mut fleet, Arc::clone(&place.broker), Arc::clone(&place.warehouse), storm.seed);
    let started = Instant::now();
    while ureq::get(format!("{url}/readyz")).call().is_err() {
        assert!(started.elapsed() < PATIENCE, "the collector is not ready");
        chaos.watch(Duration::from_millis(100));
    }
    let load = Load { events_per_second: storm.events_per_second, people: storm.people, seed: storm.seed };
    let (client, began) = (Client::start(&load, &url, KEY), Instant::now());
    let warm = Instant::now();
    while client.acknowledged() < 500 {
        assert!(warm.elapsed() < PATIENCE, "too little is acknowledged before the storm");
        chaos.watch(Duration::from_millis(100));
    }
    chaos.rage(storm.hits);
    chaos.calm();
    chaos.watch(Duration::from_secs(3));
    let lasted = began.elapsed();
    // Requests that are still without an answer need the collector, which may end by itself once more.
    let finished = std::thread::spawn(move || client.finish(PATIENCE));
    while !finished.is_finished() {
        chaos.watch(Duration::from_millis(100));
    }
    let known = finished.join().unwrap().expect("every request has its answer in the end");
    chaos.watch(SETTLE);
    report.figures.push(format!(
        "storm: seed {}, {} protocol, {:.0} s; {} SIGKILLs of processes, {} SIGSTOPs of {} to {} s, broker killed {} times, warehouse \
         {} times; {} processes ended by themselves and were started again",
        storm.seed,
        storm.protocol,
        lasted.as_secs_f64(),
        chaos.done.kills,
        chaos.done.freezes,
        (SESSION_TIMEOUT_MS + 2_000) / 1_000,
        (SESSION_TIMEOUT_MS + 6_000) / 1_000,
        chaos.done.broker,
        chaos.done.warehouse,
        chaos.done.ended
    ));
    report.figures.push(format!(
        "load: {} events at {} a second, open loop ({} requests held back); {} ids acknowledged, {} requests sent again, {} refused",
        known.sent,
        storm.events_per_second,
        known.held_back,
        known.acknowledged.len(),
        known.sent_again,
        known.refused
    ));
    drop(chaos);
    // The workers leave in order; delivery goes on until it has everything.
    for node in &mut fleet[..3] {
        if let Err(why) = node.stop(PATIENCE) {
            report.add(Check { name: format!("{} stops in order", node.name), good: Some(false), says: why });
        }
    }
    for node in &fleet[1..3] {
        let lives = node.lives();
        report.figures.push(format!(
            "{}: {} starts, {} of them restored partitions from snapshots; {} partitions taken, {} from a snapshot, the others by replay of the \
             whole log",
            node.name, lives.starts, lives.restored_starts, lives.tasks, lives.restored_tasks
        ));
    }
    report.add(check(&place.installation));
    drain(place, storm, report);
    let deliver = &mut fleet[3];
    let transport = place.transport();
    let recorded = Recorded::read(&transport, PARTITIONS);
    let behind = compare::wait_for_tables(&place.warehouse.address, DATABASE, &recorded, PATIENCE);
    report.add(Check::new("everything is delivered", &behind, format!("within {} s", PATIENCE.as_secs())));
    if let Err(why) = deliver.stop(PATIENCE) {
        report.add(Check { name: "deliver stops in order".to_owned(), good: Some(false), says: why });
    }
    known
}

/// Whether the program finds servers and settings in order: a transaction that a broker forgot to end would hold up all that follows.
fn check(installation: &Installation) -> Check {
    let looked = installation.command().arg("check").output().unwrap();
    let mut wrong = Vec::new();
    if !looked.status.success() {
        wrong.push(looked.status.to_string());
        wrong.extend(String::from_utf8_lossy(&looked.stderr).lines().map(str::to_owned));
    }
    Check::new("check finds everything in order", &wrong, looked.status.to_string())
}

/// Lets the program process what is in the log, while no time passes: a tick would be one more record.
fn drain(place: &Place, storm: &Storm, report: &mut Report) {
    let arguments: &[&str] = if storm.snapshots { &["drain"] } else { &["run", "ingest", "profile"] };
    let mut drain = Node::new(&place.installation, "drain", arguments);
    drain.set("LIVE", "false");
    drain.start(&place.installation);
    let started = Instant::now();
    loop {
        let lasted = format!("{:.1} s", started.elapsed().as_secs_f64());
        if let Some(why) = drain.ended() {
            let good = storm.snapshots && why.starts_with("exit status: 0");
            report.add(Check {
                name: "drain ends well".to_owned(),
                good: Some(good),
                says: format!("{lasted}, {why}"),
            });
            return;
        }
        // `drain` ends by itself; a worker is stopped when it has nothing left to do.
        if !storm.snapshots && behind(&place.transport()).is_empty() {
            let stopped = drain.stop(PATIENCE).err().into_iter().collect::<Vec<_>>();
            report.add(Check::new("a worker processes the rest", &stopped, lasted));
            return;
        }
        assert!(started.elapsed() < PATIENCE, "drain does not end:\n{}", drain.said());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Input that is not processed.
fn behind(transport: &KafkaTransport) -> Vec<String> {
    let mut behind = Vec::new();
    for (group, input) in [("ingest", "events.collected"), ("profile", "events")] {
        for partition in 0..PARTITIONS {
            let committed =
                transport.committed(group, input, partition).unwrap().map_or(0, |committed| committed.offset);
            let next = recorded::read(transport, input, partition).last().map_or(0, |record| record.offset + 1);
            if committed < next {
                behind.push(format!("{group}: {input}[{partition}] is processed up to {committed} of {next}"));
            }
        }
    }
    behind
}

/// Reads what is committed, and looks whether all input was processed.
fn rest(place: &Place, report: &mut Report) -> Recorded {
    let transport = place.transport();
    let recorded = Recorded::read(&transport, PARTITIONS);
    let says = format!("{} committed records in all topics", recorded.count());
    report.add(Check::new("everything is processed", &behind(&transport), says));
    recorded
}

/// Every comparison that needs nobody's own word.
fn judge(place: &Place, recorded: &Recorded, known: &Known, report: &mut Report) {
    let ids: Vec<&str> = known.acknowledged.keys().map(String::as_str).collect();
    let file = place.installation.write("acknowledged.txt", &(ids.join("\n") + "\n"));
    match outside::fates(&place.installation, &place.broker.address, &file) {
        Ok(checks) => {
            for outside::Check { name, good, says } in checks {
                report.add(Check { name: format!("fates, outside: {name}"), good: Some(good), says });
            }
        }
        Err(why) => report.add(Check { name: "fates, outside".to_owned(), good: None, says: why }),
    }
    let replayed = replay::replay(recorded);
    report.add(Check::new(
        "outputs = replay of the same log",
        &replayed.differences,
        format!("{} records, byte for byte in every partition", replayed.records),
    ));
    let undisturbed = replay::undisturbed(recorded);
    report.add(compare::views_of_topics(recorded, &undisturbed));
    report.add(compare::views_of_tables(&place.warehouse.address, DATABASE, recorded));
    report.add(compare::histories(&place.warehouse.address, DATABASE, recorded));
}
