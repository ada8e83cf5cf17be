//! What a shop may set, and since when: the settings that tasks take from `control` records of kind `site_config`.
//!
//! The body is a JSON object; every setting may be left out and then has its default. Settings apply from the record's position in
//! the log on. The consent policy alone applies by event time, from the record's `effective_at`.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_schemas::input::Reason;
use millstream_schemas::purposes;
use millstream_scoring::btyd::BtydModel;
use serde::Deserialize;

use crate::churn::ChurnSettings;
use crate::clv::ClvSettings;
use crate::customer::SiteDays;

mod codec;

/// Consent policies kept per site; the oldest goes when there are more.
const POLICIES_KEPT: usize = 16;
/// Sites configured at most; each is one entry of a few hundred bytes.
const SITES_MAX: usize = 10_000;
/// The longest horizon a site may set: input, dead letters and snapshots live no longer.
const HORIZON_MAX_MS: i64 = 30 * 86_400_000;
/// The longest session gap, one day.
const SESSION_GAP_MAX_MS: i64 = 86_400_000;

/// The longest lookback of attribution, and the longest half-life: touches are kept that long of everybody.
const ATTRIBUTION_MAX_MS: i64 = 180 * 86_400_000;

/// The `kind` of control records that [`Sites::apply`] reads.
pub const SITE_CONFIG_KIND: &str = "site_config";

/// Where sessions come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionSource {
    /// Inactivity longer than the gap.
    Gap,
    /// The tracker's own session id.
    Tracker,
}

/// A shop's settings. A misspelt one is refused, not ignored.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SiteConfig {
    /// Inactivity that ends a session, milliseconds; 30 minutes by default.
    pub session_gap_ms: i64,
    /// Where sessions come from; the gap by default.
    pub session_source: SessionSource,
    /// Whether a change of campaign starts a new session; no by default.
    pub new_session_on_campaign: bool,
    /// Currency of amounts that name none, and of reports; ISO 4217, `EUR` by default.
    pub currency: String,
    /// IANA time zone of reports and trailing windows; `UTC` by default.
    pub timezone: String,
    /// Purposes of an event whose visitor has said nothing, as bits. By default all but advertising, which is never assumed; where
    /// the law asks for an opt-in, set `["necessary"]`.
    #[serde(deserialize_with = "purpose_bits")]
    pub consent_default: i32,
    /// How late an event may come, milliseconds; 24 hours by default.
    pub horizon_ms: i64,
    /// How long before an order a touch can be credited with it, milliseconds; 90 days by default.
    pub attribution_lookback_ms: i64,
    /// Age by which a touch has half the credit under the time-decay model, milliseconds; 7 days by default.
    pub attribution_half_life_ms: i64,
    /// Instead: number of later touches after which it has half the credit; 0, the default, counts age.
    pub attribution_half_life_touches: u32,
    /// Whether bots that say so are kept (marked) and not dropped; no by default.
    pub keep_declared_bots: bool,
    /// Tiers of churn, and which change of it is told.
    pub churn: ChurnSettings,
    /// Tiers of customer value, and which change of it is told.
    pub clv: ClvSettings,
    /// How often the shop's customers buy and what they spend: a [`BtydModel`] as an object; by default the built-in one, which says
    /// so in every score.
    #[serde(deserialize_with = "btyd_model")]
    pub btyd: Option<Arc<BtydModel>>,
}

impl Default for SiteConfig {
    fn default() -> Self {
        Self {
            session_gap_ms: 30 * 60_000,
            session_source: SessionSource::Gap,
            new_session_on_campaign: false,
            currency: "EUR".to_owned(),
            timezone: "UTC".to_owned(),
            consent_default: purposes::ALL & !purposes::ADVERTISING,
            horizon_ms: 86_400_000,
            attribution_lookback_ms: 90 * 86_400_000,
            attribution_half_life_ms: 7 * 86_400_000,
            attribution_half_life_touches: 0,
            keep_declared_bots: false,
            churn: ChurnSettings::default(),
            clv: ClvSettings::default(),
            btyd: None,
        }
    }
}

fn btyd_model<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Arc<BtydModel>>, D::Error> {
    Ok(Option::<BtydModel>::deserialize(deserializer)?.map(Arc::new))
}

fn purpose_bits<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    names.iter().try_fold(purposes::NECESSARY, |bits, name| match purposes::parse(name) {
        Some(bit) => Ok(bits | bit),
        None => Err(serde::de::Error::custom(format!("consent_default names the unknown purpose {name:?}"))),
    })
}

/// Why a site's settings were refused; the old ones stay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SiteConfigError {
    /// The body is not an object of known types.
    #[error("the settings of site {site:?} cannot be read: {detail}")]
    Malformed {
        /// The site.
        site: String,
        /// What the parser says.
        detail: String,
    },
    /// A setting is outside its range.
    #[error("{field} of site {site:?} is {value}; it must be {range}")]
    OutOfRange {
        /// The site.
        site: String,
        /// The setting.
        field: &'static str,
        /// What it was.
        value: String,
        /// What it may be.
        range: &'static str,
    },
    /// There are too many sites.
    #[error("site {site:?} would be one more than the {SITES_MAX} sites a task can hold")]
    TooMany {
        /// The site.
        site: String,
    },
}

impl SiteConfigError {
    /// Why, as the catalogue calls it, and the setting at fault where it is one.
    pub fn reason(&self) -> (Reason, Option<&'static str>) {
        match self {
            Self::Malformed { .. } => (Reason::WrongType, None),
            Self::OutOfRange { field, .. } => (Reason::OutOfRange, Some(field)),
            Self::TooMany { .. } => (Reason::OutOfRange, Some("site")),
        }
    }
}

impl SiteConfig {
    /// Reads a `site_config` body.
    pub fn parse(site: &str, body: &str) -> Result<Self, SiteConfigError> {
        let config: Self = serde_json::from_str(body)
            .map_err(|error| SiteConfigError::Malformed { site: site.to_owned(), detail: error.to_string() })?;
        let refuse = |field, value: String, range| {
            Err(SiteConfigError::OutOfRange { site: site.to_owned(), field, value, range })
        };
        if !(1..=SESSION_GAP_MAX_MS).contains(&config.session_gap_ms) {
            return refuse("session_gap_ms", config.session_gap_ms.to_string(), "1 to 86400000");
        }
        if !(1..=HORIZON_MAX_MS).contains(&config.horizon_ms) {
            return refuse("horizon_ms", config.horizon_ms.to_string(), "1 to 2592000000 (30 days)");
        }
        for (field, value_ms) in [
            ("attribution_lookback_ms", config.attribution_lookback_ms),
            ("attribution_half_life_ms", config.attribution_half_life_ms),
        ] {
            if !(1..=ATTRIBUTION_MAX_MS).contains(&value_ms) {
                return refuse(field, value_ms.to_string(), "1 to 15552000000 (180 days)");
            }
        }
        if !(config.currency.len() == 3 && config.currency.bytes().all(|byte| byte.is_ascii_uppercase())) {
            return refuse("currency", config.currency, "an ISO 4217 code in capitals");
        }
        if config.timezone.len() > 64 || SiteDays::of_zone(&config.timezone).is_none() {
            return refuse("timezone", config.timezone, "an IANA time zone name such as Europe/London");
        }
        if let Some((field, value, range)) = config.churn.problem().or_else(|| config.clv.problem()) {
            return refuse(field, value, range);
        }
        Ok(config)
    }
}

#[derive(Debug, Clone)]
struct Policy {
    effective_at_ms: i64,
    number: i64,
    bits: i32,
}

#[derive(Debug, Clone, Default)]
struct Timeline {
    config: SiteConfig,
    /// What `config` was read from: a snapshot keeps it.
    body: Box<str>,
    /// Sorted by (effective_at, number).
    policies: Vec<Policy>,
}

/// The settings of every site a task knows; changes since the last commit can be taken back.
#[derive(Debug, Default)]
pub struct Sites {
    by_name: BTreeMap<Box<str>, Timeline>,
    default: SiteConfig,
    saved: Vec<(Box<str>, Option<Timeline>)>,
}

impl Sites {
    /// No site configured.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a `site_config` record in; `number` is the sequencer's, `effective_at_ms` when its consent policy begins.
    pub fn apply(&mut self, site: &str, number: i64, effective_at_ms: i64, body: &str) -> Result<(), SiteConfigError> {
        let config = SiteConfig::parse(site, body)?;
        let old = self.by_name.get(site).cloned();
        if old.is_none() && self.by_name.len() >= SITES_MAX {
            return Err(SiteConfigError::TooMany { site: site.to_owned() });
        }
        self.saved.push((site.into(), old));
        let timeline = self.by_name.entry(site.into()).or_default();
        let policy = Policy { effective_at_ms, number, bits: config.consent_default };
        let at = timeline.policies.partition_point(|p| (p.effective_at_ms, p.number) <= (effective_at_ms, number));
        timeline.policies.insert(at, policy);
        if timeline.policies.len() > POLICIES_KEPT {
            timeline.policies.remove(0);
        }
        timeline.config = config;
        timeline.body = body.into();
        Ok(())
    }

    /// The settings of a site; the defaults where none came.
    pub fn get(&self, site: &str) -> &SiteConfig {
        self.by_name.get(site).map_or(&self.default, |timeline| &timeline.config)
    }

    /// The purposes that a visitor of `site` who has said nothing is taken to allow at `event_time_ms`. Before the first policy that
    /// is the built-in default.
    pub fn consent_default(&self, site: &str, event_time_ms: i64) -> i32 {
        let Some(timeline) = self.by_name.get(site) else { return self.default.consent_default };
        let after = timeline.policies.partition_point(|policy| policy.effective_at_ms <= event_time_ms);
        match after.checked_sub(1).and_then(|at| timeline.policies.get(at)) {
            Some(policy) => policy.bits,
            None => self.default.consent_default,
        }
    }

    /// Makes the changes since the last commit permanent.
    pub fn commit(&mut self) {
        self.saved.clear();
    }

    /// Takes back the changes since the last commit.
    pub fn undo(&mut self) {
        while let Some((site, old)) = self.saved.pop() {
            match old {
                Some(timeline) => self.by_name.insert(site, timeline),
                None => self.by_name.remove(&site),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_its_default() {
        let config = SiteConfig::parse("shop", r#"{"currency":"GBP","consent_default":["analytics"]}"#).unwrap();
        assert_eq!(
            config,
            SiteConfig {
                currency: "GBP".to_owned(),
                consent_default: purposes::NECESSARY | purposes::ANALYTICS,
                ..SiteConfig::default()
            }
        );
    }

    #[test]
    fn a_misspelt_setting_is_refused() {
        let error = SiteConfig::parse("shop", r#"{"session_sorce":"tracker"}"#).unwrap_err();
        assert!(error.to_string().contains("session_sorce"), "{error}");
        assert_eq!(error.reason(), (Reason::WrongType, None));
    }

    #[test]
    fn a_setting_out_of_range_is_named() {
        for (body, field) in [
            (r#"{"session_gap_ms":0}"#, "session_gap_ms"),
            (r#"{"horizon_ms":-1}"#, "horizon_ms"),
            (r#"{"attribution_lookback_ms":0}"#, "attribution_lookback_ms"),
            (r#"{"attribution_half_life_ms":15552000001}"#, "attribution_half_life_ms"),
            (r#"{"currency":"euro"}"#, "currency"),
            (r#"{"timezone":""}"#, "timezone"),
            (r#"{"timezone":"Europe/Atlantis"}"#, "timezone"),
            (r#"{"churn":{"active_at_least":0.1}}"#, "falling"),
            (r#"{"churn":{"difference":0}}"#, "churn.difference"),
            (r#"{"clv":{"high_minor":1}}"#, "falling"),
            (r#"{"clv":{"difference":2}}"#, "clv.difference"),
            (r#"{"btyd":{"name":"n"}}"#, "missing field"),
            (r#"{"consent_default":["telepathy"]}"#, "telepathy"),
            ("[", "shop"),
        ] {
            let error = SiteConfig::parse("shop", body).unwrap_err().to_string();
            assert!(error.contains(field), "{error}");
        }
    }

    #[test]
    fn consent_policy_applies_by_event_time_and_can_be_taken_back() {
        let mut sites = Sites::new();
        let default = sites.consent_default("shop", 0);
        sites.apply("shop", 1, 1_000, r#"{"consent_default":[]}"#).unwrap();
        sites.commit();
        sites.apply("shop", 2, 500, r#"{"consent_default":["advertising"],"currency":"USD"}"#).unwrap();
        let at = |sites: &Sites, time| sites.consent_default("shop", time);
        assert_eq!((at(&sites, 499), at(&sites, 500), at(&sites, 999), at(&sites, 1_000)), (default, 9, 9, 1));
        assert_eq!(sites.get("shop").currency, "USD");
        sites.undo();
        assert_eq!((at(&sites, 500), at(&sites, 1_000)), (default, 1));
        assert_eq!(sites.get("shop").currency, "EUR");
        assert_eq!(sites.get("other"), &SiteConfig::default());
    }
}
