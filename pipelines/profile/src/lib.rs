//! One state per person: every per-person operator, fused into one task.
