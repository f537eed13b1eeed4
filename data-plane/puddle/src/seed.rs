//! Chance, told: one seed, from which the puddle's generator and its hasher are
//! made, and another for what nobody may guess. Never asks the system for
//! randomness.

use core::fmt;
use std::collections::HashMap;
use std::hash::BuildHasher;

use sha2::{Digest, Sha256};
use siphasher::sip::SipHasher13;

/// What a puddle's chances grow from; drawn by its shell.
#[derive(Clone, Copy, Debug)]
pub struct Seed(pub u64);

/// What a puddle's secrets grow from; drawn by its shell.
#[derive(Clone)]
pub struct SecretSeed([u8; 32]);

impl SecretSeed {
    /// Grows secrets from 32 random bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for a black box.
    pub(crate) const fn reveal(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SecretSeed {
    /// Never the bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretSeed")
    }
}

/// Both.
#[derive(Clone, Debug)]
pub struct Seeds {
    /// For names, delays and hashes.
    pub chance: Seed,
    /// For secrets.
    pub secrets: SecretSeed,
}

impl Seeds {
    /// Both from one number, for runs that are to be repeated: whoever knows the
    /// number knows the secrets.
    #[must_use]
    pub fn repeatable(seed: Seed) -> Self {
        let secrets = Sha256::digest(seed.0.to_be_bytes());
        Self {
            chance: seed,
            secrets: SecretSeed::new(secrets.into()),
        }
    }
}

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

/// The secrets of a puddle: hashes of a key and a number, each used once. What
/// [`Chance`] gives is shown to everybody, and tells what comes next.
#[derive(Debug)]
pub(crate) struct Secrets {
    seed: SecretSeed,
    drawn: u64,
}

impl Secrets {
    pub(crate) const fn new(seed: SecretSeed) -> Self {
        Self { seed, drawn: 0 }
    }

    /// One more, as the key of a hash.
    pub(crate) fn key(&mut self) -> (u64, u64) {
        let (first, second) = (self.next(), self.next());
        let half =
            |[a, b, c, d, e, f, g, h, ..]: [u8; 16]| u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        (half(first), half(second))
    }

    /// One more, of 128 bits.
    pub(crate) fn next(&mut self) -> [u8; 16] {
        self.drawn += 1;
        let mut hasher = Sha256::new();
        hasher.update(self.seed.0);
        hasher.update(self.drawn.to_be_bytes());
        let mut secret = [0; 16];
        secret.copy_from_slice(&hasher.finalize()[..16]);
        secret
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_comes_once_and_is_not_shown() {
        let Seeds { secrets, .. } = Seeds::repeatable(Seed(7));
        let mut secrets = Secrets::new(secrets);
        assert_ne!(secrets.next(), secrets.next());
        assert_eq!(
            format!("{secrets:?}"),
            "Secrets { seed: SecretSeed, drawn: 2 }"
        );
    }

    #[test]
    fn one_seed_has_one_course() {
        let (mut one, mut other) = (Chance::new(Seed(7)), Chance::new(Seed(7)));
        assert_eq!(one.next(), other.next());
        assert_ne!(Chance::new(Seed(7)).next(), Chance::new(Seed(8)).next());
    }
}
