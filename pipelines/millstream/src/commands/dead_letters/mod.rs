//! `millstream dlq`

mod print;

use std::io::{Write, stdout};

use millstream_dead_letters::{Filter, Place, Plan, find, list, plan, replay};
use millstream_runtime::{Clock, SystemClock};

use crate::app::refuse_if_closed;
use crate::cli::{DeadLettersCommand, LetterFilter};
use crate::config::Config;
use crate::error::Failure;
use crate::progress::{Progress, tell};
use crate::{control, log, registry};

const HOUR_MS: i64 = 3_600_000;

/// Lists, shows or replays.
///
/// # Errors
/// Where the log cannot be used, or no such letter is there.
pub fn run(config: &Config, command: &DeadLettersCommand) -> Result<(), Failure> {
    let ids = registry::register(&config.registry.url, &config.namespace)?;
    let transport = log::open(config)?;
    let place = Place { transport: transport.as_ref(), namespace: &config.namespace, schema_ids: &ids };
    let now_ms = SystemClock::new().now_ms();
    let mut out = stdout().lock();
    match command {
        DeadLettersCommand::List { which, limit, json } => {
            let listing = list(place, &filter(which, now_ms), *limit)?;
            if *json {
                serde_json::to_writer_pretty(&mut out, &listing)?;
                writeln!(out)?;
            } else if listing.counts.is_empty() && which.is_narrow() {
                // A reason that is misspelt must not look as if all were well.
                writeln!(out, "no dead letter passes the filter; all that there are:")?;
                print::listing(&list(place, &Filter::default(), 0)?, &mut out)?;
            } else {
                print::listing(&listing, &mut out)?;
            }
        }
        DeadLettersCommand::Show { id, bytes } => {
            let Some(letter) = find(place, id)? else {
                return Err(Failure::new(format!("no dead letter has the id {id}; see `millstream dlq list`")));
            };
            if *bytes {
                out.write_all(&letter.payload)?;
            } else {
                print::letter(&letter, &mut out)?;
            }
        }
        DeadLettersCommand::Replay { which, dry_run, limit } => {
            let filter = filter(which, now_ms);
            if !which.is_narrow() {
                return Err(Failure::new(
                    "say which letters: --reason, --id, --site or --stage, and --hours besides where only the latest are meant; `millstream dlq list` shows them",
                ));
            }
            let sites = config.site_settings()?;
            let horizon_ms = |site: &str| sites.get(site).horizon_ms;
            let plan = plan(place, &filter, now_ms, &horizon_ms, *limit)?;
            print::refused(&plan.refused, &mut out)?;
            if plan.events() == 0 && plan.refused.is_empty() {
                return Err(Failure::new("no dead letter passes the filter; `millstream dlq list` shows them"));
            }
            if *dry_run {
                writeln!(out, "{} events would be appended again", plan.events())?;
            } else {
                refuse_if_closed(place.transport, &ids, &config.namespace)?;
                // Judged by the settings of now: the log must say the same before the events come, or they are refused again.
                control::publish_site_settings(place.transport, &config.namespace, &ids, &config.sites, now_ms)?;
                append(place, &plan, &mut out)?;
            }
        }
    }
    out.flush()?;
    Ok(())
}

fn append(place: Place<'_>, plan: &Plan, out: &mut dyn Write) -> Result<(), Failure> {
    let mut progress = Progress::new("replaying", plan.events());
    let replayed = replay(place, plan, |appended| progress.at(appended, plan.events(), "events"))?;
    progress.done("appended");
    writeln!(out, "{} events were appended again; ingest drops those it has accepted meanwhile", replayed.appended)?;
    if replayed.appended > 0 {
        tell("they are processed by the running stages, or by the next `millstream run`");
    }
    Ok(())
}

fn filter(which: &LetterFilter, now_ms: i64) -> Filter {
    Filter {
        reason: which.reason.clone(),
        stage: which.stage.clone(),
        site: which.site.clone(),
        id: which.id.clone(),
        since_ms: which.hours.map(|hours| now_ms - i64::from(hours) * HOUR_MS),
    }
}
