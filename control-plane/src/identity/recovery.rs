//! Recovery codes: what a user shows who has lost the device that makes codes.
//! Each has 128 random bits, so a plain SHA-256 of it is kept. Never remembers
//! which were used.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::chance::{self, RECOVERY_CODE_BYTES};

/// How many a user gets at once.
pub(crate) const RECOVERY_CODES: usize = 10;

/// Letters of a code as it is shown.
const LETTERS: usize = 26;
/// Letters between two hyphens.
const GROUP_LETTERS: usize = 5;

/// A recovery code.
pub(crate) struct RecoveryCode(Zeroizing<[u8; RECOVERY_CODE_BYTES]>);

impl RecoveryCode {
    /// One that nobody else has.
    pub(crate) fn draw() -> Self {
        Self(chance::recovery_code())
    }

    /// Takes a text as a code, letter case, spaces and hyphens apart; `None`: it
    /// cannot be one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() > 2 * LETTERS {
            return None;
        }
        let letters = text.bytes().filter(|byte| !matches!(byte, b' ' | b'-'));
        let letters: Zeroizing<Vec<u8>> =
            Zeroizing::new(letters.map(|byte| byte.to_ascii_uppercase()).collect());
        let bytes = Zeroizing::new(BASE32_NOPAD.decode(&letters).ok()?);
        let bytes: &[u8; RECOVERY_CODE_BYTES] = bytes[..].try_into().ok()?;
        Some(Self(Zeroizing::new(*bytes)))
    }

    /// As its user is shown it: letters and digits in groups.
    pub(crate) fn show(&self) -> Zeroizing<String> {
        let letters = Zeroizing::new(BASE32_NOPAD.encode(&self.0[..]));
        let mut shown = Zeroizing::new(String::with_capacity(2 * LETTERS));
        for (place, letter) in letters.chars().enumerate() {
            if place > 0 && place % GROUP_LETTERS == 0 && place < LETTERS - 1 {
                shown.push('-');
            }
            shown.push(letter);
        }
        shown
    }

    /// What is kept of it.
    pub(crate) fn hash(&self) -> [u8; 32] {
        Sha256::digest(&self.0[..]).into()
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_it_is_shown_or_typed() {
        let code = RecoveryCode::draw();
        let shown = code.show();
        let typed = shown.to_lowercase().replace('-', " ");
        for text in [shown.as_str(), &typed, &shown.replace('-', "")] {
            let read = RecoveryCode::parse(text).expect("a code");
            assert_eq!(read.hash(), code.hash());
        }
    }

    #[test]
    fn what_is_no_code_is_not_read() {
        for text in [
            "",
            "123456",
            "ABCDE-FGHIJ",
            &"A".repeat(27),
            &"-".repeat(4096),
            "é",
        ] {
            assert!(RecoveryCode::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn two_codes_differ_and_none_is_shown_by_accident() {
        let (one, other) = (RecoveryCode::draw(), RecoveryCode::draw());
        assert_ne!(one.hash(), other.hash());
        assert_eq!(format!("{one:?}"), "RecoveryCode(…)");
    }
}
