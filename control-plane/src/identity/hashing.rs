//! Hashing in turn: each hash takes memory and a processor, so few run at once.
//! Owns the hasher and its turns; decides nothing about passwords.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::task::spawn_blocking;

use super::chance;
use super::password::{Hasher, Password, PasswordCost, Verdict};
use super::turns::{Asker, Full, Line, Places, Turns};

/// How passwords are hashed.
#[derive(Clone, Debug)]
pub struct HashingSettings {
    /// What one hash costs.
    pub cost: PasswordCost,
    /// How many are computed at once; each takes its memory and a processor.
    pub running_max: NonZeroUsize,
    /// How many may wait for that. Askers take turns, and of more than may wait
    /// the last of the longest line is told to come back.
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

impl From<Full> for Busy {
    fn from(_: Full) -> Self {
        Self {
            retry_after: Duration::from_secs(1),
        }
    }
}

/// Hashes passwords on a bounded number of threads, askers in turn.
#[derive(Clone)]
pub(crate) struct Hashing {
    hasher: Arc<Hasher>,
    turns: Turns,
}

impl Hashing {
    /// Starts with every place free. Costs one hash. `kept` is what passwords
    /// were hashed at so far, as PHC strings have it.
    ///
    /// # Errors
    ///
    /// When the settings name a cost Argon2 does not have.
    pub(crate) fn new(settings: &HashingSettings, kept: &[String]) -> Result<Self, argon2::Error> {
        let hasher = Hasher::new(settings.cost, chance::salt())?;
        for cost in kept.iter().filter_map(|cost| PasswordCost::from_phc(cost)) {
            hasher.note(cost);
        }
        Ok(Self {
            hasher: Arc::new(hasher),
            turns: Turns::new(Places {
                running_max: settings.running_max.get(),
                waiting_max: settings.waiting_max,
            }),
        })
    }

    /// How many may be hashed at once, and wait for it.
    pub(crate) const fn places(&self) -> Places {
        self.turns.places()
    }

    /// How many are hashed now, and wait for it.
    pub(crate) fn line(&self) -> Line {
        self.turns.line()
    }

    /// What is kept of a password: a PHC string.
    pub(crate) async fn hash(&self, asker: Asker, password: Password) -> Result<String, Busy> {
        self.in_turn(asker, move |hasher| hasher.hash(&password, chance::salt()))
            .await
    }

    /// Compares a password with what is kept, if anything is. A password that is
    /// right but outdated comes back as what to keep from now on.
    pub(crate) async fn verify(
        &self,
        asker: Asker,
        password: Password,
        kept: Option<String>,
    ) -> Result<Verified, Busy> {
        self.in_turn(asker, move |hasher| {
            match hasher.verify(&password, kept.as_deref()) {
                Verdict::Wrong => Verified::Wrong,
                Verdict::Right => Verified::Right,
                Verdict::RightButOutdated => {
                    Verified::RightKeepAs(hasher.hash(&password, chance::salt()))
                }
            }
        })
        .await
    }

    /// Runs `work` when its turn comes. A caller who goes away while waiting gives
    /// up the place; work that has begun keeps its turn to its end.
    async fn in_turn<T: Send + 'static>(
        &self,
        asker: Asker,
        work: impl FnOnce(&Hasher) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let turn = self.turns.turn(asker).await?;
        let hasher = Arc::clone(&self.hasher);
        let done = spawn_blocking(move || {
            let done = work(&hasher);
            drop(turn);
            done
        });
        Ok(done
            .await
            .expect("hashing does not panic and is not aborted"))
    }
}

impl fmt::Debug for Hashing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hashing").finish_non_exhaustive()
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

    fn hashing(memory_kib: u32) -> Hashing {
        let settings = HashingSettings {
            cost: PasswordCost {
                memory_kib,
                passes: 1,
                lanes: 1,
            },
            running_max: NonZeroUsize::MIN,
            waiting_max: 1,
        };
        Hashing::new(&settings, &[]).expect("a cost Argon2 has")
    }

    fn password() -> Password {
        Password::given("correct horse".to_owned()).expect("a password")
    }

    fn asker() -> Asker {
        Asker("a".to_owned())
    }

    #[tokio::test]
    async fn one_more_than_may_wait_is_told_to_come_back() {
        let hashing = hashing(16);
        let running = hashing.turns.turn(asker()).await.expect("free");
        let mut first = Box::pin(hashing.verify(asker(), password(), None));
        assert!(futures_util::poll!(&mut first).is_pending());
        let second = hashing.verify(asker(), password(), None).await;
        assert!(second.is_err_and(|busy| !busy.retry_after.is_zero()));
        drop(running);
        assert!(first.await == Ok(Verified::Wrong));
    }

    #[tokio::test]
    async fn a_password_kept_at_an_older_cost_is_hashed_anew() {
        let kept = hashing(16)
            .hash(asker(), password())
            .await
            .expect("a place");
        let dearer = hashing(32);
        let verified = dearer.verify(asker(), password(), Some(kept)).await;
        let Ok(Verified::RightKeepAs(anew)) = verified else {
            panic!("the older cost was not noticed");
        };
        assert!(anew.contains("m=32"));
        let verified = dearer.verify(asker(), password(), Some(anew)).await;
        assert!(verified == Ok(Verified::Right));
    }
}
