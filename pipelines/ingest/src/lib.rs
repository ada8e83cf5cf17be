//! Raw bytes to events: parse, validate, de-duplicate, classify, identify, re-key.
