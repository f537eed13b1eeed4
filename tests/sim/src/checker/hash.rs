//! Fast hashes of known course: of a message's bytes, and of the checker's own keys. For
//! comparing, never against an enemy.

use std::hash::{BuildHasherDefault, Hasher};

/// A map that is never iterated.
pub(crate) type Table<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<Fold>>;

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Folds numbers into one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fold(u64);

impl Fold {
    /// Folds one more number in.
    pub(crate) fn fold(&mut self, number: u64) {
        let wide = u128::from(self.0 ^ number ^ ODD) * u128::from(ODD.rotate_left(23) | 1);
        let low = u64::try_from(wide & u128::from(u64::MAX)).expect("64 bits");
        let high = u64::try_from(wide >> 64).expect("64 bits");
        self.0 = low ^ high.rotate_left(17);
    }

    /// Folds bytes in.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.fold(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.fold(u64::from_le_bytes(last));
        self.fold(u64::try_from(bytes.len()).expect("a length"));
    }

    /// The number so far.
    pub(crate) const fn value(self) -> u64 {
        self.0
    }
}

impl Hasher for Fold {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.bytes(bytes);
    }

    fn write_u32(&mut self, number: u32) {
        self.fold(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.fold(number);
    }
}

/// The hash of a message's bytes.
pub(crate) fn content(bytes: &[u8]) -> u64 {
    let mut fold = Fold::default();
    fold.bytes(bytes);
    fold.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_more_less_or_other_is_another_hash() {
        let hash = content(b"0123456789");
        for other in [&b"012345678"[..], b"0123456789\0", b"0123456799", b""] {
            assert_ne!(content(other), hash);
        }
    }
}
