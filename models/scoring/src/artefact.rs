//! The document a trained model is kept in: everything that scoring needs, and what training says of it.
//!
//! One JSON object, named by the hash of its bytes ([`content_hash`]): what was promoted cannot change afterwards. Reading it does no
//! I/O; who loads it hands over the bytes.

use serde::{Deserialize, Serialize};

use crate::calibration::{Calibration, CalibrationError};
use crate::evaluation::Evaluation;
use crate::features::{FEATURES, SCHEMA_HASH, schema_hash};
use crate::forest::{TreeError, TreeNode, Trees};
use crate::limits;

/// What [`Artefact::format`] says.
pub const FORMAT: &str = "millstream-model/1";

/// The name of a document: xxh3, 128 bits, of its bytes. It tells versions apart; it is no protection against somebody who can write
/// where artefacts are kept.
pub fn content_hash(bytes: &[u8]) -> u128 {
    xxhash_rust::xxh3::xxh3_128(bytes)
}

/// A trained model as a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Artefact {
    /// The layout of this document: [`FORMAT`].
    pub format: String,
    /// Name of the model.
    pub name: String,
    /// Version of the model.
    pub version: String,
    /// Version of its calibrations.
    pub calibration_version: String,
    /// Names of the features, in order.
    pub features: Vec<String>,
    /// Their hash, 32 hexadecimal digits.
    pub feature_schema_hash: String,
    /// Will this session (still) end in a purchase?
    pub session: HeadDocument,
    /// Will this person buy within seven days?
    pub within_7_days: Option<HeadDocument>,
    /// What it was made of.
    pub training: Training,
}

/// The answer to one question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeadDocument {
    /// What is predicted, in words.
    pub target: String,
    /// Its trees.
    pub forest: ForestDocument,
    /// From their answer to a probability.
    pub calibration: Calibration,
    /// Expected calibration error of both kinds on the rows that chose: isotonic, Platt (`null` where it could not be fitted).
    pub calibration_ece: [Option<f64>; 2],
    /// On rows of traffic that was neither trained nor calibrated on.
    pub metrics: Metrics,
    /// The same with the source's history unknown.
    pub metrics_without_history: Option<Metrics>,
    /// The heuristic's on the same rows, where it answers this question; its log-loss is that of its number taken as a probability.
    pub heuristic: Option<Metrics>,
}

/// Where a model comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// What the rows are.
    pub traffic: String,
    /// Simulator seeds of the rows for training and calibration.
    pub seeds: Vec<u64>,
    /// Simulator seeds of the rows the metrics are of.
    pub evaluation_seeds: Vec<u64>,
    /// People and days simulated for each seed.
    pub people: u32,
    /// Days simulated for each seed.
    pub days: u32,
    /// Rows trained on.
    pub rows: u64,
    /// Rows calibrated on.
    pub calibration_rows: u64,
    /// Rows evaluated on.
    pub evaluation_rows: u64,
    /// What trained it, with version.
    pub library: String,
    /// Its settings.
    pub parameters: serde_json::Value,
}

/// See [`Evaluation`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Scores judged.
    pub rows: u64,
    /// Share of those where it happened.
    pub base_rate: f64,
    /// Area under the ROC curve.
    pub auc: f64,
    /// Average precision.
    pub average_precision: f64,
    /// Log-loss.
    pub log_loss: f64,
    /// Log-loss of always saying the base rate.
    pub base_log_loss: f64,
    /// Brier score.
    pub brier: f64,
    /// Expected calibration error.
    pub ece: f64,
}

impl From<&Evaluation> for Metrics {
    fn from(of: &Evaluation) -> Self {
        Self {
            rows: of.rows as u64,
            base_rate: of.base_rate,
            auc: of.auc,
            average_precision: of.average_precision,
            log_loss: of.log_loss,
            base_log_loss: of.base_log_loss,
            brier: of.brier,
            ece: of.ece,
        }
    }
}

/// A forest as a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForestDocument {
    /// What an empty forest answers, as log odds.
    pub base_margin: f32,
    /// Its trees.
    pub trees: Vec<TreeDocument>,
}

/// A tree, a column for each property of its nodes. Of a leaf `feature` is −1 and only `value` and `cover` say something.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TreeDocument {
    /// Index of the feature; −1 of a leaf.
    pub feature: Vec<i32>,
    /// The threshold; of a leaf what it adds to the margin.
    pub value: Vec<f32>,
    /// Index of the left child.
    pub left: Vec<u32>,
    /// Index of the right child.
    pub right: Vec<u32>,
    /// 1 where what is not a number goes left.
    pub default_left: Vec<u8>,
    /// Weight of the training rows that came by.
    pub cover: Vec<f32>,
}

/// Why a document cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArtefactError {
    /// It is longer than anything that is taken.
    #[error("the artefact has {bytes} bytes; at most {limit} are taken")]
    TooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// It is no artefact.
    #[error("no model artefact: {0}")]
    Malformed(String),
    /// It was made for other features: a model scores only what it was trained on.
    #[error("{model} was made for the features {theirs}, this program has {ours}; train it anew with this version")]
    Features {
        /// Name and version of the model.
        model: String,
        /// The hash of its features.
        theirs: String,
        /// The hash of this program's.
        ours: String,
    },
    /// The trees of a head cannot be used.
    #[error("{head}: {error}")]
    Trees {
        /// Which head.
        head: &'static str,
        /// What is wrong.
        error: TreeError,
    },
    /// The calibration of a head cannot be used.
    #[error("{head}: {error}")]
    Calibration {
        /// Which head.
        head: &'static str,
        /// What is wrong.
        error: CalibrationError,
    },
}

impl Artefact {
    /// Reads a document and checks all of it but the trees, which [`crate::Model`] checks as it flattens them.
    ///
    /// # Errors
    /// Where it is too long, is no artefact, or was made for other features.
    pub fn read(bytes: &[u8]) -> Result<Self, ArtefactError> {
        if bytes.len() > limits::DOCUMENT_BYTES {
            return Err(ArtefactError::TooLong { bytes: bytes.len(), limit: limits::DOCUMENT_BYTES });
        }
        let malformed = |detail: String| Err(ArtefactError::Malformed(detail));
        let artefact: Self =
            serde_json::from_slice(bytes).map_err(|error| ArtefactError::Malformed(error.to_string()))?;
        if artefact.format != FORMAT {
            return malformed(format!("format is {:?}, this program reads {FORMAT:?}", artefact.format));
        }
        for (field, text) in [
            ("name", &artefact.name),
            ("version", &artefact.version),
            ("calibration_version", &artefact.calibration_version),
        ] {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if text.is_empty() || text.len() > limits::NAME_CHARS || !text.chars().all(plain) {
                return malformed(format!(
                    "{field} is {text:?}; 1 to {} letters, digits, '-', '_' or '.' are possible",
                    limits::NAME_CHARS
                ));
            }
        }
        let names: Vec<&str> = artefact.features.iter().map(String::as_str).collect();
        let theirs = hex(schema_hash(&names));
        if theirs != artefact.feature_schema_hash {
            return malformed(format!("feature_schema_hash is not that of the features, which is {theirs}"));
        }
        if schema_hash(&names) != SCHEMA_HASH {
            let model = format!("{} {}", artefact.name, artefact.version);
            return Err(ArtefactError::Features { model, theirs, ours: hex(SCHEMA_HASH) });
        }
        for (head, document) in artefact.heads() {
            document.calibration.check().map_err(|error| ArtefactError::Calibration { head, error })?;
        }
        Ok(artefact)
    }

    /// The heads that are there, with their names.
    pub fn heads(&self) -> impl Iterator<Item = (&'static str, &HeadDocument)> {
        let week = self.within_7_days.as_ref().map(|head| ("within_7_days", head));
        std::iter::once(("session", &self.session)).chain(week)
    }

    /// The bytes it is kept as; their hash is its name.
    ///
    /// # Errors
    /// Where a number is not finite, which JSON cannot say.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ArtefactError> {
        serde_json::to_vec(self).map_err(|error| ArtefactError::Malformed(error.to_string()))
    }

    /// Names of this program's features, and their hash.
    pub fn current_features() -> (Vec<String>, String) {
        (FEATURES.iter().map(|spec| spec.name.to_owned()).collect(), hex(SCHEMA_HASH))
    }
}

impl From<&Trees> for ForestDocument {
    fn from(source: &Trees) -> Self {
        let tree = |nodes: &Vec<TreeNode>| {
            let mut document = TreeDocument::default();
            for node in nodes {
                // Indices were checked against the limits, which fit.
                let (feature, value, left, right, default_left, cover) = match *node {
                    TreeNode::Leaf { value, cover } => (-1, value, 0, 0, false, cover),
                    TreeNode::Split { feature, threshold, default_left, left, right, cover } => {
                        (feature as i32, threshold, left as u32, right as u32, default_left, cover)
                    }
                };
                document.feature.push(feature);
                document.value.push(value);
                document.left.push(left);
                document.right.push(right);
                document.default_left.push(u8::from(default_left));
                document.cover.push(cover);
            }
            document
        };
        Self { base_margin: source.base_margin, trees: source.trees.iter().map(tree).collect() }
    }
}

impl ForestDocument {
    /// The trees; the error names the tree whose columns do not fit together.
    pub fn trees(&self, features: usize) -> Result<Trees, TreeError> {
        let mut trees = Vec::with_capacity(self.trees.len());
        for (index, tree) in self.trees.iter().enumerate() {
            let count = tree.feature.len();
            let lens = [tree.value.len(), tree.left.len(), tree.right.len(), tree.default_left.len(), tree.cover.len()];
            if lens.iter().any(|&len| len != count) {
                let detail = format!("the columns have {count} and {lens:?} entries");
                return Err(TreeError::Node { tree: index, node: 0, detail });
            }
            let columns = tree.feature.iter().zip(&tree.value).zip(&tree.left).zip(&tree.right);
            let columns = columns.zip(&tree.default_left).zip(&tree.cover);
            let nodes =
                columns.map(|(((((&feature, &value), &left), &right), &default), &cover)| {
                    match usize::try_from(feature) {
                        Err(_) => TreeNode::Leaf { value, cover },
                        Ok(feature) => TreeNode::Split {
                            feature,
                            threshold: value,
                            default_left: default != 0,
                            left: left as usize,
                            right: right as usize,
                            cover,
                        },
                    }
                });
            trees.push(nodes.collect());
        }
        Ok(Trees { base_margin: self.base_margin, features, trees })
    }
}

/// 32 lower-case hexadecimal digits.
pub fn hex(hash: u128) -> String {
    format!("{hash:032x}")
}
