//! What clients do: join and leave, speak, answer, misbehave and go. Until the faults heal by the
//! world's habits, afterwards as one should.

use super::header::Asking;
use super::payload::{Payloads, number, shortest};
use super::{Credentials, Speech, frame};
use crate::checker::TAG_BYTES;
use crate::checker::line::{Ask, Body, Kind, Line, Named, Resumes, Shape, Shown};
use crate::checker::stored::Level;
use crate::client::frame::Opcode;
use crate::control::{CODE, jwt_of, room_name, user_password, username};
use crate::queue::{MILLIS, SECONDS};
use crate::world::{Phase, Stage, World};

/// One message to be sent.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) room: u32,
    pub(super) kind: Kind,
    pub(super) len: usize,
    pub(super) shape: Shape,
    to: Vec<u128>,
    except: Vec<u128>,
}

impl Draft {
    /// The header line, with the request's id and the message's own name.
    pub(super) fn line(&self, id: Option<u64>, key: Option<u32>, level: Level) -> String {
        let name = room_name(self.room);
        let mut asking = Asking::new("send").text("room", name.as_str());
        asking = asking
            .clients("to", &self.to)
            .clients("except", &self.except);
        if let Some(key) = key {
            asking = asking.text("key", &format!("message-{key}"));
        }
        asking = match level {
            Level::Accepted => asking,
            Level::Relayed => asking.text("receipt", "relayed"),
            Level::Stored => asking.text("receipt", "stored"),
        };
        asking.number("id", id).end()
    }
}

impl World {
    /// A client does its next thing.
    pub(crate) fn act(&mut self, client: u32) {
        let known = &self.clients[at(client)];
        let Some(socket) = known.socket.filter(|_| known.acts_at == self.now()) else {
            return;
        };
        let stage = self.sockets[at(socket)].as_ref().map(|socket| socket.stage);
        if known.speech.is_stream() && stage.is_some() {
            self.read_on(socket);
            return self.act_soon(client);
        }
        match (self.phase(), stage) {
            (Phase::Leaving, Some(_)) => return self.leave(client, socket),
            (Phase::Troubled, Some(Stage::Open)) if self.misbehaves(socket) => {}
            (Phase::Troubled | Phase::Draining, Some(Stage::Open)) => self.go_on(client, socket),
            (Phase::Healing, Some(Stage::Open)) => self.come_in(client, socket),
            (Phase::Settled, Some(Stage::Open)) => self.probe(client, socket),
            (_, Some(Stage::Upgrading | Stage::Closing) | None) => {}
        }
        self.act_soon(client);
    }

    /// The next thing a client does comes about as soon as the world's pace has it.
    pub(crate) fn act_soon(&mut self, client: u32) {
        let pace = self.client_gap();
        let gap = match self.phase() {
            Phase::Troubled | Phase::Draining => pace,
            Phase::Healing | Phase::Settled => pace.max(200 * MILLIS),
            Phase::Leaving => SECONDS,
        };
        self.act_within(client, 2 * gap);
    }

    fn go_on(&mut self, client: u32, socket: u32) {
        let habits = self.habits();
        if self.is_before_its_start(client, socket) {
            return self.says_early(client, socket);
        }
        if self.clients[at(client)].speech == Speech::Multiplexed
            && (self.arrange(client, socket) || self.uses_what_is_kept(client, socket))
        {
            return;
        }
        match self.chance.below(20) {
            0 => self.control_frame(socket, Opcode::Ping, b"are you there?"),
            1 if self.clients[at(client)].speech == Speech::Multiplexed => self.ping(socket),
            _ => {
                let outside = self.in_thousand(habits.hostile);
                if let Some(draft) = self.draft(client, socket, outside)
                    && (self.may_speak(client, draft.room) || self.chance.one_in(6))
                {
                    self.speak(client, socket, &draft);
                }
            }
        }
    }

    /// Whether its handshake runs still.
    fn is_before_its_start(&self, client: u32, socket: u32) -> bool {
        let known = self.sockets[at(socket)].as_ref().expect("it acts");
        self.clients[at(client)].speech.shakes_hands() && known.inside.is_empty()
    }

    /// Signs in, joins or leaves, if there is need or mood for it.
    fn arrange(&mut self, client: u32, socket: u32) -> bool {
        if self.must_authenticate(client, socket) {
            self.authenticate(client, socket);
            return true;
        }
        let known = self.sockets[at(socket)].as_ref().expect("it acts");
        if known.inside.is_empty() || self.in_thousand(self.habits().wander) {
            let Some(room) = self.some_room(client, socket) else {
                self.ping(socket);
                return true;
            };
            if self.sockets[at(socket)]
                .as_ref()
                .is_some_and(|known| known.inside.contains(&room))
            {
                self.request(socket, Ask::Leave, Some(room), None);
            } else {
                self.join(socket, room);
            }
            return true;
        }
        false
    }

    /// Everything that is still missing, as one should.
    fn come_in(&mut self, client: u32, socket: u32) {
        if let Speech::Handshake { room } = self.clients[at(client)].speech {
            return self.shake_hands(socket, room);
        }
        if self.clients[at(client)].speech != Speech::Multiplexed {
            return;
        }
        if self.must_authenticate(client, socket) {
            return self.authenticate(client, socket);
        }
        for room in self.rooms_to_join(client, socket) {
            self.answer(socket, room);
            self.join(socket, room);
        }
    }

    fn join(&mut self, socket: u32, room: u32) {
        let known = self.sockets[at(socket)].as_mut().expect("it acts");
        if !known.inside.contains(&room) && !known.joining.contains(&room) {
            known.joining.push(room);
            self.request(socket, Ask::Join, Some(room), None);
        }
    }

    /// A socket is one client all its life: first it says which.
    fn must_authenticate(&self, client: u32, socket: u32) -> bool {
        let known = self.sockets[at(socket)].as_ref().expect("it acts");
        self.clients[at(client)].user.is_some() && !known.authenticated
    }

    fn authenticate(&mut self, client: u32, socket: u32) {
        let known = self.sockets[at(socket)].as_ref().expect("it acts");
        let owner = &self.clients[at(client)];
        let (Some(user), false) = (owner.user, known.authenticating) else {
            return;
        };
        let (session, credentials) = (owner.session, owner.credentials);
        let known = self.sockets[at(socket)].as_mut().expect("it acts");
        known.authenticating = true;
        let id = known.request();
        let asking = Asking::new("auth").id(id);
        let line = match (credentials, session) {
            (Credentials::Token, Some(session)) => {
                known.session = Some(session);
                asking.text("token", &self.token(session))
            }
            (Credentials::Jwt, _) => asking.text("jwt", &jwt_of(user)),
            _ => asking
                .text("username", username(user).as_str())
                .text("password", &user_password(user)),
        };
        self.ask(socket, id, Ask::Auth, None, None);
        self.send_text(socket, &line.end());
    }

    /// The password was right, and a code is asked for; now and then it is wrong.
    pub(super) fn show_code(&mut self, socket: u32) {
        let known = self.sockets[at(socket)].as_mut().expect("being read");
        let id = known.request();
        let code = if id.is_multiple_of(4) { "000000" } else { CODE };
        let line = Asking::new("auth").id(id).text("code", code);
        self.ask(socket, id, Ask::Auth, None, None);
        self.send_text(socket, &line.end());
    }

    /// A request about a room, with an id.
    fn request(&mut self, socket: u32, ask: Ask, room: Option<u32>, shown: Option<Shown>) {
        let known = self.sockets[at(socket)].as_mut().expect("it acts");
        let id = known.request();
        let op = match ask {
            Ask::Join => "join",
            Ask::Leave => "leave",
            Ask::Auth
            | Ask::Answer
            | Ask::Send
            | Ask::History
            | Ask::Presence
            | Ask::Decide
            | Ask::Ping
            | Ask::Junk => unreachable!("it has more, or no room"),
        };
        let room_text = room.map(room_name).expect("a room");
        let mut line = Asking::new(op).id(id).text("room", room_text.as_str());
        let mut resumes = None;
        if let (Ask::Join, Some(room)) = (ask, room) {
            (line, resumes) = self.go_on_by(socket, room, line);
        }
        self.ask_from(socket, id, ask, (room, shown, resumes));
        self.send_text(socket, &line.end());
    }

    pub(super) fn ask(
        &mut self,
        socket: u32,
        id: u64,
        ask: Ask,
        room: Option<u32>,
        shown: Option<Shown>,
    ) {
        self.ask_from(socket, id, ask, (room, shown, None));
    }

    fn ask_from(
        &mut self,
        socket: u32,
        id: u64,
        ask: Ask,
        (room, shown, resumes): (Option<u32>, Option<Shown>, Option<Resumes>),
    ) {
        if let Some(known) = self.sockets[at(socket)].as_mut() {
            known.asked.push((id, ask));
        }
        self.see(&Line::Request {
            socket,
            id,
            ask,
            room,
            shown,
            resumes,
        });
    }

    pub(super) fn ping(&mut self, socket: u32) {
        let id = self.sockets[at(socket)]
            .as_mut()
            .expect("it acts")
            .request();
        self.ask(socket, id, Ask::Ping, None, None);
        self.send_text(socket, &Asking::new("ping").id(id).end());
    }

    /// Once to each room that it is in, so that it can be told who hears whom.
    fn probe(&mut self, client: u32, socket: u32) {
        let inside = &self.sockets[at(socket)].as_ref().expect("it acts").inside;
        let probed = &self.clients[at(client)].probed;
        let Some(&room) = inside.iter().find(|room| !probed.contains(room)) else {
            return;
        };
        let curious = self.plan().keeping.curious > 0;
        let is_raw = self.clients[at(client)].speech != Speech::Multiplexed;
        if curious && !is_raw && self.chance.one_in(4) {
            self.look(socket, room, None);
        }
        self.clients[at(client)].probed.push(room);
        if self.may_speak(client, room) {
            let mut draft = self.short_draft(room);
            if self.plan().voices.overhears && !is_raw && self.chance.one_in(3) {
                (draft.to, draft.except) = self.name_some();
            }
            self.speak(client, socket, &draft);
        }
    }

    /// A short message that the room takes.
    pub(super) fn short_draft(&self, room: u32) -> Draft {
        let (kind, longest) = self.allowed(room);
        Draft {
            room,
            kind: kind.unwrap_or(Kind::Binary),
            len: longest.min(20),
            shape: self.shape_of(room),
            to: Vec::new(),
            except: Vec::new(),
        }
    }

    pub(super) fn draft(&mut self, client: u32, socket: u32, outside: bool) -> Option<Draft> {
        let inside = &self.sockets[at(socket)].as_ref()?.inside;
        let room = match self.clients[at(client)].speech {
            Speech::Raw { room }
            | Speech::Handshake { room }
            | Speech::Stream { room }
            | Speech::Post { room } => room,
            Speech::Multiplexed if outside || inside.is_empty() => {
                self.chance.index_u32(self.rooms())
            }
            Speech::Multiplexed => inside[self.chance.index(inside.len())],
        };
        let (allowed, longest) = self.allowed(room);
        let any = if self.chance.one_in(2) {
            Kind::Text
        } else {
            Kind::Binary
        };
        let careful = !self.in_thousand(self.habits().oversized);
        let most = u64::try_from(longest).expect("a length");
        // Now and then what is said is not in the format.
        let asked = self.shape_of(room);
        let keeps_to_it = careful && asked != Shape::Plain && !self.chance.one_in(6);
        let shape = if keeps_to_it { asked } else { Shape::Plain };
        let len = if keeps_to_it {
            let least = u64::try_from(shortest(shape)).expect("a length");
            self.chance.skewed(least, most.max(least))
        } else if careful {
            self.chance.skewed(0, most)
        } else {
            most + self.chance.skewed(1, 2 * most)
        };
        let is_raw = self.clients[at(client)].speech != Speech::Multiplexed;
        let (to, except) = if is_raw || len < 8 {
            Default::default()
        } else {
            self.name_some()
        };
        Some(Draft {
            room,
            kind: if careful { allowed.unwrap_or(any) } else { any },
            len: usize::try_from(len).expect("a length"),
            shape,
            to,
            except,
        })
    }

    pub(super) fn speak(&mut self, client: u32, socket: u32, draft: &Draft) {
        let is_raw = self.clients[at(client)].speech != Speech::Multiplexed;
        let message = self.next_message();
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        let wants_receipt = !is_raw && self.chance.one_in(2);
        let may_have_key = !is_raw && draft.len >= TAG_BYTES && self.is_troubled();
        let has_key = may_have_key && self.is_inclined(self.plan().keeping.keyed);
        let known = self.sockets[at(socket)].as_mut().expect("it acts");
        let id = (wants_receipt || has_key).then(|| known.request());
        let key = has_key.then_some(message);
        let level = id.map_or(Level::Accepted, |_| self.wants_level(draft.room));
        if !is_raw {
            bytes.extend_from_slice(draft.line(id, key, level).as_bytes());
            bytes.push(b'\n');
        }
        let header = bytes.len();
        let body = self.fill(&mut bytes, draft, message);
        debug_assert!(is_raw || draft.len < 8 || number(&bytes).is_some());
        if has_key {
            self.keep_keyed(client, draft, message, &bytes[header..]);
        }
        self.said(socket, draft, (message, body), (id, has_key, level));
        if let Some(id) = id {
            self.ask(socket, id, Ask::Send, Some(draft.room), None);
        }
        let opcode = match draft.kind {
            Kind::Text => Opcode::Text,
            Kind::Binary => Opcode::Binary,
        };
        self.send_message(socket, opcode, &bytes);
        self.scratch = bytes;
    }

    /// Writes what it says.
    pub(super) fn fill(&mut self, out: &mut Vec<u8>, draft: &Draft, message: u32) -> Body {
        if draft.shape != Shape::Plain {
            let what = (draft.kind, draft.len, draft.shape);
            return Payloads::fill_shaped(out, what, message);
        }
        let what = (draft.kind, draft.len);
        self.payloads.fill(out, what, message, &mut self.chance)
    }

    pub(super) fn said(
        &mut self,
        socket: u32,
        draft: &Draft,
        (message, body): (u32, Body),
        (id, keyed, level): (Option<u64>, bool, Level),
    ) {
        let named = Named {
            to: &draft.to,
            except: &draft.except,
        };
        self.see(&Line::Sent {
            socket,
            room: draft.room,
            message,
            body,
            id,
            keyed,
            level,
            named: Some(named).filter(|named| *named != Named::default()),
        });
    }

    /// What a receipt is to promise, for something that is said in this room.
    fn wants_level(&mut self, room: u32) -> Level {
        let levels = self.plan().storing.levels;
        if levels == 0 || !self.chance.percent(levels) {
            return Level::Accepted;
        }
        let rules = self.control().rules(room);
        let is_durable = rules.is_some_and(|rules| rules.history.durable);
        if is_durable && !self.chance.one_in(3) {
            Level::Stored
        } else {
            Level::Relayed
        }
    }

    /// One message, now and then in fragments with pings between them.
    pub(super) fn send_message(&mut self, socket: u32, opcode: Opcode, payload: &[u8]) {
        let mut out = Vec::with_capacity(payload.len() + 14);
        if payload.is_empty() || !self.chance.one_in(8) {
            frame::write(&mut out, (opcode, true), payload, &mut self.chance);
            return self.send_up(socket, &out);
        }
        let (mut rest, mut opcode) = (payload, opcode);
        loop {
            let part = self.chance.index(rest.len() + 1);
            let last = part == rest.len() || self.chance.one_in(5);
            let part = if last { rest.len() } else { part };
            frame::write(&mut out, (opcode, last), &rest[..part], &mut self.chance);
            if last {
                return self.send_up(socket, &out);
            }
            if self.chance.one_in(3) {
                frame::write(&mut out, (Opcode::Ping, true), b"between", &mut self.chance);
            }
            (rest, opcode) = (&rest[part..], Opcode::Continuation);
        }
    }

    pub(super) fn send_text(&mut self, socket: u32, line: &str) {
        self.send_message(socket, Opcode::Text, line.as_bytes());
    }

    /// A control frame.
    pub(super) fn control_frame(&mut self, socket: u32, opcode: Opcode, payload: &[u8]) {
        let mut out = Vec::new();
        frame::write(&mut out, (opcode, true), payload, &mut self.chance);
        self.send_up(socket, &out);
    }

    /// Something that one should not do, if it is in the mood.
    fn misbehaves(&mut self, socket: u32) -> bool {
        let habits = self.habits();
        if self.in_thousand(habits.vanish) {
            self.vanish(socket);
        } else if self.in_thousand(habits.close) {
            self.close(socket);
        } else if self.in_thousand(habits.stall) {
            let until = self.now() + self.chance.skewed(MILLIS, 5 * SECONDS);
            if let Some(known) = self.sockets[at(socket)].as_mut() {
                known.stalled_until = until;
            }
        } else if self.in_thousand(habits.hostile) {
            self.attack(socket);
        } else {
            return false;
        }
        true
    }

    fn close(&mut self, socket: u32) {
        self.see(&Line::Closes { socket });
        self.control_frame(socket, Opcode::Close, &[0x03, 0xe8]);
        if let Some(known) = self.sockets[at(socket)].as_mut() {
            known.stage = Stage::Closing;
        }
        if self.chance.one_in(4) {
            self.hang_up(socket);
        }
    }

    /// Everybody goes, in the ways there are.
    fn leave(&mut self, client: u32, socket: u32) {
        let stage = self.sockets[at(socket)].as_ref().map(|known| known.stage);
        match self.chance.below(3) {
            0 if stage == Some(Stage::Open) => self.close(socket),
            1 => self.hang_up(socket),
            _ => self.vanish(socket),
        }
        self.act_soon(client);
    }

    /// Bytes that nobody may send.
    fn attack(&mut self, socket: u32) {
        let frames: [&[u8]; 12] = [
            b"\x81\x05hello",
            b"\x83\x80\0\0\0\0",
            b"\xc1\x80\0\0\0\0",
            b"\x89\xfe\x00\x7e\0\0\0\0",
            b"\x81\x82\0\0\0\0\xc3\x28",
            b"\x88\x82\0\0\0\0\x03\xed",
            b"\x09\x80\0\0\0\0",
            b"\x80\x80\0\0\0\0",
            b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0",
            b"\x88\x81\0\0\0\0\x03",
            b"\x01\x81\0\0\0\0a\x81\x81\0\0\0\0b",
            b"\x81\xfe\x00\x05\0\0\0\0hello",
        ];
        let frame = *self.chance.pick(&frames);
        if self.chance.one_in(2) {
            return self.send_up(socket, frame);
        }
        let owner = self.sockets[at(socket)].as_ref().expect("it acts").client;
        if self.clients[at(owner)].speech == Speech::Multiplexed {
            self.scribble(socket);
        } else {
            self.send_up(socket, frame);
        }
    }

    /// Header lines that say nothing.
    fn scribble(&mut self, socket: u32) {
        let id = self.sockets[at(socket)]
            .as_mut()
            .expect("it acts")
            .request();
        match self.chance.below(5) {
            0 => {
                self.ask(socket, id, Ask::Junk, None, None);
                self.send_text(socket, &Asking::new("fly").id(id).end());
            }
            1 => {
                self.ask(socket, id, Ask::Junk, None, None);
                self.send_text(socket, &Asking::new("join").id(id).text("room", "..").end());
            }
            2 => self.send_text(socket, "{\"op\":\"send\",\"op\":\"send\"}\nx"),
            3 => self.send_text(socket, "no json at all"),
            _ => {
                let long = format!("{{\"op\":\"ping\",\"x\":\"{}\"}}", "x".repeat(5_000));
                self.send_text(socket, &long);
            }
        }
    }
}

fn at(number: u32) -> usize {
    usize::try_from(number).expect("an index")
}
