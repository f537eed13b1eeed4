//! The keys that secrets are sealed under, where there are any. Turns what does
//! not open into what a caller is told.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::identity::sealing::{Place, SealingKeys, Unopened};

use super::error::ApiError;

/// Seals and opens what the database keeps.
#[derive(Clone, Debug)]
pub(crate) struct Sealing {
    keys: Option<Arc<SealingKeys>>,
}

impl Sealing {
    pub(crate) const fn new(keys: Option<Arc<SealingKeys>>) -> Self {
        Self { keys }
    }

    /// Seals a secret for its place.
    ///
    /// # Errors
    ///
    /// [`ApiError::SealingKeysMissing`] when there is no key.
    pub(crate) fn seal(&self, secret: &[u8], place: Place) -> Result<Vec<u8>, ApiError> {
        Ok(self.keys()?.seal(secret, place))
    }

    /// Opens a secret, and answers beside it what to keep from now on when its
    /// key is not the first any more.
    ///
    /// # Errors
    ///
    /// [`ApiError::SealingKeysMissing`] without a key or this one.
    pub(crate) fn open(&self, sealed: &[u8], place: Place) -> Result<Opened, ApiError> {
        let keys = self.keys()?;
        let secret = keys
            .open(sealed, place)
            .map_err(|unopened| match unopened {
                Unopened::KeyMissing(id) => ApiError::SealingKeysMissing(Some(id)),
                Unopened::Damaged => {
                    tracing::error!(?place, "a sealed secret is damaged");
                    ApiError::Internal
                }
            })?;
        let outdated = keys.is_outdated(sealed);
        let keep_as = outdated.then(|| keys.seal(&secret, place));
        Ok(Opened { secret, keep_as })
    }

    /// The names of the keys, of which the first seals.
    ///
    /// # Errors
    ///
    /// [`ApiError::SealingKeysMissing`] when there is none.
    pub(crate) fn key_names(&self) -> Result<Vec<&str>, ApiError> {
        Ok(self.keys()?.names().collect())
    }

    fn keys(&self) -> Result<&SealingKeys, ApiError> {
        self.keys
            .as_deref()
            .ok_or(ApiError::SealingKeysMissing(None))
    }
}

/// A secret that was opened.
pub(crate) struct Opened {
    pub(crate) secret: Zeroizing<Vec<u8>>,
    pub(crate) keep_as: Option<Vec<u8>>,
}
