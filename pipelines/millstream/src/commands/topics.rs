//! `millstream topics`

use millstream_transports::Retention;

use crate::config::Config;
use crate::error::Failure;
use crate::progress::tell;
use crate::{log, topology};

/// Creates what is missing; refuses where a topic exists with another partition count.
///
/// # Errors
/// Where the log cannot be reached or a topic differs.
pub fn run(config: &Config) -> Result<(), Failure> {
    let topics = topology::all(config);
    log::open(config)?.ensure_topics(&topics)?;
    for topic in &topics {
        let kept = match topic.retention {
            Retention::TimeMs(ms) => format!("{} h", ms / 3_600_000),
            Retention::Forever => "for ever".to_owned(),
            Retention::Compact => "the latest of each key".to_owned(),
        };
        tell(&format!("{:<28} {:>4} partitions, kept: {kept}", topic.name, topic.partitions));
    }
    Ok(())
}
