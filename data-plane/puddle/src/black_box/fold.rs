//! A fast hash of known course, to compare by: what a puddle did in a turn, and
//! whether a file is whole. Never against an enemy.

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Folds numbers into one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fold(u64);

impl Fold {
    /// Folds one more number in.
    pub(super) fn number(&mut self, number: u64) {
        let wide = u128::from(self.0 ^ number ^ ODD) * u128::from(ODD.rotate_left(23) | 1);
        let low = u64::try_from(wide & u128::from(u64::MAX)).expect("64 bits");
        let high = u64::try_from(wide >> 64).expect("64 bits");
        self.0 = low ^ high.rotate_left(17);
    }

    /// Folds bytes in.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.number(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.number(u64::from_le_bytes(last));
        self.number(bytes.len() as u64);
    }

    /// The number so far.
    pub(super) const fn value(self) -> u64 {
        self.0
    }
}
