//! The HTTP service: collector and operator's routes, on a runtime of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use millstream_collect::{Collector, TlsFiles, admin_router, drain_period, router, serve};
use prometheus::Registry;

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
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the HTTP runtime: {error}"))?;
    runtime.block_on(async {
        let handle = Handle::new();
        let admin_handle = Handle::new();
        let routes = router(collector).merge(listeners.beside);
        let public = serve(listeners.public, listeners.tls.as_ref(), routes, handle.clone());
        let admin = serve(listeners.admin, None, admin_router(metrics), admin_handle.clone());
        let stopped = async {
            while !stop.load(Ordering::Acquire) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            handle.graceful_shutdown(Some(drain_period()));
            admin_handle.graceful_shutdown(Some(Duration::from_secs(1)));
        };
        // Either listener's failure ends the service at once; a stop waits for both.
        tokio::select! {
            result = async { tokio::try_join!(public, admin) } => result.map(drop),
            () = async { stopped.await; std::future::pending::<()>().await } => Ok(()),
        }
        .map_err(|error| error.to_string())
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
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the HTTP runtime: {error}"))?;
    runtime.block_on(async {
        let handle = Handle::new();
        let served = serve(address, None, routes, handle.clone());
        let stopped = async {
            while !stop.load(Ordering::Acquire) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            handle.graceful_shutdown(Some(Duration::from_secs(1)));
            std::future::pending::<()>().await;
        };
        tokio::select! {
            result = served => result,
            () = stopped => Ok(()),
        }
        .map_err(|error| error.to_string())
    })
}
