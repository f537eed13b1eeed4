//! Whose sessions have sockets: what the puddles tell of it, kept until it is said on
//! the watch. Puddles tell it now and then, and nobody waits for anybody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use porthouse_api::node::v1::WatchSeen;
use porthouse_model::SessionId;
use porthouse_puddle::PuddleId;
use tokio::time::Instant;

/// Sessions kept while the watch is closed. Of more, those that still have sockets
/// are told again.
const SESSIONS_MAX: usize = 1_048_576;
/// What was said is said again on a watch that opens within this: it may not have been
/// written. The control plane takes a longer silence for a break, and counts anew.
const SAID_AGAIN_MAX: Duration = Duration::from_secs(150);
/// Sessions in one message.
const SESSIONS_PER_MESSAGE_MAX: usize = 4_096;

/// What was told and not said yet, as all threads see it.
#[derive(Clone, Debug)]
pub(crate) struct Seen(Arc<Mutex<Told>>);

#[derive(Debug)]
struct Told {
    puddles: usize,
    sessions: BTreeSet<SessionId>,
    /// When each was last said that a puddle had told of, lately.
    said: BTreeMap<SessionId, Instant>,
    /// Those of them that are to be said again.
    again: BTreeSet<SessionId>,
    /// When each puddle last told; all must have since it was last said.
    times: BTreeMap<u8, Instant>,
}

impl Seen {
    /// Of so many puddles, none of which has told yet.
    pub(crate) fn of(puddles: usize) -> Self {
        Self(Arc::new(Mutex::new(Told {
            puddles,
            sessions: BTreeSet::new(),
            said: BTreeMap::new(),
            again: BTreeSet::new(),
            times: BTreeMap::new(),
        })))
    }

    /// A puddle tells.
    pub(crate) fn tell(&self, puddle: PuddleId, sessions: Vec<SessionId>) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = SESSIONS_MAX.saturating_sub(told.sessions.len());
        told.sessions.extend(sessions.into_iter().take(room));
        told.times.insert(puddle.0, Instant::now());
    }

    /// A watch opens: what was said lately on the one before is said again.
    pub(crate) fn say_again(&self) {
        self.say_again_at(Instant::now());
    }

    fn say_again_at(&self, now: Instant) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.forget(now);
        told.again = told.said.keys().copied().collect();
    }

    /// What is to be said, once every puddle has told; in pieces.
    pub(crate) fn take(&self) -> Vec<WatchSeen> {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> Vec<WatchSeen> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.times.len() < told.puddles {
            return Vec::new();
        }
        let times = std::mem::take(&mut told.times);
        let mut sessions = std::mem::take(&mut told.sessions);
        told.forget(now);
        let room = SESSIONS_MAX.saturating_sub(told.said.len());
        let said: Vec<_> = sessions.iter().take(room).map(|id| (*id, now)).collect();
        told.said.extend(said);
        // Not as if they were seen anew: a watch that comes and goes keeps nobody.
        sessions.append(&mut told.again);
        drop(told);
        let sessions: Vec<_> = sessions.into_iter().collect();
        let age = times.values().map(|time| now.duration_since(*time)).max();
        pieces(&sessions, age.unwrap_or_default())
    }
}

impl Told {
    /// Forgets what was said too long ago to be said again.
    fn forget(&mut self, now: Instant) {
        self.said.retain(|_, said| now - *said < SAID_AGAIN_MAX);
    }
}

fn pieces(sessions: &[SessionId], age: Duration) -> Vec<WatchSeen> {
    let piece = |sessions: &[SessionId]| WatchSeen {
        session_ids: sessions.iter().map(|id| id.as_bytes().to_vec()).collect(),
        age: prost_types::Duration::try_from(age).ok(),
        complete: false,
    };
    let mut pieces: Vec<_> = sessions
        .chunks(SESSIONS_PER_MESSAGE_MAX)
        .map(piece)
        .collect();
    if pieces.is_empty() {
        pieces.push(piece(&[]));
    }
    if let Some(last) = pieces.last_mut() {
        last.complete = true;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(number: u32) -> SessionId {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        SessionId::from_bytes(bytes)
    }

    #[test]
    fn it_is_said_once_every_puddle_has_told() {
        let seen = Seen::of(2);
        seen.tell(PuddleId(0), vec![session(1)]);
        seen.tell(PuddleId(0), vec![session(2)]);
        assert!(seen.take().is_empty());
        seen.tell(PuddleId(1), vec![session(2)]);
        let said = seen.take();
        assert_eq!(said.len(), 1);
        assert_eq!(said[0].session_ids.len(), 2);
        assert!(said[0].complete);
        assert!(seen.take().is_empty(), "until all have told again");
    }

    #[test]
    fn what_was_said_lately_is_said_again_on_the_next_watch() {
        let seen = Seen::of(1);
        seen.tell(PuddleId(0), vec![session(1)]);
        assert_eq!(seen.take()[0].session_ids.len(), 1);
        seen.say_again();
        seen.tell(PuddleId(0), vec![session(2)]);
        assert_eq!(seen.take()[0].session_ids.len(), 2);
        seen.tell(PuddleId(0), Vec::new());
        assert_eq!(seen.take()[0].session_ids.len(), 0);
    }

    #[test]
    fn what_is_said_again_and_again_was_not_seen_anew() {
        let seen = Seen::of(1);
        let mut now = Instant::now();
        seen.tell(PuddleId(0), vec![session(1)]);
        assert_eq!(seen.take_at(now)[0].session_ids.len(), 1);
        for said in [1, 1, 0] {
            now += SAID_AGAIN_MAX / 3 + Duration::from_millis(1);
            seen.say_again_at(now);
            seen.tell(PuddleId(0), Vec::new());
            assert_eq!(seen.take_at(now)[0].session_ids.len(), said);
        }
    }

    #[test]
    fn many_are_said_in_pieces_of_which_the_last_says_that_it_is() {
        let seen = Seen::of(1);
        seen.tell(PuddleId(0), (0..5_000).map(session).collect());
        let said = seen.take();
        let lengths: Vec<_> = said.iter().map(|piece| piece.session_ids.len()).collect();
        assert_eq!(lengths, [4_096, 904]);
        let complete: Vec<_> = said.iter().map(|piece| piece.complete).collect();
        assert_eq!(complete, [false, true]);
        seen.tell(PuddleId(0), Vec::new());
        assert!(seen.take()[0].complete, "nobody is somebody's word too");
    }
}
