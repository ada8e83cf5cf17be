//! History from files by a small mapping.
