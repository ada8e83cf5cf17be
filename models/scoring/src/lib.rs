//! The scoring interface and the models behind it: pure, so that operators use it.
