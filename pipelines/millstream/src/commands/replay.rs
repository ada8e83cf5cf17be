//! `millstream replay`: recorded input run again, and compared with what was written.

use std::sync::Arc;

use millstream_replay::copy::Copier;
use millstream_replay::task::{Difference, From, Setting, TaskReplay, replay};
use millstream_replay::views::{Compared, compare};
use millstream_runtime::{Clock, StageFactory, SystemClock};
use millstream_schemas::RECORDS;
use prometheus::Registry;

use crate::app::App;
use crate::cli::{ReplayCommand, ReplayFrom};
use crate::config::Config;
use crate::error::Failure;
use crate::progress::{Progress, tell};
use crate::services::Services;
use crate::{log, registry, snapshots, topology};

/// Runs one of the replays.
///
/// # Errors
/// Where something cannot be read, or what was replayed differs.
pub fn run(config: Config, command: &ReplayCommand) -> Result<(), Failure> {
    match command {
        ReplayCommand::Tasks { stage, partition, from } => tasks(config, stage.as_deref(), *partition, from),
        ReplayCommand::Rebuild { into } => rebuild(config, into),
        ReplayCommand::Compare { with } => {
            if *with == config.namespace {
                return Err(Failure::new(format!("--with {with:?} is this namespace itself; give the other one")));
            }
            let app = open(config)?;
            compare_with(&app, with)
        }
    }
}

/// The log as it is: nothing is published, for a replay must not change what it replays.
fn open(config: Config) -> Result<App, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let ids = registry::register(&config.registry.url, &config.namespace)?;
    let transport = log::open(&config)?;
    transport.ensure_topics(&topology::all(&config))?;
    Ok(App { config, transport, ids, clock, metrics: Registry::new() })
}

fn tasks(config: Config, stage: Option<&str>, partition: Option<u32>, from: &ReplayFrom) -> Result<(), Failure> {
    let store = snapshots::store(&config)?;
    let app = open(config)?;
    let from = match (from.snapshot, from.beginning) {
        (Some(number), _) => From::Number(number),
        (None, true) => From::Beginning,
        (None, false) => From::Oldest,
    };
    let setting = Setting {
        transport: app.transport.as_ref(),
        store: store.as_ref(),
        namespace: &app.config.namespace,
        ids: &app.ids,
    };
    let factories: [Arc<dyn StageFactory>; 2] = [Arc::new(app.ingest()), Arc::new(app.profile())];
    if let Some(unknown) = stage.filter(|stage| factories.iter().all(|factory| factory.name() != *stage)) {
        return Err(Failure::new(format!("no stage is called {unknown:?}: there are ingest and profile")));
    }
    if let Some(unknown) = partition.filter(|partition| *partition >= app.config.partitions) {
        let last = app.config.partitions.saturating_sub(1);
        return Err(Failure::new(format!("there is no partition {unknown}: they go from 0 to {last}")));
    }
    let (mut different, mut transactions, mut outputs) = (0, 0, 0);
    for factory in factories.iter().filter(|factory| stage.is_none_or(|stage| stage == factory.name())) {
        for partition in (0..app.config.partitions).filter(|number| partition.is_none_or(|wanted| wanted == *number)) {
            let mut progress = Progress::new(&format!("{}[{partition}]", factory.name()), 0);
            let replayed = replay(&setting, factory, partition, from, |done, all| progress.at(done, all, "offsets"))?;
            different += replayed.different;
            transactions += replayed.transactions;
            outputs += replayed.outputs;
            progress.done(&verdict(&replayed));
            replayed.differences.iter().for_each(tell_difference);
        }
    }
    if different > 0 {
        return Err(Failure::new(format!(
            "{different} output partitions of transactions differ from what was written"
        )));
    }
    let rest = match from {
        From::Beginning => "",
        _ => "; what came before those snapshots was not run again (`--beginning` runs all)",
    };
    tell(&format!("{transactions} transactions with {outputs} outputs give the bytes that were written{rest}"));
    Ok(())
}

fn verdict(replayed: &TaskReplay) -> String {
    let TaskReplay { from, start, end, transactions, records, outputs, different, .. } = replayed;
    let verdict = if *different == 0 { "equal".to_owned() } else { format!("{different} DIFFER") };
    format!(
        "from {from}, offsets {start} to {end}: {records} records, {transactions} transactions, {outputs} outputs: {verdict}"
    )
}

fn tell_difference(difference: &Difference) {
    let Difference { input: (first, next), output: (topic, partition), written, replayed } = difference;
    tell(&format!(
        "  input {first} to {next}, output {topic}[{partition}]: {} records with hash sum {:016x} were written, {} with {:016x} are given now",
        written.records, written.hashes, replayed.records, replayed.hashes
    ));
}

fn rebuild(config: Config, into: &str) -> Result<(), Failure> {
    if into == config.namespace {
        return Err(Failure::new(format!("--into {into:?} is the namespace that is replayed; give another one")));
    }
    let app = open(config)?;
    let target = Config { namespace: into.to_owned(), live: false, ..app.config.clone() };
    app.transport.ensure_topics(&topology::all(&target))?;
    let rebuilt = App {
        config: target,
        transport: Arc::clone(&app.transport),
        ids: app.ids.clone(),
        clock: Arc::clone(&app.clock),
        metrics: Registry::new(),
    };
    let mut copier = Copier::new(app.transport.as_ref(), &app.ids, &app.config.namespace, into)?;
    let mut running = Services::new();
    rebuilt.start_ingest(&mut running)?;
    rebuilt.start_profile(&mut running)?;
    let mut progress = Progress::new("rebuild", 0);
    loop {
        let number = copier.copy_segment()?;
        let copied = copier.copied();
        for stage in ["ingest", "profile"] {
            running.drain_stage(stage, |stage| progress.at(stage.processed(), copied, stage.name));
        }
        if running.failed() {
            break;
        }
        let Some(number) = number else { break };
        copier.copy_control(number)?;
    }
    running.stop().map_err(Failure::new)?;
    progress.done(&format!("{} records of input processed anew in namespace {into:?}", copier.copied()));
    drop(copier);
    compare_with(&app, into)
}

fn compare_with(app: &App, with: &str) -> Result<(), Failure> {
    let (mut progress, mut done) = (Progress::new("compare", 0), 0);
    let total = RECORDS.iter().filter(|schema| schema.table.is_some()).count() as u64;
    let kinds = compare(app.transport.as_ref(), &app.ids, &app.config.namespace, with, |table| {
        progress.at(done, total, table);
        done += 1;
    })?;
    progress.done(&format!("{done} kinds of records"));
    let different: u64 = kinds.iter().map(|kind| kind.different).sum();
    for Compared { table, rows, different, shown } in &kinds {
        let verdict = if *different == 0 { "equal".to_owned() } else { format!("{different} keys DIFFER") };
        tell(&format!("{table:<20} {rows:>10} current rows: {verdict}"));
        shown.iter().for_each(|what| tell(&format!("  {what}")));
    }
    if different > 0 {
        return Err(Failure::new(format!("{different} keys have other current rows in namespace {with:?}")));
    }
    tell("both namespaces end in the same current views");
    Ok(())
}
