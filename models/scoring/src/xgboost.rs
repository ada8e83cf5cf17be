//! Reads trees from the JSON that XGBoost saves (`save_model("….json")`), versions 1.6 to 3.
//!
//! Taken: `gbtree` boosters of one output with numeric splits and the objective `binary:logistic`. Anything else is refused by name
//! rather than scored wrongly: `dart`, `gblinear`, categorical splits, several classes or targets, vector leaves.

use serde::Deserialize;

use crate::forest::{TreeError, TreeNode, Trees};
use crate::limits;

/// Why a document cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XgboostError {
    /// It is longer than anything that is taken.
    #[error("the document has {bytes} bytes; at most {limit} are taken")]
    TooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// It is not the JSON that XGBoost saves.
    #[error("not a model saved by XGBoost as JSON: {0}; save it with save_model(\"model.json\")")]
    Malformed(String),
    /// It is a model of a kind that cannot be scored here.
    #[error("{what} is {found}; only {wanted} can be scored")]
    Unsupported {
        /// The property.
        what: &'static str,
        /// What it is.
        found: String,
        /// What it may be.
        wanted: &'static str,
    },
    /// The arrays of a tree do not fit together.
    #[error("tree {tree}: {field} has {len} entries, the tree has {nodes} nodes")]
    Arrays {
        /// Index of the tree.
        tree: usize,
        /// The array.
        field: &'static str,
        /// Its length.
        len: usize,
        /// The tree's nodes.
        nodes: usize,
    },
    /// A node names what cannot be.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

#[derive(Deserialize)]
struct Document {
    learner: Learner,
}

#[derive(Deserialize)]
struct Learner {
    learner_model_param: LearnerParam,
    gradient_booster: Booster,
    objective: Objective,
}

#[derive(Deserialize)]
struct LearnerParam {
    base_score: String,
    num_feature: String,
    #[serde(default)]
    num_class: String,
    #[serde(default)]
    num_target: String,
}

#[derive(Deserialize)]
struct Objective {
    name: String,
}

#[derive(Deserialize)]
struct Booster {
    name: String,
    model: Option<Model>,
}

#[derive(Deserialize)]
struct Model {
    trees: Vec<Tree>,
}

#[derive(Deserialize)]
struct Tree {
    left_children: Vec<i64>,
    right_children: Vec<i64>,
    split_indices: Vec<i64>,
    split_conditions: Vec<f32>,
    default_left: Vec<u8>,
    sum_hessian: Vec<f32>,
    #[serde(default)]
    split_type: Vec<u8>,
    tree_param: TreeParam,
}

#[derive(Deserialize)]
struct TreeParam {
    #[serde(default)]
    size_leaf_vector: String,
}

/// Reads the trees; [`Forest::new`](crate::forest::Forest::new) makes them ready to score.
///
/// # Errors
/// Where the document is too long, is not XGBoost's, or is a model of a kind that cannot be scored here.
pub fn trees(json: &[u8]) -> Result<Trees, XgboostError> {
    if json.len() > limits::DOCUMENT_BYTES {
        return Err(XgboostError::TooLong { bytes: json.len(), limit: limits::DOCUMENT_BYTES });
    }
    let malformed = |detail: String| XgboostError::Malformed(detail);
    let document: Document = serde_json::from_slice(json).map_err(|error| malformed(error.to_string()))?;
    let Learner { learner_model_param: param, gradient_booster: booster, objective } = document.learner;
    only("the booster", &booster.name, &["gbtree"], "gbtree")?;
    only("the objective", &objective.name, &["binary:logistic"], "binary:logistic")?;
    only("num_class", &param.num_class, &["", "0", "1"], "one output")?;
    only("num_target", &param.num_target, &["", "0", "1"], "one output")?;
    let features =
        param.num_feature.parse().map_err(|_| malformed(format!("num_feature is {:?}", param.num_feature)))?;
    let trees = booster.model.ok_or_else(|| malformed("gradient_booster has no model".to_owned()))?.trees;
    let trees = trees.into_iter().enumerate().map(nodes).collect::<Result<Vec<_>, _>>()?;
    Ok(Trees { base_margin: base_margin(&param.base_score)?, features, trees })
}

fn only(what: &'static str, found: &str, allowed: &[&str], wanted: &'static str) -> Result<(), XgboostError> {
    if allowed.contains(&found) {
        return Ok(());
    }
    Err(XgboostError::Unsupported { what, found: found.to_owned(), wanted })
}

/// The log odds of the base score: XGBoost 2 writes the probability as a number, XGBoost 3 as an array of one, both as text.
fn base_margin(text: &str) -> Result<f32, XgboostError> {
    let number = text.trim().trim_start_matches('[').trim_end_matches(']').trim();
    let score: Option<f32> = number.parse().ok().filter(|score| *score > 0.0 && *score < 1.0);
    let score = score.ok_or_else(|| {
        let detail = format!("base_score is {text:?}; of binary:logistic it is one probability between 0 and 1");
        XgboostError::Malformed(detail)
    })?;
    // As XGBoost does it, in f32.
    Ok(-libm::logf(1.0 / score - 1.0))
}

fn nodes((index, tree): (usize, Tree)) -> Result<Vec<TreeNode>, XgboostError> {
    let count = tree.left_children.len();
    for (field, len) in [
        ("right_children", tree.right_children.len()),
        ("split_indices", tree.split_indices.len()),
        ("split_conditions", tree.split_conditions.len()),
        ("default_left", tree.default_left.len()),
        ("sum_hessian", tree.sum_hessian.len()),
    ] {
        if len != count {
            return Err(XgboostError::Arrays { tree: index, field, len, nodes: count });
        }
    }
    if tree.split_type.iter().any(|&kind| kind != 0) {
        return Err(XgboostError::Unsupported {
            what: "a split",
            found: "categorical".to_owned(),
            wanted: "numeric splits (encode categories as numbers)",
        });
    }
    only("size_leaf_vector", &tree.tree_param.size_leaf_vector, &["", "0", "1"], "leaves of one number")?;
    let at = |name: &str, node: usize, value: i64| {
        let wrong = || TreeError::Node { tree: index, node, detail: format!("{name} is {value}") };
        usize::try_from(value).map_err(|_| wrong())
    };
    let children = tree.left_children.iter().zip(&tree.right_children).zip(&tree.split_indices);
    let values = tree.split_conditions.iter().zip(&tree.default_left).zip(&tree.sum_hessian);
    let node = |(node, (((&left, &right), &feature), ((&value, &default), &cover)))| -> Result<_, TreeError> {
        if left == -1 {
            return Ok(TreeNode::Leaf { value, cover });
        }
        Ok(TreeNode::Split {
            feature: at("split_indices", node, feature)?,
            threshold: value,
            default_left: default != 0,
            left: at("left_children", node, left)?,
            right: at("right_children", node, right)?,
            cover,
        })
    };
    Ok(children.zip(values).enumerate().map(node).collect::<Result<Vec<_>, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::Forest;

    fn forest(json: &[u8]) -> Result<Forest, XgboostError> {
        Ok(Forest::new(&trees(json)?)?)
    }

    /// One split at 0.5 of the second of two features.
    const SMALL: &str = r#"{"learner":{"attributes":{},"learner_model_param":{"base_score":"BASE","num_class":"0","num_feature":"2",
        "num_target":"1"},"objective":{"name":"binary:logistic"},"gradient_booster":{"name":"gbtree","model":{"trees":[
        {"left_children":[1,-1,-1],"right_children":[2,-1,-1],"split_indices":[1,0,0],"split_conditions":[0.5,-0.25,0.75],
        "default_left":[1,0,0],"sum_hessian":[3,2,1],"split_type":[0,0,0],"tree_param":{"size_leaf_vector":"1"}}]}}},
        "version":[3,2,0]}"#;

    fn read(change: impl Fn(&str) -> String) -> Result<Forest, XgboostError> {
        forest(change(&SMALL.replace("BASE", "5E-1")).as_bytes())
    }

    #[test]
    fn both_spellings_of_the_base_score_are_read() {
        for base in ["2.5E-1", "[2.5E-1]"] {
            let forest = forest(SMALL.replace("BASE", base).as_bytes()).unwrap();
            let odds: f32 = -libm::logf(3.0);
            assert_eq!(forest.margin(&[9.0, 0.4]), odds - 0.25);
            assert_eq!(forest.margin(&[9.0, 0.5]), odds + 0.75);
            assert_eq!(forest.margin(&[9.0, f32::NAN]), odds - 0.25);
        }
    }

    #[test]
    fn what_cannot_be_scored_is_refused_by_name() {
        let error = |from: &str, to: &str| read(|text| text.replace(from, to)).unwrap_err().to_string();
        assert_eq!(error("gbtree", "dart"), "the booster is dart; only gbtree can be scored");
        assert!(error("binary:logistic", "reg:squarederror").starts_with("the objective is reg:squarederror"));
        assert!(error("\"num_class\":\"0\"", "\"num_class\":\"3\"").starts_with("num_class is 3"));
        assert!(error("\"split_type\":[0", "\"split_type\":[1").contains("categorical"));
        assert!(error("\"sum_hessian\":[3,", "\"sum_hessian\":[").contains("sum_hessian has 2 entries"));
        assert!(error("\"left_children\":[1,", "\"left_children\":[-7,").contains("left_children is -7"));
        assert!(error("\"right_children\":[2,", "\"right_children\":[9,").contains("no such node"));
        assert!(error("5E-1", "1.5").contains("base_score"));
        assert!(error("\"num_feature\":\"2\"", "\"num_feature\":\"x\"").contains("num_feature"));
        assert!(error("\"trees\"", "\"bushes\"").contains("missing field `trees`"));
        assert!(matches!(forest(b"\x00\xff"), Err(XgboostError::Malformed(_))));
    }
}
