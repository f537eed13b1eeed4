//! A token as it is sent (RFC 7515, section 3.1), read and not yet believed: who
//! it says it is from, and how it says it is signed. A token is a secret until it
//! expires, so nothing here shows one.

use core::fmt;

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::json;

/// The most bytes of a token.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// The most bytes of a key's identity.
pub(crate) const KEY_ID_BYTES_MAX: usize = 255;

/// A token that was read. Nothing in it may be believed before
/// [`Trust::verify`](crate::Trust::verify) has judged it.
#[derive(Clone)]
pub struct Token {
    pub(crate) algorithm: Algorithm,
    pub(crate) key_id: Option<String>,
    /// Header and claims as they were sent, which is what is signed.
    pub(crate) signed: String,
    pub(crate) signature: Vec<u8>,
    pub(crate) claims: Map<String, Value>,
}

/// Not a token. Says nothing of what was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadToken {
    /// It is longer than a token may be.
    TooLong,
    /// It is not three parts of base64url, the first two of them JSON objects.
    Form,
    /// It is not signed, or in a way that is not taken.
    Algorithm,
    /// It is of another kind than those by which one signs in.
    Kind,
    /// Its header asks for what is not understood here.
    Critical,
    /// Its key's identity is not a text of a sensible length.
    KeyId,
    /// It does not say who it is from.
    Issuer,
}

impl fmt::Display for BadToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "it is longer than {TOKEN_BYTES_MAX} bytes"),
            Self::Form => f.write_str(
                "it is not a JWT: three parts of base64url, without padding and joined by dots, \
                 the first two of them JSON objects that name each member once",
            ),
            Self::Algorithm => f.write_str(
                "its `alg` is not taken: it must be signed by RS256, RS384, RS512, PS256, PS384, \
                 PS512, ES256, ES384 or EdDSA",
            ),
            Self::Kind => f.write_str("its `typ` is neither `JWT` nor `at+jwt`"),
            Self::Critical => f.write_str("its header has `crit`, of which nothing is understood"),
            Self::KeyId => write!(f, "its `kid` is no text of 1 to {KEY_ID_BYTES_MAX} bytes"),
            Self::Issuer => f.write_str("it has no `iss`"),
        }
    }
}

impl core::error::Error for BadToken {}

impl fmt::Debug for Token {
    /// Never what it was sent as.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("algorithm", &self.algorithm)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

impl Token {
    /// Reads a token.
    ///
    /// # Errors
    ///
    /// [`BadToken`], the first rule that it breaks.
    pub fn parse(text: &str) -> Result<Self, BadToken> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(BadToken::TooLong);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(BadToken::Form)?;
        let (header, claims) = signed.split_once('.').ok_or(BadToken::Form)?;
        let (header, claims) = (object(header)?, object(claims)?);
        let signature = decoded(signature).ok_or(BadToken::Form)?;
        let (algorithm, key_id) = read_header(&header)?;
        if !claims.get("iss").is_some_and(Value::is_string) {
            return Err(BadToken::Issuer);
        }
        Ok(Self {
            algorithm,
            key_id,
            signed: signed.to_owned(),
            signature,
            claims,
        })
    }

    /// Who it says it is from.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.text("iss").unwrap_or_default()
    }

    /// The key it says it was signed with.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    pub(crate) fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim).and_then(Value::as_str)
    }
}

/// What of a header counts. What it may bring along to be verified by does not.
fn read_header(header: &Map<String, Value>) -> Result<(Algorithm, Option<String>), BadToken> {
    let algorithm = header.get("alg").and_then(Value::as_str);
    let algorithm = algorithm
        .and_then(|name| name.parse().ok())
        .ok_or(BadToken::Algorithm)?;
    if header.contains_key("crit") {
        return Err(BadToken::Critical);
    }
    if !header.get("typ").is_none_or(is_kind) {
        return Err(BadToken::Kind);
    }
    let key_id = match header.get("kid") {
        None => None,
        Some(id) => Some(
            id.as_str()
                .filter(|id| is_key_id(id))
                .ok_or(BadToken::KeyId)?
                .to_owned(),
        ),
    };
    Ok((algorithm, key_id))
}

/// Whether a text can name a key.
pub(crate) fn is_key_id(id: &str) -> bool {
    (1..=KEY_ID_BYTES_MAX).contains(&id.len())
}

/// A media type, of which `application/` may be left out; case does not count.
/// Tokens of other kinds (that somebody signs out, a proof of possession) are
/// signed with the same keys, and open nothing (RFC 8725, section 3.11).
fn is_kind(kind: &Value) -> bool {
    let Some(kind) = kind.as_str() else {
        return false;
    };
    let kind = kind.to_ascii_lowercase();
    let kind = kind.strip_prefix("application/").unwrap_or(&kind);
    matches!(kind, "jwt" | "at+jwt")
}

fn object(part: &str) -> Result<Map<String, Value>, BadToken> {
    decoded(part)
        .and_then(|bytes| json::object(&bytes))
        .ok_or(BadToken::Form)
}

/// The one way of writing these bytes: no padding, no other alphabet, and no
/// bits beyond the last byte.
pub(crate) fn decoded(part: &str) -> Option<Vec<u8>> {
    BASE64URL_NOPAD.decode(part.as_bytes()).ok()
}
