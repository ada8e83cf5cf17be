//! A table of recent answers, of fixed size.

use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Remembers the answers of a pure function by the 128-bit hash of its arguments. Each hash has one slot; a newer one takes it over.
#[derive(Debug)]
pub struct Cache<V> {
    slots: Vec<Option<(u128, V)>>,
}

impl<V: Copy> Cache<V> {
    /// A table of `size` slots, rounded up to a power of two.
    pub fn new(size: usize) -> Self {
        Self { slots: vec![None; size.next_power_of_two()] }
    }

    /// The answer for `arguments`: a remembered one, or what `compute` says.
    #[inline]
    pub fn get_or_insert_with<const N: usize>(&mut self, arguments: [&str; N], compute: impl FnOnce() -> V) -> V {
        // One argument's hash is the next one's seed; its other half goes in beside the seed, so that all 128 bits of it count.
        let key = arguments
            .iter()
            .fold(0u128, |key, argument| xxh3_128_with_seed(argument.as_bytes(), key as u64) ^ (key >> 64));
        self.get_by_hash(key, compute)
    }

    fn get_by_hash(&mut self, key: u128, compute: impl FnOnce() -> V) -> V {
        let at = key as usize & (self.slots.len() - 1);
        match self.slots.get_mut(at) {
            Some(Some((held, value))) if *held == key => *value,
            Some(slot) => {
                let value = compute();
                *slot = Some((key, value));
                value
            }
            None => compute(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cache;

    #[test]
    fn an_answer_is_computed_once_while_it_is_remembered() {
        let mut cache = Cache::new(1);
        let mut computed = 0;
        let mut ask = |text: &str| {
            cache.get_or_insert_with([text], || {
                computed += 1;
                text.len()
            })
        };
        assert_eq!([ask("a"), ask("a"), ask("bb"), ask("a")], [1, 1, 2, 1]);
        assert_eq!(computed, 3);
    }

    #[test]
    fn arguments_do_not_run_together() {
        let mut cache = Cache::new(1 << 10);
        for arguments in [["", "", ""], ["a", "", ""], ["", "a", ""], ["", "", "a"], ["ab", "c", ""], ["a", "bc", ""]] {
            // What is remembered for the one must not be found for another.
            assert_eq!(cache.get_or_insert_with(arguments, || arguments), arguments);
        }
    }
}
