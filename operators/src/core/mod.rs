//! What every operator is built of: keyed state with undo, timers, watermarks, event order, and where results go.

pub mod context;
pub mod encoding;
pub mod event_kind;
pub mod event_order;
pub mod limits;
pub mod timers;
pub mod tracking;
pub mod undo_map;
pub mod watermark;

pub use context::{Context, RecordKey, Sink};
pub use encoding::{StateError, StateReader};
pub use event_kind::EventKind;
pub use event_order::EventOrder;
pub use timers::Timers;
pub use undo_map::UndoMap;
pub use watermark::WatermarkGate;
