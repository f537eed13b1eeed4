//! What clients read: frames, and in them messages and events. What no server may send is told to
//! the checker at once.

use super::Speech;
use super::frame::{self, Head, Opcode};
use super::header::{Said, client_id};
use super::payload::{body, number};
use crate::checker::line::{Ask, Kind, Line, Place, Stamp, Stand};
use crate::checker::stored::Level;
use crate::control::{room_number, user_client};
use crate::plant::Plant;
use crate::queue::MILLIS;
use crate::world::{Event, Stage, World};

/// One event of `porthouse.v1`, with what a client makes of its fields.
struct Heard<'a> {
    op: &'a str,
    id: Option<u64>,
    room: Option<u32>,
    to: Option<u32>,
    client: Option<u128>,
    rule: &'a str,
    epoch: Option<u64>,
    offset: Option<u64>,
    dropped: Option<u32>,
    recovered: Option<bool>,
    level: Option<&'a str>,
    resume: Option<&'a str>,
    step: Option<&'a str>,
    written: Stamp,
}

impl Heard<'_> {
    /// How far the room is, where it has an order.
    fn stand(&self) -> Option<Stand> {
        let (epoch, offset) = self.epoch.zip(self.offset)?;
        Some(Stand { epoch, offset })
    }
}

impl World {
    /// Reads all that has come whole.
    pub(crate) fn read_frames(&mut self, number: u32) {
        let place = at(number);
        let Some(socket) = self.sockets[place].as_mut() else {
            return;
        };
        let inbox = std::mem::take(&mut socket.inbox);
        let begun = socket.read;
        let mut used = 0;
        while used < inbox.len() {
            let position = begun + u64::try_from(used).expect("a length");
            let Some(part) = self.read_one(number, &inbox[used..], position) else {
                break;
            };
            used += part;
        }
        if let Some(socket) = self.sockets[place].as_mut() {
            socket.read = begun + u64::try_from(used).expect("a length");
            socket.inbox = inbox;
            socket.inbox.drain(..used);
        }
    }

    /// One frame, or the answer to the upgrade. Answers how long it was.
    fn read_one(&mut self, number: u32, bytes: &[u8], position: u64) -> Option<usize> {
        let socket = self.sockets[at(number)].as_ref()?;
        if socket.stage == Stage::Upgrading {
            return self.read_answer(number, bytes, position);
        }
        let (closed, owner) = (socket.closed, socket.client);
        if self.clients[at(owner)].speech.is_stream() {
            return self.read_event(number, bytes, position);
        }
        let head = match frame::read(bytes) {
            Ok(head) => head?,
            Err(malformed) => {
                let what = malformed.0;
                self.see(&Line::Broken {
                    socket: number,
                    what,
                });
                return Some(bytes.len());
            }
        };
        let written = self.written_at(number, position);
        let written = Stamp {
            step: written.step,
            at: written.at,
        };
        if closed {
            let what = "a frame after the close frame";
            self.see(&Line::Broken {
                socket: number,
                what,
            });
        }
        let whole = head.header + head.payload;
        self.read_frame(number, head, &bytes[head.header..whole], written);
        Some(whole)
    }

    fn read_frame(&mut self, socket: u32, head: Head, payload: &[u8], written: Stamp) {
        match head.opcode {
            Opcode::Text if std::str::from_utf8(payload).is_err() => {
                let what = "text that is not UTF-8";
                self.see(&Line::Broken { socket, what });
            }
            Opcode::Text => self.read_message(socket, Kind::Text, payload, written),
            Opcode::Binary => self.read_message(socket, Kind::Binary, payload, written),
            Opcode::Ping => {
                self.see(&Line::Other { socket, written });
                self.control_frame(socket, Opcode::Pong, payload);
            }
            Opcode::Pong => self.see(&Line::Other { socket, written }),
            Opcode::Close => self.read_close(socket, payload, written),
            Opcode::Continuation => unreachable!("never read from a server"),
        }
    }

    fn read_close(&mut self, socket: u32, payload: &[u8], written: Stamp) {
        let code = payload
            .first_chunk::<2>()
            .map_or(1005, |code| u16::from_be_bytes(*code));
        let known = self.sockets[at(socket)].as_mut().expect("being read");
        let answered = known.stage == Stage::Closing;
        known.stage = Stage::Closing;
        known.closed = true;
        let owner = known.client;
        let by_ticket = known.by_ticket;
        self.turned_away(owner, code);
        if by_ticket && code == 4114 {
            self.ticket_is_refused(socket);
        }
        self.see(&Line::Closed {
            socket,
            code,
            written,
        });
        if !answered {
            self.control_frame(socket, Opcode::Close, payload.get(..2).unwrap_or_default());
            if self.chance.one_in(2) {
                self.hang_up(socket);
            }
        }
    }

    fn read_message(&mut self, socket: u32, kind: Kind, payload: &[u8], written: Stamp) {
        let known = self.sockets[at(socket)].as_ref().expect("being read");
        let has_begun = !known.inside.is_empty();
        match self.clients[at(known.client)].speech {
            Speech::Handshake { room } if !has_begun => {
                self.read_line((socket, room), payload, written);
            }
            Speech::Raw { .. } | Speech::Handshake { .. } => self.see(&Line::Delivered {
                socket,
                room: None,
                from: None,
                message: number(payload),
                body: body(kind, payload),
                place: None,
                written,
            }),
            Speech::Multiplexed | Speech::Stream { .. } | Speech::Post { .. } => {
                self.read_headed(socket, kind, payload, written);
            }
        }
    }

    /// A frame that begins with a header line.
    fn read_headed(&mut self, socket: u32, kind: Kind, payload: &[u8], written: Stamp) {
        let Some((said, rest)) = Said::read(payload) else {
            let what = "a header line that is none";
            return self.see(&Line::Broken { socket, what });
        };
        let room = said.room.as_deref().and_then(number_of);
        if said.op == "message" {
            let from = said.from.as_deref().and_then(client_id);
            // From a message too short to say whose it is, nobody learns who that is.
            if let (Some(from), Some(_)) = (from, number(rest)) {
                self.learn(from);
            }
            let past = said.history;
            if !self.sees(socket, room, said.offset, past) {
                return;
            }
            let place = said.offset.map(|offset| Place { offset, past });
            let twice = room
                .filter(|_| past)
                .and_then(|room| self.echoes(socket, room));
            for socket in [Some(socket), twice].into_iter().flatten() {
                self.see(&Line::Delivered {
                    socket,
                    room,
                    from,
                    message: number(rest),
                    body: body(kind, rest),
                    place,
                    written,
                });
            }
            return;
        }
        if let ("presence", Some(room)) = (said.op.as_ref(), room) {
            return self.presence(socket, room, &said, written);
        }
        if let ("history", Some(room)) = (said.op.as_ref(), room) {
            self.page_ends(socket, room, &said);
        }
        if said.op == "waiting" {
            return self.sees_who_waits(socket, &said, written);
        }
        let heard = Heard {
            op: &said.op,
            id: said.id,
            room,
            to: said.to.as_deref().and_then(number_of),
            client: said.client.as_deref().and_then(client_id),
            rule: said.rule.as_deref().unwrap_or_default(),
            epoch: said.epoch,
            offset: said.offset,
            dropped: said.dropped,
            recovered: said.recovered,
            level: said.level.as_deref(),
            resume: said.resume.as_deref(),
            step: said.step.as_deref(),
            written,
        };
        self.hear(socket, &heard);
    }

    fn hear(&mut self, socket: u32, heard: &Heard<'_>) {
        let asked = heard.id.and_then(|id| self.reply_to(socket, id));
        match (heard.op, heard.room) {
            ("authenticated", _) => self.authenticated(socket, heard),
            ("challenge", Some(room))
                if asked == Some(Ask::Join) && self.is_let_in_by_its_token(socket, room) =>
            {
                self.admitted_by_its_token(socket, room, heard);
            }
            ("challenge", Some(room)) => self.challenged(socket, room, heard.step),
            ("challenge", None) => self.show_code(socket),
            ("admitted", Some(room)) => self.admitted(socket, room, heard),
            ("refused", room) => self.refused(socket, room, asked, heard),
            ("left", Some(room)) => {
                self.is_out(socket, room);
                self.see(&Line::Left { socket, room });
            }
            ("closed", Some(room)) => {
                self.is_out(socket, room);
                let rule = heard.rule;
                self.see(&Line::Refused {
                    socket,
                    room,
                    rule,
                    id: None,
                });
            }
            ("moved", Some(_)) if self.is_planted(Plant::MovedUntold) => {}
            ("moved", Some(room)) => self.moved(socket, room, heard),
            ("receipt", Some(room)) => self.taken(socket, room, heard),
            ("epoch", _) if self.is_planted(Plant::EpochDropped) => {}
            ("epoch", Some(room)) => self.begins_anew(socket, room, heard),
            (
                "pong" | "error" | "draining" | "owner" | "rules" | "history" | "expiring"
                | "decided",
                _,
            ) => {}
            ("gap", Some(room)) => {
                let dropped = heard.dropped.unwrap_or_default();
                self.see(&Line::Gap {
                    socket,
                    room,
                    dropped,
                });
            }
            _ => {
                let what = "an event that no client knows";
                self.see(&Line::Broken { socket, what });
            }
        }
        if let Some(id) = heard.id {
            self.see(&Line::Reply { socket, id });
        }
        let written = heard.written;
        self.see(&Line::Other { socket, written });
    }

    /// A backend has moved it before another room's door.
    fn moved(&mut self, socket: u32, from: u32, heard: &Heard<'_>) {
        let Some(to) = heard.to else {
            let what = "moved to nowhere";
            return self.see(&Line::Broken { socket, what });
        };
        self.is_out(socket, from);
        let known = self.sockets[at(socket)].as_mut().expect("being read");
        known.joining.push(to);
        self.see(&Line::Moved { socket, from, to });
    }

    fn taken(&mut self, socket: u32, room: u32, heard: &Heard<'_>) {
        let Some(id) = heard.id else {
            let what = "a receipt for nothing";
            return self.see(&Line::Broken { socket, what });
        };
        let level = match heard.level {
            Some("accepted") => Level::Accepted,
            Some("relayed") => Level::Relayed,
            Some("stored") => Level::Stored,
            Some(_) | None => {
                let what = "a receipt that promises nothing";
                return self.see(&Line::Broken { socket, what });
            }
        };
        let offset = heard.offset;
        if let Some(offset) = offset.filter(|_| self.plan().storing.purges > 0) {
            self.offsets.insert(room, offset);
        }
        self.see(&Line::Receipt {
            socket,
            room,
            id,
            level,
            offset,
        });
    }

    fn begins_anew(&mut self, socket: u32, room: u32, heard: &Heard<'_>) {
        if let Some(stand) = heard.stand() {
            self.cannot_go_on(socket, room);
            self.see(&Line::Epoch {
                socket,
                room,
                stand,
                written: heard.written,
            });
        } else {
            let what = "an epoch that says nothing";
            self.see(&Line::Broken { socket, what });
        }
    }

    /// What was asked by this id.
    pub(super) fn reply_to(&mut self, socket: u32, id: u64) -> Option<Ask> {
        let known = self.sockets[at(socket)].as_mut()?;
        let place = known.asked.iter().position(|(of, _)| *of == id)?;
        Some(known.asked.swap_remove(place).1)
    }

    fn authenticated(&mut self, socket: u32, heard: &Heard<'_>) {
        let known = self.sockets[at(socket)].as_mut().expect("being read");
        known.authenticated = true;
        known.authenticating = false;
        let session = known.session;
        self.see(&Line::Authenticated { socket, session });
        if let Some(client) = heard.client {
            self.learn(client);
        }
    }

    fn challenged(&mut self, socket: u32, room: u32, step: Option<&str>) {
        let known = self.sockets[at(socket)].as_mut().expect("being read");
        known.inside.retain(|of| *of != room);
        if !known.joining.contains(&room) {
            known.joining.push(room);
        }
        self.is_asked_for(socket, room, step);
        self.see(&Line::Challenged { socket, room });
        // Some think longer than they have.
        let never = self.is_troubled() && self.chance.one_in(20);
        if !never {
            let delay = self.chance.skewed(1, 500 * MILLIS);
            self.schedule(delay, Event::Answer { socket, room });
        }
    }

    fn admitted(&mut self, socket: u32, room: u32, heard: &Heard<'_>) {
        let Some(client) = heard.client else {
            let what = "an admission without a client id";
            return self.see(&Line::Broken { socket, what });
        };
        let known = self.sockets[at(socket)].as_mut().expect("being read");
        known.joining.retain(|of| *of != room);
        known.challenged.retain(|(of, _)| *of != room);
        known.inside.push(room);
        self.learn(client);
        self.came_back((socket, room), heard.recovered, heard.stand());
        self.may_go_on((socket, room), heard.resume, heard.stand());
        let written = heard.written;
        self.see(&Line::Admitted {
            socket,
            room,
            client,
            stand: heard.stand(),
            recovered: heard.recovered,
            written,
        });
    }

    /// Let in by the rules of when it was inside, where a planted bug has it so.
    fn admitted_by_its_token(&mut self, socket: u32, room: u32, heard: &Heard<'_>) {
        let owner = self.sockets[at(socket)]
            .as_ref()
            .expect("being read")
            .client;
        let heard = Heard {
            client: self.clients[at(owner)].user.map(user_client),
            recovered: Some(false),
            ..*heard
        };
        self.admitted(socket, room, &heard);
    }

    /// A refused entry puts out; a refused message or sign-in does not.
    fn refused(&mut self, socket: u32, room: Option<u32>, asked: Option<Ask>, heard: &Heard<'_>) {
        let known = self.sockets[at(socket)].as_mut().expect("being read");
        if asked == Some(Ask::Auth) {
            known.authenticating = false;
            let owner = known.client;
            self.turned_away(owner, 401);
            self.renew_session(owner);
            return;
        }
        if let (Some(Ask::Send), Some(id)) = (asked, heard.id) {
            let rule = heard.rule;
            return self.see(&Line::Unsaid { socket, id, rule });
        }
        let Some(room) = room else {
            return;
        };
        let known = self.sockets[at(socket)].as_mut().expect("being read");
        let is_entry = match asked {
            Some(Ask::Join | Ask::Answer) => true,
            Some(
                Ask::Auth
                | Ask::Leave
                | Ask::Send
                | Ask::History
                | Ask::Presence
                | Ask::Decide
                | Ask::Ping
                | Ask::Junk,
            ) => false,
            None => !known.inside.contains(&room),
        };
        if !is_entry {
            return;
        }
        self.is_out(socket, room);
        self.see(&Line::Refused {
            socket,
            room,
            rule: heard.rule,
            id: heard.id,
        });
    }

    fn is_out(&mut self, socket: u32, room: u32) {
        self.has_no_way_back(socket, room);
        let known = self.sockets[at(socket)].as_mut().expect("being read");
        known.inside.retain(|of| *of != room);
        known.joining.retain(|of| *of != room);
        known.challenged.retain(|(of, _)| *of != room);
        self.is_told_out(socket, room);
    }
}

/// The room of a name in a line.
pub(super) fn number_of(name: &str) -> Option<u32> {
    room_number(&name.parse().ok()?)
}

fn at(number: u32) -> usize {
    usize::try_from(number).expect("an index")
}
