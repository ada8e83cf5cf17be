//! Configuration, log and schema ids put together: what every command that touches the log starts from.

use std::sync::Arc;

use millstream_collect::{CollectMetrics, Collector, WallClock};
use millstream_deliver::{BatchLimits, ClickHouse, ClickHouseSink, DeliverMetrics};
use millstream_ingest::{BreakerConfig, IngestConfig, IngestFactory, IngestTopics};
use millstream_profile::{ProfileConfig, ProfileFactory, ProfileTopics};
use millstream_replay::closing::{ClosedBy, closed_by};
use millstream_runtime::Clock;
use millstream_schemas::{Collected, Event, Identity, Ledger, Rejected, SchemaIds};
use millstream_transports::Transport;
use millstream_warehouse::{ParquetSink, Warehouse};
use prometheus::Registry;

use crate::artefacts::Artefacts;
use crate::config::{Config, WarehouseKind};
use crate::delivery::{self, DeliveryHandle};
use crate::error::Failure;
use crate::services::Services;
use crate::{control, log, registry, topology};

/// An opened installation.
pub struct App {
    /// The configuration.
    pub config: Config,
    /// The log.
    pub transport: Arc<dyn Transport>,
    /// Schema ids on the wire.
    pub ids: SchemaIds,
    /// The clock of workers and delivery.
    pub clock: Arc<dyn Clock>,
    /// Metrics of this process.
    pub metrics: Registry,
}

impl App {
    /// Opens the log, registers schemas where a registry is configured, creates missing topics and publishes the sites' settings, unless the
    /// namespace was handed over.
    ///
    /// # Errors
    /// Where any of it fails.
    pub fn open(config: Config, clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        let ids = registry::register(&config.registry.url, &config.namespace)?;
        let transport = log::open(&config)?;
        transport.ensure_topics(&topology::all(&config))?;
        // Nothing applies in a namespace that was handed over; it may be opened again, with other settings.
        if closed_by(transport.as_ref(), &ids, &config.namespace)?.is_none() {
            control::publish_site_settings(transport.as_ref(), &config.namespace, &ids, &config.sites, clock.now_ms())?;
        }
        Ok(Self { config, transport, ids, clock, metrics: Registry::new() })
    }

    /// The same log with another configuration, such as that of another namespace.
    pub fn in_namespace(&self, config: Config) -> Self {
        let (transport, clock) = (Arc::clone(&self.transport), Arc::clone(&self.clock));
        Self { config, transport, ids: self.ids.clone(), clock, metrics: Registry::new() }
    }

    /// Refuses where another namespace has taken over.
    ///
    /// # Errors
    /// Then, and where the log cannot be read.
    pub fn refuse_if_closed(&self) -> Result<(), Failure> {
        refuse_if_closed(self.transport.as_ref(), &self.ids, &self.config.namespace)
    }

    /// The ingest stage as configured.
    pub fn ingest(&self) -> IngestFactory {
        let topics = IngestTopics {
            collected: topology::spec(&self.config, Collected::TOPIC),
            events: topology::spec(&self.config, Event::TOPIC),
            rejected: topology::spec(&self.config, Rejected::TOPIC),
            identity: topology::spec(&self.config, Identity::TOPIC),
            ledger: topology::spec(&self.config, Ledger::TOPIC),
        };
        let breaker = BreakerConfig {
            rejected_share_max: self.config.ingest.rejected_share_max,
            window_records: self.config.ingest.rejected_window,
        };
        IngestFactory::new(IngestConfig { schema_ids: self.ids.clone(), breaker, ..IngestConfig::new(topics) })
    }

    /// The profile stage as configured.
    pub fn profile(&self) -> ProfileFactory {
        let topics = ProfileTopics::of(|name| topology::spec(&self.config, name));
        let artefacts = Arc::new(Artefacts::of(&self.config));
        ProfileFactory::new(ProfileConfig { schema_ids: self.ids.clone(), artefacts, ..ProfileConfig::new(topics) })
    }

    /// Starts both stages.
    ///
    /// # Errors
    /// Where the log refuses.
    pub fn start_ingest(&self, services: &mut Services) -> Result<IngestFactory, Failure> {
        let ingest = self.ingest();
        services.start_stage(&self.config, &self.transport, Arc::new(ingest.clone()), &self.clock)?;
        Ok(ingest)
    }

    /// Starts the profile stage.
    ///
    /// # Errors
    /// Where the log refuses.
    pub fn start_profile(&self, services: &mut Services) -> Result<(), Failure> {
        services.start_stage(&self.config, &self.transport, Arc::new(self.profile()), &self.clock)?;
        Ok(())
    }

    /// Starts delivery to the configured warehouse.
    ///
    /// # Errors
    /// Where settings make no sense.
    pub fn start_delivery(&self, services: &mut Services) -> Result<Arc<DeliveryHandle>, Failure> {
        let handle = Arc::new(DeliveryHandle::default());
        let shared = Arc::clone(&handle);
        let (transport, clock) = (Arc::clone(&self.transport), Arc::clone(&self.clock));
        match self.config.warehouse {
            WarehouseKind::Embedded => {
                let config =
                    delivery::deliver_config(&self.config, delivery::PARQUET, BatchLimits::parquet(), &self.ids)?;
                let sink = ParquetSink::new(self.warehouse().folder());
                let metrics = DeliverMetrics::new(&self.metrics, delivery::PARQUET)?;
                services.start("deliver", move |stop| {
                    delivery::run(transport, sink, config, clock, metrics, &shared, stop)
                });
            }
            WarehouseKind::Clickhouse => {
                let config =
                    delivery::deliver_config(&self.config, delivery::CLICKHOUSE, BatchLimits::clickhouse(), &self.ids)?;
                let client = ClickHouse::new(&self.config.clickhouse)?;
                let metrics = DeliverMetrics::new(&self.metrics, delivery::CLICKHOUSE)?;
                services.start("deliver", move |stop| {
                    if !delivery::migrate(&client, stop)? {
                        return Ok(());
                    }
                    let sink = ClickHouseSink::new(client);
                    delivery::run(transport, sink, config, clock, metrics, &shared, stop)
                });
            }
        }
        Ok(handle)
    }

    /// The embedded warehouse in the data directory.
    pub fn warehouse(&self) -> Warehouse {
        warehouse(&self.config)
    }

    /// A collector on the log.
    ///
    /// # Errors
    /// Where the log cannot be reached.
    pub fn collector(&self, now_ms: WallClock) -> Result<Arc<Collector>, Failure> {
        let metrics = Arc::new(CollectMetrics::new(&self.metrics)?);
        let sites = self.config.sites.iter().map(crate::config::SiteSection::keys).collect();
        let topic = topology::name(&self.config, Collected::TOPIC);
        let config = self.config.collect.clone();
        Ok(Collector::new(config, sites, self.transport.as_ref(), &topic, self.ids.clone(), metrics, now_ms)?)
    }
}

/// Refuses where another namespace has taken over: what came in here would only be refused.
///
/// # Errors
/// Then, and where the log cannot be read.
pub fn refuse_if_closed(transport: &dyn Transport, ids: &SchemaIds, namespace: &str) -> Result<(), Failure> {
    match closed_by(transport, ids, namespace)? {
        None => Ok(()),
        Some(ClosedBy { successor, .. }) => Err(Failure::new(format!(
            "namespace {namespace:?} was handed over to {successor:?}: set namespace = {successor:?}, or take it back with `millstream \
             replay hand-over --back`"
        ))),
    }
}

/// The embedded warehouse of a configuration; it is read without the log.
pub fn warehouse(config: &Config) -> Warehouse {
    Warehouse::new(config.warehouse_folder())
}
