//! A stage with its position.
