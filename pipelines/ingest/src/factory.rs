//! Makes ingest stages, one for each partition of the input.

use std::sync::Arc;

use millstream_ledger::StageBook;
use millstream_runtime::{LedgerBook, Stage, StageFactory};
use millstream_schemas::Tick;
use millstream_transports::TopicSpec;

use crate::config::{IngestConfig, IngestTopics};
use crate::fates::FateTotals;
use crate::stage::IngestStage;

/// Index of `events` among the outputs.
pub const OUT_EVENTS: u16 = 0;
/// Index of `events.rejected` among the outputs.
pub const OUT_REJECTED: u16 = 1;
/// Index of `identity` among the outputs.
pub const OUT_IDENTITY: u16 = 2;
/// Index of `events.collected` among the outputs: ticks go there.
pub const OUT_COLLECTED: u16 = 3;
/// Index of `ledger` among the outputs.
pub const OUT_LEDGER: u16 = 4;
/// The stage's name.
const STAGE: &str = "ingest";

/// The version of what the stage makes of its input ([`StageFactory::logic_version`]). It rises with every change after which the same
/// records give other outputs or another state: of parsing and validation, of the lists that tell channels, devices and bots, of
/// identity and de-duplication. A snapshot's format may change without it, as long as the older one is read.
///
/// 1: the first.
pub const LOGIC_VERSION: u32 = 1;

/// What the stages of one process share; nothing in it can change an output.
#[derive(Debug)]
pub struct Shared {
    /// Settings.
    pub config: IngestConfig,
    /// Fates of committed epochs, for metrics.
    pub totals: FateTotals,
}

/// Makes ingest stages.
#[derive(Debug, Clone)]
pub struct IngestFactory {
    shared: Arc<Shared>,
    book: StageBook,
}

impl IngestFactory {
    /// A factory of stages with these settings.
    pub fn new(config: IngestConfig) -> Self {
        let book = StageBook::new(STAGE, OUT_LEDGER, &outputs(&config.topics), config.schema_ids.clone());
        Self { book, shared: Arc::new(Shared { config, totals: FateTotals::default() }) }
    }

    /// What became of the records of this process, for metrics.
    pub fn fates(&self) -> &FateTotals {
        &self.shared.totals
    }

    /// As [`StageFactory::make`], with the concrete type.
    pub fn stage(&self, partition: u32) -> IngestStage {
        IngestStage::new(Arc::clone(&self.shared), partition)
    }
}

fn outputs(topics: &IngestTopics) -> Vec<TopicSpec> {
    [&topics.events, &topics.rejected, &topics.identity, &topics.collected, &topics.ledger].map(Clone::clone).into()
}

impl StageFactory for IngestFactory {
    fn name(&self) -> &'static str {
        STAGE
    }

    fn inputs(&self) -> Vec<TopicSpec> {
        vec![self.shared.config.topics.collected.clone()]
    }

    fn outputs(&self) -> Vec<TopicSpec> {
        outputs(&self.shared.config.topics)
    }

    fn ledger(&self) -> Option<&dyn LedgerBook> {
        Some(&self.book)
    }

    fn make(&self, partition: u32) -> Box<dyn Stage> {
        Box::new(self.stage(partition))
    }

    fn logic_version(&self) -> u32 {
        LOGIC_VERSION
    }

    fn tick(&self, now_ms: i64) -> Option<(u16, Vec<u8>)> {
        let mut value = Vec::with_capacity(32);
        let schema_id = self.shared.config.schema_ids.to_wire(Tick::ID);
        Tick { origin: "live", time: now_ms }.encode_framed(schema_id, &mut value);
        Some((OUT_COLLECTED, value))
    }
}
