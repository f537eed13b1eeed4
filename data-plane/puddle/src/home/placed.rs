//! A message in its place in a room's order, and who may see it later. Owns no
//! message's life: shelves and puddles hold it.

use std::sync::Arc;

use porthouse_model::ClientId;
use porthouse_rules::Hearing;

use super::asking::Stand;
use crate::hop::RoomMessage;
use crate::input::{PuddleId, SocketId};

/// A message that a room's home has put in its place.
#[derive(Debug)]
pub struct Placed {
    /// As it was said. Kept without its bytes where only the fact is kept.
    pub(crate) message: Arc<RoomMessage>,
    /// Its place.
    pub(crate) stand: Stand,
    /// The socket that said it, if one did.
    pub(crate) speaker: Option<(PuddleId, SocketId)>,
}

impl Placed {
    pub(crate) const fn offset(&self) -> u64 {
        self.stand.offset
    }

    /// Whether it was said to some only.
    pub(crate) fn is_directed(&self) -> bool {
        !self.message.to.is_empty() || !self.message.except.is_empty()
    }

    /// Its payload bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.message.payload.len() as u64
    }
}

/// Who looks at what was said before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Viewer {
    /// The client.
    pub client: ClientId,
    /// What was said after this offset, they were inside for.
    pub since: u64,
    /// What they receive of what is said to some.
    pub hearing: Hearing,
}

impl Viewer {
    /// Whether a message is theirs to see: it was for all, it was theirs, it
    /// named them; or it was for all but some, and they were inside then. Who
    /// came later may be one of those it was kept from, under another name. Who
    /// always receives sees all that they were inside for.
    pub(crate) fn may_see(&self, placed: &Placed) -> bool {
        match self.hearing {
            Hearing::Never => return false,
            Hearing::Always if placed.offset() > self.since => return true,
            Hearing::Always | Hearing::Named => {}
        }
        let message = &*placed.message;
        let among = |named: &[ClientId]| named.binary_search(&self.client).is_ok();
        if message.from == Some(self.client) {
            return true;
        }
        if among(&message.except) {
            return false;
        }
        if message.to.is_empty() {
            message.except.is_empty() || placed.offset() > self.since
        } else {
            among(&message.to)
        }
    }
}
