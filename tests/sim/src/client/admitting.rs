//! Clients inside that are told who waits to be let in, and let them in or turn them away; and a
//! backend that does so too.

use porthouse_model::ClientId;
use porthouse_puddle::{Call, Decision};

use super::header::{Asking, Said, client_id, uuid};
use crate::checker::line::{Ask, Line, Stamp};
use crate::control::{room_name, user_client};
use crate::plant::Plant;
use crate::world::{Stage, World};

/// A backend knows of so many who wait.
const WAITING_MAX: usize = 32;

impl World {
    /// Is told who waits to be let in, and decides about some.
    pub(super) fn sees_who_waits(&mut self, socket: u32, said: &Said<'_>, written: Stamp) {
        self.see(&Line::Other { socket, written });
        let room = said.room.as_deref().and_then(super::reading::number_of);
        let known = self.sockets[at(socket)].as_ref().expect("being read");
        let Some(room) = room.filter(|_| known.stage == Stage::Open) else {
            return;
        };
        let waiting: Vec<u128> = said
            .clients
            .iter()
            .filter_map(|who| client_id(who))
            .collect();
        for client in waiting {
            self.learn(client);
            if !self.is_troubled() || self.chance.one_in(3) {
                self.decides(socket, room, client);
            }
        }
    }

    fn decides(&mut self, socket: u32, room: u32, client: u128) {
        let allowed = !self.is_troubled() || !self.chance.one_in(3);
        let op = if allowed || self.is_planted(Plant::RefusalUnheard) {
            "admit"
        } else {
            "refuse"
        };
        let known = self.sockets[at(socket)].as_mut().expect("being read");
        let id = known.request();
        let asking = Asking::new(op).id(id);
        let line = asking
            .text("room", room_name(room).as_str())
            .text("client", &uuid(client))
            .end();
        self.ask(socket, id, Ask::Decide, Some(room), None);
        self.see(&Line::Admits {
            socket,
            id,
            room,
            client,
            allowed,
        });
        self.send_text(socket, &line);
    }

    /// Somebody waits to be let in, as far as their client can tell: a backend hears of it.
    pub(super) fn waits_to_be_let_in(&mut self, socket: u32, room: u32) {
        let known = self.sockets[at(socket)].as_ref().expect("being read");
        let client = &self.clients[at(known.client)];
        if let Some(user) = client.user.filter(|_| !client.device)
            && self.waiting.len() < WAITING_MAX
        {
            self.waiting.push((room, user_client(user)));
        }
    }

    /// A backend decides about who waits longest, if anybody does.
    pub(crate) fn backend_decides(&mut self) -> bool {
        if self.waiting.is_empty() {
            return false;
        }
        let (room, client) = self.waiting.remove(0);
        let allowed = !self.chance.one_in(3);
        let call = self.next_call();
        self.see(&Line::LetsIn {
            call,
            room,
            client,
            allowed,
        });
        let admits = allowed || self.is_planted(Plant::RefusalUnheard);
        self.backend_calls(Call::DecideWaiting {
            room: room_name(room),
            client: ClientId::from_bytes(client.to_be_bytes()),
            decision: if admits {
                Decision::Admit
            } else {
                Decision::Refuse
            },
        });
        true
    }
}

fn at(number: u32) -> usize {
    usize::try_from(number).expect("an index")
}
