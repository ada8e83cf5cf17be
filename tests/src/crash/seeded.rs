//! Chance from a seed: what is killed, when, and for how long.

/// Numbers from a seed (xorshift); the same seed gives the same numbers.
#[derive(Debug, Clone)]
pub struct Seeded(pub u64);

impl Seeded {
    /// One of `from..to`.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        from + self.0 % (to - from)
    }
}
