//! The HTTP collector: dumb and durable.
