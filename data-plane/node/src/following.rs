//! What the switchboard's thread does for backends that follow rooms: it tells
//! the puddles of each, knows when one is over, and gives them what backends
//! themselves publish into a room that keeps nothing, for that is said on no one
//! puddle.

use std::collections::HashMap;
use std::sync::Arc;

use porthouse_model::ClientId;
use porthouse_puddle::{Call, CallId, CallResult, Publish, RoomMessage};

use crate::follow::{Follow, Followers};

/// Streams that are let go at once: each is something to be told to every puddle.
const OVER_AT_ONCE_MAX: usize = 16;

/// All streams of a node.
#[derive(Debug, Default)]
pub(crate) struct Following {
    follows: Vec<Arc<Follow>>,
    followers: Followers,
    /// Calls under way that say something in a room that is followed.
    published: HashMap<CallId, Arc<Publish>>,
}

impl Following {
    /// One more.
    pub(crate) fn begin(&mut self, follow: &Arc<Follow>) {
        self.followers.add(follow);
        self.follows.push(Arc::clone(follow));
    }

    /// Some of those that nobody reads any more; they are forgotten.
    pub(crate) fn take_over(&mut self) -> Vec<Arc<Follow>> {
        let over = self.follows.extract_if(.., |one| one.is_over());
        let over: Vec<_> = over.take(OVER_AT_ONCE_MAX).collect();
        for follow in &over {
            self.followers.remove(follow);
        }
        over
    }

    /// A puddle began anew: these it must be told.
    pub(crate) fn interrupted(&self) -> &[Arc<Follow>] {
        for follow in &self.follows {
            follow.interrupted();
        }
        &self.follows
    }

    /// Some API key is no more.
    pub(crate) fn keys_changed(&self) {
        for follow in &self.follows {
            follow.keys_changed();
        }
    }

    /// A backend calls.
    pub(crate) fn called(&mut self, call: CallId, what: &Call) {
        if let Call::Publish(publish) = what
            && publish.to.is_empty()
            && !self.followers.of(&publish.room).is_empty()
        {
            self.published.insert(call, Arc::clone(publish));
        }
    }

    /// A call has its result. What a room keeps, its home has given; where nobody
    /// answered in time, some puddles may have said it.
    pub(crate) fn completed(&mut self, call: CallId, result: &CallResult) {
        let Some(publish) = self.published.remove(&call) else {
            return;
        };
        match result {
            CallResult::Published { .. } => {
                self.followers.tell(&Arc::new(said(&publish)), None);
            }
            CallResult::Unavailable => self.unsure(&publish),
            CallResult::Key(_)
            | CallResult::Placed { .. }
            | CallResult::NotLive
            | CallResult::Refused(_)
            | CallResult::Purged { .. }
            | CallResult::Rooms { .. }
            | CallResult::Sockets { .. }
            | CallResult::Kicked { .. }
            | CallResult::Present(_)
            | CallResult::Waiting(_)
            | CallResult::Recalled(_)
            | CallResult::Foreseen(_)
            | CallResult::Moved(_)
            | CallResult::Decided { .. }
            | CallResult::TooMany => {}
        }
    }

    /// Nobody waits for a call's result any more: it may be carried out all the
    /// same.
    pub(crate) fn dropped(&mut self, call: CallId) {
        if let Some(publish) = self.published.remove(&call) {
            self.unsure(&publish);
        }
    }

    fn unsure(&self, publish: &Publish) {
        for follow in self.followers.of(&publish.room) {
            follow.interrupted();
        }
    }
}

fn said(publish: &Publish) -> RoomMessage {
    let mut except: Vec<ClientId> = publish.except.clone();
    except.sort_unstable();
    RoomMessage {
        room: publish.room.clone(),
        room_id: None,
        from: None,
        kind: publish.kind,
        payload: publish.payload.clone(),
        to: Box::default(),
        except: except.into(),
    }
}

#[cfg(test)]
mod tests {
    use porthouse_model::MessageKind;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::follow::Heard;

    #[tokio::test]
    async fn what_a_backend_may_have_said_is_told_or_a_gap_is() {
        let room = "lobby".parse().expect("a name");
        let place = Arc::new(Semaphore::new(1))
            .try_acquire_owned()
            .expect("one");
        let (follow, mut heard, _between) = Follow::new(1, [room].into(), place);
        let mut following = Following::default();
        following.begin(&Arc::new(follow));
        let publish = Call::Publish(Arc::new(Publish {
            room: "lobby".parse().expect("a name"),
            kind: MessageKind::Text,
            payload: b"news".to_vec().into(),
            to: Vec::new(),
            except: Vec::new(),
        }));
        for number in 0..4 {
            following.called(CallId(number), &publish);
        }
        following.completed(CallId(0), &CallResult::Published { receivers: 1 });
        assert!(matches!(heard.recv().await, Some(Heard::Said { .. })));
        following.completed(CallId(1), &CallResult::Unavailable);
        assert!(matches!(heard.recv().await, Some(Heard::Interrupted)));
        following.dropped(CallId(2));
        assert!(matches!(heard.recv().await, Some(Heard::Interrupted)));
        following.completed(CallId(3), &CallResult::NotLive);
        assert!(heard.is_empty());
    }
}
