//! What a profile task is given when it is made. What may differ per shop is in control records instead.

use std::fmt;
use std::sync::Arc;

use millstream_schemas::{
    Attribution, Churn, Clv, Engagement, Event, Ledger, Order, OrderLine, Profile, Propensity, Refund, RefundLine,
    RefundMatch, Rejected, SchemaIds, Session, topics::PROFILES_LATEST,
};
use millstream_scoring::{Heuristic, Scorer};
use millstream_transports::TopicSpec;

use crate::models::{ArtefactStore, MemoryArtefacts};

/// The topics of the stage, as they must exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileTopics {
    /// `events`: the input, and where hand-overs and changes of owner go.
    pub events: TopicSpec,
    /// `sessions`; as many partitions as the input, like all that follow but the last.
    pub sessions: TopicSpec,
    /// `scores.propensity`.
    pub propensity: TopicSpec,
    /// `orders`.
    pub orders: TopicSpec,
    /// `order.lines`.
    pub order_lines: TopicSpec,
    /// `refunds`.
    pub refunds: TopicSpec,
    /// `refund.lines`.
    pub refund_lines: TopicSpec,
    /// `refund.matches`.
    pub refund_matches: TopicSpec,
    /// `attribution`.
    pub attribution: TopicSpec,
    /// `scores.churn`.
    pub churn: TopicSpec,
    /// `clv`.
    pub clv: TopicSpec,
    /// `scores.engagement`.
    pub engagement: TopicSpec,
    /// `profiles`.
    pub profiles: TopicSpec,
    /// `profiles.latest`, compacted.
    pub profiles_latest: TopicSpec,
    /// `events.rejected`.
    pub rejected: TopicSpec,
    /// `ledger`; as many partitions as the input.
    pub ledger: TopicSpec,
}

impl ProfileTopics {
    /// The topics as `spec` describes each by its name.
    pub fn of(mut spec: impl FnMut(&'static str) -> TopicSpec) -> Self {
        Self {
            events: spec(Event::TOPIC),
            sessions: spec(Session::TOPIC),
            propensity: spec(Propensity::TOPIC),
            orders: spec(Order::TOPIC),
            order_lines: spec(OrderLine::TOPIC),
            refunds: spec(Refund::TOPIC),
            refund_lines: spec(RefundLine::TOPIC),
            refund_matches: spec(RefundMatch::TOPIC),
            attribution: spec(Attribution::TOPIC),
            churn: spec(Churn::TOPIC),
            clv: spec(Clv::TOPIC),
            engagement: spec(Engagement::TOPIC),
            profiles: spec(Profile::TOPIC),
            profiles_latest: spec(PROFILES_LATEST),
            rejected: spec(Rejected::TOPIC),
            ledger: spec(Ledger::TOPIC),
        }
    }
}

/// Settings of the profile stage.
#[derive(Clone)]
pub struct ProfileConfig {
    /// The topics.
    pub topics: ProfileTopics,
    /// Schema ids on the wire; identity without a registry.
    pub schema_ids: SchemaIds,
    /// Who scores sessions until the log promotes a model; the labelled heuristic by default.
    pub scorer: Arc<dyn Scorer>,
    /// Where the artefacts of promoted models are; by default those that come with the program.
    pub artefacts: Arc<dyn ArtefactStore>,
}

impl ProfileConfig {
    /// The defaults: no registry, the heuristic.
    pub fn new(topics: ProfileTopics) -> Self {
        Self {
            topics,
            schema_ids: SchemaIds::identity(),
            scorer: Arc::new(Heuristic),
            artefacts: Arc::new(MemoryArtefacts::builtin()),
        }
    }
}

impl fmt::Debug for ProfileConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProfileConfig")
            .field("topics", &self.topics)
            .field("schema_ids", &self.schema_ids)
            .field("scorer", &self.scorer.model())
            .finish_non_exhaustive()
    }
}
