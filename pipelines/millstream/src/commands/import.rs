//! `millstream import`

use std::path::Path;
use std::sync::Arc;

use millstream_import::read::TableRows;
use millstream_import::{ImportOptions, ImportTopics, Mapping, Phase, Summary};
use millstream_runtime::{Clock, SystemClock};
use millstream_warehouse::open_parquet;

use crate::app::App;
use crate::cli::ImportArgs;
use crate::config::Config;
use crate::demo::folder;
use crate::error::Failure;
use crate::progress::{Progress, tell};
use crate::services::{STAGES, Services};
use crate::topology;

/// Events after which an import waits until they are processed. Where years wait in the log, what stages send to each other comes years
/// later, and all events of a source that goes over to another person wait for it in memory.
const PACE_EVENTS: u64 = 20_000;

/// Appends history to the log and, unless told otherwise, runs operators and delivery until it is in the warehouse.
///
/// # Errors
/// Where mapping, data, log or warehouse are at fault; started again, the import goes on where it was.
pub fn run(mut config: Config, args: &ImportArgs) -> Result<(), Failure> {
    // History brings its own time: nobody else may let it pass.
    config.live = false;
    // A member of its own: services under this machine's name may run beside it.
    config.instance = format!("{}-import", config.instance_name());
    let mapping = Mapping::load(&args.mapping)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let app = App::open(config, clock)?;
    app.refuse_if_closed()?;
    folder::keep(&app.config.data_dir)?;
    let mut services = Services::new();
    let delivery = if args.log_only {
        None
    } else {
        app.start_ingest(&mut services)?;
        app.start_profile(&mut services)?;
        Some(app.start_delivery(&mut services)?)
    };
    let mut paced_at = 0;
    let summary = append(&app, &mapping, args, &mut |done| {
        if delivery.is_some() && done >= paced_at + PACE_EVENTS {
            paced_at = done;
            STAGES.iter().for_each(|stage| services.drain_stage(stage, |_| {}));
        }
    });
    let summary = match summary {
        Ok(summary) => summary,
        Err(failure) => {
            let _ = services.stop();
            return Err(failure);
        }
    };
    tell_summary(&summary);
    if let Some(delivery) = delivery {
        for stage in STAGES {
            let mut progress = Progress::new(stage, 0);
            services.drain_stage(stage, |stage| progress.at(stage.processed(), stage.processed(), "records"));
            progress.done("caught up");
        }
        delivery.catch_up(|| services.failed());
        tell(&format!("warehouse: {} rows written", delivery.rows()));
    }
    services.stop().map_err(Failure::new)
}

/// Appends what is not in the log yet; `pace` may wait between transactions, and hears how many events are there.
fn append(app: &App, mapping: &Mapping, args: &ImportArgs, pace: &mut dyn FnMut(u64)) -> Result<Summary, Failure> {
    let options = ImportOptions {
        topics: ImportTopics {
            collected: topology::name(&app.config, "events.collected"),
            rejected: topology::name(&app.config, "events.rejected"),
            imports: topology::name(&app.config, "imports"),
        },
        schema_ids: app.ids.clone(),
        ..ImportOptions::default()
    };
    let mut reading = Some(Progress::new("reading", 0));
    let mut writing: Option<Progress> = None;
    let mut report = |progress: millstream_import::Progress| match progress.phase {
        Phase::Reading => {
            if let Some(bar) = &mut reading {
                bar.at(progress.done, progress.total, "bytes");
            }
        }
        Phase::Writing => {
            if let Some(bar) = reading.take() {
                bar.done("mapped and sorted");
            }
            let message = format!("events, {} rows rejected", progress.rejected);
            writing.get_or_insert_with(|| Progress::new("importing", progress.total)).at(
                progress.done,
                progress.total,
                &message,
            );
            pace(progress.done);
        }
    };
    let summary = millstream_import::import(
        app.transport.as_ref(),
        mapping,
        &args.data,
        Some(&open_table),
        &options,
        &mut report,
    )?;
    if let Some(bar) = writing {
        bar.done("all in the log");
    }
    Ok(summary)
}

fn open_table(path: &Path) -> Result<TableRows, String> {
    let rows = open_parquet(path).map_err(|error| error.to_string())?;
    let columns = rows.columns().to_vec();
    Ok(TableRows { columns, rows: Box::new(rows.map(|row| row.map_err(|error| error.to_string()))) })
}

fn tell_summary(summary: &Summary) {
    if summary.already_imported {
        tell(&format!(
            "{}: imported before ({} events, {} rejected rows)",
            summary.data_set, summary.events, summary.rejected
        ));
        return;
    }
    if summary.resumed_at_event > 0 {
        tell(&format!("{}: went on after event {}", summary.data_set, summary.resumed_at_event));
    }
    tell(&format!(
        "{}: {} rows, {} events, {} rows rejected, {} skipped",
        summary.data_set, summary.rows, summary.events, summary.rejected, summary.skipped
    ));
}
