//! What a snapshot keeps of the shops' settings: each body as it came, and the consent policies.

use super::{POLICIES_KEPT, Policy, SITES_MAX, SiteConfig, Sites, Timeline};
use crate::core::encoding::{write, write_list};
use crate::core::{StateError, StateReader};

/// Version of the encoding.
const VERSION: u8 = 1;

impl Sites {
    /// Appends all settings. Nothing may be open that could be undone.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        write::long(out, self.by_name.len() as i64);
        for (site, timeline) in &self.by_name {
            write::str(out, site);
            write::str(out, &timeline.body);
            write_list(out, &timeline.policies, |out, policy| {
                write::long(out, policy.effective_at_ms);
                write::long(out, policy.number);
                write::long(out, i64::from(policy.bits));
            });
        }
    }

    /// Reads what [`Sites::encode`] wrote, in this version of it or an older one.
    ///
    /// # Errors
    /// Where it is damaged, of an unknown version, or holds settings that this program refuses.
    pub fn decode(value: &[u8]) -> Result<Self, StateError> {
        let (_, mut reader) = StateReader::versioned(value, VERSION)?;
        let reader = &mut reader;
        let mut sites = Self::new();
        for _ in 0..reader.count("sites", SITES_MAX)? {
            let (site, body) = (reader.str()?, reader.str()?);
            let config = SiteConfig::parse(site, body).map_err(|error| StateError::impossible(error.to_string()))?;
            let policies = reader.list("consent policies", POLICIES_KEPT, |reader| {
                Ok(Policy { effective_at_ms: reader.long()?, number: reader.long()?, bits: reader.small()? })
            })?;
            sites.by_name.insert(site.into(), Timeline { config, body: body.into(), policies });
        }
        reader.finish()?;
        Ok(sites)
    }
}

#[cfg(test)]
mod tests {
    use crate::site::Sites;

    #[test]
    fn settings_and_policies_are_read_back() {
        let mut sites = Sites::new();
        let btyd = millstream_scoring::btyd::BtydModel::built_in().to_json();
        sites.apply("a", 1, 1_000, r#"{"consent_default":[],"currency":"GBP","churn":{"difference":0.3}}"#).unwrap();
        sites.apply("a", 2, 500, &format!(r#"{{"session_gap_ms":1000,"btyd":{btyd}}}"#)).unwrap();
        sites.apply("b", 3, -5, "{}").unwrap();
        sites.commit();
        let mut bytes = Vec::new();
        sites.encode(&mut bytes);
        let mut read = Sites::decode(&bytes).unwrap();
        for site in ["a", "b", "c"] {
            assert_eq!(read.get(site), sites.get(site));
            for time_ms in [-6, -5, 499, 500, 1_000] {
                assert_eq!(read.consent_default(site, time_ms), sites.consent_default(site, time_ms));
            }
        }
        let mut again = Vec::new();
        read.encode(&mut again);
        assert_eq!(again, bytes);
        read.undo();
        assert_eq!(read.get("a").session_gap_ms, 1_000, "there is nothing to take back");
        for end in 0..bytes.len() {
            assert!(Sites::decode(&bytes[..end]).is_err(), "cut at {end}");
        }
    }
}
