//! The transport: opens members, producers and readers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millstream_transports::{
    Appender, Committed, Member, MemberConfig, Reader, Result, TopicSpec, Transactions, Transport, TransportError,
};
use parking_lot::Mutex;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::BaseConsumer;

use crate::appender::KafkaAppender;
use crate::check::{self, CheckError, CheckReport};
use crate::config::KafkaConfig;
use crate::errors::describe;
use crate::events::Quiet;
use crate::hanging::{self, HangingTransaction};
use crate::idle_readers::IdleReaders;
use crate::member::KafkaMember;
use crate::reader::KafkaReader;
use crate::settings;
use crate::topics;
use crate::transactional::TransactionalProducer;

/// Clients kept for questions about groups' offsets: one a group, the newest few.
const KEPT_CLIENTS: usize = 8;

/// Apache Kafka as a log.
pub struct KafkaTransport {
    config: KafkaConfig,
    inquirer: Arc<BaseConsumer<Quiet>>,
    groups: Mutex<BTreeMap<String, Arc<BaseConsumer<Quiet>>>>,
    readers: IdleReaders,
}

impl KafkaTransport {
    /// Checks the configuration and starts a client. Does not wait for the brokers: [`KafkaTransport::check`] does.
    pub fn new(config: KafkaConfig) -> Result<Self> {
        let group = format!("{}-inquirer", config.client_id);
        let inquirer = Arc::new(inquirer(&config, &group)?);
        Ok(Self { config, inquirer, groups: Mutex::default(), readers: IdleReaders::default() })
    }

    /// The configuration this transport was made with.
    pub fn config(&self) -> &KafkaConfig {
        &self.config
    }

    /// Connects, logs in, and compares the cluster's settings and those of `topics` with what our promises need.
    pub fn check(&self, topics: &[TopicSpec]) -> std::result::Result<CheckReport, CheckError> {
        check::check(&self.config, topics)
    }

    /// The transactions of these topics that stay open for longer than the broker should let any; of each partition the first. Answers
    /// at once where none is open. Otherwise one may be somebody's who has just died: it waits for `transaction_timeout_ms` and 20 s
    /// more, which it tells `waiting`.
    ///
    /// # Errors
    /// Where the brokers do not answer, or there is no such topic.
    pub fn hanging_transactions(
        &self,
        topics: &[String],
        waiting: &dyn Fn(Duration),
    ) -> Result<Vec<HangingTransaction>> {
        hanging::hanging(&self.config, self.inquirer.as_ref(), topics, waiting)
    }

    fn require_topics(&self, topics: &[String]) -> Result<()> {
        // A producer that names an unknown topic would have the broker create it with the broker's defaults.
        topics.iter().try_for_each(|topic| topics::partition_count(self.inquirer.as_ref(), topic).map(drop))
    }
}

fn inquirer(config: &KafkaConfig, group: &str) -> Result<BaseConsumer<Quiet>> {
    settings::consumer(config, group)?
        // Polled only now and then, so that log lines would pile up; errors are kept and bounded.
        .set_log_level(RDKafkaLogLevel::Critical)
        .create_with_context(Quiet::default())
        .map_err(|error| describe("starting a client", &error, None))
}

impl Transport for KafkaTransport {
    fn ensure_topics(&self, topics: &[TopicSpec]) -> Result<()> {
        topics::ensure(&self.config, self.inquirer.as_ref(), topics)
    }

    fn partition_count(&self, topic: &str) -> Result<u32> {
        topics::partition_count(self.inquirer.as_ref(), topic)
    }

    fn topic_id(&self, topic: &str) -> Result<String> {
        topics::topic_id(self.inquirer.as_ref(), topic)
    }

    fn member(&self, config: MemberConfig) -> Result<Box<dyn Member>> {
        self.require_topics(&config.inputs)?;
        self.require_topics(&config.outputs)?;
        Ok(Box::new(KafkaMember::join(&self.config, config)?))
    }

    fn appender(&self, topics: Vec<String>) -> Result<Box<dyn Appender>> {
        self.require_topics(&topics)?;
        Ok(Box::new(KafkaAppender::start(&self.config, topics)?))
    }

    fn transactions(&self, transactional_id: &str, topics: Vec<String>) -> Result<Box<dyn Transactions>> {
        self.require_topics(&topics)?;
        let client = settings::transactional(&self.config, transactional_id)?;
        let producer =
            TransactionalProducer::start(client, transactional_id, topics, settings::max_record_bytes(&self.config))?;
        Ok(Box::new(producer))
    }

    fn reader(&self, topic: &str, partition: u32, offset: u64) -> Result<Box<dyn Reader>> {
        Ok(Box::new(KafkaReader::open(&self.config, &self.inquirer, &self.readers, topic, partition, offset)?))
    }

    fn committed(&self, group: &str, topic: &str, partition: u32) -> Result<Option<Committed>> {
        let client = {
            let mut groups = self.groups.lock();
            match groups.get(group) {
                Some(client) => Arc::clone(client),
                None => {
                    if groups.len() >= KEPT_CLIENTS {
                        groups.pop_first();
                    }
                    let client = Arc::new(inquirer(&self.config, group)?);
                    groups.insert(group.to_owned(), Arc::clone(&client));
                    client
                }
            }
        };
        let partition = i32::try_from(partition)
            .map_err(|_| TransportError::Other(format!("{topic} has no partition {partition}")))?;
        topics::committed(client.as_ref(), topic, partition)
    }
}
