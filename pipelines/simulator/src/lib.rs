//! A seeded shop with known ground truth.
