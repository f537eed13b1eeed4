//! A sibling's lines go to its raw socket's puddle, where all is done as that
//! socket; what it is told comes back. The raw pipe has none of it.
//!
//! Owns the way there and back, and what can be asked on it. Does nothing that
//! is asked: the files of the ops do.

use std::sync::Arc;

use porthouse_model::{CloseCode, Refused, RoomName};

use super::Puddle;
use super::handshake::is_shaking_hands;
use crate::home::OwnerAct;
use crate::input::{PuddleId, SocketId};
use crate::output::Output;
use crate::sibling::{Command, End, Pair, SiblingHop, SiblingSaid};
use crate::socket::{Binding, Habit, Phase, Reading, Sibling};
use crate::wire::multiplexed::{Event as Told, Id, Line, LineError, Op};

/// What a sibling can be asked to do.
const OPS: LineError = LineError::new(
    "op",
    "one of answer, leave, history, admit, refuse, kick, presence, pass, rules, renew, ping over \
     porthouse.sibling.v1; messages go over the raw socket",
);
/// A line of a sibling that no raw socket has bound to.
const UNBOUND: LineError =
    LineError::new("bind", "a raw socket that was opened with the secret first");
/// A line for another room.
const OTHER_ROOM: LineError = LineError::new("room", "the room of the raw socket beside this one");

impl Puddle {
    /// A line of a sibling.
    pub(super) fn sibling_line(&mut self, id: SocketId, line: Line<'_>) {
        let request = line.id;
        let (room, command) = match line.op {
            Op::Ping => return self.answer_ping(id, request.as_ref()),
            Op::Answer { room, answer } => (room, Command::Answer(answer)),
            Op::Leave { room } => (room, Command::Leave),
            Op::Decide {
                room,
                client,
                decision,
            } => (room, Command::Decide(client, decision)),
            Op::Kick {
                room,
                client,
                comeback,
            } => (room, Command::Kick(client, comeback)),
            Op::History { room, range } => (room, Command::History(range)),
            Op::Presence { room, after } => (room, Command::Presence(after)),
            Op::Pass { room, client } => (room, Command::Own(OwnerAct::Pass(client))),
            Op::Rules { room } => (room, Command::Own(OwnerAct::Rule(line.payload.into()))),
            Op::Send { .. }
            | Op::Join { .. }
            | Op::Resume { .. }
            | Op::AuthSession { .. }
            | Op::AuthPassword { .. }
            | Op::AuthJwt { .. }
            | Op::AuthCode { .. } => return self.tell_error(id, request.as_ref(), &OPS),
            Op::Renew { token: Ok(token) } => return self.renew(id, request, token),
            Op::Renew { token: Err(_) } => {
                let refused = Refused::CredentialUnknown;
                return self.refuse_line(id, request.as_ref(), None, refused);
            }
        };
        self.order_raw(id, request, &room, command);
    }

    /// One at a time: until that is taken up, the sibling is not read.
    fn order_raw(&mut self, id: SocketId, request: Option<Id>, room: &RoomName, command: Command) {
        let (puddle, raw) = match self.sibling_mut(id) {
            Some(Sibling::Bound {
                puddle,
                raw,
                room: its,
            }) if its == room => (*puddle, *raw),
            Some(Sibling::Bound { .. }) => {
                return self.tell_error(id, request.as_ref(), &OTHER_ROOM);
            }
            Some(Sibling::Offered(_)) | None => {
                return self.tell_error(id, request.as_ref(), &UNBOUND);
            }
        };
        if puddle != self.settings.puddle
            && let Some(socket) = self.sockets.get_mut(id)
        {
            socket.reading = Reading::Ordering;
            self.outputs.push(Output::Pause { socket: id });
        }
        let pair = Pair { raw, sibling: id };
        self.tell_pair(puddle, pair, SiblingSaid::Do(request, command));
    }

    /// What the other half's puddle says.
    pub(super) fn sibling_hop(&mut self, from: PuddleId, hop: SiblingHop) {
        let SiblingHop { pair, what } = hop;
        match what {
            SiblingSaid::Bind(claim) => self.claimed_by(from, pair, &claim),
            SiblingSaid::Bound => self.bound(pair, true),
            SiblingSaid::Unbound => self.bound(pair, false),
            SiblingSaid::Do(request, command) => self.ordered_by(from, pair, request, command),
            SiblingSaid::Done => self.order_done(pair.sibling),
            SiblingSaid::Told(frames) => {
                if self.bound_room(pair.sibling, from, pair.raw).is_some() {
                    self.tell(pair.sibling, |out| out.extend_from_slice(&frames));
                }
            }
            SiblingSaid::Cut => {
                if self.bound_room(pair.sibling, from, pair.raw).is_some() {
                    self.drop_backlog(pair.sibling);
                }
            }
            SiblingSaid::Moved(to) => {
                let bound = self.bound_room(pair.sibling, from, pair.raw);
                if let (Some(_), Some(Sibling::Bound { room, .. })) =
                    (bound, self.sibling_mut(pair.sibling))
                {
                    *room = to;
                }
            }
            SiblingSaid::Ended(end) => self.bereft(from, pair, &end),
            SiblingSaid::Gone => self.deserted(pair),
        }
    }

    /// A sibling asks something of a raw socket here.
    fn ordered_by(&mut self, from: PuddleId, pair: Pair, request: Option<Id>, command: Command) {
        if self.beside(pair.raw) == Some((from, pair.sibling)) {
            self.do_as_raw(pair.raw, request, command);
        }
        if from != self.settings.puddle {
            self.tell_pair(from, pair, SiblingSaid::Done);
        }
    }

    fn do_as_raw(&mut self, id: SocketId, request: Option<Id>, command: Command) {
        let Some(room) = self.raw_room(id) else {
            return;
        };
        match command {
            Command::Answer(answer) => self.answer(id, request, &room, answer),
            Command::Leave => {
                if self.behaves(id, Habit::Move, request.as_ref()) {
                    self.part(id, End::Left(request));
                    self.close(id, CloseCode::NORMAL, "");
                }
            }
            Command::Decide(client, decision) => {
                self.decide(id, request.as_ref(), &room, client, decision);
            }
            Command::Kick(client, comeback) => {
                self.kick_from(id, request.as_ref(), &room, (client, comeback));
            }
            Command::History(range) => self.history(id, request, &room, range),
            Command::Presence(after) => self.look(id, request, &room, after),
            Command::Own(act) => self.own(id, request, &room, act),
            Command::Renew(token) => self.renew_beside(id, request, token),
        }
    }

    fn order_done(&mut self, sibling: SocketId) {
        let waits = self.sockets.get(sibling).map(|socket| socket.reading);
        if waits == Some(Reading::Ordering) {
            self.resume(sibling);
        }
    }

    /// Tells a client something of ours: on its socket, or, where nothing of ours
    /// is said on that, on its sibling, if it has one.
    pub(super) fn inform(&mut self, id: SocketId, write: impl FnOnce(&mut Vec<u8>)) {
        if let Some((puddle, sibling)) = self.beside(id) {
            let mut frames = Vec::new();
            write(&mut frames);
            let told = SiblingSaid::Told(frames.into());
            return self.tell_pair(puddle, Pair { raw: id, sibling }, told);
        }
        if self.hears_us(id) {
            self.tell(id, write);
        }
    }

    /// Tells the siblings of these the same, which is written once.
    pub(super) fn inform_beside(&mut self, ids: &[SocketId], write: impl FnOnce(&mut Vec<u8>)) {
        if ids.is_empty() {
            return;
        }
        let mut frames = Vec::new();
        write(&mut frames);
        let frames: Arc<[u8]> = frames.into();
        for id in ids {
            if let Some((puddle, sibling)) = self.beside(*id) {
                let told = SiblingSaid::Told(Arc::clone(&frames));
                self.tell_pair(puddle, Pair { raw: *id, sibling }, told);
            }
        }
    }

    /// Whether a client can be told something of ours.
    pub(super) fn hears_us(&self, id: SocketId) -> bool {
        if self.beside(id).is_some() {
            return true;
        }
        match self.sockets.get(id).map(|socket| &socket.phase) {
            Some(Phase::Multiplexed(_)) => true,
            Some(knocking @ Phase::Knocking(_)) => is_shaking_hands(knocking),
            Some(Phase::Upgrading { .. } | Phase::Raw(..) | Phase::Closing { .. }) | None => false,
        }
    }

    /// Nothing more is written of what a raw socket's sibling was told.
    pub(super) fn cut_beside(&mut self, id: SocketId) {
        if let Some((puddle, sibling)) = self.beside(id) {
            self.tell_pair(puddle, Pair { raw: id, sibling }, SiblingSaid::Cut);
        }
    }

    /// The sibling of a raw socket, and its puddle.
    pub(super) fn beside(&self, id: SocketId) -> Option<(PuddleId, SocketId)> {
        let beside = self.sockets.get(id)?.beside()?;
        (beside.binding == Binding::Bound).then_some((beside.puddle, beside.sibling))
    }

    /// The room that a raw socket is in, or before whose door it stands.
    fn raw_room(&self, id: SocketId) -> Option<RoomName> {
        match &self.sockets.get(id)?.phase {
            Phase::Knocking(knock) => Some(knock.entry.room.clone()),
            Phase::Raw(stay, _) => Some(self.rooms.get(stay.room).name.clone()),
            Phase::Upgrading { .. } | Phase::Multiplexed(_) | Phase::Closing { .. } => None,
        }
    }

    /// Somebody is there.
    pub(super) fn answer_ping(&mut self, id: SocketId, request: Option<&Id>) {
        if self.behaves(id, Habit::Ping, request) {
            self.tell(id, |out| Told::Pong { id: request }.frame(out));
        }
    }
}
