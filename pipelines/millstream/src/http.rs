//! The HTTP service: collector and operator's routes, on a runtime of its own.

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use millstream_collect::{Collector, TlsFiles, admin_router, drain_period, router, serve};
use prometheus::Registry;
use tokio::runtime::Builder;

/// How long open requests of an operator may still take when the process stops.
const ADMIN_DRAIN: Duration = Duration::from_secs(1);
/// How soon a stop is noticed.
const STOP_POLL: Duration = Duration::from_millis(50);

/// Where to listen.
pub struct Listeners {
    /// The collector's address.
    pub public: SocketAddr,
    /// The operator's address.
    pub admin: SocketAddr,
    /// HTTPS files of the collector.
    pub tls: Option<TlsFiles>,
    /// What is served beside the collector, on its address.
    pub beside: Router,
}

/// Serves until `stop` is set; open requests are finished.
///
/// # Errors
/// Where an address or a TLS file cannot be used.
pub fn run(
    collector: Arc<Collector>,
    metrics: Registry,
    listeners: Listeners,
    stop: &AtomicBool,
) -> Result<(), String> {
    on_runtime(Builder::new_multi_thread().worker_threads(2), async {
        let (handle, admin_handle) = (Handle::new(), Handle::new());
        let routes = router(collector).merge(listeners.beside);
        let public = serve(listeners.public, listeners.tls.as_ref(), routes, handle.clone());
        let admin = serve(listeners.admin, None, admin_router(metrics), admin_handle.clone());
        // Either listener's failure ends the service at once; a stop waits for both.
        until_stopped(stop, async { tokio::try_join!(public, admin).map(drop) }, || {
            handle.graceful_shutdown(Some(drain_period()));
            admin_handle.graceful_shutdown(Some(ADMIN_DRAIN));
        })
        .await
    })
}

/// Serves only the operator's routes, for a process without collector, until `stop` is set.
///
/// # Errors
/// Where the address cannot be used.
pub fn run_admin(metrics: Registry, address: SocketAddr, stop: &AtomicBool) -> Result<(), String> {
    run_routes(admin_router(metrics), address, stop)
}

/// Serves `routes` and nothing else, until `stop` is set.
///
/// # Errors
/// Where the address cannot be used.
pub fn run_routes(routes: Router, address: SocketAddr, stop: &AtomicBool) -> Result<(), String> {
    on_runtime(&mut Builder::new_current_thread(), async {
        let handle = Handle::new();
        let served = serve(address, None, routes, handle.clone());
        until_stopped(stop, served, || handle.graceful_shutdown(Some(ADMIN_DRAIN))).await
    })
}

/// Runs `service` on a runtime of its own.
fn on_runtime<E: Display>(builder: &mut Builder, service: impl Future<Output = Result<(), E>>) -> Result<(), String> {
    let runtime = builder.enable_all().build().map_err(|error| format!("cannot start the HTTP runtime: {error}"))?;
    runtime.block_on(service).map_err(|error| error.to_string())
}

/// Waits for `served` to end; calls `shut_down`, which should make it end, once `stop` is set.
async fn until_stopped<E>(
    stop: &AtomicBool,
    served: impl Future<Output = Result<(), E>>,
    shut_down: impl FnOnce(),
) -> Result<(), E> {
    let stopped = async {
        while !stop.load(Ordering::Acquire) {
            tokio::time::sleep(STOP_POLL).await;
        }
        shut_down();
        std::future::pending().await
    };
    tokio::select! {
        result = served => result,
        result = stopped => result,
    }
}
