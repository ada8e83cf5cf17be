//! A flattened forest of decision trees: how a trained model scores without its library.
//!
//! A node is 8 bytes, the two children of a node stand side by side, and the trees follow each other in one array. A value goes left
//! where it is below the node's threshold, and to the node's default side where it is not a number. The leaves are summed in
//! `f32`, tree by tree, beginning with the base margin: the order in which XGBoost sums, so that the sums are equal to it.

use crate::limits;

/// A split, or a leaf: one that leads to itself whatever the value is, so that a walk of the tree's depth ends there.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// The threshold; of a leaf not a number, which nothing is above.
    threshold: f32,
    /// From the lowest bit: 19 bits index of the left child (the right one is next to it; of a leaf its own), 12 bits feature, 1 bit
    /// says that what is not a number goes right.
    way: u32,
}

const _: () = assert!(size_of::<Node>() == 8);
const _: () = assert!(limits::NODES <= 1 << CHILD_BITS && limits::FEATURES <= 1 << (31 - CHILD_BITS));

const CHILD_BITS: u32 = 19;

impl Node {
    /// Index of the left child or of the leaf itself.
    #[inline(always)]
    fn left(self) -> usize {
        (self.way & ((1 << CHILD_BITS) - 1)) as usize
    }

    #[inline(always)]
    fn feature(self) -> usize {
        ((self.way << 1) >> (CHILD_BITS + 1)) as usize
    }

    /// Index of the child that a value leads to; of a leaf its own.
    #[inline(always)]
    fn next(self, value: f32) -> usize {
        let right = (value >= self.threshold) | (value.is_nan() & ((self.way as i32) < 0));
        self.left() + usize::from(right)
    }
}

/// Trees that are walked side by side: while one waits for memory, the others go on.
const LANES: usize = 8;

/// A node as trees are described by others, before flattening.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TreeNode {
    /// The end of a way.
    Leaf {
        /// What it adds to the margin.
        value: f32,
        /// Weight of the training rows that ended here (XGBoost: sum of the Hessian).
        cover: f32,
    },
    /// A question.
    Split {
        /// Index of the feature.
        feature: usize,
        /// What is below it goes left.
        threshold: f32,
        /// Whether what is not a number goes left.
        default_left: bool,
        /// Index of the left child in the tree.
        left: usize,
        /// Index of the right child in the tree.
        right: usize,
        /// Weight of the training rows that came by.
        cover: f32,
    },
}

/// Trees as they are described by others, before flattening.
#[derive(Debug, Clone, PartialEq)]
pub struct Trees {
    /// What an empty forest answers, as log odds.
    pub base_margin: f32,
    /// Number of features asked for.
    pub features: usize,
    /// The nodes of each tree; the first one is its root.
    pub trees: Vec<Vec<TreeNode>>,
}

/// Why trees cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// There is too much of something.
    #[error("{count} {what}; at most {limit} are taken: train a smaller forest")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The base margin is no number.
    #[error("the base margin is no finite number")]
    BaseMargin,
    /// A node is not as nodes are.
    #[error("tree {tree}, node {node}: {detail}")]
    Node {
        /// Index of the tree.
        tree: usize,
        /// Index of the node.
        node: usize,
        /// What is wrong.
        detail: String,
    },
}

/// A forest, ready to score.
#[derive(Debug, Clone)]
pub struct Forest {
    base_margin: f32,
    features: usize,
    nodes: Vec<Node>,
    /// For each node the mean margin of the training rows that came by; of a leaf what it adds to the margin.
    means: Vec<f32>,
    /// Where each tree begins in `nodes`, and the depth of the deepest of them. Filled up with a tree that adds nothing.
    roots: Vec<([u32; LANES], u32)>,
    trees: usize,
}

impl Forest {
    /// Flattens trees.
    ///
    /// # Errors
    /// Where a tree is empty, names what is not there, is no tree, holds a number that is not finite, or is too large.
    pub fn new(source: &Trees) -> Result<Self, TreeError> {
        let Trees { base_margin, features, ref trees } = *source;
        if !base_margin.is_finite() {
            return Err(TreeError::BaseMargin);
        }
        at_most("features", features, limits::FEATURES)?;
        at_most("trees", trees.len(), limits::TREES)?;
        at_most("nodes", 1 + trees.iter().map(Vec::len).sum::<usize>(), limits::NODES)?;
        let mut forest =
            Self { base_margin, features, nodes: Vec::new(), means: Vec::new(), roots: Vec::new(), trees: trees.len() };
        // A leaf that adds nothing.
        forest.flatten(&[TreeNode::Leaf { value: 0.0, cover: 0.0 }], 0)?;
        for (chunk, sources) in trees.chunks(LANES).enumerate() {
            let (mut roots, mut deepest) = ([0; LANES], 0);
            for (lane, nodes) in sources.iter().enumerate() {
                at_most("nodes in one tree", nodes.len(), limits::NODES_PER_TREE)?;
                if let Some(root) = roots.get_mut(lane) {
                    // At most `limits::NODES` in all.
                    *root = forest.nodes.len() as u32;
                }
                deepest = deepest.max(forest.flatten(nodes, chunk * LANES + lane)?);
            }
            forest.roots.push((roots, deepest));
        }
        Ok(forest)
    }

    /// Breadth first, so that siblings stand side by side and a parent before its children. Returns the depth.
    fn flatten(&mut self, source: &[TreeNode], tree: usize) -> Result<u32, TreeError> {
        let fail = |node: usize, detail: &str| TreeError::Node { tree, node, detail: detail.to_owned() };
        let start = self.nodes.len();
        // Nodes in their new order, with their depths.
        let mut order = vec![(0usize, 0u32)];
        let mut at = 0;
        let mut depth = 0;
        while let Some(&(node, level)) = order.get(at) {
            depth = depth.max(level);
            at += 1;
            match *source.get(node).ok_or_else(|| fail(node, "is named as a child, but the tree has no such node"))? {
                TreeNode::Leaf { value, cover } => {
                    if !value.is_finite() || !cover.is_finite() || cover < 0.0 {
                        return Err(fail(node, "the leaf's value or cover is no finite number"));
                    }
                    // Fits: `limits::NODES`, as below.
                    self.nodes.push(Node { threshold: f32::NAN, way: (start + at - 1) as u32 });
                }
                TreeNode::Split { feature, threshold, default_left, left, right, cover } => {
                    if feature >= self.features {
                        return Err(fail(node, &format!("feature {feature} of {} is asked for", self.features)));
                    }
                    if threshold.is_nan() || !cover.is_finite() || cover < 0.0 {
                        return Err(fail(node, "the threshold or the cover is no number"));
                    }
                    let child = order.len();
                    order.extend([(left, level + 1), (right, level + 1)]);
                    if order.len() > source.len() {
                        return Err(fail(node, "some node is the child of two: this is no tree"));
                    }
                    let default_right = u32::from(!default_left) << 31;
                    let way = (start + child) as u32 | (feature as u32) << CHILD_BITS | default_right;
                    self.nodes.push(Node { threshold, way });
                }
            }
        }
        self.means.resize(self.nodes.len(), 0.0);
        let mut covers = vec![0.0f64; order.len()];
        // Children come after their parents.
        for (at, &(node, _)) in order.iter().enumerate().rev() {
            let flat = self.nodes.get(start + at).copied();
            let (mean, cover) = match (source.get(node), flat) {
                (Some(TreeNode::Leaf { value, cover }), _) => (f64::from(*value), f64::from(*cover)),
                (Some(TreeNode::Split { cover, .. }), Some(flat)) => {
                    let child = |side: usize| {
                        let at = flat.left() + side;
                        let mean = self.means.get(at).copied().unwrap_or_default();
                        (f64::from(mean), covers.get(at - start).copied().unwrap_or_default())
                    };
                    let ((left, left_cover), (right, right_cover)) = (child(0), child(1));
                    let whole = left_cover + right_cover;
                    let mean = if whole > 0.0 {
                        (left * left_cover + right * right_cover) / whole
                    } else {
                        (left + right) / 2.0
                    };
                    (mean, f64::from(*cover))
                }
                _ => (0.0, 0.0),
            };
            if let (Some(slot), Some(place)) = (self.means.get_mut(start + at), covers.get_mut(at)) {
                *slot = mean as f32;
                *place = cover;
            }
        }
        Ok(depth)
    }

    /// Number of trees.
    pub fn trees(&self) -> usize {
        self.trees
    }

    /// Number of nodes of all trees.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Number of features it was made for.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.nodes.len() * (size_of::<Node>() + size_of::<f32>()) + size_of_val(self.roots.as_slice())
    }

    /// The margin (log odds) of one row. A feature that is not there counts as not a number.
    pub fn margin(&self, features: &[f32]) -> f32 {
        let mut sum = self.base_margin;
        for (roots, depth) in &self.roots {
            let mut at = roots.map(|root| root as usize);
            for _ in 0..*depth {
                for at in &mut at {
                    *at = self.next(*at, features).1;
                }
            }
            for leaf in at {
                sum += self.mean(leaf);
            }
        }
        sum
    }

    /// As [`Forest::margin`]; adds to `contributions` what each feature moved the margin by.
    ///
    /// The way is walked as for scoring; at each split the feature that decides gets the difference between the mean margins of the
    /// training rows that came to the child and to the node (Saabas). The contributions and the mean of all training rows add up to
    /// the margin. It is cheap and follows the trees, but it is no Shapley value: of two features that say the same, the one asked
    /// nearer to the root gets less than the one below it, and interactions go to whom was asked last.
    pub fn explain(&self, features: &[f32], contributions: &mut [f32]) -> f32 {
        let mut sum = self.base_margin;
        for (roots, depth) in &self.roots {
            let mut at = roots.map(|root| root as usize);
            let mut mean = at.map(|at| self.mean(at));
            for _ in 0..*depth {
                for (at, mean) in at.iter_mut().zip(&mut mean) {
                    let (feature, next) = self.next(*at, features);
                    let below = self.mean(next);
                    // At a leaf nothing is added.
                    if let Some(slot) = contributions.get_mut(feature) {
                        *slot += below - *mean;
                    }
                    (*at, *mean) = (next, below);
                }
            }
            for leaf in mean {
                sum += leaf;
            }
        }
        sum
    }

    /// The feature that decides at a node, and where it leads. Without a jump that depends on a value: which way it goes is what a
    /// processor cannot foresee.
    #[inline(always)]
    fn next(&self, at: usize, features: &[f32]) -> (usize, usize) {
        let Some(node) = self.nodes.get(at) else { return (0, 0) };
        let feature = node.feature();
        (feature, node.next(features.get(feature).copied().unwrap_or(f32::NAN)))
    }

    #[inline(always)]
    fn mean(&self, at: usize) -> f32 {
        self.means.get(at).copied().unwrap_or_default()
    }
}

/// The probability of a margin, as XGBoost's `binary:logistic` has it: in `f32`.
pub fn sigmoid(margin: f32) -> f32 {
    // Beyond it, the exponential is infinite in f32.
    1.0 / (libm::expf((-margin).min(88.7)) + 1.0)
}

fn at_most(what: &'static str, count: usize, limit: usize) -> Result<(), TreeError> {
    if count > limit { Err(TreeError::TooMany { what, count, limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(value: f32, cover: f32) -> TreeNode {
        TreeNode::Leaf { value, cover }
    }

    fn split(feature: usize, threshold: f32, default_left: bool, left: usize, cover: f32) -> TreeNode {
        TreeNode::Split { feature, threshold, default_left, left, right: left + 1, cover }
    }

    fn forest() -> Forest {
        let first = vec![
            split(0, 1.5, false, 1, 10.0),
            leaf(-1.0, 6.0),
            split(1, 0.0, true, 3, 4.0),
            leaf(0.5, 1.0),
            leaf(2.0, 3.0),
        ];
        Forest::new(&Trees { base_margin: 0.25, features: 2, trees: vec![first, vec![leaf(0.125, 1.0)]] }).unwrap()
    }

    #[test]
    fn below_goes_left_and_no_number_goes_to_the_default_side() {
        let forest = forest();
        let base = 0.25 + 0.125;
        assert_eq!(forest.margin(&[1.4, 9.0]), base - 1.0);
        assert_eq!(forest.margin(&[1.5, 9.0]), base + 2.0, "equal is not below");
        assert_eq!(forest.margin(&[f32::NAN, -1.0]), base + 0.5);
        assert_eq!(forest.margin(&[7.0, f32::NAN]), base + 0.5);
        assert_eq!(forest.margin(&[]), base + 0.5, "what is not there is not a number");
        assert_eq!(forest.margin(&[f32::INFINITY, f32::NEG_INFINITY]), base + 0.5);
    }

    #[test]
    fn contributions_and_the_mean_add_up_to_the_margin() {
        let forest = forest();
        // Of the first tree: the lower split (0.5 · 1 + 2 · 3) / 4, the root (−1 · 6 + 1.625 · 4) / 10.
        let (lower, root) = (1.625f32, 0.05f32);
        let mut moved = [0.0; 2];
        assert_eq!(forest.explain(&[2.0, 3.0], &mut moved), forest.margin(&[2.0, 3.0]));
        assert_eq!(moved, [lower - root, 2.0 - lower]);
        let mut moved = [0.0; 2];
        forest.explain(&[1.0, 3.0], &mut moved);
        assert_eq!(moved, [-1.0 - root, 0.0]);
    }

    #[test]
    fn what_is_no_tree_is_named() {
        let error = |trees: &[Vec<TreeNode>]| {
            Forest::new(&Trees { base_margin: 0.0, features: 2, trees: trees.to_vec() }).unwrap_err().to_string()
        };
        assert_eq!(error(&[vec![]]), "tree 0, node 0: is named as a child, but the tree has no such node");
        let looped = vec![split(0, 1.0, true, 0, 1.0), leaf(1.0, 1.0), leaf(1.0, 1.0)];
        assert!(error(&[looped]).contains("this is no tree"));
        let missing = vec![split(0, 1.0, true, 1, 1.0), leaf(1.0, 1.0)];
        assert!(error(&[missing]).starts_with("tree 0, node 0"), "two children of a tree with one");
        let unknown = vec![split(2, 1.0, true, 1, 1.0), leaf(1.0, 1.0), leaf(1.0, 1.0)];
        assert_eq!(error(&[unknown]), "tree 0, node 0: feature 2 of 2 is asked for");
        assert!(error(&[vec![leaf(f32::NAN, 1.0)]]).contains("no finite number"));
        let wide = vec![vec![leaf(0.0, 1.0)]; crate::limits::TREES + 1];
        assert!(error(&wide).contains("at most"));
    }

    #[test]
    fn the_sigmoid_is_bounded() {
        assert_eq!(sigmoid(0.0), 0.5);
        for margin in [-1e30, -100.0, 100.0, 1e30, f32::INFINITY, f32::NEG_INFINITY] {
            assert!((0.0..=1.0).contains(&sigmoid(margin)), "{margin}");
        }
    }
}
