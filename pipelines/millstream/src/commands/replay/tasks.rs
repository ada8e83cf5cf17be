//! `millstream replay tasks`: tasks over their recorded input, transaction by transaction.

use std::sync::Arc;

use millstream_replay::task::{Difference, From, Setting, TaskReplay, replay};
use millstream_runtime::StageFactory;

use crate::cli::ReplayFrom;
use crate::config::Config;
use crate::error::Failure;
use crate::progress::{Progress, tell};
use crate::snapshots;

/// Runs the tasks asked for.
///
/// # Errors
/// Where something cannot be read, or what a task gives now differs from what it wrote.
pub fn tasks(config: Config, stage: Option<&str>, partition: Option<u32>, from: &ReplayFrom) -> Result<(), Failure> {
    let store = snapshots::store(&config)?;
    let app = super::open(config)?;
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
