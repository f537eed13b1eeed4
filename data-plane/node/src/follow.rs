//! What is said in rooms that backends follow, on its way from the puddles to a
//! backend's stream. Owns the bounds: a stream that is read too slowly misses
//! messages, and is told how many. Nobody ever waits for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use porthouse_model::RoomName;
use porthouse_puddle::RoomMessage;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};

/// Messages on their way to one stream; past it they are missed.
const MESSAGES_MAX: usize = 1_024;
/// Their bytes; past it they are missed, but for one that comes alone.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// Names a stream among those of the node.
pub(crate) type FollowId = u64;

/// One thing that a stream is told.
#[derive(Debug)]
pub(crate) enum Heard {
    /// This was said.
    Said {
        /// What.
        message: Arc<RoomMessage>,
        /// Its epoch and offset, where the room keeps messages.
        place: Option<(u64, u64)>,
        /// So many were missed before it.
        missed: u64,
    },
    /// A puddle began anew: what was said meanwhile nobody knows.
    Interrupted,
}

/// What a stream and those who speak to it share.
#[derive(Debug)]
pub(crate) struct Between {
    bytes: AtomicUsize,
    missed: AtomicU64,
    /// A permit for each puddle that gives what is said there.
    pub(crate) puddles: Semaphore,
    /// Some API key is no more.
    pub(crate) keys_changed: Notify,
}

impl Between {
    /// How many were missed and not yet told of.
    pub(crate) fn take_missed(&self) -> u64 {
        self.missed.swap(0, Ordering::AcqRel)
    }

    /// The stream has taken a message of so many bytes.
    pub(crate) fn taken(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
    }
}

/// A backend's stream, as the puddles' threads know it.
#[derive(Debug)]
pub(crate) struct Follow {
    pub(crate) id: FollowId,
    pub(crate) rooms: Box<[RoomName]>,
    ear: mpsc::Sender<Heard>,
    between: Arc<Between>,
    /// Its place among the node's streams, until every puddle has let it go.
    _place: OwnedSemaphorePermit,
}

impl Follow {
    /// A stream that nothing was said to yet, and what it hears by.
    pub(crate) fn new(
        id: FollowId,
        rooms: Box<[RoomName]>,
        place: OwnedSemaphorePermit,
    ) -> (Self, mpsc::Receiver<Heard>, Arc<Between>) {
        let (ear, heard) = mpsc::channel(MESSAGES_MAX);
        let between = Arc::new(Between {
            bytes: AtomicUsize::new(0),
            missed: AtomicU64::new(0),
            puddles: Semaphore::new(0),
            keys_changed: Notify::new(),
        });
        let follow = Self {
            id,
            rooms,
            ear,
            between: Arc::clone(&between),
            _place: place,
        };
        (follow, heard, between)
    }

    /// This puddle gives what is said there from here on.
    pub(crate) fn heard_by_puddle(&self) {
        self.between.puddles.add_permits(1);
    }

    /// Whether nobody reads the stream any more.
    pub(crate) fn is_over(&self) -> bool {
        self.ear.is_closed()
    }

    /// Some API key is no more: perhaps this one's.
    pub(crate) fn keys_changed(&self) {
        self.between.keys_changed.notify_one();
    }

    /// What is said is not heard for a while.
    pub(crate) fn interrupted(&self) {
        if self.ear.try_send(Heard::Interrupted).is_err() {
            // Something is missed, so that a gap is told of.
            self.between.missed.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn hear(&self, message: &Arc<RoomMessage>, place: Option<(u64, u64)>) {
        let bytes = message.payload.len();
        let before = self.between.bytes.fetch_add(bytes, Ordering::AcqRel);
        if before == 0 || before + bytes <= BYTES_MAX {
            let missed = self.between.take_missed();
            let said = Heard::Said {
                message: Arc::clone(message),
                place,
                missed,
            };
            if self.ear.try_send(said).is_ok() {
                return;
            }
            self.between.missed.fetch_add(missed, Ordering::AcqRel);
        }
        self.between.bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.between.missed.fetch_add(1, Ordering::AcqRel);
    }
}

/// Who follows which rooms, as one thread knows it.
#[derive(Debug, Default)]
pub(crate) struct Followers {
    rooms: HashMap<RoomName, Vec<Arc<Follow>>>,
}

impl Followers {
    /// One more; answers the rooms that nobody followed before.
    pub(crate) fn add(&mut self, follow: &Arc<Follow>) -> Vec<RoomName> {
        let mut first = Vec::new();
        for room in &follow.rooms {
            let followers = self.rooms.entry(room.clone()).or_default();
            if followers.is_empty() {
                first.push(room.clone());
            }
            followers.push(Arc::clone(follow));
        }
        first
    }

    /// One less; answers the rooms that nobody follows any more.
    pub(crate) fn remove(&mut self, follow: &Follow) -> Vec<RoomName> {
        let mut last = Vec::new();
        for room in &follow.rooms {
            let Some(followers) = self.rooms.get_mut(room) else {
                continue;
            };
            followers.retain(|other| other.id != follow.id);
            if followers.is_empty() {
                self.rooms.remove(room);
                last.push(room.clone());
            }
        }
        last
    }

    /// Something was said in a room.
    pub(crate) fn tell(&self, message: &Arc<RoomMessage>, place: Option<(u64, u64)>) {
        for follow in self.of(&message.room) {
            follow.hear(message, place);
        }
    }

    /// Who follows a room.
    pub(crate) fn of(&self, room: &RoomName) -> &[Arc<Follow>] {
        self.rooms.get(room).map_or(&[], |followers| &followers[..])
    }
}

#[cfg(test)]
mod tests {
    use porthouse_model::MessageKind;

    use super::*;

    fn place() -> OwnedSemaphorePermit {
        let places = Arc::new(Semaphore::new(1));
        places.try_acquire_owned().expect("one")
    }

    fn said(room: &str, bytes: usize) -> Arc<RoomMessage> {
        Arc::new(RoomMessage {
            room: room.parse().expect("a name"),
            room_id: None,
            from: None,
            kind: MessageKind::Binary,
            payload: vec![0; bytes].into(),
            to: Box::default(),
            except: Box::default(),
        })
    }

    fn following(rooms: &[&str]) -> (Arc<Follow>, mpsc::Receiver<Heard>, Arc<Between>) {
        let rooms = rooms.iter().map(|room| room.parse().expect("a name"));
        let (follow, heard, between) = Follow::new(1, rooms.collect(), place());
        (Arc::new(follow), heard, between)
    }

    fn missed(heard: Option<Heard>) -> u64 {
        match heard {
            Some(Heard::Said { missed, .. }) => missed,
            other => panic!("a message, not {other:?}"),
        }
    }

    #[tokio::test]
    async fn what_a_slow_stream_misses_is_counted_and_told_with_the_next() {
        let (follow, mut heard, between) = following(&["lobby"]);
        let mut followers = Followers::default();
        assert_eq!(followers.add(&follow).len(), 1);
        for _ in 0..MESSAGES_MAX + 5 {
            followers.tell(&said("lobby", 1), None);
        }
        for _ in 0..MESSAGES_MAX {
            assert_eq!(missed(heard.recv().await), 0);
            between.taken(1);
        }
        followers.tell(&said("lobby", 1), None);
        assert_eq!(missed(heard.recv().await), 5);
        assert_eq!(between.take_missed(), 0);
    }

    #[tokio::test]
    async fn bytes_on_their_way_are_bounded_but_one_message_always_goes() {
        let (follow, mut heard, between) = following(&["lobby"]);
        let mut followers = Followers::default();
        followers.add(&follow);
        followers.tell(&said("lobby", BYTES_MAX + 1), None);
        followers.tell(&said("lobby", 1), None);
        assert_eq!(missed(heard.recv().await), 0);
        between.taken(BYTES_MAX + 1);
        followers.tell(&said("lobby", BYTES_MAX), None);
        assert_eq!(missed(heard.recv().await), 1);
    }

    #[test]
    fn a_room_is_followed_as_long_as_anybody_follows_it() {
        let mut followers = Followers::default();
        let (one, _heard, _) = following(&["lobby", "hall"]);
        let rooms = one.rooms.to_vec();
        let two = Arc::new(Follow::new(2, one.rooms.clone(), place()).0);
        assert_eq!(followers.add(&one), rooms);
        assert_eq!(followers.add(&two), []);
        assert_eq!(followers.remove(&one), []);
        assert_eq!(followers.remove(&two), rooms);
        assert!(followers.of(&rooms[0]).is_empty());
    }
}
