//! `millstream topics`

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
        tell(&format!("{:<28} {:>4} partitions  {:?}", topic.name, topic.partitions, topic.retention));
    }
    Ok(())
}
