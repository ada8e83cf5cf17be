//! What types cannot say.

use super::Config;
use crate::snapshots;

/// A setting that makes no sense.
pub(super) struct Problem {
    /// Its path in the file.
    pub path: &'static [&'static str],
    /// Which of several sections it is in, from 0: `[[sites]]` is the only repeated one.
    pub section: usize,
    /// What is wrong and what to do.
    pub detail: String,
}

type Check = (&'static [&'static str], fn(&Config) -> Option<String>);
/// A check of the sites; says which site is at fault.
type SiteCheck = (&'static [&'static str], fn(&Config) -> Option<(usize, String)>);

const CHECKS: &[Check] = &[
    (&["partitions"], |config| outside(config.partitions as usize, 1, 1_024)),
    (&["workers"], |config| outside(config.workers, 1, 256)),
    (&["epoch_max_ms"], |config| outside_u64(config.epoch_max_ms, 1, 5_000)),
    (&["namespace"], |config| bad_namespace(&config.namespace)),
    (&["kafka", "security"], |config| {
        not_one_of(&config.kafka.security, &["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"])
    }),
    (&["kafka", "sasl_mechanism"], |config| {
        not_one_of(&config.kafka.sasl_mechanism, &["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
    }),
    (&["kafka", "group_protocol"], |config| not_one_of(&config.kafka.group_protocol, &["classic", "consumer"])),
    (&["ingest", "rejected_share_max"], |config| {
        let share = config.ingest.rejected_share_max;
        (!(0.0..=1.0).contains(&share)).then(|| format!("{share} is outside 0 to 1"))
    }),
    (&["ingest", "rejected_window"], |config| outside(config.ingest.rejected_window as usize, 10, 10_000_000)),
    (&["deliver", "max_rows"], |config| outside(config.deliver.max_rows, 1, 10_000_000)),
    (&["deliver", "max_bytes"], |config| outside(config.deliver.max_bytes, 1 << 10, 1 << 30)),
    (&["deliver", "purposes"], |config| unknown_purpose(&config.deliver.purposes)),
    (&["collect", "max_batch_events"], |config| outside(config.collect.max_batch_events, 1, 100_000)),
    (&["collect", "max_event_bytes"], |config| outside(config.collect.max_event_bytes, 256, 900 << 10)),
    (&["collect", "max_body_bytes"], |config| {
        outside(config.collect.max_body_bytes, config.collect.max_event_bytes, 64 << 20)
    }),
    (&["collect", "append_timeout_ms"], |config| outside_u64(config.collect.append_timeout_ms, 100, 120_000)),
    (&["kafka", "session_timeout_ms"], |config| outside_u64(config.kafka.session_timeout_ms.into(), 6_000, 300_000)),
    (&["deliver", "max_age_ms"], |config| outside_u64(config.deliver.max_age_ms, 1, 600_000)),
    (&["clickhouse", "timeout_ms"], |config| outside_u64(config.clickhouse.timeout_ms, 1_000, 600_000)),
    (&["clickhouse", "connect_timeout_ms"], |config| outside_u64(config.clickhouse.connect_timeout_ms, 100, 60_000)),
    (&["snapshots", "url"], |config| snapshots::bad_url(&config.snapshots)),
    (&["snapshots", "endpoint"], |config| snapshots::bad_endpoint(&config.snapshots)),
    (&["snapshots", "secret_access_key"], |config| snapshots::bad_credentials(&config.snapshots)),
    (&["snapshots", "interval_ms"], |config| outside_u64(config.snapshots.interval_ms, 100, 86_400_000)),
    (&["snapshots", "keep_days"], |config| outside(config.snapshots.keep_days as usize, 0, 30)),
    (&["serve", "max_connections"], |config| outside(config.serve.max_connections, 1, 100_000)),
    (&["serve", "max_rows"], |config| outside(config.serve.max_rows, 1, 10_000_000)),
    (&["serve", "max_row_bytes"], |config| outside(config.serve.max_row_bytes, 1 << 10, 1 << 20)),
    (&["serve", "purposes"], |config| unknown_purpose(&config.serve.purposes)),
];

const SITE_CHECKS: &[SiteCheck] = &[
    (&["sites", "write_keys"], bad_keys),
    (&["sites", "read_tokens"], bad_tokens),
    (&["sites", "name"], bad_names),
    (&["sites", "max_events_per_second"], bad_rates),
    (&["sites", "settings"], bad_settings),
];

pub(super) fn first_problem(config: &Config) -> Option<Problem> {
    let found = CHECKS.iter().find_map(|(path, check)| Some(Problem { path, section: 0, detail: check(config)? }));
    found.or_else(|| {
        SITE_CHECKS.iter().find_map(|(path, check)| {
            let (section, detail) = check(config)?;
            Some(Problem { path, section, detail })
        })
    })
}

fn outside_u64(value: u64, least: usize, most: usize) -> Option<String> {
    outside(usize::try_from(value).unwrap_or(usize::MAX), least, most)
}

fn outside(value: usize, least: usize, most: usize) -> Option<String> {
    (!(least..=most).contains(&value)).then(|| format!("{value} is outside {least} to {most}"))
}

fn not_one_of(value: &str, choices: &[&str]) -> Option<String> {
    (!choices.contains(&value)).then(|| format!("`{value}` is not one of {}", choices.join(", ")))
}

/// What is wrong with a namespace's prefix, in words.
pub fn bad_namespace(namespace: &str) -> Option<String> {
    let fine =
        namespace.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')) && namespace.len() <= 64;
    if !fine {
        return Some(format!("`{namespace}` may hold letters, digits, `.`, `_` and `-` only, at most 64"));
    }
    // `rebuilt` for `rebuilt.` would be another namespace, silently empty.
    let is_separate = namespace.is_empty() || namespace.ends_with(['.', '_', '-']);
    (!is_separate).then(|| format!("`{namespace}` precedes every topic's name: end it with a dot, `{namespace}.`"))
}

fn unknown_purpose(purposes: &[String]) -> Option<String> {
    purposes
        .iter()
        .find(|name| millstream_schemas::purposes::parse(name).is_none())
        .map(|name| format!("`{name}` is not one of necessary, analytics, personalization, advertising"))
}

fn bad_keys(config: &Config) -> Option<(usize, String)> {
    let mut seen = std::collections::BTreeSet::new();
    for (at, site) in config.sites.iter().enumerate() {
        for key in &site.write_keys {
            let fine =
                key.len() >= 8 && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~'));
            if !fine {
                let rule = "needs 8 or more letters, digits, `-`, `_`, `.`, `~`";
                return Some((at, format!("a write key of site `{}` {rule}", site.name)));
            }
            if !seen.insert(key) {
                return Some((at, format!("a write key of site `{}` is used twice", site.name)));
            }
        }
    }
    None
}

fn bad_tokens(config: &Config) -> Option<(usize, String)> {
    let write_keys: Vec<&String> = config.sites.iter().flat_map(|site| &site.write_keys).collect();
    let mut seen = std::collections::BTreeSet::new();
    for (at, site) in config.sites.iter().enumerate() {
        for token in &site.read_tokens {
            let fine = token.len() >= 16
                && token.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~'));
            let wrong = if !fine {
                "needs 16 or more letters, digits, `-`, `_`, `.`, `~`"
            } else if write_keys.contains(&token) {
                "is a write key too, and that one is public"
            } else if !seen.insert(token) {
                "is used twice"
            } else {
                continue;
            };
            return Some((at, format!("a read token of site `{}` {wrong}", site.name)));
        }
    }
    None
}

fn bad_names(config: &Config) -> Option<(usize, String)> {
    let mut seen = std::collections::BTreeSet::new();
    config.sites.iter().enumerate().find_map(|(at, site)| {
        let name = &site.name;
        let fine = !name.is_empty()
            && name.len() <= 64
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if !fine {
            return Some((at, format!("site name `{name}` needs 1 to 64 letters, digits, `-`, `_`, `.`")));
        }
        (!seen.insert(name)).then(|| (at, format!("two sites are called `{name}`")))
    })
}

/// Less than one request's worth of events a second would refuse every batch.
fn bad_rates(config: &Config) -> Option<(usize, String)> {
    config.sites.iter().enumerate().find_map(|(at, site)| {
        let least = u32::try_from(config.collect.max_batch_events).unwrap_or(u32::MAX).div_ceil(2);
        (site.max_events_per_second < least).then(|| {
            (
                at,
                format!(
                    "{} is below {least}: a batch of `collect.max_batch_events` could never pass",
                    site.max_events_per_second
                ),
            )
        })
    })
}

/// The settings as tasks will read them from the log: what they would refuse there is refused here.
fn bad_settings(config: &Config) -> Option<(usize, String)> {
    config.sites.iter().enumerate().find_map(|(at, site)| {
        let body = site.settings_body();
        let refused = millstream_operators::site::Sites::default().apply(&site.name, 1, 0, &body).err()?;
        Some((at, format!("settings of site `{}`: {refused}", site.name)))
    })
}
