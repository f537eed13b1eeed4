//! Where something stands in the policy log, and the chain of hashes by which
//! two readers know that they read the same log.

use bytes::Bytes;
use porthouse_model::Revision;
use sha2::{Digest, Sha256};

const CHAIN_BYTES: usize = 32;

/// A revision and the hash of everything up to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    revision: Revision,
    /// Without meaning at revision 0.
    chain: [u8; CHAIN_BYTES],
}

impl Position {
    /// Before the first revision.
    pub(crate) const BEGINNING: Self = Self {
        revision: Revision(0),
        chain: [0; CHAIN_BYTES],
    };

    /// The position that these say, if they say one.
    pub(crate) fn new(revision: i64, chain: &[u8]) -> Option<Self> {
        match (u64::try_from(revision).ok()?, chain) {
            (0, []) => Some(Self::BEGINNING),
            (0, _) => None,
            (revision, chain) => Some(Self {
                revision: Revision(revision),
                chain: chain.try_into().ok()?,
            }),
        }
    }

    /// The revision.
    pub(crate) const fn revision(&self) -> Revision {
        self.revision
    }

    /// The hash: 32 bytes, or none at the beginning.
    pub(crate) fn chain(&self) -> &[u8] {
        if self.revision.0 == 0 {
            &[]
        } else {
            &self.chain
        }
    }

    /// Where the log stands after this payload.
    pub(crate) fn after(&self, payload: &[u8]) -> Self {
        let hash = Sha256::new()
            .chain_update(self.chain())
            .chain_update(payload)
            .finalize();
        Self {
            revision: Revision(self.revision.0 + 1),
            chain: hash.into(),
        }
    }
}

/// One revision of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where the log stands after it.
    pub(crate) at: Position,
    /// The stored bytes: a serialised `ChangePayload`.
    pub(crate) payload: Bytes,
}

impl Entry {
    /// Whether this is what comes next after `position`: the next revision, and
    /// a hash that holds.
    pub(crate) fn follows(&self, position: &Position) -> bool {
        position.after(&self.payload) == self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry_after(position: &Position, payload: &'static [u8]) -> Entry {
        Entry {
            at: position.after(payload),
            payload: Bytes::from_static(payload),
        }
    }

    #[test]
    fn an_entry_follows_its_predecessor_alone() {
        let first = entry_after(&Position::BEGINNING, b"a");
        let second = entry_after(&first.at, b"b");
        assert!(first.follows(&Position::BEGINNING));
        assert!(second.follows(&first.at));
        assert!(!second.follows(&Position::BEGINNING));
        let other = entry_after(&Position::BEGINNING, b"c");
        assert!(!second.follows(&other.at));
    }

    #[test]
    fn a_payload_that_was_changed_does_not_follow() {
        let mut entry = entry_after(&Position::BEGINNING, b"a");
        entry.payload = Bytes::from_static(b"b");
        assert!(!entry.follows(&Position::BEGINNING));
    }

    #[test]
    fn a_position_is_read_back_as_written_and_nonsense_is_none() {
        let position = Position::BEGINNING.after(b"a");
        assert_eq!(Position::new(1, position.chain()), Some(position));
        assert_eq!(Position::new(0, &[]), Some(Position::BEGINNING));
        assert_eq!(Position::new(0, &[0; 32]), None);
        assert_eq!(Position::new(1, &[]), None);
        assert_eq!(Position::new(-1, &[0; 32]), None);
    }
}
