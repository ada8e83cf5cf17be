//! The servers themselves under SIGKILL: the broker in the middle of an import, the warehouse in the middle of delivery.

use millstream_tests::binary::Installation;
use millstream_tests::crash::running::Running;
use millstream_tests::crash::servers::DevServer;
use millstream_tests::crash::tables::{Bytes, assert_nothing_twice, assert_same, current_views};
use millstream_tests::skip::need;

use crate::{data_file, import_of, my_turn, undisturbed};

const MAPPING: &str = "rees46.toml";
/// Starts after a failure that the failed process told to be one for starting again.
const STARTS: usize = 3;

#[test]
fn a_killed_broker_loses_and_doubles_nothing() {
    let test = "crash::a_killed_broker_loses_and_doubles_nothing";
    let Some(root) = need(test, "MILLSTREAM_DATA") else { return };
    let _turn = my_turn();
    let Some(broker) = DevServer::start(test, "kafka", "KAFKA_BROKERS") else { return };
    let file = data_file("rees46_sample", &root);
    let expected = undisturbed::views(MAPPING, &file);
    let mut installation = Installation::embedded();
    installation.set("TRANSPORT", "kafka");
    installation.set("KAFKA__BROKERS", &broker.address);
    installation.set("KAFKA__DEVELOPMENT", "true");
    let arguments = import_of(MAPPING, &file);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();

    let mut import = Running::start(&installation, &arguments);
    import.until("the import", |import| import.has_said("importing"));
    broker.kill();
    assert!(!import.has_said("rows written"), "it was over before the broker was killed:\n{}", import.said());
    broker.start_again();
    let (mut status, mut said) = import.end();
    // The process rides it out, or ends and says why; then it is started again.
    for _ in 1..STARTS {
        if status.success() {
            break;
        }
        eprintln!("{test}: started again after {status}:\n{said}");
        (status, said) = Running::start(&installation, &arguments).end();
    }
    assert!(status.success(), "still fails after {STARTS} starts:\n{said}");

    assert_eq!(installation.query("select count(*) as n from events"), ["17434"]);
    assert_nothing_twice(&installation, test);
    assert_same(&expected, &current_views(&installation, Bytes::Hex), test);
}

#[test]
fn a_killed_warehouse_loses_and_doubles_nothing() {
    let test = "crash::a_killed_warehouse_loses_and_doubles_nothing";
    let Some(root) = need(test, "MILLSTREAM_DATA") else { return };
    let _turn = my_turn();
    let Some(clickhouse) = DevServer::start(test, "clickhouse", "CLICKHOUSE_URL") else { return };
    let file = data_file("rees46_sample", &root);
    let expected = undisturbed::views(MAPPING, &file);
    let mut installation = Installation::embedded();
    installation.set("WAREHOUSE", "clickhouse");
    installation.set("CLICKHOUSE__URL", &clickhouse.address);
    installation.set("CLICKHOUSE__DATABASE", "crash");
    // Small batches, so that there are many to be killed between.
    installation.set("DELIVER__MAX_ROWS", "500");
    let arguments = import_of(MAPPING, &file);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();

    let mut import = Running::start(&installation, &arguments);
    import.until("the first rows", |_| {
        let rows = installation.try_query("select count(*) as n from events").unwrap_or_default();
        rows.first().is_some_and(|rows| rows != "0")
    });
    clickhouse.kill();
    assert!(!import.has_said("rows written"), "delivery was over before:\n{}", import.said());
    clickhouse.start_again();
    // A warehouse that is down is lag, not loss: the process goes on by itself.
    import.finish();

    assert_eq!(installation.query("select count(*) as n from events"), ["17434"]);
    assert_nothing_twice(&installation, test);
    assert_same(&expected, &current_views(&installation, Bytes::Plain), test);
}
