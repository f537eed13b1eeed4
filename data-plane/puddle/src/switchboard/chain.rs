//! Places in the policy log that can be told apart from the same number in
//! another history. Owns the chain hash; reads no payload.

use core::fmt;

use porthouse_model::Revision;
use sha2::{Digest, Sha256};

/// The hash of a revision's payload and of all before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Chain([u8; 32]);

impl Chain {
    /// Before the first revision.
    pub const START: Self = Self([0; 32]);

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

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second, ..] = self.0;
        write!(f, "Chain({first:02x}{second:02x}…)")
    }
}

/// A place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// The revision.
    pub revision: Revision,
    /// Its chain hash.
    pub chain: Chain,
}

impl Position {
    /// Before the first revision.
    pub const START: Self = Self {
        revision: Revision(0),
        chain: Chain::START,
    };

    /// The next place, reached by this payload: SHA-256 of the previous chain
    /// followed by the payload. Nothing is before the first, so its chain is
    /// the hash of its payload alone.
    #[must_use]
    pub fn then(self, payload: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        if self.revision > Revision(0) {
            hasher.update(self.chain.0);
        }
        hasher.update(payload);
        Self {
            revision: Revision(self.revision.0 + 1),
            chain: Chain(hasher.finalize().into()),
        }
    }
}
