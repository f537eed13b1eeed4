//! JSON Web Tokens of identity providers, verified: strict reading of the compact
//! form (RFC 7515), keys (RFC 7517, 7518, 8037), the signature, and the claims
//! that say for whom and until when (RFC 7519, with RFC 8725's advice). Fetches
//! nothing, reads no clock, and decides nothing about users.
//!
//! In the order in which a token goes through: [`Token::parse`] finds out who it
//! says it is from, [`KeySet::parse`] has that issuer's keys, [`Trust::verify`]
//! judges. A token's header chooses a key among those, and never brings one:
//! `jku`, `jwk`, `x5u` and `x5c` are not looked at.

mod json;
mod algorithm;
mod token;
mod key;
mod key_set;
mod refused;
mod trust;

pub use algorithm::{Algorithm, BadAlgorithm};
pub use key::{BadKey, Key, Thumbprint};
pub use key_set::{BadKeySet, KEY_SET_BYTES_MAX, KEYS_MAX, KeySet};
pub use refused::Refused;
pub use token::{BadToken, TOKEN_BYTES_MAX, Token};
pub use trust::{Trust, Verified};

#[cfg(test)]
mod tests;
