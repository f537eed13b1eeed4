//! Chance, told: one seed, from which the puddle's generator and its hasher are
//! made. Never asks the system for randomness.

use std::collections::HashMap;
use std::hash::BuildHasher;

use siphasher::sip::SipHasher13;

/// What a puddle's chances grow from; drawn by its shell.
#[derive(Clone, Copy, Debug)]
pub struct Seed(pub u64);

/// A map whose order depends on the seed alone. Never iterated.
pub(crate) type Map<K, V> = HashMap<K, V, Hasher>;

/// Keyed, so that nobody outside can aim at one bucket (SipHash-1-3).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hasher {
    keys: (u64, u64),
}

impl BuildHasher for Hasher {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.keys.0, self.keys.1)
    }
}

/// The one generator of a puddle: `SplitMix64` (Steele, Lea, Flood: Fast
/// Splittable Pseudorandom Number Generators, 2014). For names and delays, never
/// for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) const fn new(seed: Seed) -> Self {
        Self(seed.0)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) const fn hasher(&mut self) -> Hasher {
        Hasher {
            keys: (self.next(), self.next()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_has_one_course() {
        let (mut one, mut other) = (Chance::new(Seed(7)), Chance::new(Seed(7)));
        assert_eq!(one.next(), other.next());
        assert_ne!(Chance::new(Seed(7)).next(), Chance::new(Seed(8)).next());
    }
}
