//! Opaque credentials: how one is written, checked for typing errors, and
//! reduced to the hash that is all anybody stores or sends on. Never draws one.

use core::fmt;

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};

/// Secret bytes of a credential.
const SECRET_BYTES: usize = 32;
/// Bytes of the checksum behind the secret.
const CHECKSUM_BYTES: usize = 4;

/// What a credential opens; told by its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// A user's session: `phs_…`.
    Session,
    /// A backend's or a node's API key: `phk_…`.
    ApiKey,
    /// A sign-in that waits for a code: `phc_…`.
    SignInChallenge,
    /// A ticket, by which a session opens one socket: `pho_…`.
    Ticket,
    /// The mark by which a device is known that somebody signed in on: `phd_…`.
    Device,
    /// What a device comes by that has no login of its own: `pht_…`.
    DeviceToken,
}

impl CredentialKind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Session => "phs_",
            Self::ApiKey => "phk_",
            Self::SignInChallenge => "phc_",
            Self::Ticket => "pho_",
            Self::Device => "phd_",
            Self::DeviceToken => "pht_",
        }
    }
}

/// A secret somebody holds: 256 bits, written as a prefix and 48 characters of
/// base64url that end in a CRC-32 of prefix and secret, so that a typing error
/// is told apart from a revoked credential without asking anybody.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    kind: CredentialKind,
    secret: [u8; SECRET_BYTES],
}

/// Not a well-formed credential. Says nothing of what was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadCredential;

impl fmt::Display for BadCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a credential: it is mistyped, cut off, or of another system")
    }
}

impl std::error::Error for BadCredential {}

impl Credential {
    /// A credential made of 32 random bytes.
    #[must_use]
    pub const fn new(kind: CredentialKind, secret: [u8; SECRET_BYTES]) -> Self {
        Self { kind, secret }
    }

    /// Reads a credential of the given kind.
    ///
    /// # Errors
    ///
    /// [`BadCredential`] when prefix, length, alphabet or checksum is wrong.
    pub fn parse(kind: CredentialKind, text: &str) -> Result<Self, BadCredential> {
        let body = text.strip_prefix(kind.prefix()).ok_or(BadCredential)?;
        let bytes = BASE64URL_NOPAD
            .decode(body.as_bytes())
            .map_err(|_| BadCredential)?;
        let (secret, checksum) = bytes.split_at_checked(SECRET_BYTES).ok_or(BadCredential)?;
        let credential = Self::new(kind, secret.try_into().map_err(|_| BadCredential)?);
        if checksum == credential.checksum() {
            Ok(credential)
        } else {
            Err(BadCredential)
        }
    }

    /// Reads what a client comes to a node by: a session's token or a device's.
    ///
    /// # Errors
    ///
    /// [`BadCredential`] when it is neither.
    pub fn of_client(text: &str) -> Result<Self, BadCredential> {
        Self::parse(CredentialKind::Session, text)
            .or_else(|BadCredential| Self::parse(CredentialKind::DeviceToken, text))
    }

    /// The text to hand to its holder, once.
    #[must_use]
    pub fn reveal(&self) -> String {
        let mut bytes = [0; SECRET_BYTES + CHECKSUM_BYTES];
        bytes[..SECRET_BYTES].copy_from_slice(&self.secret);
        bytes[SECRET_BYTES..].copy_from_slice(&self.checksum());
        format!("{}{}", self.kind.prefix(), BASE64URL_NOPAD.encode(&bytes))
    }

    /// What is stored and sent in its place.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        let mut hasher = Sha256::new();
        hasher.update(self.kind.prefix().as_bytes());
        hasher.update(self.secret);
        TokenHash(hasher.finalize().into())
    }

    fn checksum(&self) -> [u8; CHECKSUM_BYTES] {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(self.kind.prefix().as_bytes());
        hasher.update(&self.secret);
        hasher.finalize().to_be_bytes()
    }
}

impl fmt::Debug for Credential {
    /// Never the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({:?})", self.kind)
    }
}

/// The SHA-256 of a credential. Knowing it opens nothing; it is still kept out
/// of logs, where it would tell who is who.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash that is these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Credential {
        Credential::new(CredentialKind::Session, [7; SECRET_BYTES])
    }

    #[test]
    fn what_was_revealed_is_read_back() {
        let text = session().reveal();
        assert_eq!(text.len(), 4 + 48);
        assert_eq!(
            Credential::parse(CredentialKind::Session, &text),
            Ok(session())
        );
    }

    #[test]
    fn a_mistyped_credential_is_told_apart() {
        let text = session().reveal();
        for at in 0..text.len() {
            let mut wrong = text.clone().into_bytes();
            wrong[at] = if wrong[at] == b'A' { b'B' } else { b'A' };
            let wrong = String::from_utf8(wrong).expect("ASCII");
            assert_eq!(
                Credential::parse(CredentialKind::Session, &wrong),
                Err(BadCredential)
            );
        }
        assert_eq!(
            Credential::parse(CredentialKind::ApiKey, &text),
            Err(BadCredential)
        );
        assert_eq!(
            Credential::parse(CredentialKind::Session, ""),
            Err(BadCredential)
        );
    }

    #[test]
    fn a_client_comes_by_a_session_or_a_device_token_and_nothing_else() {
        for kind in [CredentialKind::Session, CredentialKind::DeviceToken] {
            let credential = Credential::new(kind, [7; SECRET_BYTES]);
            assert_eq!(Credential::of_client(&credential.reveal()), Ok(credential));
        }
        for kind in [CredentialKind::ApiKey, CredentialKind::Device] {
            let credential = Credential::new(kind, [7; SECRET_BYTES]);
            assert_eq!(
                Credential::of_client(&credential.reveal()),
                Err(BadCredential)
            );
        }
    }

    #[test]
    fn nothing_shows_the_secret() {
        let shown = format!("{:?} {:?}", session(), session().hash());
        assert_eq!(shown, "Credential(Session) TokenHash(…)");
    }

    #[test]
    fn the_same_secret_of_another_kind_is_another_credential() {
        let key = Credential::new(CredentialKind::ApiKey, [7; SECRET_BYTES]);
        assert_ne!(key.hash(), session().hash());
    }
}
