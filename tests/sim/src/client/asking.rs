//! What clients do in rooms that keep: send the same again under its key, read what was said
//! before, look who is there; and what they make of the answers. Never more than once in a world
//! in which nothing is kept.

use super::acting::Draft;
use super::frame::Opcode;
use super::header::{Asking, Said, There, client_id, uuid};
use crate::checker::line::{Ask, Kind, Line, Range, Seen, Stamp};
use crate::checker::stored::Level;
use crate::control::room_name;
use crate::plant::Plant;
use crate::world::{Stage, World};

/// Of so many messages that have keys a client still has the bytes.
const KEYED_MAX: usize = 6;

/// A message that its sender may send again.
#[derive(Clone, Debug)]
pub(crate) struct Keyed {
    message: u32,
    draft: Draft,
    payload: Vec<u8>,
}

impl World {
    /// Uses what rooms keep, if it is in the mood.
    pub(super) fn uses_what_is_kept(&mut self, client: u32, socket: u32) -> bool {
        let (keyed, curious) = (self.plan().keeping.keyed, self.plan().keeping.curious);
        if self.is_inclined(curious) {
            return self.looks_around(socket);
        }
        self.is_inclined(keyed) && self.sends_again(client, socket)
    }

    /// So many times in a thousand; nothing is drawn for none.
    pub(super) fn is_inclined(&mut self, times: u64) -> bool {
        times > 0 && self.in_thousand(times)
    }

    fn looks_around(&mut self, socket: u32) -> bool {
        let inside = &self.sockets[at(socket)].as_ref().expect("it acts").inside;
        if inside.is_empty() {
            return false;
        }
        let room = inside[self.chance.index(inside.len())];
        if self.chance.one_in(2) {
            self.look(socket, room, None);
        } else {
            self.read_past(socket, room);
        }
        true
    }

    /// Asks who is there, after this client.
    pub(super) fn look(&mut self, socket: u32, room: u32, after: Option<u128>) {
        let known = self.sockets[at(socket)].as_mut().expect("it acts");
        let id = known.request();
        let name = room_name(room);
        let mut asking = Asking::new("presence").id(id).text("room", name.as_str());
        if let Some(after) = after {
            asking = asking.text("after", &uuid(after));
        }
        self.see(&Line::Looks { socket, id, after });
        self.ask(socket, id, Ask::Presence, Some(room), None);
        self.send_text(socket, &asking.end());
    }

    fn read_past(&mut self, socket: u32, room: u32) {
        let chance = &mut self.chance;
        let range = Range {
            since: chance.one_in(2).then(|| chance.skewed(0, 300)),
            before: chance.one_in(3).then(|| chance.skewed(1, 500)),
            last: chance.one_in(2).then(|| chance.skewed(0, 50)),
        };
        let known = self.sockets[at(socket)].as_mut().expect("it acts");
        let id = known.request();
        let name = room_name(room);
        let asking = Asking::new("history").id(id).text("room", name.as_str());
        let line = asking
            .number("since", range.since)
            .number("before", range.before)
            .number("last", range.last)
            .end();
        self.see(&Line::Reads {
            socket,
            room,
            id,
            range,
        });
        self.ask(socket, id, Ask::History, Some(room), None);
        self.send_text(socket, &line);
    }

    /// Remembers a message that has a key.
    pub(super) fn keep_keyed(&mut self, client: u32, draft: &Draft, message: u32, payload: &[u8]) {
        let owner = &mut self.clients[at(client)];
        if owner.keyed.len() == KEYED_MAX {
            owner.keyed.remove(0);
        }
        owner.keyed.push(Keyed {
            message,
            draft: draft.clone(),
            payload: payload.to_vec(),
        });
    }

    fn sends_again(&mut self, client: u32, socket: u32) -> bool {
        let inside = &self.sockets[at(socket)].as_ref().expect("it acts").inside;
        let owner = &mut self.clients[at(client)];
        let mine = |keyed: &Keyed| inside.contains(&keyed.draft.room);
        let Some(place) = owner.keyed.iter().position(mine) else {
            return false;
        };
        let keyed = owner.keyed.remove(place);
        if self.chance.one_in(2) {
            self.clients[at(client)].keyed.push(keyed.clone());
        }
        let known = self.sockets[at(socket)].as_mut().expect("it acts");
        let id = known.request();
        let forgotten = self.is_planted(Plant::KeyForgotten);
        let key = keyed.message + if forgotten { 1 << 24 } else { 0 };
        let line = keyed.draft.line(Some(id), Some(key), Level::default());
        let mut bytes = line.into_bytes();
        bytes.push(b'\n');
        bytes.extend_from_slice(&keyed.payload);
        let (room, message) = (keyed.draft.room, keyed.message);
        self.see(&Line::Again {
            socket,
            room,
            message,
            id,
        });
        self.ask(socket, id, Ask::Send, Some(room), None);
        let opcode = match keyed.draft.kind {
            Kind::Text => Opcode::Text,
            Kind::Binary => Opcode::Binary,
        };
        self.send_message(socket, opcode, &bytes);
        true
    }

    /// Is told who is there.
    pub(super) fn presence(&mut self, socket: u32, room: u32, said: &Said<'_>, written: Stamp) {
        let (seq, count) = (said.seq.unwrap_or(0), said.count.unwrap_or(0));
        let id = said.id;
        if let Some(id) = id {
            self.reply_to(socket, id);
        }
        if said.ended {
            self.see(&Line::Unseen { socket, room });
        } else if said.present.is_some() || said.id.is_some() {
            let present = said.present.as_deref().map(seen);
            self.see(&Line::There {
                socket,
                room,
                id,
                seq,
                count,
                present: present.as_deref(),
                more: said.more,
            });
            let last = present.and_then(|present| present.last().map(|seen| seen.client));
            let known = self.sockets[at(socket)].as_ref().expect("being read");
            if said.more && known.stage == Stage::Open {
                self.look(socket, room, last);
            }
        } else {
            let left: Option<Vec<u128>> = said.left.iter().map(|left| client_id(left)).collect();
            self.see(&Line::Changed {
                socket,
                room,
                seq,
                count,
                joined: &seen(&said.joined),
                left: &left.unwrap_or_default(),
                updated: &seen(&said.updated),
            });
        }
        if let Some(id) = id {
            self.see(&Line::Reply { socket, id });
        }
        self.see(&Line::Other { socket, written });
    }

    /// Something of the past has come for this socket: who gets it too, if a bug is planted.
    pub(super) fn echoes(&mut self, socket: u32, room: u32) -> Option<u32> {
        let known = self.sockets[at(socket)].as_ref()?;
        let reads = known.asked.iter().any(|(_, ask)| *ask == Ask::History);
        if self.is_planted(Plant::WaitingTwice) && !reads {
            return Some(socket);
        }
        if !self.is_planted(Plant::HistoryWithoutPredicate) || !reads {
            return None;
        }
        let others = (0..).zip(&self.sockets);
        let mut inside = others.filter(|(other, known)| {
            let inside = known.as_ref().filter(|known| known.inside.contains(&room));
            *other != socket
                && inside.is_some_and(|known| {
                    known.stage == Stage::Open
                        && known.asked.iter().any(|(_, ask)| *ask == Ask::History)
                })
        });
        inside.next().map(|(other, _)| other)
    }

    /// A page of what was said before is whole.
    pub(super) fn page_ends(&mut self, socket: u32, room: u32, said: &Said<'_>) {
        let (Some(id), Some(count), Some(through)) = (said.id, said.count, said.through) else {
            let what = "a page that says nothing";
            return self.see(&Line::Broken { socket, what });
        };
        self.see(&Line::Read {
            socket,
            room,
            id,
            count,
            through,
            complete: said.complete,
        });
    }
}

fn seen(there: &[There<'_>]) -> Vec<Seen> {
    let seen = there.iter().map(|one| Seen {
        client: client_id(&one.client).unwrap_or(0),
        raw: one.devices.raw,
        multiplexed: one.devices.multiplexed,
    });
    seen.collect()
}

fn at(number: u32) -> usize {
    usize::try_from(number).expect("an index")
}
