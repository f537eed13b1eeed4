//! Which issuers there are, read at most a few times a second, so that tokens of
//! others are refused without asking the database about each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::store::issuers;
use crate::store::{Store, StoreError};

/// How long an issuer that another replica has made may be unknown here.
const AGE_MAX: Duration = Duration::from_millis(250);

/// The issuers there are, as they were last read.
#[derive(Clone, Default)]
pub(super) struct Known {
    /// Whoever reads holds it, so one does.
    read: Arc<Mutex<Read>>,
}

impl Known {
    /// Whether there is this issuer, or was a moment ago.
    pub(super) async fn has(&self, store: &Store, issuer: &str) -> Result<bool, StoreError> {
        let mut read = self.read.lock().await;
        if let Some(known) = read.has(issuer, Instant::now()) {
            return known;
        }
        let found = store
            .snapshot::<_, StoreError>(|c| async move { Ok(issuers::identities(c).await?) }.boxed())
            .await;
        // From when it ended: who waited for it is answered by it, also by its failure.
        *read = match found {
            Ok(found) => Read::Told(found.into_iter().collect(), Instant::now()),
            Err(_) => Read::Failed(Instant::now()),
        };
        read.has(issuer, Instant::now())
            .unwrap_or(Err(StoreError::Unavailable))
    }

    /// From now on what was just written is known.
    pub(super) async fn forget(&self) {
        *self.read.lock().await = Read::Never;
    }
}

/// What came of reading them.
#[derive(Default)]
enum Read {
    #[default]
    Never,
    Told(BTreeSet<String>, Instant),
    Failed(Instant),
}

impl Read {
    /// What is known of an issuer; `None`: read anew.
    fn has(&self, issuer: &str, now: Instant) -> Option<Result<bool, StoreError>> {
        let fresh = |at: &Instant| now.saturating_duration_since(*at) < AGE_MAX;
        match self {
            Self::Told(known, _) if known.contains(issuer) => Some(Ok(true)),
            Self::Told(_, at) if fresh(at) => Some(Ok(false)),
            Self::Failed(at) if fresh(at) => Some(Err(StoreError::Unavailable)),
            Self::Never | Self::Told(..) | Self::Failed(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_no_issuer_have_the_issuers_read_a_few_times_a_second() {
        let at = Instant::now();
        let read = Read::Told(["acme".to_owned()].into(), at);
        let later = at + AGE_MAX;
        assert!(matches!(read.has("acme", later), Some(Ok(true))));
        assert!(matches!(read.has("other", at), Some(Ok(false))));
        assert!(read.has("other", later).is_none(), "it may be new");
        assert!(Read::Never.has("acme", at).is_none());
    }

    #[test]
    fn who_waited_for_a_read_that_failed_does_not_read_again() {
        let at = Instant::now();
        let read = Read::Failed(at);
        assert!(matches!(
            read.has("acme", at),
            Some(Err(StoreError::Unavailable))
        ));
        assert!(read.has("acme", at + AGE_MAX).is_none());
    }
}
