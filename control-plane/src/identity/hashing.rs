//! Who may hash now, who waits, and who is told to come back. Owns the places;
//! decides nothing about passwords.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::chance;
use super::password::{Hasher, Password, PasswordCost, Verdict};

/// How passwords are hashed.
#[derive(Clone, Debug)]
pub struct HashingSettings {
    /// What one hash costs.
    pub cost: PasswordCost,
    /// How many are computed at once; each takes its memory and a processor.
    pub running_max: NonZeroUsize,
    /// How many may wait for that.
    pub waiting_max: usize,
}

impl Default for HashingSettings {
    /// All processors but one, at least one; 64 may wait.
    fn default() -> Self {
        let spare = available_parallelism()
            .map_or(1, NonZeroUsize::get)
            .saturating_sub(1);
        Self {
            cost: PasswordCost::default(),
            running_max: NonZeroUsize::new(spare).unwrap_or(NonZeroUsize::MIN),
            waiting_max: 64,
        }
    }
}

/// As many wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Busy {
    /// When to ask again.
    pub(crate) retry_after: Duration,
}

/// Hashes passwords on a bounded number of threads, in the order of asking.
#[derive(Clone)]
pub(crate) struct Hashing {
    hasher: Arc<Hasher>,
    /// Places to run or wait.
    places: Arc<Semaphore>,
    /// Places to run.
    running: Arc<Semaphore>,
}

impl Hashing {
    /// Starts with every place free. Costs one hash.
    ///
    /// # Errors
    ///
    /// When the settings name a cost Argon2 does not have.
    pub(crate) fn new(settings: &HashingSettings) -> Result<Self, argon2::Error> {
        let running_max = settings.running_max.get();
        Ok(Self {
            hasher: Arc::new(Hasher::new(settings.cost, chance::salt())?),
            places: Arc::new(Semaphore::new(running_max + settings.waiting_max)),
            running: Arc::new(Semaphore::new(running_max)),
        })
    }

    /// What is kept of a password: a PHC string.
    pub(crate) async fn hash(&self, password: Password) -> Result<String, Busy> {
        self.in_turn(move |hasher| hasher.hash(&password, chance::salt()))
            .await
    }

    /// Compares a password with what is kept, if anything is. A password that is
    /// right but outdated comes back as what to keep from now on.
    pub(crate) async fn verify(
        &self,
        password: Password,
        kept: Option<String>,
    ) -> Result<Verified, Busy> {
        self.in_turn(
            move |hasher| match hasher.verify(&password, kept.as_deref()) {
                Verdict::Wrong => Verified::Wrong,
                Verdict::Right => Verified::Right,
                Verdict::RightButOutdated => {
                    Verified::RightKeepAs(hasher.hash(&password, chance::salt()))
                }
            },
        )
        .await
    }

    /// Runs `work` when its turn comes. A caller who goes away while waiting gives
    /// up the place; work that has begun keeps its place to its end.
    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Hasher) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| Busy {
                retry_after: Duration::from_secs(1),
            })?;
        let turn = Arc::clone(&self.running)
            .acquire_owned()
            .await
            .expect("the places are never closed");
        let hasher = Arc::clone(&self.hasher);
        let done = spawn_blocking(move || {
            let done = work(&hasher);
            drop((place, turn));
            done
        });
        Ok(done
            .await
            .expect("hashing does not panic and is not aborted"))
    }
}

impl fmt::Debug for Hashing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hashing")
            .field("places", &self.places.available_permits())
            .finish_non_exhaustive()
    }
}

/// How a comparison ended.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Verified {
    /// The password is wrong, or there was nothing to compare it with.
    Wrong,
    /// It is right.
    Right,
    /// It is right, and to be kept as this PHC string from now on.
    RightKeepAs(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashing(waiting_max: usize) -> Hashing {
        Hashing::new(&HashingSettings {
            cost: PasswordCost {
                memory_kib: 16,
                passes: 1,
                lanes: 1,
            },
            running_max: NonZeroUsize::MIN,
            waiting_max,
        })
        .expect("a cost Argon2 has")
    }

    fn password() -> Password {
        Password::given("correct horse".to_owned()).expect("a password")
    }

    #[tokio::test]
    async fn one_more_than_may_wait_is_told_to_come_back() {
        let hashing = hashing(1);
        let running = Arc::clone(&hashing.running)
            .acquire_owned()
            .await
            .expect("open");
        let first = hashing.verify(password(), None);
        let second = hashing.verify(password(), None);
        let (mut first, mut second) = (Box::pin(first), Box::pin(second));
        assert!(futures_util::poll!(&mut first).is_pending());
        assert!(futures_util::poll!(&mut second).is_pending());
        assert!(hashing.verify(password(), None).await.is_err());
        drop(running);
        assert!(first.await == Ok(Verified::Wrong));
        assert!(second.await == Ok(Verified::Wrong));
        assert!(hashing.verify(password(), None).await == Ok(Verified::Wrong));
    }

    #[tokio::test]
    async fn whoever_goes_away_leaves_a_place() {
        let hashing = hashing(0);
        let running = Arc::clone(&hashing.running)
            .acquire_owned()
            .await
            .expect("open");
        let mut gone = Box::pin(hashing.verify(password(), None));
        assert!(futures_util::poll!(&mut gone).is_pending());
        drop((gone, running));
        assert!(hashing.verify(password(), None).await == Ok(Verified::Wrong));
    }

    #[tokio::test]
    async fn a_password_kept_at_an_older_cost_is_hashed_anew() {
        let kept = hashing(1).hash(password()).await.expect("a place");
        let dearer = Hashing::new(&HashingSettings {
            cost: PasswordCost {
                memory_kib: 32,
                passes: 1,
                lanes: 1,
            },
            ..HashingSettings::default()
        })
        .expect("a cost Argon2 has");
        let Ok(Verified::RightKeepAs(anew)) = dearer.verify(password(), Some(kept)).await else {
            panic!("the older cost was not noticed");
        };
        assert!(anew.contains("m=32"));
        assert!(dearer.verify(password(), Some(anew)).await == Ok(Verified::Right));
    }
}
