//! A message from a `porthouse.v1` socket: a header line that asks something.
//! Every request has exactly one reply.

use porthouse_model::{
    ClientId, CloseCode, Denial, MessageKind, PolicyKey, Refused, RoomName, TokenHash, Username,
};
use porthouse_rules::Rules;

use super::Puddle;
use super::door::SessionSeen;
use super::keeping::Wish;
use crate::home::{Gone, OwnerAct, stored_as};
use crate::input::SocketId;
use crate::people::RoomLife;
use crate::question::{DeviceMark, Secret, SignInBy, SignInVerdict};
use crate::room::Message;
use crate::sequence::{Asked, Attempts, Event, Manner, Sequence};
use crate::socket::{Ending, Entry, Given, Habit, Holder, Lobby, Phase, SignIn, Who};
use crate::wire::multiplexed::{
    self, Answer, Event as Told, Id, LINE_TOO_LONG, Level, Line, LineError, LineFault, Op, Place,
};

/// To whom a message goes.
struct Receivers {
    to: Vec<ClientId>,
    except: Vec<ClientId>,
}

impl Receivers {
    /// May they be named where these are the rules?
    fn allowed_by(&self, rules: &Rules) -> Result<(), Refused> {
        if self.to.is_empty() && self.except.is_empty() {
            Ok(())
        } else {
            rules.name_receivers()
        }
    }
}

impl Puddle {
    pub(super) fn multiplexed_message(&mut self, id: SocketId, kind: MessageKind, frame: &[u8]) {
        let line = match multiplexed::parse(frame, &self.settings) {
            Ok(line) => line,
            Err(LineFault::TooLong) => return self.close(id, CloseCode::POLICY, LINE_TOO_LONG),
            Err(LineFault::Bad { id: request, error }) => {
                return self.tell(id, |out| Told::error(request.as_ref(), &error).frame(out));
            }
        };
        if self.sibling_mut(id).is_some() {
            return self.sibling_line(id, line);
        }
        let Line {
            id: request,
            op,
            payload,
        } = line;
        match op {
            Op::Send {
                room,
                to,
                except,
                receipt,
                key,
            } => {
                let receivers = Receivers { to, except };
                let wish = Wish {
                    request,
                    level: receipt,
                    key: key.map(|key| key.as_ref().into()),
                };
                self.send(id, wish, &room, kind, payload, &receivers);
            }
            Op::History { room, range } => self.history(id, request, &room, range),
            Op::Ping => self.answer_ping(id, request.as_ref()),
            Op::Join { room, life, token } => self.join(id, request, &room, life, token),
            Op::Resume { room } => self.give_token(id, request.as_ref(), &room),
            Op::Presence { room, after } => self.look(id, request, &room, after),
            Op::Pass { room, client } => {
                self.own(id, request, &room, OwnerAct::Pass(client));
            }
            Op::Rules { room } => self.own(id, request, &room, OwnerAct::Rule(payload.into())),
            Op::Leave { room } => self.leave(id, request.as_ref(), &room),
            Op::Answer { room, answer } => self.answer(id, request, &room, answer),
            Op::Decide {
                room,
                client,
                decision,
            } => self.decide(id, request.as_ref(), &room, client, decision),
            Op::Kick {
                room,
                client,
                comeback,
            } => self.kick_from(id, request.as_ref(), &room, (client, comeback)),
            Op::AuthSession { token: Ok(token) } => self.sign_in_by_token(id, request, token),
            Op::Renew { token: Ok(token) } => self.renew(id, request, token),
            Op::AuthSession { token: Err(_) } | Op::Renew { token: Err(_) } => {
                self.refuse_line(id, request.as_ref(), None, Refused::CredentialUnknown);
            }
            Op::AuthPassword {
                username,
                password,
                device,
            } => self.sign_in(id, request, by_password(username, password, device)),
            Op::AuthJwt { jwt } => self.sign_in(id, request, SignInBy::Jwt(jwt)),
            Op::AuthCode { code, device } => self.sign_in_by_code(id, request, code, device),
        }
    }

    fn send(
        &mut self,
        id: SocketId,
        wish: Wish,
        room: &str,
        kind: MessageKind,
        payload: &[u8],
        receivers: &Receivers,
    ) {
        let index = self.rooms.find_str(room);
        let seat = index.and_then(|index| Some((index, self.sockets.get(id)?.stay(index)?)));
        let Some((index, stay)) = seat else {
            return self.outside(id, wish.request.as_ref());
        };
        if payload.is_empty() && !self.behaves(id, Habit::Empty, wish.request.as_ref()) {
            return;
        }
        let known = self.rooms.get(index);
        if wish.level == Level::Stored && stored_as(&known.governed, &known.name).is_none() {
            let nowhere =
                LineError::new("receipt", "a room whose history is durable, for `stored`");
            return self.tell_error(id, wish.request.as_ref(), &nowhere);
        }
        let name = known.name.clone();
        let from = Some(known.seats.sitter(stay.seat).client);
        let named = receivers.allowed_by(known.governed.rules());
        let allowed = named.and_then(|()| self.may_say(index, stay.seat, kind, payload));
        if let Err(refused) = allowed {
            return self.refuse_said(id, wish.request.as_ref(), &name, refused);
        }
        let message = Message {
            from,
            kind,
            payload,
            to: &receivers.to,
            except: &receivers.except,
            place: Place::default(),
        };
        self.speak(index, id, message, wish);
    }

    pub(super) fn join(
        &mut self,
        id: SocketId,
        reply_to: Option<Id>,
        room: &RoomName,
        makes: Option<RoomLife>,
        token: Option<(Secret, Option<u64>)>,
    ) {
        if self.behaves(id, Habit::Move, reply_to.as_ref()) {
            self.knock_at(id, reply_to, room, makes, token);
        }
    }

    /// Stands before one more door.
    pub(super) fn knock_at(
        &mut self,
        id: SocketId,
        reply_to: Option<Id>,
        room: &RoomName,
        makes: Option<RoomLife>,
        token: Option<(Secret, Option<u64>)>,
    ) {
        let until = self.now + self.settings.entry_time_max;
        let attempts = Attempts::new(&self.settings);
        let rooms_max = self.settings.rooms_per_socket_max;
        let inside = self.seat_in(id, room);
        let returns = token.map(|(token, offset)| Box::new(self.shown_token(&token, offset)));
        let Some(lobby) = self.lobby_mut(id) else {
            return;
        };
        let knocks = lobby.entries.iter().any(|entry| entry.room == *room);
        if inside.is_some() || knocks {
            let twice = LineError::new("join", "a room this socket is not in or entering");
            return self.tell(id, |out| Told::error(reply_to.as_ref(), &twice).frame(out));
        }
        if lobby.stays.len() + lobby.entries.len() >= rooms_max {
            return self.refuse_line(id, reply_to.as_ref(), Some(room), Refused::TooManyRooms);
        }
        let sequence = Sequence::new(attempts, Manner::Asked);
        lobby.entries.push(Entry {
            reply_to,
            makes,
            returns,
            ..Entry::new(room.clone(), sequence, until)
        });
        self.doors.entry(room.clone()).or_default().insert(id);
        self.arm(id);
        self.advance(id, room, Event::Look);
    }

    pub(super) fn answer(
        &mut self,
        id: SocketId,
        request: Option<Id>,
        room: &RoomName,
        answer: Answer,
    ) {
        let entry = self.entry_mut(id, room);
        let asked = entry.and_then(|entry| entry.sequence.asked());
        let Some(proof) = asked.and_then(|asked| answer.to(asked)) else {
            let needed = match asked {
                None => "a room that asked this socket something",
                Some(Asked::Password) => "a `password`, which was asked for",
                Some(Asked::SecondFactor | Asked::RoomCode) => "a `code`, which was asked for",
            };
            let unasked = LineError::new("answer", needed);
            return self.tell_error(id, request.as_ref(), &unasked);
        };
        if let Some(entry) = self.entry_mut(id, room) {
            entry.reply_to = request;
        }
        self.shown(id, room, proof);
    }

    /// From a room, or from its door; then the entry's request is answered too.
    /// Nothing more of what was said there is written: the right to it may end.
    fn leave(&mut self, id: SocketId, request: Option<&Id>, room: &RoomName) {
        if !self.behaves(id, Habit::Move, request) {
            return;
        }
        if let Some((index, seat)) = self.seat_in(id, room) {
            self.outbox.cut_room(id.slot, index);
            self.leave_room(id, index, seat, Gone::Left);
            self.forget_stay(id, index);
        } else if let Some(entry) = self.lobby_mut(id).and_then(|lobby| lobby.take_entry(room)) {
            self.leave_door(id, &entry);
            if let Some(joined) = entry.reply_to {
                let left = Told::Left {
                    id: Some(&joined),
                    room,
                };
                self.tell(id, |out| left.frame(out));
            }
        } else {
            let outside = LineError::new("leave", "a room this socket is in or entering");
            return self.tell(id, |out| Told::error(request, &outside).frame(out));
        }
        self.tell(id, |out| Told::Left { id: request, room }.frame(out));
        self.rest(id);
    }

    fn sign_in_by_token(&mut self, id: SocketId, request: Option<Id>, token: TokenHash) {
        if let Some(lobby) = self.signs_in_first(id, request.as_ref()) {
            lobby.who = Who::Session(Box::new(Holder {
                token,
                session: None,
            }));
            lobby.sign_in = SignIn::Resolving(request, Given::Line(None));
            self.look_at_session(id);
        }
    }

    /// A socket is one client all its life.
    pub(super) fn signs_in_first(
        &mut self,
        id: SocketId,
        request: Option<&Id>,
    ) -> Option<&mut Lobby> {
        let sign_in = &self.lobby_mut(id)?.sign_in;
        let first = matches!(sign_in, SignIn::None | SignIn::Waiting(_));
        let inside = self.lobby_mut(id)?;
        let empty = inside.stays.is_empty() && inside.entries.is_empty();
        if !first || !empty {
            let late = LineError::new("auth", "a socket that has not signed in or joined before");
            self.tell(id, |out| Told::error(request, &late).frame(out));
            return None;
        }
        self.lobby_mut(id)
    }

    /// The verdict on a name and a password, or on a code.
    pub(super) fn signed_in(&mut self, id: SocketId, verdict: Option<&SignInVerdict>) {
        let Some(lobby) = self.lobby_mut(id) else {
            return;
        };
        let SignIn::Verifying(request, _, challenge) = &lobby.sign_in else {
            return;
        };
        let (request, by_code) = (request.clone(), challenge.is_some());
        let denial = match verdict {
            Some(SignInVerdict::Right {
                token, device_mark, ..
            }) => {
                let token = *token;
                let mark = device_mark.clone().map(Box::new);
                lobby.who = Who::Session(Box::new(Holder {
                    token,
                    session: None,
                }));
                lobby.sign_in = SignIn::Resolving(request, Given::Line(mark));
                return self.look_at_session(id);
            }
            Some(SignInVerdict::CodeNeeded { challenge, expires }) => {
                return self.code_needed(id, request.as_ref(), challenge.clone(), *expires);
            }
            Some(SignInVerdict::Wrong) if by_code => Refused::SignInCodeWrong.into(),
            Some(SignInVerdict::Wrong) => Refused::SignInWrong.into(),
            Some(SignInVerdict::Later(delay)) => Denial::until(Refused::SignInBusy, *delay),
            Some(SignInVerdict::Gone) => Refused::SignInOver.into(),
            None => Refused::ControlPlaneAway.into(),
        };
        self.refuse_sign_in(id, denial);
    }

    /// Looks whether the session a socket comes with is known by now.
    pub(super) fn look_at_session(&mut self, id: SocketId) {
        let Some(lobby) = self.lobby_mut(id) else {
            return;
        };
        let (SignIn::Resolving(request, given), Who::Session(holder)) =
            (&lobby.sign_in, &lobby.who)
        else {
            return;
        };
        let (request, token, given) = (request.clone(), holder.token, given.clone());
        match self.see_session(&token) {
            SessionSeen::Unknown => {
                if self.wait_for(id, PolicyKey::Session(token)).is_some() {
                    self.refuse_sign_in(id, Refused::ControlPlaneAway);
                }
            }
            SessionSeen::Shut(refused) => self.refuse_sign_in(id, refused),
            SessionSeen::Live(session, until) => {
                self.recognise(id);
                let client = session.client();
                if let Some(lobby) = self.lobby_mut(id) {
                    lobby.sign_in = SignIn::Done(client, until);
                }
                self.signed_in_until(id, until);
                let authenticated = Told::Authenticated {
                    id: request.as_ref(),
                    client,
                    username: &session.username,
                    device: session
                        .device
                        .as_ref()
                        .map(|device| device.display_name.as_str()),
                    expires: session.expires,
                    device_mark: given.mark(),
                };
                self.tell(id, |out| authenticated.frame(out));
                self.arm(id);
                self.offer_binding(id);
                self.advance_all(id, Event::Look);
                self.subscribe(id, &session);
            }
        }
    }

    /// A wrong token at the upgrade ends the socket; a wrong line does not, and a
    /// wrong code may be followed by a right one.
    pub(super) fn refuse_sign_in(&mut self, id: SocketId, denial: impl Into<Denial>) {
        let denial = denial.into();
        let Some(lobby) = self.lobby_mut(id) else {
            return;
        };
        let (request, given) = match std::mem::replace(&mut lobby.sign_in, SignIn::None) {
            SignIn::Resolving(request, given) => (request, given),
            SignIn::Verifying(request, _, challenge) => {
                let waits = challenge.filter(|_| denial.refused != Refused::SignInOver);
                if let Some(challenge) = waits {
                    lobby.sign_in = SignIn::Waiting(challenge);
                }
                (request, Given::Line(None))
            }
            SignIn::None | SignIn::Waiting(_) | SignIn::Done(..) => {
                unreachable!("who is refused was signing in")
            }
        };
        lobby.who = Who::Anonymous;
        match given {
            Given::Upgrade => self.close_refused(id, denial),
            Given::Line(_) => {
                self.refuse_line(id, request.as_ref(), None, denial);
                self.rest(id);
                self.advance_all(id, Event::Look);
            }
        }
    }

    pub(super) fn refuse_line(
        &mut self,
        id: SocketId,
        request: Option<&Id>,
        room: Option<&RoomName>,
        denial: impl Into<Denial>,
    ) {
        let refusal = self.refusal(id, room, denial);
        self.inform(id, |out| Told::refused(request, room, &refusal).frame(out));
    }

    /// What was asked cannot be done now; the socket stays.
    pub(super) fn tell_error(&mut self, id: SocketId, request: Option<&Id>, error: &LineError) {
        self.inform(id, |out| Told::error(request, error).frame(out));
    }

    /// A socket with nothing left has a while to begin anew.
    pub(super) fn rest(&mut self, id: SocketId) {
        let idle_until = self.now + self.settings.lobby_time_max;
        if let Some(lobby) = self.lobby_mut(id) {
            lobby.idle_until = idle_until;
        }
        self.arm(id);
    }

    pub(super) fn lobby_mut(&mut self, id: SocketId) -> Option<&mut Lobby> {
        match &mut self.sockets.get_mut(id)?.phase {
            Phase::Multiplexed(lobby) => Some(lobby),
            Phase::Upgrading { .. }
            | Phase::Knocking(_)
            | Phase::Raw(..)
            | Phase::Closing { .. } => None,
        }
    }

    pub(super) fn seat_in(&self, id: SocketId, room: &RoomName) -> Option<(u32, u32)> {
        let index = self.rooms.find(room)?;
        let stay = self.sockets.get(id)?.stay(index)?;
        Some((index, stay.seat))
    }

    pub(super) fn forget_stay(&mut self, id: SocketId, room: u32) {
        if let Some(lobby) = self.lobby_mut(id) {
            lobby.forget_stay(room);
            lobby.ends.forget(Ending::Stay(room));
        }
    }
}

const fn by_password(username: Username, password: Secret, device: DeviceMark) -> SignInBy {
    SignInBy::Password {
        username,
        password,
        device,
    }
}
