//! Parameters as a document, with what they are called.

use serde::{Deserialize, Serialize};

use super::{BgNbd, GammaGamma};
use crate::artefact::content_hash;

/// Days of the week: parameters are in weeks, purchases are counted by days.
pub const DAYS_PER_WEEK: f64 = 7.0;

/// A parameter is at least this.
const LEAST: f64 = 1e-3;
/// A parameter is at most this; money more.
const MOST: f64 = 1e6;
/// Bytes of a name, a version or where it was fitted.
const TEXT_MAX_BYTES: usize = 256;

/// What is wrong with parameters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BtydError {
    /// The document cannot be read.
    #[error("the model cannot be read: {detail}")]
    Malformed {
        /// What the parser says.
        detail: String,
    },
    /// A parameter is outside its range.
    #[error("{parameter} of the model is {value}; it must be {range}")]
    OutOfRange {
        /// The parameter.
        parameter: &'static str,
        /// What it was.
        value: String,
        /// What it may be.
        range: &'static str,
    },
}

/// A model of purchases and spending.
///
/// ```json
/// {"name": "shop-2026", "version": "3", "unit": "weeks", "fitted_on": "own orders of 2025",
///  "bg_nbd": {"r": 0.24, "alpha": 4.4, "a": 0.79, "b": 2.4}, "gamma_gamma": {"p": 6.2, "q": 3.7, "v": 1544.0}}
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct BtydModel {
    name: String,
    version: String,
    fitted_on: String,
    bg_nbd: BgNbd,
    gamma_gamma: Option<GammaGamma>,
    built_in: bool,
}

// Parameters are finite, so that equality is reflexive.
impl Eq for BtydModel {}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    name: String,
    version: String,
    unit: String,
    #[serde(default)]
    fitted_on: String,
    bg_nbd: BgNbd,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gamma_gamma: Option<GammaGamma>,
}

impl From<BtydModel> for Document {
    fn from(model: BtydModel) -> Self {
        Self {
            name: model.name,
            version: model.version,
            unit: "weeks".to_owned(),
            fitted_on: model.fitted_on,
            bg_nbd: model.bg_nbd,
            gamma_gamma: model.gamma_gamma,
        }
    }
}

impl TryFrom<Document> for BtydModel {
    type Error = BtydError;

    fn try_from(document: Document) -> Result<Self, BtydError> {
        if document.unit != "weeks" {
            return Err(BtydError::OutOfRange { parameter: "unit", value: document.unit, range: "\"weeks\"" });
        }
        let Document { name, version, fitted_on, bg_nbd, gamma_gamma, .. } = document;
        Self { name, version, fitted_on, bg_nbd, gamma_gamma, built_in: false }.checked()
    }
}

impl BtydModel {
    /// A model of one's own. `v` of `gamma_gamma` is in minor units of the site's reporting currency.
    ///
    /// # Errors
    /// Where a parameter is outside its range, or a text is empty or longer than 256 bytes.
    pub fn new(
        name: &str,
        version: &str,
        fitted_on: &str,
        bg_nbd: BgNbd,
        gamma_gamma: Option<GammaGamma>,
    ) -> Result<Self, BtydError> {
        let (name, version, fitted_on) = (name.to_owned(), version.to_owned(), fitted_on.to_owned());
        Self { name, version, fitted_on, bg_nbd, gamma_gamma, built_in: false }.checked()
    }

    /// What scores where a shop has set no model of its own: the published parameters of CDNOW, a music shop's customers of 1997. They
    /// rank customers sensibly; how often a shop's own customers buy they cannot know. No model of spending: its scale is a shop's
    /// own, so that a customer's own mean stands in.
    pub fn built_in() -> Self {
        Self {
            name: "built-in".to_owned(),
            version: "cdnow-1997".to_owned(),
            fitted_on: "CDNOW: 2,357 customers, 1997-01-01 to 1997-09-30".to_owned(),
            bg_nbd: BgNbd { r: 0.242_593, alpha: 4.413_532, a: 0.792_886, b: 2.425_753 },
            gamma_gamma: None,
            built_in: true,
        }
    }

    /// Reads a document.
    ///
    /// # Errors
    /// Where it is no such document, or a parameter is outside its range.
    pub fn parse(json: &str) -> Result<Self, BtydError> {
        serde_json::from_str(json).map_err(|error| BtydError::Malformed { detail: error.to_string() })
    }

    /// The document. The same model gives the same bytes.
    pub fn to_json(&self) -> String {
        // Texts and finite numbers always serialise.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The hash of the document's bytes.
    pub fn content_hash(&self) -> u128 {
        content_hash(self.to_json().as_bytes())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whose customers it was fitted on.
    pub fn fitted_on(&self) -> &str {
        &self.fitted_on
    }

    /// How often customers buy.
    pub fn purchases(&self) -> &BgNbd {
        &self.bg_nbd
    }

    /// What they spend on a purchase day, minor units of the reporting currency; `None` where a customer's own mean stands in.
    pub fn spending(&self) -> Option<&GammaGamma> {
        self.gamma_gamma.as_ref()
    }

    /// Whether nobody chose it: a labelled fallback.
    pub fn is_built_in(&self) -> bool {
        self.built_in
    }

    fn checked(self) -> Result<Self, BtydError> {
        for (parameter, text) in [("name", &self.name), ("version", &self.version)] {
            if text.is_empty() || text.len() > TEXT_MAX_BYTES {
                let value = format!("{} bytes", text.len());
                return Err(BtydError::OutOfRange { parameter, value, range: "text of 1 to 256 bytes" });
            }
        }
        if self.fitted_on.len() > TEXT_MAX_BYTES {
            let value = format!("{} bytes", self.fitted_on.len());
            return Err(BtydError::OutOfRange { parameter: "fitted_on", value, range: "text of at most 256 bytes" });
        }
        let BgNbd { r, alpha, a, b } = self.bg_nbd;
        for (parameter, value) in [("r", r), ("alpha", alpha), ("a", a), ("b", b)] {
            in_range(parameter, value, LEAST, MOST, "0.001 to 1000000")?;
        }
        if let Some(GammaGamma { p, q, v }) = self.gamma_gamma {
            in_range("p", p, LEAST, MOST, "0.001 to 1000000")?;
            in_range("q", q, 1.0 + LEAST, MOST, "1.001 to 1000000, or there is no mean")?;
            in_range("v", v, LEAST, 1e15, "0.001 to 10^15")?;
        }
        Ok(self)
    }
}

fn in_range(parameter: &'static str, value: f64, least: f64, most: f64, range: &'static str) -> Result<(), BtydError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(BtydError::OutOfRange { parameter, value: value.to_string(), range })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_comes_back_as_it_went() {
        let spending = GammaGamma { p: 6.25, q: 3.74, v: 1_544.0 };
        let model = BtydModel::new("shop", "1", "", *BtydModel::built_in().purchases(), Some(spending)).unwrap();
        let json = model.to_json();
        let read = BtydModel::parse(&json).unwrap();
        assert_eq!((read.clone(), read.content_hash()), (model.clone(), model.content_hash()));
        assert!(!read.is_built_in() && BtydModel::built_in().is_built_in());
        let other = BtydModel::new("shop", "2", "", *model.purchases(), Some(spending)).unwrap();
        assert_ne!(model.content_hash(), other.content_hash());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let good = r#"{"name":"n","version":"1","unit":"weeks","bg_nbd":{"r":1,"alpha":1,"a":1,"b":1}}"#;
        BtydModel::parse(good).unwrap();
        for (from, to, word) in [
            (r#""unit":"weeks""#, r#""unit":"days""#, "unit"),
            (r#""alpha":1"#, r#""alpha":0"#, "alpha"),
            (r#""r":1"#, r#""r":-1"#, "r of the model"),
            (r#""version":"1""#, r#""version":"""#, "version"),
            (r#""name":"n","#, "", "name"),
            (r#""b":1}"#, r#""b":1,"s":2}"#, "unknown field"),
            (r#""b":1}}"#, r#""b":1},"gamma_gamma":{"p":1,"q":1,"v":1}}"#, "q of the model"),
        ] {
            let error = BtydModel::parse(&good.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
