//! Live reads in this process: their views, the consumer that keeps them, and their routes.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use millstream_serve::{Consumer, ConsumerConfig, Live, ServeMetrics, SiteTokens};

use crate::app::App;
use crate::config::SiteSection;
use crate::error::Failure;
use crate::http;
use crate::progress::tell;
use crate::services::Services;

/// Views that nobody fills yet.
pub struct Serving {
    live: Arc<Live>,
    metrics: ServeMetrics,
    sites: Vec<SiteTokens>,
}

impl Serving {
    /// Views for the read tokens of the configured sites.
    ///
    /// # Errors
    /// Where the metrics are registered already.
    pub fn new(app: &App) -> Result<Self, Failure> {
        let sites: Vec<SiteTokens> = app.config.sites.iter().map(SiteSection::tokens).collect();
        let live = Live::new(app.config.serve.clone(), &sites, Arc::clone(&app.clock));
        Ok(Self { live, metrics: ServeMetrics::new(&app.metrics)?, sites })
    }

    /// The routes.
    pub fn routes(&self) -> Router {
        millstream_serve::router(Arc::clone(&self.live), self.sites.clone(), self.metrics.clone())
    }

    /// Begins to fill the views.
    pub fn start(&self, app: &App, services: &mut Services) {
        let config = ConsumerConfig {
            namespace: app.config.namespace.clone(),
            instance: app.config.instance_name(),
            schema_ids: app.ids.clone(),
        };
        let (transport, clock) = (Arc::clone(&app.transport), Arc::clone(&app.clock));
        let consumer = Consumer::new(transport, clock, config, Arc::clone(&self.live), self.metrics.clone());
        services.start("serve", move |stop| consumer.run(stop).map_err(|error| error.to_string()));
    }
}

/// Live reads of `millstream run`, on an address of their own.
///
/// # Errors
/// Where the metrics are registered already.
pub fn start(app: &App, address: SocketAddr, services: &mut Services) -> Result<(), Failure> {
    let serving = Serving::new(app)?;
    serving.start(app, services);
    let routes = serving.routes();
    tell(&format!("live reads on http://{address}/v1/live"));
    services.start("live", move |stop| http::run_routes(routes, address, stop));
    Ok(())
}
