//! The suite that every transport passes, on a real broker behind a proxy that can swallow the end of a transaction.

use millstream_kafka::{KafkaConfig, KafkaTransport};
use millstream_transports::conformance::{Fixture, run_all};
use millstream_transports::{Transport, TransportError};

use crate::proxy::{Proxy, Swallow};
use crate::support::config;

struct Broker {
    config: KafkaConfig,
    transport: KafkaTransport,
    proxy: Proxy,
}

impl Fixture for Broker {
    fn transport(&self) -> &dyn Transport {
        &self.transport
    }

    fn reopen(&mut self) -> Result<(), TransportError> {
        self.transport = KafkaTransport::new(self.config.clone())?;
        Ok(())
    }

    fn next_commit_is_unknown(&mut self, applied: bool) -> bool {
        self.proxy.swallow_next_commit(if applied { Swallow::Answer } else { Swallow::Request });
        true
    }
}

fn conformance(name: &str, protocol: millstream_kafka::GroupProtocol) {
    let Some(mut config) = config(name) else { return };
    config.group_protocol = protocol;
    let proxy = Proxy::start(&config.brokers);
    config.brokers = proxy.address();
    let transport = KafkaTransport::new(config.clone()).expect("a transport");
    let report = run_all(&mut Broker { config, transport, proxy });
    assert!(report.failed.is_empty(), "{:#?}", report.failed);
    assert!(report.skipped.is_empty(), "{:#?}", report.skipped);
    assert_eq!(report.held.len(), millstream_transports::conformance::CHECKS.len());
}

#[test]
fn the_common_suite_holds_classic() {
    conformance("the_common_suite_holds_classic", millstream_kafka::GroupProtocol::Classic);
}

#[test]
fn the_common_suite_holds_consumer() {
    conformance("the_common_suite_holds_consumer", millstream_kafka::GroupProtocol::Consumer);
}
