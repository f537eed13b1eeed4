//! What a socket has ends by itself: its client is told ahead, and may renew the
//! session by another token of the same user, without leaving any room. A sibling
//! renews its own and then that of the raw socket beside it.

use porthouse_model::{PolicyKey, Refused, Time, TokenHash, UnixTime};

use super::Puddle;
use super::door::SessionSeen;
use crate::input::SocketId;
use crate::sequence::Event;
use crate::sibling::{Command, Pair, SiblingSaid};
use crate::socket::{Ending, Holder, Renewal, Sibling, SignIn, Who};
use crate::wire::multiplexed::{Event as Told, Id, LineError};

impl Puddle {
    /// The client comes with another token.
    pub(super) fn renew(&mut self, id: SocketId, request: Option<Id>, token: TokenHash) {
        let Some(lobby) = self.lobby_mut(id) else {
            return;
        };
        let signed_in = matches!(lobby.sign_in, SignIn::Done(..));
        if !signed_in || lobby.renewal != Renewal::None {
            let needed = "a socket that has signed in, and one renewal at a time";
            let early = LineError::new("renew", needed);
            return self.tell(id, |out| Told::error(request.as_ref(), &early).frame(out));
        }
        lobby.renewal = Renewal::Looking(request, token);
        self.look_at_renewal(id);
    }

    /// Looks whether the session to renew by is known by now.
    pub(super) fn look_at_renewal(&mut self, id: SocketId) {
        let Some(lobby) = self.lobby_mut(id) else {
            return;
        };
        let (Renewal::Looking(_, token), SignIn::Done(client, _)) =
            (&lobby.renewal, &lobby.sign_in)
        else {
            return;
        };
        let (token, client) = (*token, *client);
        match self.see_session(&token) {
            SessionSeen::Unknown => {
                if self.wait_for(id, PolicyKey::Session(token)).is_some() {
                    self.refuse_renewal(id, Refused::ControlPlaneAway);
                }
            }
            SessionSeen::Shut(refused) => self.refuse_renewal(id, refused),
            SessionSeen::Live(session, _) if client != session.client() => {
                self.refuse_renewal(id, Refused::CredentialUnknown);
            }
            SessionSeen::Live(session, until) => {
                self.renewed(id, token, until, session.expires);
            }
        }
    }

    /// A token could not be looked up: perhaps the one to renew by.
    pub(super) fn unavailable_renewal(&mut self, id: SocketId, key: &PolicyKey) {
        let waits = self
            .lobby_mut(id)
            .is_some_and(|lobby| match &lobby.renewal {
                Renewal::Looking(_, token) => PolicyKey::Session(*token) == *key,
                Renewal::None => false,
            });
        if waits {
            self.refuse_renewal(id, Refused::ControlPlaneAway);
        }
        if let Some(Renewal::Looking(_, token)) = self.renewal_beside(id)
            && PolicyKey::Session(*token) == *key
        {
            self.refuse_renewal_beside(id, Refused::ControlPlaneAway);
        }
    }

    /// What a renewal waits for cannot be had.
    fn refuse_renewal(&mut self, id: SocketId, refused: Refused) {
        if let Renewal::Looking(request, _) = self.end_renewal(id) {
            self.refuse_line(id, request.as_ref(), None, refused);
        }
    }

    fn end_renewal(&mut self, id: SocketId) -> Renewal {
        let lobby = self.lobby_mut(id);
        lobby.map_or(Renewal::None, |lobby| std::mem::take(&mut lobby.renewal))
    }

    /// The socket goes on by this session, and is judged by it everywhere.
    fn renewed(&mut self, id: SocketId, token: TokenHash, until: Time, expires: UnixTime) {
        let request = match self.end_renewal(id) {
            Renewal::Looking(request, _) => request,
            Renewal::None => None,
        };
        let Some(lobby) = self.lobby_mut(id) else {
            return;
        };
        let holder = Box::new(Holder {
            token,
            session: None,
        });
        let before = std::mem::replace(&mut lobby.who, Who::Session(holder));
        self.unrecognise(id, &before);
        self.recognise(id);
        self.signed_in_until(id, until);
        if let Some(Sibling::Bound { puddle, raw, .. }) = self.sibling_mut(id) {
            let (puddle, raw) = (*puddle, *raw);
            let pair = Pair { raw, sibling: id };
            let renew = SiblingSaid::Do(request, Command::Renew(token));
            self.tell_pair(puddle, pair, renew);
        } else {
            let id_of = request.as_ref();
            let renewed = Told::Renewed { id: id_of, expires };
            self.tell(id, |out| renewed.frame(out));
        }
        for room in self.rooms_of(id) {
            self.judge(id, room);
        }
        self.advance_all(id, Event::Look);
        self.arm(id);
    }

    /// A raw socket is to go on by the session by which its sibling does now.
    pub(super) fn renew_beside(&mut self, id: SocketId, request: Option<Id>, token: TokenHash) {
        match self.renewal_beside(id) {
            Some(renewal @ Renewal::None) => *renewal = Renewal::Looking(request, token),
            Some(Renewal::Looking(..)) => {
                let early = LineError::new("renew", "one renewal at a time");
                return self.tell_error(id, request.as_ref(), &early);
            }
            None => return,
        }
        self.look_at_renewal_beside(id);
    }

    /// Looks whether the session for a raw socket to renew by is known here by
    /// now. Whose it is was judged where the sibling is.
    pub(super) fn look_at_renewal_beside(&mut self, id: SocketId) {
        let Some(Renewal::Looking(_, token)) = self.renewal_beside(id) else {
            return;
        };
        let token = *token;
        match self.see_session(&token) {
            SessionSeen::Unknown => {
                if self.wait_for(id, PolicyKey::Session(token)).is_some() {
                    self.refuse_renewal_beside(id, Refused::ControlPlaneAway);
                }
            }
            SessionSeen::Shut(refused) => self.refuse_renewal_beside(id, refused),
            SessionSeen::Live(session, _) => self.renewed_beside(id, token, session.expires),
        }
    }

    fn refuse_renewal_beside(&mut self, id: SocketId, refused: Refused) {
        if let Some(Renewal::Looking(request, _)) = self.renewal_beside(id).map(std::mem::take) {
            let refusal = self.refusal(id, None, refused);
            let event = Told::refused(request.as_ref(), None, &refusal);
            self.inform(id, |out| event.frame(out));
        }
    }

    fn renewed_beside(&mut self, id: SocketId, token: TokenHash, expires: UnixTime) {
        let renewal = self.renewal_beside(id).map(std::mem::take);
        let request = match renewal {
            Some(Renewal::Looking(request, _)) => request,
            Some(Renewal::None) | None => None,
        };
        let Some(who) = self.sockets.get_mut(id).and_then(|socket| socket.who_mut()) else {
            return;
        };
        let holder = Box::new(Holder {
            token,
            session: None,
        });
        let before = std::mem::replace(who, Who::Session(holder));
        self.unrecognise(id, &before);
        self.recognise(id);
        let renewed = Told::Renewed {
            id: request.as_ref(),
            expires,
        };
        self.inform(id, |out| renewed.frame(out));
        for room in self.rooms_of(id) {
            self.judge(id, room);
        }
        self.advance_all(id, Event::Look);
        self.arm(id);
    }

    fn renewal_beside(&mut self, id: SocketId) -> Option<&mut Renewal> {
        let beside = self.sockets.get_mut(id)?.beside_mut()?;
        Some(&mut beside.renewal)
    }

    /// The session by which a socket is signed in ends then.
    pub(super) fn signed_in_until(&mut self, id: SocketId, until: Time) {
        let ahead = self.settings.expiring_ahead;
        if let Some(lobby) = self.lobby_mut(id)
            && let SignIn::Done(_, end) = &mut lobby.sign_in
        {
            *end = until;
            lobby.ends.expect(Ending::Session, until, ahead);
        }
    }

    /// The right to be in a room ends then; told only if the session lasts longer.
    pub(super) fn stay_ends(&mut self, id: SocketId, room: u32, until: Time) {
        let ahead = self.settings.expiring_ahead;
        if let Some(lobby) = self.lobby_mut(id) {
            let ending = Ending::Stay(room);
            if lobby.session_lasts_longer_than(until) {
                lobby.ends.expect(ending, until, ahead);
            } else {
                lobby.ends.forget(ending);
            }
        }
    }

    /// Tells a client what is about to end.
    pub(super) fn tell_endings(&mut self, id: SocketId) {
        let now = self.now;
        let Some(lobby) = self.lobby_mut(id) else {
            return;
        };
        for (ending, end) in lobby.ends.take_due(now) {
            let Some(wall) = self.wall_now() else {
                return;
            };
            let left = u64::try_from(end.since(now).as_millis()).unwrap_or(u64::MAX);
            let room = match ending {
                Ending::Session => None,
                Ending::Stay(room) => Some(self.rooms.get(room).name.clone()),
            };
            let expiring = Told::Expiring {
                room: room.as_ref().map(porthouse_model::RoomName::as_str),
                expires: UnixTime::from_millis(wall.as_millis().saturating_add(left)),
            };
            self.tell(id, |out| expiring.frame(out));
        }
    }
}
