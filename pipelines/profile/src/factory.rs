//! Makes profile stages, one for each partition of `events`.

use std::sync::Arc;

use millstream_ledger::StageBook;
use millstream_runtime::{LedgerBook, Stage, StageFactory};
use millstream_transports::TopicSpec;

use crate::config::{ProfileConfig, ProfileTopics};
use crate::stage::ProfileStage;

/// Index of `sessions` among the outputs.
pub const OUT_SESSIONS: u16 = 0;
/// Index of `scores.propensity` among the outputs.
pub const OUT_PROPENSITY: u16 = 1;
/// Index of `orders` among the outputs.
pub const OUT_ORDERS: u16 = 2;
/// Index of `order.lines` among the outputs.
pub const OUT_ORDER_LINES: u16 = 3;
/// Index of `refunds` among the outputs.
pub const OUT_REFUNDS: u16 = 4;
/// Index of `refund.lines` among the outputs.
pub const OUT_REFUND_LINES: u16 = 5;
/// Index of `refund.matches` among the outputs.
pub const OUT_REFUND_MATCHES: u16 = 6;
/// Index of `attribution` among the outputs.
pub const OUT_ATTRIBUTION: u16 = 7;
/// Index of `scores.churn` among the outputs.
pub const OUT_CHURN: u16 = 8;
/// Index of `clv` among the outputs.
pub const OUT_CLV: u16 = 9;
/// Index of `scores.engagement` among the outputs.
pub const OUT_ENGAGEMENT: u16 = 10;
/// Index of `profiles` among the outputs.
pub const OUT_PROFILES: u16 = 11;
/// Index of `profiles.latest` among the outputs.
pub const OUT_PROFILES_LATEST: u16 = 12;
/// Index of `events` among the outputs: hand-overs, changes of owner, facts about orders, and how far all that is.
pub const OUT_EVENTS: u16 = 13;
/// Index of `events.rejected` among the outputs.
pub const OUT_REJECTED: u16 = 14;
/// Index of `ledger` among the outputs.
pub const OUT_LEDGER: u16 = 15;
/// The stage's name.
const STAGE: &str = "profile";

/// The version of what the stage makes of its input ([`StageFactory::logic_version`]). It rises with every change after which the same
/// records give other outputs or another state: of an operator, of what is sent to other partitions, of a scorer that is built in, of
/// the time zone rules. A snapshot's format may change without it, as long as the older one is read.
///
/// 1: the first. 2: partitions announce to each other how far they are with what they send each other.
pub const LOGIC_VERSION: u32 = 2;

/// Makes profile stages.
#[derive(Debug, Clone)]
pub struct ProfileFactory {
    config: Arc<ProfileConfig>,
    book: StageBook,
}

impl ProfileFactory {
    /// A factory of stages with these settings.
    pub fn new(config: ProfileConfig) -> Self {
        let book = StageBook::new(STAGE, OUT_LEDGER, &outputs(&config.topics), config.schema_ids.clone());
        Self { book, config: Arc::new(config) }
    }

    /// As [`StageFactory::make`], with the concrete type.
    pub fn stage(&self, partition: u32) -> ProfileStage {
        ProfileStage::new(Arc::clone(&self.config), partition)
    }
}

fn outputs(topics: &ProfileTopics) -> Vec<TopicSpec> {
    vec![
        topics.sessions.clone(),
        topics.propensity.clone(),
        topics.orders.clone(),
        topics.order_lines.clone(),
        topics.refunds.clone(),
        topics.refund_lines.clone(),
        topics.refund_matches.clone(),
        topics.attribution.clone(),
        topics.churn.clone(),
        topics.clv.clone(),
        topics.engagement.clone(),
        topics.profiles.clone(),
        topics.profiles_latest.clone(),
        topics.events.clone(),
        topics.rejected.clone(),
        topics.ledger.clone(),
    ]
}

impl StageFactory for ProfileFactory {
    fn name(&self) -> &'static str {
        STAGE
    }

    fn inputs(&self) -> Vec<TopicSpec> {
        vec![self.config.topics.events.clone()]
    }

    fn outputs(&self) -> Vec<TopicSpec> {
        outputs(&self.config.topics)
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
}
