//! `millstream check` names a transaction that nobody ends, and the records behind it that cannot be read.

use std::time::Duration;

use millstream_tests::binary::Installation;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

const PATIENCE: Duration = Duration::from_secs(30);

fn check(installation: &Installation) -> (bool, String) {
    let output = installation.command().arg("check").output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_hanging_transaction_kafka() {
    let Some(installation) = Installation::on_servers("a_hanging_transaction_kafka") else { return };
    for command in ["topics", "migrate"] {
        assert!(installation.command().arg(command).status().unwrap().success());
    }
    let (good, said) = check(&installation);
    assert!(good && said.contains("transactions: fine"), "{said}");

    let topic = installation.topic("sessions");
    // A time-out that is longer than any that the configuration allows stands for a broker that never ends it.
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", std::env::var("KAFKA_BROKERS").unwrap())
        .set("transactional.id", &topic)
        .set("transaction.timeout.ms", "300000")
        .create()
        .unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    producer.send(BaseRecord::to(&topic).partition(1).key("k").payload("never")).unwrap();
    producer.flush(PATIENCE).unwrap();
    let (good, said) = check(&installation);
    assert!(!good, "{said}");
    let named = format!("transactions: {topic}[1]: a transaction hangs from offset 0 on");
    assert!(said.contains(&named) && said.contains("docs/operate/hanging-transaction.md"), "{said}");

    producer.abort_transaction(PATIENCE).unwrap();
    let (good, said) = check(&installation);
    assert!(good && said.contains("transactions: fine"), "{said}");
}
