//! The suite that every transport passes, on a real broker behind a proxy that can swallow the end of a transaction.

use millstream_kafka::{GroupProtocol, KafkaConfig, KafkaTransport};
use millstream_transports::conformance::{CHECKS, Fixture, Outcome, run_all};
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

fn broker(name: &str, protocol: GroupProtocol) -> Option<Broker> {
    let mut config = config(name)?;
    config.group_protocol = protocol;
    let proxy = Proxy::start(&config.brokers);
    config.brokers = proxy.address();
    let transport = KafkaTransport::new(config.clone()).expect("a transport");
    Some(Broker { config, transport, proxy })
}

#[test]
fn the_common_suite_holds_classic() {
    let Some(mut broker) = broker("the_common_suite_holds_classic", GroupProtocol::Classic) else { return };
    let report = run_all(&mut broker);
    assert!(report.failed.is_empty(), "{:#?}", report.failed);
    assert!(report.skipped.is_empty(), "{:#?}", report.skipped);
    assert_eq!(report.held.len(), CHECKS.len());
}

/// KIP-848 lets a newcomer wait until the holder of its instance id is gone, so one check cannot hold; `fencing` has what holds instead.
#[test]
fn the_common_suite_holds_consumer() {
    let Some(mut broker) = broker("the_common_suite_holds_consumer", GroupProtocol::Consumer) else { return };
    for (name, check) in CHECKS.iter().filter(|(name, _)| *name != "a_replaced_instance_is_fenced") {
        let verdict = check(&mut broker).unwrap_or_else(|failure| panic!("{name}: {failure}"));
        assert_eq!(verdict, Outcome::Held, "{name}");
    }
}
