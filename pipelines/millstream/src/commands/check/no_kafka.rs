//! What a binary without the feature `kafka` says.

use crate::config::Config;

const WITHOUT: &str = "this binary was built without the feature `kafka`";

pub fn settings(_config: &Config) -> Result<Vec<String>, String> {
    Err(WITHOUT.to_owned())
}

pub fn transactions(_config: &Config) -> Result<Vec<String>, String> {
    Err(WITHOUT.to_owned())
}
