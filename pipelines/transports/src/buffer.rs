//! Memory for records: buffers of one size that are used again instead of being given back.
//!
//! A busy log fills and drops many buffers a second. From the system's allocator each would come as fresh pages, which the kernel
//! clears before anybody writes to them. A buffer is used again only when its last holder has dropped it: a segment that a reader
//! still holds keeps its buffer out of the pool.

use std::fmt;
use std::ops::{Deref, DerefMut};

use parking_lot::Mutex;

/// What a pooled buffer holds: a chunk, and the record by which it becomes full.
const POOLED_BYTES: usize = (256 << 10) + (16 << 10);
/// A buffer for more than this is taken from the pool.
const SMALL_BYTES: usize = 64 << 10;
/// Buffers that wait to be used again at most; they hold 34 MiB.
const WAITING: usize = 128;

static POOL: Pool = Pool::new(WAITING);

/// Buffers that nobody holds.
struct Pool {
    waiting: Mutex<Vec<Vec<u8>>>,
    most: usize,
}

impl Pool {
    const fn new(most: usize) -> Self {
        Self { waiting: Mutex::new(Vec::new()), most }
    }

    /// An empty buffer: the one that was dropped last, which the caches are likeliest to know.
    fn take(&self) -> Vec<u8> {
        let waiting = self.waiting.lock().pop();
        waiting.unwrap_or_else(|| Vec::with_capacity(POOLED_BYTES))
    }

    /// Takes a buffer back. One of another size, or one too many, is freed.
    fn put(&self, mut bytes: Vec<u8>) {
        if bytes.capacity() != POOLED_BYTES {
            return;
        }
        bytes.clear();
        let mut waiting = self.waiting.lock();
        if waiting.len() < self.most {
            waiting.push(bytes);
        }
    }
}

/// Bytes that go back to the pool when they are dropped.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct Buffer(Vec<u8>);

impl Buffer {
    /// An empty buffer with room for `bytes`, or for a whole chunk where they are many.
    pub(crate) fn with_room(bytes: usize) -> Self {
        if (SMALL_BYTES..=POOLED_BYTES).contains(&bytes) { Self(POOL.take()) } else { Self(Vec::with_capacity(bytes)) }
    }

    /// An empty buffer with room for a whole chunk.
    pub(crate) fn for_chunk() -> Self {
        Self(POOL.take())
    }
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} bytes)", self.0.len())
    }
}

impl Deref for Buffer {
    type Target = Vec<u8>;
    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.0.capacity() != 0 {
            POOL.put(std::mem::take(&mut self.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded() {
        let pool = Pool::new(3);
        let taken: Vec<Vec<u8>> = (0..5).map(|_| pool.take()).collect();
        for bytes in taken {
            pool.put(bytes);
        }
        assert_eq!(pool.waiting.lock().len(), 3);
    }

    #[test]
    fn a_buffer_comes_back_empty_and_one_of_another_size_does_not() {
        let pool = Pool::new(3);
        let mut bytes = pool.take();
        bytes.extend_from_slice(b"old");
        let at = bytes.as_ptr();
        pool.put(bytes);
        pool.put(Vec::with_capacity(POOLED_BYTES + 1));
        pool.put(Vec::new());
        let again = pool.take();
        assert_eq!((again.as_ptr(), again.len()), (at, 0));
        assert!(pool.waiting.lock().is_empty());
    }

    #[test]
    fn dropped_buffers_wait_and_no_more_than_may() {
        let taken: Vec<Buffer> = (0..WAITING + 20).map(|_| Buffer::for_chunk()).collect();
        drop(taken);
        let waiting = POOL.waiting.lock();
        assert!((1..=WAITING).contains(&waiting.len()), "{}", waiting.len());
        assert!(waiting.iter().all(|bytes| bytes.is_empty() && bytes.capacity() == POOLED_BYTES));
    }
}
