//! What every operator is built of: keyed state with undo, timers, watermarks.

pub mod undo_map;

pub use undo_map::UndoMap;
