//! What the switchboard's thread does for backends that follow rooms: it tells
//! the puddles of each, knows when one is over, and gives them what backends
//! themselves publish into a room that keeps nothing, for that is said on no one
//! puddle.

use std::collections::HashMap;
use std::sync::Arc;

use porthouse_model::ClientId;
use porthouse_puddle::{Call, CallId, CallResult, Publish, RoomMessage};

use crate::follow::{Follow, Followers};

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

    /// Those that nobody reads any more; they are forgotten.
    pub(crate) fn take_over(&mut self) -> Vec<Arc<Follow>> {
        let over: Vec<_> = self.follows.extract_if(.., |one| one.is_over()).collect();
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

    /// A call has its result. What a room keeps, its home has given.
    pub(crate) fn completed(&mut self, call: CallId, result: &CallResult) {
        let publish = self.published.remove(&call);
        if let (Some(publish), CallResult::Published { .. }) = (publish, result) {
            self.followers.tell(&Arc::new(said(&publish)), None);
        }
    }

    /// Nobody waits for a call's result any more.
    pub(crate) fn dropped(&mut self, call: CallId) {
        self.published.remove(&call);
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
