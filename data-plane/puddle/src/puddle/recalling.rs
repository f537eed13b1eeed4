//! A refusal is given its name, and what it came of is kept under that name for a
//! while. Refuses nothing itself.

use porthouse_model::{Denial, Refusal, RefusalId, RoomName};
use porthouse_rules::Sight;

use super::Puddle;
use super::door::Seen;
use crate::input::SocketId;
use crate::output::Reply;
use crate::recall::{By, Cause, Recalled};
use crate::socket::Phase;
use crate::upgrade::BadUpgrade;

impl Puddle {
    /// Names a refusal to a socket, in a room or at its door.
    pub(super) fn refusal(
        &mut self,
        id: SocketId,
        room: Option<&RoomName>,
        denial: impl Into<Denial>,
    ) -> Refusal {
        let denial = denial.into();
        let room = room.cloned().or_else(|| self.room_of(id));
        denial.named(self.keep_refusal(id, room, Cause::Refused(denial.refused)))
    }

    /// Names what is refused to a request.
    pub(super) fn bad_request(&mut self, id: SocketId, bad: &BadUpgrade) -> RefusalId {
        let cause = Cause::Request {
            rule: bad.rule,
            needed: bad.needed,
        };
        let room = self.room_of(id);
        self.keep_refusal(id, room, cause)
    }

    fn keep_refusal(&mut self, id: SocketId, room: Option<RoomName>, cause: Cause) -> RefusalId {
        self.counters.refused += 1;
        self.count_page(&cause);
        let name = self.refusal_id();
        let recalled = self.recalled(id, room, name, cause);
        self.recall.keep(recalled);
        name
    }

    fn recalled(
        &mut self,
        id: SocketId,
        room: Option<RoomName>,
        name: RefusalId,
        cause: Cause,
    ) -> Recalled {
        // As one who is inside: how old the word is, is kept beside it.
        let standing = match room.as_ref().map(|room| self.see(id, room, true)) {
            Some(Seen::Open { standing, .. }) => Some(standing),
            Some(Seen::Unknown(_) | Seen::Shut(_)) | None => None,
        };
        let session = self.session_of(id);
        let socket = self.sockets.get(id);
        Recalled {
            id: name,
            cause,
            room,
            user: session.as_ref().map(|session| session.user),
            by: session.as_ref().map(|session| match session.device {
                None => By::Session(session.id),
                Some(_) => By::DeviceToken(session.id),
            }),
            revision: self.policy.applied(),
            sight: Sight {
                standing,
                is_device: session.is_some_and(|session| session.device.is_some()),
                address: socket.map(|socket| socket.address),
                origin: socket.and_then(|socket| socket.page().map(Into::into)),
                wall: self.wall_now(),
                word_age: Some(self.policy.age(self.now)),
            },
        }
    }

    /// The one room that a socket is in, or at whose door it stands.
    fn room_of(&self, id: SocketId) -> Option<RoomName> {
        match &self.sockets.get(id)?.phase {
            Phase::Knocking(knock) => Some(knock.entry.room.clone()),
            Phase::Raw(stay, _) => Some(self.rooms.get(stay.room).name.clone()),
            Phase::Upgrading { .. } | Phase::Multiplexed(_) | Phase::Closing { .. } => None,
        }
    }

    /// What a refusal came of, if it was here and is kept still.
    pub(super) fn recall(&self, id: RefusalId) -> Reply {
        Reply::Recalled(self.recall.find(id).cloned().map(Box::new))
    }
}
