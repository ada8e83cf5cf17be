//! `millstream demo`

use std::io::{ErrorKind, Write, stdout};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream_runtime::{Clock, SystemClock};
use millstream_simulator::TRAINING_SEEDS;

use crate::app::App;
use crate::artefacts::Artefacts;
use crate::cli::DemoArgs;
use crate::commands::models;
use crate::commands::run::{start_http, wait_for_signal};
use crate::config::{Config, TransportKind, WarehouseKind};
use crate::demo::clock::DemoClock;
use crate::demo::summary::Dropped;
use crate::demo::{folder, latency, page, summary, traffic};
use crate::error::Failure;
use crate::metrics::ProcessMetrics;
use crate::progress::tell;
use crate::sender::Sender;
use crate::services::Services;
use crate::serving::Serving;
use crate::topology;

/// Everything embedded, with simulated traffic through the real collector; then a summary.
///
/// # Errors
/// Where a part of it fails.
pub fn run(mut config: Config, args: &DemoArgs) -> Result<(), Failure> {
    let started = Instant::now();
    if TRAINING_SEEDS.contains(&args.seed) {
        return Err(Failure::new(format!(
            "seeds {} to {} are those the shipped model was trained and judged on: its scores would flatter; take another --seed",
            TRAINING_SEEDS.start(),
            TRAINING_SEEDS.end()
        )));
    }
    config.transport = TransportKind::Embedded;
    config.warehouse = WarehouseKind::Embedded;
    config.live = true;
    config.collect.listen = free_or_any(config.collect.listen)?;
    config.collect.admin_listen = free_or_any(config.collect.admin_listen)?;
    let (site, write_key) = first_site(&config)?;
    let read_token = page::add_read_token(&mut config, &site)?;
    folder::begin(&config.data_dir)?;

    let simulation = traffic::config(args, &site, SystemClock::new().now_ms());
    let clock = Arc::new(DemoClock::held(simulation.start_ms));
    let shared_clock: Arc<dyn Clock> = Arc::<DemoClock>::clone(&clock);
    let app = App::open(config, shared_clock)?;
    // From the first event on, by the log like everybody's.
    models::promote(&app, &Artefacts::of(&app.config), "propensity", "")?;
    let mut services = Services::new();
    let ingest = app.start_ingest(&mut services)?;
    app.start_profile(&mut services)?;
    let delivery = app.start_delivery(&mut services)?;
    let process = ProcessMetrics::new(&app.metrics)?;
    let (stages, counted, delivered) = (services.stage_stats(), ingest.clone(), Arc::clone(&delivery));
    services.start("metrics", move |stop| {
        process.run(&stages, Some(&counted), Some(&delivered), stop);
        Ok(())
    });
    let serving = Serving::new(&app)?;
    let page = if args.exit { None } else { page::of(&app.config, &serving, &write_key, &read_token) };
    start_http(&app, page.clone().unwrap_or_default(), &mut services)?;
    let url = format!("http://{}", app.config.collect.listen);
    let sender = Sender::new(&url, &write_key);

    let outcome = (|| {
        let sent = traffic::play(simulation, &clock, &sender)?;
        for stage in ["ingest", "profile"] {
            services.drain_stage(stage, |_| ());
        }
        delivery.catch_up(|| services.failed());
        if services.failed() {
            return Err(Failure::new("a service ended; see the log above"));
        }
        // Read before real time begins, so that the totals are the simulation's alone. Figures of single scores may still differ a
        // little from run to run: partitions do not wait for each other.
        let shop = summary::read(&app.warehouse(), &sent, Dropped::of(ingest.fates()))?;
        clock.release();
        let topic = topology::name(&app.config, "scores.propensity");
        let latencies_ms = latency::probe(app.transport.as_ref(), &topic, &sender)?;
        Ok(shop.with_latency(&latencies_ms, started.elapsed().as_secs_f64()))
    })();
    let summary = match outcome {
        Ok(summary) => summary,
        Err(failure) => {
            let ended = services.stop();
            return Err(ended.err().map_or(failure, Failure::new));
        }
    };
    print(&summary, args.json)?;
    if !args.exit {
        hints(&url, &write_key, &app);
        if page.is_some() {
            serving.start(&app, &mut services);
            page::open_for_visitors(&url, &write_key, args, &mut services);
        } else {
            tell(
                "The shop page is left out: it holds a read token, and collect.listen is not an address of this machine alone.\n",
            );
        }
        wait_for_signal(&services)?;
        tell("stopping: finishing requests and epochs");
    }
    services.stop().map_err(Failure::new)
}

fn print(summary: &summary::Summary, json: bool) -> Result<(), Failure> {
    let text = if json { serde_json::to_string(summary)? } else { summary.to_text() };
    match writeln!(stdout(), "{text}") {
        // Whoever read the summary has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

fn hints(url: &str, write_key: &str, app: &App) {
    let data_dir = app.config.data_dir.display();
    tell(&format!(
        "\nThe collector stays up (Ctrl-C ends it). Send an event of your own:\n\n  curl -s {url}/v1/events -H 'Authorization: Bearer \
         {write_key}' -d '{{\"events\":[{{\"id\":\"mine-1\",\"type\":\"product_view\",\"device\":\"me\",\"product\":{{\"id\":\"p1\",\
         \"price\":\"9.90\",\"currency\":\"EUR\"}}}}]}}'\n\nand ask for it, in another terminal:\n\n  MILLSTREAM_DATA_DIR={data_dir} \
         cargo run -- query \"select session_id, p_purchase, reasons from scores_propensity_current order by scored_at desc limit 3\"\n"
    ));
}

fn first_site(config: &Config) -> Result<(String, String), Failure> {
    config
        .sites
        .first()
        .and_then(|site| Some((site.name.clone(), site.write_keys.first()?.clone())))
        .ok_or_else(|| Failure::new("the demo needs a site with a write key; without a configuration file it has one"))
}

/// The address, or the same with any free port where it is taken.
fn free_or_any(address: SocketAddr) -> Result<SocketAddr, Failure> {
    if TcpListener::bind(address).is_ok() {
        return Ok(address);
    }
    let any = TcpListener::bind(SocketAddr::new(address.ip(), 0))?;
    let free = any.local_addr()?;
    tell(&format!("{address} is taken; using {free}"));
    drop(any);
    std::thread::sleep(Duration::from_millis(10));
    Ok(free)
}
