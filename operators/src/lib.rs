//! Pure state machines, one module a capability.
