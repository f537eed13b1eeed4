//! How a token may be signed: by a key pair, of which we hold the public half.
//! `none` and everything by a shared secret (HS256 and its like) have no name
//! here, so no header and no setting can ask for them.

use core::fmt;
use core::str::FromStr;

/// An algorithm (RFC 7518, section 3.1; RFC 8037, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// RSA with PKCS #1 1.5 and SHA-256.
    Rs256,
    /// The same with SHA-384.
    Rs384,
    /// The same with SHA-512.
    Rs512,
    /// RSA with PSS and SHA-256.
    Ps256,
    /// The same with SHA-384.
    Ps384,
    /// The same with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

/// The name of no algorithm that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadAlgorithm;

impl Algorithm {
    /// Every one.
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// As headers and keys name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for BadAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the algorithms are ")?;
        for (at, algorithm) in Algorithm::ALL.into_iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{algorithm}")?;
        }
        Ok(())
    }
}

impl FromStr for Algorithm {
    type Err = BadAlgorithm;

    /// `Ed25519` is what RFC 9864 calls the one kind of `EdDSA` that is taken.
    fn from_str(text: &str) -> Result<Self, BadAlgorithm> {
        if text == "Ed25519" {
            return Ok(Self::EdDsa);
        }
        let named = Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == text);
        named.ok_or(BadAlgorithm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_algorithm_is_read_as_it_is_written() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.as_str().parse(), Ok(algorithm));
        }
        assert_eq!("Ed25519".parse(), Ok(Algorithm::EdDsa));
    }

    #[test]
    fn nothing_without_a_key_pair_is_one() {
        for text in [
            "none", "None", "NONE", "nOnE", "", "HS256", "HS384", "HS512", "rs256", "RS256 ",
            "RS1", "dir", "ES256K", "ES512", "EdDSA\0",
        ] {
            assert_eq!(text.parse::<Algorithm>(), Err(BadAlgorithm), "{text}");
        }
    }
}
