//! Committed output topics to tables: exact batches, intent before insert.
