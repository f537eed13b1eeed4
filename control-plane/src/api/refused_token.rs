//! Tokens of identity providers that are refused. They are counted here, by the
//! network they come from, and told to the database and by it to other replicas each
//! second, so that who shows garbage costs no statement, let alone a transaction.
//! Owns what is not written yet, all of it bounded.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use porthouse_api::control::v1 as wire;
use tokio::sync::Mutex as Writing;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::identity::backoff::{Patience, Wrongs};
use crate::identity::network::network;
use crate::store::Store;

use super::error::ApiError;
use super::{lockout, note};

/// How often what was counted is written.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// Networks that are counted at once; tokens from others are refused as they come.
const NETWORKS_MAX: usize = 4_096;
/// Events that wait to be noted; more than the log takes of all networks together.
const EVENTS_MAX: usize = 128;
/// Events noted at once: others wait for the audit log meanwhile.
const NOTED_AT_ONCE: usize = 32;

/// Counts refused tokens, in all its clones together.
#[derive(Clone)]
pub(crate) struct RefusedTokens {
    store: Store,
    patience: Patience,
    counts: Arc<Mutex<Counts>>,
    /// Whoever writes holds it: who is asked to write what is left waits for that.
    writing: Arc<Writing<()>>,
}

impl RefusedTokens {
    /// Each network is borne with for so many.
    pub(crate) fn new(store: Store, refused_max: u32) -> Self {
        Self {
            store,
            patience: lockout::of_tokens(refused_max),
            counts: Arc::default(),
            writing: Arc::default(),
        }
    }

    /// Counts one, to be noted as this; or says how long its network is to wait,
    /// and counts nothing.
    pub(super) fn count(&self, address: &str, event: Option<wire::AuditEvent>) -> Option<Duration> {
        let now = Instant::now();
        self.counts()
            .count(network(address), event, now, self.patience)
    }

    /// Writes what is counted until told to stop, and then what is left.
    pub(crate) async fn run(self, stop: CancellationToken) {
        loop {
            let stopped = tokio::select! {
                () = stop.cancelled() => true,
                () = sleep(WRITE_EVERY) => false,
            };
            if stopped {
                return self.write_all().await;
            }
            self.write().await;
        }
    }

    /// Writes all that is counted, as long as that can be written.
    pub(crate) async fn write_all(&self) {
        while self.write().await {}
    }

    /// Writes some of what is counted; whether it did. What cannot be written is kept
    /// for the next time, within bounds.
    async fn write(&self) -> bool {
        let _writing = self.writing.lock().await;
        let taken = self.counts().take();
        if taken.networks.is_empty() && taken.events.is_empty() {
            return false;
        }
        let told = taken.clone();
        let written = self
            .store
            .transact::<_, ApiError>(move |c| {
                async move {
                    let counts = lockout::add_tokens(c, &told.networks).await?;
                    let noted = lockout::notable_tokens(c, told.events.len()).await?;
                    for event in told.events.into_iter().take(noted) {
                        note(c, Some(event)).await?;
                    }
                    Ok(counts)
                }
                .boxed()
            })
            .await;
        match written {
            Ok(counts) => {
                self.counts().learn(counts, Instant::now(), self.patience);
                true
            }
            Err(failure) => {
                tracing::warn!(?failure, "refused tokens are not written yet");
                self.counts().give_back(taken);
                false
            }
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of networks, and what is not written of it.
#[derive(Default)]
struct Counts {
    networks: BTreeMap<String, Network>,
    events: Vec<wire::AuditEvent>,
}

/// A network that refused tokens came from.
struct Network {
    /// How many, as far as is known here.
    count: u32,
    /// How many of them are not written.
    unwritten: u32,
    /// When the last one came.
    last: Instant,
}

/// What is to be written.
#[derive(Clone, Debug, Default, PartialEq)]
struct Taken {
    networks: Vec<(String, u32)>,
    events: Vec<wire::AuditEvent>,
}

impl Network {
    fn wrongs(&self, now: Instant) -> Wrongs {
        Wrongs {
            count: self.count,
            age: now.saturating_duration_since(self.last),
        }
    }
}

impl Counts {
    fn count(
        &mut self,
        network: String,
        event: Option<wire::AuditEvent>,
        now: Instant,
        patience: Patience,
    ) -> Option<Duration> {
        let room = self.networks.len() < NETWORKS_MAX;
        match self.networks.get_mut(&network) {
            Some(known) => {
                let wrongs = known.wrongs(now);
                if let Some(wait) = lockout::tell_lockout(wrongs.wait_of(patience)) {
                    return Some(wait);
                }
                known.count = wrongs.and_one();
                known.unwritten = known.unwritten.saturating_add(1);
                known.last = now;
            }
            None if room => {
                let first = Network {
                    count: 1,
                    unwritten: 1,
                    last: now,
                };
                self.networks.insert(network, first);
            }
            None => tracing::debug!("too many networks show refused tokens to count them all"),
        }
        if self.events.len() < EVENTS_MAX {
            self.events.extend(event);
        }
        None
    }

    fn take(&mut self) -> Taken {
        let noted = self.events.len().min(NOTED_AT_ONCE);
        let mut taken = Taken {
            networks: Vec::new(),
            events: self.events.drain(..noted).collect(),
        };
        for (name, network) in &mut self.networks {
            let unwritten = std::mem::take(&mut network.unwritten);
            if unwritten > 0 {
                taken.networks.push((name.clone(), unwritten));
            }
        }
        taken
    }

    fn give_back(&mut self, taken: Taken) {
        for (name, unwritten) in taken.networks {
            if let Some(network) = self.networks.get_mut(&name) {
                network.unwritten = network.unwritten.saturating_add(unwritten);
            }
        }
        let room = EVENTS_MAX.saturating_sub(self.events.len());
        self.events.extend(taken.events.into_iter().take(room));
    }

    /// Takes over what all replicas counted together, and forgets networks that the
    /// database knows as well, once they are many.
    fn learn(&mut self, counts: Vec<(String, u32)>, now: Instant, patience: Patience) {
        for (name, count) in counts {
            if let Some(network) = self.networks.get_mut(&name) {
                let all = count.saturating_add(network.unwritten);
                if all > network.count {
                    network.last = now;
                }
                network.count = all;
            }
        }
        if self.networks.len() > NETWORKS_MAX / 2 {
            self.networks.retain(|_, network| {
                network.unwritten > 0 || network.wrongs(now).wait_of(patience).is_some()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = lockout::of_tokens(2);

    fn event(id: usize) -> wire::AuditEvent {
        wire::AuditEvent {
            request_id: id.to_string(),
            ..wire::AuditEvent::default()
        }
    }

    fn one(counts: &mut Counts, network: &str, now: Instant) -> Option<Duration> {
        counts.count(network.to_owned(), Some(event(0)), now, PATIENCE)
    }

    #[test]
    fn a_network_waits_for_what_all_replicas_counted() {
        let (mut counts, now) = (Counts::default(), Instant::now());
        for _ in 0..2 {
            assert_eq!(one(&mut counts, "a", now), None);
        }
        let taken = counts.take();
        assert_eq!(taken.networks, [("a".to_owned(), 2)]);
        assert_eq!(taken.events.len(), 2);
        assert_eq!(counts.take(), Taken::default(), "it is taken once");
        // One more came meanwhile, and four at other replicas.
        assert_eq!(one(&mut counts, "a", now), None);
        counts.learn(vec![("a".to_owned(), 6)], now, PATIENCE);
        assert_eq!(counts.networks["a"].count, 7);
        let wait = one(&mut counts, "a", now).expect("it waits");
        assert!(wait > Duration::from_secs(8), "{wait:?}");
        assert_eq!(counts.take().networks, [("a".to_owned(), 1)]);
        assert_eq!(one(&mut counts, "b", now), None);
    }

    #[test]
    fn what_cannot_be_written_is_kept_for_the_next_time() {
        let (mut counts, now) = (Counts::default(), Instant::now());
        one(&mut counts, "a", now);
        let taken = counts.take();
        one(&mut counts, "a", now);
        counts.give_back(taken);
        let taken = counts.take();
        assert_eq!(taken.networks, [("a".to_owned(), 2)]);
        assert_eq!(taken.events.len(), 2);
    }

    #[test]
    fn networks_and_events_are_bounded() {
        let (mut counts, now) = (Counts::default(), Instant::now());
        for number in 0..2 * NETWORKS_MAX {
            assert_eq!(one(&mut counts, &number.to_string(), now), None);
        }
        assert_eq!(counts.networks.len(), NETWORKS_MAX);
        assert_eq!(counts.events.len(), EVENTS_MAX);
        let taken = counts.take();
        assert_eq!(taken.networks.len(), NETWORKS_MAX);
        assert_eq!(taken.events.len(), NOTED_AT_ONCE);
        // A failed write makes them no more.
        counts.give_back(taken.clone());
        for number in 0..EVENTS_MAX {
            counts.count("x".to_owned(), Some(event(number)), now, PATIENCE);
        }
        assert_eq!(counts.events.len(), EVENTS_MAX);
        // Once it is written there is room again; who waits is remembered.
        counts.take();
        let written = taken.networks.into_iter().map(|(name, _)| {
            let count = if name == "7" { 20 } else { 1 };
            (name, count)
        });
        counts.learn(written.collect(), now, PATIENCE);
        assert_eq!(counts.networks.keys().collect::<Vec<_>>(), ["7"]);
    }
}
