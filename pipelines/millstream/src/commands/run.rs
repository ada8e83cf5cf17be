//! `millstream run`, `collect`, `deliver`: services until a signal.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use millstream_collect::Collector;
use millstream_replay::closing::ClosingWatch;
use millstream_runtime::{Clock, SystemClock};
use millstream_schemas::Control;

use crate::app::App;
use crate::cli::Service;
use crate::config::Config;
use crate::demo::folder;
use crate::error::Failure;
use crate::http::{self, Listeners};
use crate::metrics::ProcessMetrics;
use crate::progress::tell;
use crate::services::Services;
use crate::{serving, topology};

/// Between two looks whether the namespace is handed over.
const CLOSING_LOOK: Duration = Duration::from_millis(500);
/// Between two rounds of retention.
const RETENTION_EVERY: Duration = Duration::from_secs(60);

/// Runs the named services (all where none is named) until SIGTERM or Ctrl-C, then drains.
///
/// # Errors
/// Where a service cannot start or ends by itself.
pub fn run(config: Config, services: &[Service]) -> Result<(), Failure> {
    let wanted = |service: Service| services.is_empty() || services.contains(&service);
    if services.contains(&Service::Serve) && config.serve.listen.is_none() {
        return Err(Failure::new("live reads have no address; set serve.listen, for example 127.0.0.1:8082"));
    }
    free(&config, &wanted)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let app = App::open(config, clock)?;
    if wanted(Service::Collect) {
        app.refuse_if_closed()?;
    }
    folder::keep(&app.config.data_dir)?;
    let mut running = Services::new();
    let ingest = if wanted(Service::Ingest) { Some(app.start_ingest(&mut running)?) } else { None };
    if wanted(Service::Profile) {
        app.start_profile(&mut running)?;
    }
    let delivery = if wanted(Service::Deliver) { Some(app.start_delivery(&mut running)?) } else { None };
    let stages = running.stage_stats();
    let process = ProcessMetrics::new(&app.metrics)?;
    running.start("metrics", move |stop| {
        process.run(&stages, ingest.as_ref(), delivery.as_deref(), stop);
        Ok(())
    });
    start_retention(&app, &mut running);
    start_log_watch(&app, &mut running);
    if wanted(Service::Collect) {
        start_http(&app, Router::new(), &mut running)?;
    } else {
        start_admin(&app, &mut running);
    }
    if let (true, Some(address)) = (wanted(Service::Serve), app.config.serve.listen) {
        serving::start(&app, address, &mut running)?;
    }
    wait_for_signal(&running)?;
    tell("stopping: finishing requests and epochs");
    running.stop().map_err(Failure::new)
}

/// Applies the log's retention now and then, where it is set and nobody else does it.
fn start_retention(app: &App, running: &mut Services) {
    if app.config.retention_hours == 0 {
        return;
    }
    let (transport, clock) = (Arc::clone(&app.transport), Arc::clone(&app.clock));
    running.start("retention", move |stop| {
        let mut next = clock.monotonic();
        while !stop.load(Ordering::Acquire) {
            if clock.monotonic() >= next {
                next = clock.monotonic() + RETENTION_EVERY;
                transport.apply_retention(clock.now_ms()).map_err(|error| error.to_string())?;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    });
}

/// Ends the process where its log has ended (a write failed and nobody knows what of it is on disk): a new process opens it anew and
/// goes on, this one could only refuse.
fn start_log_watch(app: &App, running: &mut Services) {
    let transport = Arc::clone(&app.transport);
    running.start("log", move |stop| {
        while !stop.load(Ordering::Acquire) {
            if let Some(why) = transport.ended() {
                return Err(format!("the log has ended: {why}; start again, and it is opened anew"));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    });
}

/// Starts the collector's HTTP service, with the routes `beside` it on its address.
///
/// # Errors
/// Where the log cannot be reached.
pub fn start_http(app: &App, beside: Router, running: &mut Services) -> Result<(), Failure> {
    let clock = Arc::clone(&app.clock);
    let collector = app.collector(Box::new(move || clock.now_ms()))?;
    start_closing_watch(app, Arc::clone(&collector), running);
    let settings = &app.config.collect;
    let (public, admin, tls) = (settings.listen, settings.admin_listen, settings.tls.clone());
    let listeners = Listeners { public, admin, tls, beside };
    let scheme = if listeners.tls.is_some() { "https" } else { "http" };
    tell(&format!(
        "collector on {scheme}://{}/v1/events, metrics on http://{}/metrics",
        listeners.public, listeners.admin
    ));
    let metrics = app.metrics.clone();
    running.start("collect", move |stop| http::run(collector, metrics, listeners, stop));
    Ok(())
}

/// Has the collector refuse requests while another namespace has taken over, and while nobody can tell.
fn start_closing_watch(app: &App, collector: Arc<Collector>, running: &mut Services) {
    let transport = Arc::clone(&app.transport);
    let mut watch = ClosingWatch::new(topology::name(&app.config, Control::TOPIC), app.ids.clone());
    // From here on requests are refused where no look succeeds for too long.
    collector.looked(None, collector.monotonic_now());
    let mut was_told = true;
    let mut look = move || {
        let looked_at = collector.monotonic_now();
        let told = watch.look(transport.as_ref());
        let is_told = told.is_ok();
        match told {
            Ok(successor) => collector.looked(successor.map(str::to_owned), looked_at),
            Err(error) if was_told => tracing::warn!(%error, "cannot tell whether this namespace is handed over"),
            Err(_) => {}
        }
        was_told = is_told;
    };
    // Before the first request.
    look();
    running.start("closing", move |stop| {
        while !stop.load(Ordering::Acquire) {
            std::thread::sleep(CLOSING_LOOK);
            look();
        }
        Ok(())
    });
}

/// Metrics and health of a process without collector.
fn start_admin(app: &App, running: &mut Services) {
    let (metrics, address) = (app.metrics.clone(), app.config.collect.admin_listen);
    tell(&format!("metrics and health on http://{address}"));
    running.start("admin", move |stop| http::run_admin(metrics, address, stop));
}

/// Refuses before anything starts where an address is taken: a second later it would have to undo it all.
fn free(config: &Config, wanted: &dyn Fn(Service) -> bool) -> Result<(), Failure> {
    let listen = ("collect.listen", config.collect.listen);
    let admin = ("collect.admin_listen", config.collect.admin_listen);
    let live = config.serve.listen.map(|address| ("serve.listen", address));
    let collects = wanted(Service::Collect).then_some(listen);
    let serves = live.filter(|_| wanted(Service::Serve));
    for (key, address) in [collects, Some(admin), serves].into_iter().flatten() {
        TcpListener::bind(address)
            .map_err(|error| Failure::new(format!("{key} = {address}: {error}; choose another address")))?;
    }
    Ok(())
}

/// Waits for SIGTERM, Ctrl-C or the failure of a service.
///
/// # Errors
/// Where signals cannot be listened to.
pub fn wait_for_signal(running: &Services) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        loop {
            tokio::select! {
                _ = terminate.recv() => return Ok(()),
                _ = tokio::signal::ctrl_c() => return Ok(()),
                () = tokio::time::sleep(Duration::from_millis(200)) => if running.failed() { return Ok(()) },
            }
        }
    })
}
