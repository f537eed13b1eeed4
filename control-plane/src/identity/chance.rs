//! What is drawn: salts, secrets and identities. The only place in the control
//! plane that asks for randomness, which a generator seeded by the system gives.

use porthouse_model::{Credential, CredentialKind};
use uuid::Uuid;

/// Bytes of a password's salt (RFC 9106, section 3.1, recommends 16).
pub(crate) const SALT_BYTES: usize = 16;

/// A salt that no other password has.
pub(crate) fn salt() -> [u8; SALT_BYTES] {
    rand::random()
}

/// A credential that nobody else holds.
pub(crate) fn credential(kind: CredentialKind) -> Credential {
    Credential::new(kind, rand::random())
}

/// An identity that no other thing has (RFC 9562, version 7: ordered by the
/// time of its drawing).
pub(crate) fn identity() -> Uuid {
    Uuid::now_v7()
}
