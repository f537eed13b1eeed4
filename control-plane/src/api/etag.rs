//! Etags: opaque names of one version of one resource. Two resources never share
//! one, so that an etag of a resource that was deleted and made again is stale.

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Bytes of an etag, before encoding.
const ETAG_BYTES: usize = 12;

/// The etag of a resource at a version.
pub(crate) fn of(id: Uuid, version: i64) -> String {
    let mut hasher = Sha256::new();
    hasher.update(id.as_bytes());
    hasher.update(version.to_be_bytes());
    BASE64URL_NOPAD.encode(&hasher.finalize()[..ETAG_BYTES])
}

/// Whether a write that gives this etag may go on; one that gives none may.
pub(crate) fn holds(given: &str, id: Uuid, version: i64) -> bool {
    given.is_empty() || given == of(id, version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_names_one_version_of_one_resource() {
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert!(holds(&of(one, 1), one, 1));
        assert!(holds("", one, 1));
        assert!(!holds(&of(one, 1), one, 2));
        assert!(!holds(&of(one, 1), other, 1));
    }
}
