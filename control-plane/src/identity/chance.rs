//! What is drawn: salts, secrets and identities. The only place in the control
//! plane that asks for randomness, which a generator seeded by the system gives.

use data_encoding::HEXLOWER;
use porthouse_model::{Address, Credential, CredentialKind};
use uuid::Uuid;
use zeroize::Zeroizing;

/// Bytes of a password's salt (RFC 9106, section 3.1, recommends 16).
pub(crate) const SALT_BYTES: usize = 16;

/// Bytes of an address that is drawn: as many as an identity's.
const ADDRESS_BYTES: usize = 16;

/// A salt that no other password has.
pub(crate) fn salt() -> [u8; SALT_BYTES] {
    rand::random()
}

/// A credential that nobody else holds.
pub(crate) fn credential(kind: CredentialKind) -> Credential {
    Credential::new(kind, rand::random())
}

/// An address that nobody guesses.
pub(crate) fn address() -> Address {
    let name = HEXLOWER.encode(&rand::random::<[u8; ADDRESS_BYTES]>());
    format!("@{name}").parse().expect("digits are an address")
}

/// Bytes of a name that nobody else is given.
pub(crate) fn name_bytes() -> [u8; 8] {
    rand::random()
}

/// An identity that no other thing has (RFC 9562, version 7: ordered by the
/// time of its drawing).
pub(crate) fn identity() -> Uuid {
    Uuid::now_v7()
}

/// Bytes of a key that secrets are sealed under.
pub(crate) const SEALING_KEY_BYTES: usize = 32;
/// Bytes of what a sealing under one key never uses twice. At 24 of them,
/// drawing is enough.
pub(crate) const SEALING_NONCE_BYTES: usize = 24;
/// Bytes of a secret that codes are made of (RFC 4226, section 4, recommends 20).
pub(crate) const CODE_SECRET_BYTES: usize = 20;
/// Bytes of a recovery code: enough that a fast hash of it can be kept.
pub(crate) const RECOVERY_CODE_BYTES: usize = 16;

/// A key that nothing was sealed under.
pub(crate) fn sealing_key() -> Zeroizing<[u8; SEALING_KEY_BYTES]> {
    Zeroizing::new(rand::random())
}

/// What no other sealing uses.
pub(crate) fn sealing_nonce() -> [u8; SEALING_NONCE_BYTES] {
    rand::random()
}

/// A secret that no other device makes codes of.
pub(crate) fn code_secret() -> Zeroizing<[u8; CODE_SECRET_BYTES]> {
    Zeroizing::new(rand::random())
}

/// A recovery code that nobody else has.
pub(crate) fn recovery_code() -> Zeroizing<[u8; RECOVERY_CODE_BYTES]> {
    Zeroizing::new(rand::random())
}
