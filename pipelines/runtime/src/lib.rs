//! Tasks, epochs, undo and ownership: a step function over clock, storage and transport.
