//! Kicks on their way to the control plane, so that who was put out of a room is
//! kept out on all nodes, and after a restart. The sockets are out, and kept out
//! here, before; nobody waits for this.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use porthouse_api::node::v1::KeepOutRequest;
use porthouse_model::{ClientId, RoomName};
use porthouse_puddle::KeptOut as Kicked;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tonic::{Code, Status};

use super::client::Replicas;

/// Kicks that wait to be written; one more holds on this node alone.
const WAITING_MAX: usize = 1_024;
/// Those of one room, so that whoever kicks there takes no other room's places.
const WAITING_PER_ROOM_MAX: usize = 64;
/// How often one is tried that is answered, and fails by itself.
const TRIES_MAX: u32 = 5;
/// Such ones that wait; one more is given up.
const FAILING_MAX: usize = 64;

/// When one is tried again.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// While nobody answers, at first and at most; it is tried until the kick is over.
    pause_min: Duration,
    pause_max: Duration,
    /// One that fails by itself, behind all others.
    again_after: Duration,
}

const PACE: Pace = Pace {
    pause_min: Duration::from_millis(250),
    pause_max: Duration::from_secs(5),
    again_after: Duration::from_secs(10),
};

/// The way there; the writer ends when the last one of these is dropped.
#[derive(Clone, Debug)]
pub(crate) struct KeptOut {
    way: mpsc::Sender<Waiting>,
    known: Known,
}

#[derive(Clone, Debug)]
struct Waiting {
    kicked: Kicked,
    until: Instant,
    tries: u32,
}

/// Until when whom waits to be kept out, by room.
#[derive(Clone, Debug, Default)]
struct Known(Arc<Mutex<BTreeMap<RoomName, BTreeMap<ClientId, Instant>>>>);

/// What becomes of a kick that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It waits.
    Its,
    /// One waits that lasts about as long.
    AnothersToo,
    /// There are too many of its room.
    None,
}

impl Known {
    fn all(&self) -> MutexGuard<'_, BTreeMap<RoomName, BTreeMap<ClientId, Instant>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, kicked: &Kicked, until: Instant) -> Place {
        let mut all = self.all();
        let room = all.entry(kicked.room.clone()).or_default();
        // The control plane would not move its end for less either.
        let about = until.checked_sub(kicked.time / 10).unwrap_or(until);
        match room.get(&kicked.client) {
            Some(known) if *known >= about => return Place::AnothersToo,
            None if room.len() >= WAITING_PER_ROOM_MAX => return Place::None,
            Some(_) | None => {}
        }
        room.insert(kicked.client, until);
        Place::Its
    }

    /// This one waits no more; a longer one of the same may.
    fn let_go(&self, waited: &Waiting) {
        let mut all = self.all();
        if let Some(room) = all.get_mut(&waited.kicked.room) {
            let client = &waited.kicked.client;
            if room.get(client).is_some_and(|until| *until <= waited.until) {
                room.remove(client);
            }
            if room.is_empty() {
                all.remove(&waited.kicked.room);
            }
        }
    }
}

impl KeptOut {
    /// Makes the way, and what is to be run at its end.
    pub(crate) fn new(replicas: Arc<Replicas>) -> (Self, impl Future<Output = ()> + Send) {
        let write = move |kicked, left| {
            let replicas = Arc::clone(&replicas);
            async move {
                let message = replicas.request(request(&kicked, left));
                replicas.feed().keep_out(message).await.map(|_| ())
            }
        };
        Self::written_by(write, PACE)
    }

    fn written_by<F>(
        write: impl Fn(Kicked, Duration) -> F + Send + Sync,
        pace: Pace,
    ) -> (Self, impl Future<Output = ()> + Send)
    where
        F: Future<Output = Result<(), Status>> + Send,
    {
        let (way, waiting) = mpsc::channel(WAITING_MAX);
        let known = Known::default();
        let way = Self {
            way,
            known: known.clone(),
        };
        (way, write_all(write, pace, waiting, known))
    }

    /// Nobody writes it.
    #[cfg(test)]
    pub(crate) fn nowhere() -> Self {
        Self {
            way: mpsc::channel(1).0,
            known: Known::default(),
        }
    }

    /// A puddle has put somebody out.
    pub(crate) fn tell(&self, kicked: Kicked) {
        let until = Instant::now() + kicked.time;
        let waiting = match self.known.take(&kicked, until) {
            Place::AnothersToo => return,
            Place::Its => Some(Waiting {
                kicked,
                until,
                tries: 0,
            }),
            Place::None => None,
        };
        let unsent = match waiting.map(|waiting| self.way.try_send(waiting)) {
            Some(Ok(())) => return,
            Some(Err(unsent)) => Some(unsent.into_inner()),
            None => None,
        };
        if let Some(unsent) = unsent {
            self.known.let_go(&unsent);
        }
        tracing::warn!("too many kicks wait for the control plane: one holds on this node alone");
    }
}

/// Writes what waits, in order; what fails by itself comes again behind all others.
async fn write_all<F>(
    write: impl Fn(Kicked, Duration) -> F + Send + Sync,
    pace: Pace,
    mut waiting: mpsc::Receiver<Waiting>,
    known: Known,
) where
    F: Future<Output = Result<(), Status>> + Send,
{
    let mut failing: VecDeque<(Instant, Waiting)> = VecDeque::new();
    loop {
        let due = failing.front().map(|(due, _)| *due);
        let next = tokio::select! {
            biased;
            next = waiting.recv() => next,
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                failing.pop_front().map(|(_, again)| again)
            }
        };
        let Some(mut next) = next else { return };
        match written(&write, pace, &next).await {
            Ok(()) => {}
            Err(status)
                if !is_lasting(&status)
                    && next.tries + 1 < TRIES_MAX
                    && failing.len() < FAILING_MAX =>
            {
                next.tries += 1;
                failing.push_back((Instant::now() + pace.again_after, next));
                continue;
            }
            Err(status) => {
                let (code, why) = (status.code(), status.message());
                tracing::warn!(?code, why, "a kick holds on this node alone");
            }
        }
        known.let_go(&next);
    }
}

/// Has one written as soon as somebody answers, as long as it is of use; or answers
/// why it was not.
async fn written<F>(
    write: &(impl Fn(Kicked, Duration) -> F + Sync),
    pace: Pace,
    waiting: &Waiting,
) -> Result<(), Status>
where
    F: Future<Output = Result<(), Status>> + Send,
{
    let mut pause = pace.pause_min;
    loop {
        let left = waiting.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        match write(waiting.kicked.clone(), left).await {
            Err(status) if is_away(&status) => sleep(pause.min(left)).await,
            answered => return answered,
        }
        pause = (pause * 2).min(pace.pause_max);
    }
}

/// Whether nobody answers, or nobody is answered now: it is no matter of this kick.
fn is_away(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::Cancelled
            | Code::Unauthenticated
            // What a transport that fails is said to be.
            | Code::Unknown
    )
}

/// Whether asking again is of no use: what is asked cannot be, or a control plane
/// of an earlier build does not know what it is asked.
fn is_lasting(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::InvalidArgument | Code::Unimplemented | Code::PermissionDenied
    )
}

fn request(kicked: &Kicked, left: Duration) -> KeepOutRequest {
    KeepOutRequest {
        room_name: kicked.room.as_str().to_owned(),
        room_id: kicked
            .room_id
            .map(|id| id.as_bytes().to_vec())
            .unwrap_or_default(),
        client_id: kicked.client.as_bytes().to_vec(),
        duration: prost_types::Duration::try_from(left).ok(),
        by_client_id: kicked
            .by
            .map(|by| by.as_bytes().to_vec())
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kick(room: &str, client: u8) -> Kicked {
        Kicked {
            room: room.parse().unwrap(),
            room_id: None,
            client: ClientId::from_bytes([client; 16]),
            by: None,
            time: Duration::from_mins(5),
        }
    }

    #[test]
    fn only_what_cannot_be_done_later_either_is_given_up() {
        for code in [
            Code::Unavailable,
            Code::DeadlineExceeded,
            Code::Unauthenticated,
        ] {
            let status = Status::new(code, "");
            assert!(!is_lasting(&status) && is_away(&status), "{code:?}");
        }
        assert!(is_lasting(&Status::unimplemented("")));
        let failing = Status::internal("");
        assert!(!is_lasting(&failing) && !is_away(&failing));
    }

    #[tokio::test]
    async fn kicks_that_nobody_takes_are_bounded() {
        let (way, waiting) = mpsc::channel(1);
        let known = Known::default();
        let way = KeptOut { way, known };
        way.tell(kick("lobby", 1));
        way.tell(kick("lobby", 2));
        assert_eq!(waiting.len(), 1);
        assert_eq!(way.known.all()["lobby"].len(), 1, "the other is forgotten");
    }

    #[test]
    fn who_kicks_over_and_over_takes_few_places_and_none_of_another_room() {
        let (way, mut waiting) = mpsc::channel(WAITING_MAX);
        let known = Known::default();
        let way = KeptOut { way, known };
        for _ in 0..10 {
            way.tell(kick("lobby", 1));
        }
        assert_eq!(waiting.len(), 1, "it waits already");
        for client in 0..=u8::MAX {
            way.tell(kick("lobby", client));
        }
        assert_eq!(waiting.len(), WAITING_PER_ROOM_MAX);
        way.tell(kick("hall", 1));
        assert_eq!(waiting.len(), WAITING_PER_ROOM_MAX + 1);
        // One that lasts longer than what waits is told.
        way.tell(Kicked {
            time: Duration::from_mins(6),
            ..kick("lobby", 1)
        });
        assert_eq!(waiting.len(), WAITING_PER_ROOM_MAX + 2);
        while let Ok(waited) = waiting.try_recv() {
            way.known.let_go(&waited);
        }
        assert!(way.known.all().is_empty(), "nothing is left behind");
    }

    const SOON: Pace = Pace {
        pause_min: Duration::from_millis(1),
        pause_max: Duration::from_millis(2),
        again_after: Duration::from_millis(1),
    };

    #[tokio::test]
    async fn a_kick_that_always_fails_holds_up_no_other() {
        let (told, mut tries) = mpsc::channel(16);
        let write = move |kicked: Kicked, _| {
            let room = kicked.room.to_string();
            let answer = match room.as_str() {
                "broken" => Err(Status::internal("a row that cannot be read")),
                _ => Ok(()),
            };
            told.try_send(room).expect("few tries");
            async move { answer }
        };
        let (way, writing) = KeptOut::written_by(write, SOON);
        for room in ["broken", "lobby", "hall"] {
            way.tell(kick(room, 1));
        }
        let known = way.known.clone();
        let writing = tokio::spawn(writing);
        let mut rooms = Vec::new();
        for _ in 0..2 + TRIES_MAX {
            rooms.push(tries.recv().await.expect("it goes on"));
        }
        drop(way);
        writing.await.expect("it ends");
        assert_eq!(rooms[..3], ["broken", "lobby", "hall"]);
        assert_eq!(rooms[3..], ["broken"; 4], "and then it is given up");
        assert!(known.all().is_empty());
        assert!(tries.recv().await.is_none());
    }

    #[tokio::test]
    async fn while_nobody_answers_a_kick_is_tried_until_it_is_over() {
        let (told, tries) = mpsc::channel(1_000);
        let write = move |_, left| {
            assert!(left <= Duration::from_millis(50));
            told.try_send(()).expect("some tries");
            async { Err(Status::unavailable("")) }
        };
        let (way, writing) = KeptOut::written_by(write, SOON);
        way.tell(Kicked {
            time: Duration::from_millis(50),
            ..kick("lobby", 1)
        });
        let known = way.known.clone();
        drop(way);
        writing.await;
        assert!(!tries.is_empty());
        assert!(known.all().is_empty());
    }
}
