//! Why a token that could be read is not believed, and what its issuer or holder
//! can do about it. Says no more of it than its holder knows.

use core::fmt;
use core::time::Duration;

use crate::algorithm::Algorithm;

/// Why a token is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is from somebody else.
    Issuer,
    /// This algorithm is not one that is taken from its issuer.
    Algorithm(Algorithm),
    /// Its issuer has no such key now, or it names none and several could be
    /// meant. The only refusal that newer keys could mend.
    KeyUnknown,
    /// The key it names is not for its algorithm.
    KeyUnfit,
    /// It is not signed with the key it names.
    Signature,
    /// It is for somebody else.
    Audience,
    /// It names nobody, or by a text that is too long or has control characters.
    Subject,
    /// This claim is missing, or not the moment it should be.
    Moment(&'static str),
    /// It expired so long ago.
    Expired(Duration),
    /// It holds, or was made, only after so long.
    NotYet(Duration),
    /// It is older than is taken from its issuer by so much.
    TooOld(Duration),
    /// This claim lacks the value that is required.
    ClaimMissing(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issuer => f.write_str("its `iss` is not the issuer's"),
            Self::Algorithm(algorithm) => {
                write!(f, "{algorithm} is not among the issuer's algorithms here")
            }
            Self::KeyUnknown => f.write_str(
                "its `kid` names no key of the issuer, or it has none and several keys could be \
                 meant: sign in at the issuer anew",
            ),
            Self::KeyUnfit => f.write_str("its `alg` is not what its key is for"),
            Self::Signature => f.write_str("its signature is wrong"),
            Self::Audience => f.write_str("its `aud` names none of the issuer's audiences here"),
            Self::Subject => {
                f.write_str("its `sub` is no text of 1 to 255 bytes without control characters")
            }
            Self::Moment(claim) => {
                write!(
                    f,
                    "its `{claim}` is missing, or not a number of seconds since 1970"
                )
            }
            Self::Expired(ago) => write!(
                f,
                "it expired {} s ago: sign in at the issuer anew, or check the clocks",
                ago.as_secs()
            ),
            Self::NotYet(after) => write!(
                f,
                "it holds only in {} s: check the clocks, or give the issuer more leeway",
                after.as_secs()
            ),
            Self::TooOld(by) => write!(
                f,
                "it was made {} s too long ago: sign in at the issuer anew",
                by.as_secs()
            ),
            Self::ClaimMissing(claim) => {
                write!(f, "its claim `{claim}` lacks the value that is required")
            }
        }
    }
}

impl core::error::Error for Refused {}
