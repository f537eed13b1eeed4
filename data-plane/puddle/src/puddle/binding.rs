//! A raw socket and its sibling find each other by a secret, and part. Owns who
//! may be a pair, and what becomes of one when the other has gone.

use porthouse_model::{CloseCode, Refusal, Refused, RoomName, TokenHash};

use super::Puddle;
use crate::hop::Hop;
use crate::input::{PuddleId, SocketId};
use crate::sequence::Event;
use crate::sibling::{BindSecret, Claim, End, Pair, Shown, SiblingHop, SiblingSaid};
use crate::socket::{
    Beside, Binding, Offered, Opening, Origin, Phase, Renewal, Sibling, SignIn, Socket, Who,
};
use crate::wire::frame;
use crate::wire::multiplexed::Event as Told;

/// The reason a sibling is closed with whose raw socket has closed.
const ALONE: &str = "sibling: its raw socket has closed";

impl Puddle {
    /// A command socket from here on; it is given its secret once it is known as
    /// whom it comes.
    pub(super) fn offered(&self, room: Option<RoomName>) -> Sibling {
        Sibling::Offered(Offered {
            room,
            secret: None,
            until: self.now + self.settings.bind_time_max,
        })
    }

    /// Gives a sibling its secret.
    pub(super) fn offer_binding(&mut self, id: SocketId) {
        let (now, within) = (self.now, self.settings.bind_time_max);
        let puddle = self.settings.puddle;
        let Some(Sibling::Offered(offered)) = self.sibling_mut(id) else {
            return;
        };
        if offered.secret.is_some() {
            return;
        }
        offered.until = now + within;
        let secret = BindSecret::new(puddle, id, self.secrets.next());
        if let Some(Sibling::Offered(offered)) = self.sibling_mut(id) {
            offered.secret = Some(secret.shown().secret);
        }
        let text = secret.reveal();
        let bind = Told::Bind {
            secret: &text,
            within_ms: u64::try_from(within.as_millis()).unwrap_or(u64::MAX),
        };
        self.tell(id, |out| bind.frame(out));
        self.arm(id);
    }

    /// A raw socket before a room's door has shown a secret.
    pub(super) fn bind(&mut self, id: SocketId, room: &RoomName, shown: Option<Shown>) {
        let shown = shown.filter(|shown| shown.puddle.0 < self.settings.puddles);
        let Some((shown, socket)) = shown.zip(self.sockets.get_mut(id)) else {
            return self.close_refused(id, Refused::BindingWrong);
        };
        socket.particulars_mut().beside = Some(Beside {
            puddle: shown.puddle,
            sibling: shown.sibling,
            binding: Binding::Asked,
            renewal: Renewal::None,
        });
        let claim = Claim {
            secret: shown.secret,
            token: token_of(socket.who()),
            room: room.clone(),
        };
        let pair = Pair {
            raw: id,
            sibling: shown.sibling,
        };
        self.tell_pair(shown.puddle, pair, SiblingSaid::Bind(claim));
    }

    /// Whether a raw socket waits until its sibling is found.
    pub(super) fn is_binding(&self, id: SocketId) -> bool {
        let beside = self.sockets.get(id).and_then(Socket::beside);
        beside.is_some_and(|beside| beside.binding == Binding::Asked)
    }

    /// A raw socket has shown this; is it what a sibling here was given?
    pub(super) fn claimed_by(&mut self, puddle: PuddleId, pair: Pair, claim: &Claim) {
        let said = if self.is_right(pair.sibling, claim) {
            let bound = Sibling::Bound {
                puddle,
                raw: pair.raw,
                room: claim.room.clone(),
            };
            if let Some(sibling) = self.sibling_mut(pair.sibling) {
                *sibling = bound;
            }
            self.arm(pair.sibling);
            let bound = Told::Bound { room: &claim.room };
            self.tell(pair.sibling, |out| bound.frame(out));
            SiblingSaid::Bound
        } else {
            SiblingSaid::Unbound
        };
        self.tell_pair(puddle, pair, said);
    }

    /// Whether a sibling waits for this secret, of this session.
    fn is_right(&mut self, sibling: SocketId, claim: &Claim) -> bool {
        let Some(lobby) = self.lobby_mut(sibling) else {
            return false;
        };
        let Some(Sibling::Offered(offered)) = lobby.sibling.as_deref() else {
            return false;
        };
        let known = match &lobby.sign_in {
            SignIn::None | SignIn::Waiting(_) | SignIn::Done(..) => true,
            SignIn::Resolving(..) | SignIn::Verifying(..) => false,
        };
        let leads_here = offered.room.as_ref().is_none_or(|room| *room == claim.room);
        let same = token_of(&lobby.who) == claim.token;
        known && leads_here && same && offered.secret == Some(claim.secret)
    }

    /// Whether a secret was right.
    pub(super) fn bound(&mut self, pair: Pair, right: bool) {
        let Some(beside) = self.beside_mut(pair) else {
            return;
        };
        if beside.binding != Binding::Asked {
            return;
        }
        beside.binding = Binding::Bound;
        if !right {
            self.forget_beside(pair.raw);
            return self.close_refused(pair.raw, Refused::BindingWrong);
        }
        for room in self.doors_of(pair.raw) {
            self.advance(pair.raw, &room, Event::Look);
        }
    }

    /// A raw socket is about to be closed for a rule.
    pub(super) fn part_refused(&mut self, id: SocketId, refusal: &Refusal) {
        let Some(socket) = self.sockets.get_mut(id) else {
            return;
        };
        let end = match &mut socket.phase {
            Phase::Knocking(knock) => match (knock.entry.origin, knock.entry.reply_to.take()) {
                (Origin::PutBack, None) => End::Closed(*refusal),
                (Origin::PutBack | Origin::Asked | Origin::Moved, request) => {
                    End::Refused(request, *refusal)
                }
            },
            Phase::Upgrading { .. }
            | Phase::Raw(..)
            | Phase::Multiplexed(_)
            | Phase::Closing { .. } => End::Closed(*refusal),
        };
        self.part(id, end);
    }

    /// A raw socket has gone, or is about to: its sibling goes with it.
    pub(super) fn part(&mut self, id: SocketId, end: End) {
        if let Some(beside) = self.forget_beside(id) {
            let pair = Pair {
                raw: id,
                sibling: beside.sibling,
            };
            self.tell_pair(beside.puddle, pair, SiblingSaid::Ended(end));
        }
    }

    /// Its raw socket has gone: a sibling is told why, and closed.
    pub(super) fn bereft(&mut self, puddle: PuddleId, pair: Pair, end: &End) {
        let Some(room) = self.bound_room(pair.sibling, puddle, pair.raw) else {
            return;
        };
        let id = pair.sibling;
        if let Some(lobby) = self.lobby_mut(id) {
            lobby.sibling = None;
        }
        self.strip(id);
        self.drop_backlog(id);
        let (code, reason) = match end {
            End::Left(request) => {
                let id_of = request.as_ref();
                let left = Told::Left {
                    id: id_of,
                    room: &room,
                };
                self.tell(id, |out| left.frame(out));
                (CloseCode::NORMAL, ALONE.to_owned())
            }
            End::Refused(request, refusal) => {
                let refused = Told::refused(request.as_ref(), Some(&room), refusal);
                self.tell(id, |out| refused.frame(out));
                (refusal.refused().code(), refusal.reason())
            }
            End::Closed(refusal) => {
                let closed = Told::closed(&room, refusal);
                self.tell(id, |out| closed.frame(out));
                (refusal.refused().code(), refusal.reason())
            }
        };
        self.tell(id, |out| frame::close(code, &reason, out));
        self.set_closing(id, false);
        self.resume(id);
    }

    /// A sibling has gone: its raw socket goes on if it is inside, and cannot be
    /// asked any more.
    pub(super) fn deserted(&mut self, pair: Pair) {
        if self.beside_mut(pair).is_none() {
            return;
        }
        let id = pair.raw;
        self.forget_beside(id);
        let refused = match self.sockets.get(id).map(|socket| &socket.phase) {
            Some(Phase::Knocking(knock)) => match knock.opening {
                Opening::Handshake { .. } | Opening::Unanswered(_) => Refused::BindingWrong,
                Opening::Answered => Refused::QuestionsRefused,
            },
            Some(Phase::Raw(stay, _)) => {
                let room = stay.room;
                return self.stop_looking(id, room);
            }
            Some(Phase::Upgrading { .. } | Phase::Multiplexed(_) | Phase::Closing { .. })
            | None => return,
        };
        self.close_refused(id, refused);
    }

    /// What a sibling that goes leaves behind.
    pub(super) fn desert(&mut self, id: SocketId, sibling: Option<&Sibling>) {
        if let Some(Sibling::Bound { puddle, raw, .. }) = sibling {
            let pair = Pair {
                raw: *raw,
                sibling: id,
            };
            self.tell_pair(*puddle, pair, SiblingSaid::Gone);
        }
    }

    /// A puddle began anew: whoever had the other half there is alone.
    pub(super) fn part_from(&mut self, puddle: PuddleId) {
        let sockets: Vec<SocketId> = self.sockets.iter().map(|socket| socket.id).collect();
        for id in sockets {
            let beside = self.sockets.get(id).and_then(Socket::beside);
            if let Some(beside) = beside.filter(|beside| beside.puddle == puddle) {
                let sibling = beside.sibling;
                self.deserted(Pair { raw: id, sibling });
            } else if let Some(Sibling::Bound {
                puddle: at, raw, ..
            }) = self.sibling_mut(id)
                && *at == puddle
            {
                let pair = Pair {
                    raw: *raw,
                    sibling: id,
                };
                self.bereft(puddle, pair, &End::Left(None));
            }
        }
    }

    /// The room of the raw socket that a sibling is bound to, if it is this one.
    pub(super) fn bound_room(
        &mut self,
        sibling: SocketId,
        puddle: PuddleId,
        raw: SocketId,
    ) -> Option<RoomName> {
        match self.sibling_mut(sibling)? {
            Sibling::Bound {
                puddle: at,
                raw: to,
                room,
            } => ((*at, *to) == (puddle, raw)).then(|| room.clone()),
            Sibling::Offered(_) => None,
        }
    }

    pub(super) fn sibling_mut(&mut self, id: SocketId) -> Option<&mut Sibling> {
        self.lobby_mut(id)?.sibling.as_deref_mut()
    }

    fn beside_mut(&mut self, pair: Pair) -> Option<&mut Beside> {
        let beside = self.sockets.get_mut(pair.raw)?.beside_mut()?;
        (beside.sibling == pair.sibling).then_some(beside)
    }

    fn forget_beside(&mut self, id: SocketId) -> Option<Beside> {
        let particulars = self.sockets.get_mut(id)?.particulars.as_mut()?;
        particulars.beside.take()
    }

    /// Tells the other half's puddle; at once where that is here.
    pub(super) fn tell_pair(&mut self, to: PuddleId, pair: Pair, what: SiblingSaid) {
        let me = self.settings.puddle;
        let hop = SiblingHop { pair, what };
        if to == me {
            self.sibling_hop(me, hop);
        } else {
            self.peers.send(to, Hop::Sibling(Box::new(hop)));
        }
    }
}

const fn token_of(who: &Who) -> Option<TokenHash> {
    match who {
        Who::Anonymous => None,
        Who::Session(holder) => Some(holder.token),
    }
}
