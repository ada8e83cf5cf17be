//! A trained model as a scorer.

use crate::artefact::{Artefact, ArtefactError, HeadDocument, content_hash};
use crate::calibration::Calibration;
use crate::features::{FEATURE_COUNT, Features, SCHEMA_HASH};
use crate::forest::{Forest, sigmoid};
use crate::scorer::{Probability, Reasons, Role, Score, Scorer};

/// A trained model, ready to score.
///
/// The session head's reasons are the features that moved its margin most ([`Forest::explain`]); the seven-day head gives none.
#[derive(Debug, Clone)]
pub struct Model {
    name: String,
    version: String,
    calibration_version: String,
    role: Role,
    content: u128,
    session: Head,
    within_7_days: Option<Head>,
}

/// The answer to one question.
#[derive(Debug, Clone)]
struct Head {
    forest: Forest,
    calibration: Calibration,
}

impl Head {
    fn of(name: &'static str, document: &HeadDocument) -> Result<Self, ArtefactError> {
        let forest = document.forest.trees(FEATURE_COUNT).and_then(|trees| Forest::new(&trees));
        let forest = forest.map_err(|error| ArtefactError::Trees { head: name, error })?;
        Ok(Self { forest, calibration: document.calibration.clone() })
    }

    fn probability(&self, margin: f32) -> Probability {
        let p_raw = sigmoid(margin);
        Probability { p_raw: f64::from(p_raw), p: self.calibration.apply(margin, p_raw) }
    }
}

impl Model {
    /// Loads a model from the bytes of its [`Artefact`], as a champion.
    ///
    /// # Errors
    /// Where the document cannot be used; the error says why.
    pub fn load(bytes: &[u8]) -> Result<Self, ArtefactError> {
        let artefact = Artefact::read(bytes)?;
        let within_7_days =
            artefact.within_7_days.as_ref().map(|document| Head::of("within_7_days", document)).transpose()?;
        Ok(Self {
            session: Head::of("session", &artefact.session)?,
            within_7_days,
            name: artefact.name,
            version: artefact.version,
            calibration_version: artefact.calibration_version,
            role: Role::Champion,
            content: content_hash(bytes),
        })
    }

    /// The hash of the artefact's bytes: the name it is promoted by.
    pub fn content(&self) -> u128 {
        self.content
    }

    /// Bytes held by its forests.
    pub fn bytes(&self) -> usize {
        self.session.forest.bytes() + self.within_7_days.as_ref().map_or(0, |head| head.forest.bytes())
    }
}

impl Scorer for Model {
    fn model(&self) -> &str {
        &self.name
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn calibration_version(&self) -> &str {
        &self.calibration_version
    }

    fn role(&self) -> Role {
        self.role
    }

    fn schema_hash(&self) -> u128 {
        // Documents for other features are not loaded.
        SCHEMA_HASH
    }

    fn score(&self, features: &Features) -> Score {
        let mut moved = [0.0f32; FEATURE_COUNT];
        let margin = self.session.forest.explain(&features.0, &mut moved);
        let Probability { p_raw, p } = self.session.probability(margin);
        let within_7_days = self.within_7_days.as_ref().map(|head| head.probability(head.forest.margin(&features.0)));
        Score { p_raw, p, within_7_days, reasons: Reasons::strongest(&moved.map(f64::from)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Feature;
    use crate::artefact::{FORMAT, ForestDocument, Metrics, Training, TreeDocument};

    fn head() -> HeadDocument {
        let tree = TreeDocument {
            feature: vec![Feature::CartAdds as i32, -1, -1],
            value: vec![0.5, -1.0, 2.0],
            left: vec![1, 0, 0],
            right: vec![2, 0, 0],
            default_left: vec![1, 0, 0],
            cover: vec![4.0, 3.0, 1.0],
        };
        let metrics = Metrics {
            rows: 1,
            base_rate: 0.5,
            auc: 0.5,
            average_precision: 0.5,
            log_loss: 0.5,
            base_log_loss: 0.5,
            brier: 0.5,
            ece: 0.5,
        };
        HeadDocument {
            target: "a test".to_owned(),
            forest: ForestDocument { base_margin: 0.0, trees: vec![tree] },
            calibration: Calibration::Isotonic { knots: vec![(0.25, 0.125), (0.75, 0.625)] },
            calibration_ece: [Some(0.0), None],
            metrics,
            metrics_without_history: None,
            heuristic: None,
        }
    }

    fn artefact() -> Artefact {
        let (features, feature_schema_hash) = Artefact::current_features();
        Artefact {
            format: FORMAT.to_owned(),
            name: "test".to_owned(),
            version: "1".to_owned(),
            calibration_version: "1.isotonic".to_owned(),
            features,
            feature_schema_hash,
            session: head(),
            within_7_days: Some(head()),
            training: Training {
                traffic: "none".to_owned(),
                seeds: vec![],
                evaluation_seeds: vec![],
                people: 0,
                days: 0,
                rows: 0,
                calibration_rows: 0,
                evaluation_rows: 0,
                library: "none".to_owned(),
                parameters: serde_json::Value::Null,
            },
        }
    }

    #[test]
    fn scores_as_its_document_says_and_gives_its_reason() {
        let bytes = artefact().to_bytes().unwrap();
        let model = Model::load(&bytes).unwrap();
        assert_eq!(model.content(), content_hash(&bytes));
        let mut features = Features::default();
        features.set(Feature::CartAdds, 1.0);
        let score = model.score(&features);
        assert!((score.p_raw - 0.880_797).abs() < 1e-6);
        assert_eq!(score.p, 0.625, "beyond the last knot");
        assert_eq!(score.within_7_days.map(|week| week.p), Some(0.625));
        assert_eq!(score.reasons.names().collect::<Vec<_>>(), ["cart_adds"]);
        assert_eq!((model.model(), model.version(), model.role()), ("test", "1", Role::Champion));
        features.set(Feature::CartAdds, 0.0);
        assert!((model.score(&features).p_raw - 0.268_941).abs() < 1e-6);
    }

    #[test]
    fn a_document_survives_writing_and_reading() {
        let mut wanted = artefact();
        if let Some(tree) = wanted.session.forest.trees.first_mut() {
            tree.value = vec![0.1, f32::MIN_POSITIVE, -16_777_217.0];
        }
        let bytes = wanted.to_bytes().unwrap();
        let again = Artefact::read(&bytes).unwrap();
        assert_eq!(again, wanted);
        assert_eq!(again.to_bytes().unwrap(), bytes);
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name() {
        let load = |change: &dyn Fn(&mut Artefact)| {
            let mut artefact = artefact();
            change(&mut artefact);
            Model::load(&artefact.to_bytes().unwrap()).unwrap_err().to_string()
        };
        assert!(load(&|a| a.format = "other/1".to_owned()).contains("format is \"other/1\""));
        assert!(load(&|a| a.version = "1 2".to_owned()).contains("version is \"1 2\""));
        assert!(load(&|a| a.name = "x".repeat(65)).contains("name is"));
        assert!(load(&|a| a.feature_schema_hash = String::new()).contains("not that of the features"));
        let other = load(&|a| {
            a.features.pop();
            let names: Vec<&str> = a.features.iter().map(String::as_str).collect();
            a.feature_schema_hash = crate::artefact::hex(crate::features::schema_hash(&names));
        });
        assert!(other.starts_with("test 1 was made for the features"), "{other}");
        let knots = Calibration::Isotonic { knots: vec![] };
        assert!(load(&|a| a.session.calibration = knots.clone()).starts_with("session: calibration"));
        let cut = load(&|a| a.within_7_days.as_mut().unwrap().forest.trees[0].cover.truncate(1));
        assert!(cut.starts_with("within_7_days: tree 0"), "{cut}");
        assert!(Model::load(b"{}").unwrap_err().to_string().starts_with("no model artefact"));
    }
}
