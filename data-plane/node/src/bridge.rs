//! The way from puddles to the store of durable rooms. Carries requests there
//! and answers back, each once; without a store every one fails.

pub(crate) mod nats;
mod sign;
mod sweep;

use std::sync::Arc;

use porthouse_puddle::{FromStore, PuddleId, StoreRequest, StoredRoom, ToStore};
use tokio::sync::mpsc;

use crate::policy::client::Replicas;
use crate::settings::NatsSettings;
use nats::Nats;
pub use nats::StoreError;
pub(crate) use sign::{Store, StoreSign};

/// Answers that wait to be taken; past it, those who bring them wait.
const ANSWERS_MAX: usize = 64;

/// The way to the store. Used inside a runtime.
#[derive(Debug)]
pub(crate) struct Bridge {
    store: Option<Arc<Nats>>,
    /// How often each puddle has begun anew: what an earlier one asked is not
    /// answered.
    lives: Vec<u64>,
    answered: (mpsc::Sender<Answer>, mpsc::Receiver<Answer>),
}

#[derive(Debug)]
struct Answer {
    puddle: PuddleId,
    life: u64,
    request: StoreRequest,
    answer: FromStore,
}

impl Bridge {
    /// To this store, if there is one.
    ///
    /// # Errors
    ///
    /// When it is there, and is none that keeps what it says.
    pub(crate) async fn open(
        settings: Option<&NatsSettings>,
        puddles: usize,
    ) -> Result<Self, StoreError> {
        let store = match settings {
            None => None,
            Some(settings) => Some(Arc::new(Nats::open(settings).await?)),
        };
        Ok(Self {
            store,
            lives: vec![0; puddles],
            answered: mpsc::channel(ANSWERS_MAX),
        })
    }

    /// Has a request made; its answer comes by [`Self::next`].
    pub(crate) fn ask(
        &self,
        puddle: PuddleId,
        request: StoreRequest,
        room: StoredRoom,
        what: ToStore,
    ) {
        let (store, answered) = (self.store.clone(), self.answered.0.clone());
        let life = self.lives[usize::from(puddle.0)];
        tokio::spawn(async move {
            let answer = match store {
                None => FromStore::Failed,
                Some(store) => store.answer(&room, what).await,
            };
            let answer = Answer {
                puddle,
                life,
                request,
                answer,
            };
            // Nobody waits for an answer when the node has ended.
            let _ = answered.send(answer).await;
        });
    }

    /// Has the store forget rooms that were deleted while no node was there to do
    /// so. Nothing to do without a store.
    pub(crate) fn swept(
        &self,
        replicas: Arc<Replicas>,
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        let store = self.store.clone()?;
        Some(sweep::run(store, replicas))
    }

    /// How the store stands, if there is one.
    pub(crate) fn sign(&self) -> Option<Arc<StoreSign>> {
        self.store.as_ref().map(|store| store.sign())
    }

    /// The next answer.
    pub(crate) async fn next(&mut self) -> (PuddleId, StoreRequest, FromStore) {
        loop {
            let answer = self.answered.1.recv().await;
            let answer = answer.expect("the sender is ours");
            if answer.life == self.lives[usize::from(answer.puddle.0)] {
                return (answer.puddle, answer.request, answer.answer);
            }
        }
    }

    /// A puddle began anew.
    pub(crate) fn restarted(&mut self, puddle: PuddleId) {
        self.lives[usize::from(puddle.0)] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> StoredRoom {
        StoredRoom {
            id: porthouse_model::RoomId::from_bytes([7; 16]),
            name: "news".parse().expect("a name"),
        }
    }

    #[tokio::test]
    async fn without_a_store_everything_fails_at_once() {
        let mut bridge = Bridge::open(None, 1).await.expect("no store is asked");
        let what = ToStore::Read { bytes_max: 1 };
        bridge.ask(PuddleId(0), StoreRequest(1), room(), what);
        let answer = (PuddleId(0), StoreRequest(1), FromStore::Failed);
        assert_eq!(bridge.next().await, answer);
    }

    #[tokio::test]
    async fn what_a_puddle_asked_before_it_began_anew_is_not_answered() {
        let mut bridge = Bridge::open(None, 2).await.expect("no store is asked");
        bridge.ask(PuddleId(1), StoreRequest(1), room(), ToStore::ForgetRoom);
        bridge.restarted(PuddleId(1));
        bridge.ask(PuddleId(1), StoreRequest(2), room(), ToStore::ForgetRoom);
        assert_eq!(bridge.next().await.1, StoreRequest(2));
    }
}
