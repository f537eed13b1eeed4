//! Clients that come by an address: where they connect, and which rooms they are in by it. Over
//! `porthouse.v1` they join what they were told they are not in; the rest they are led into.

use super::ticketing::path;
use super::{Client, Speech};
use crate::checker::line::Line;
use crate::world::World;

/// Where a client connects. The case of an address does not count.
pub(super) fn address(client: &Client, socket: u32) -> String {
    match client.port {
        Some(port) if socket.is_multiple_of(2) => format!("/@port-{port}"),
        Some(port) => format!("/@PORT-{port}"),
        None => path(client.speech.room()),
    }
}

impl World {
    /// A client connects, by an address or not.
    pub(super) fn comes_by(&mut self, socket: u32, client: &Client) {
        if let Some(port) = client.port {
            self.see(&Line::By { socket, port });
        }
    }

    /// It was told that it is not in a room, or not any more.
    pub(super) fn is_told_out(&mut self, socket: u32, room: u32) {
        let known = self.sockets[at(socket)].as_mut().expect("being read");
        let is_led = self.clients[at(known.client)].port.is_some();
        if is_led && !known.told_out.contains(&room) {
            known.told_out.push(room);
        }
    }

    /// Some room to join or to leave.
    pub(super) fn some_room(&mut self, client: u32, socket: u32) -> Option<u32> {
        let known = &self.clients[at(client)];
        if known.port.is_none() {
            return Some(*self.chance.pick(&known.rooms));
        }
        let known = self.sockets[at(socket)].as_ref()?;
        let rooms = [&known.inside[..], &known.told_out].concat();
        (!rooms.is_empty()).then(|| *self.chance.pick(&rooms))
    }

    /// The rooms that it must see to itself.
    pub(super) fn rooms_to_join(&self, client: u32, socket: u32) -> Vec<u32> {
        let known = &self.clients[at(client)];
        let (Some(_), Some(socket)) = (known.port, self.sockets[at(socket)].as_ref()) else {
            return known.rooms.clone();
        };
        let asked = socket.challenged.iter().map(|(room, _)| *room);
        asked.chain(socket.told_out.iter().copied()).collect()
    }

    /// The rooms that it wants to be in.
    pub(super) fn wanted(&self, client: u32) -> Vec<u32> {
        let known = &self.clients[at(client)];
        match (known.port, known.speech) {
            (Some(port), Speech::Multiplexed) => self.control().led_to(port, known.user),
            (Some(_) | None, _) => known.rooms.clone(),
        }
    }

    /// Whether it comes to a room where it connects: at a room's address by an address that leads
    /// there alone.
    pub(super) fn is_led_to(&self, client: u32, room: u32) -> bool {
        let known = &self.clients[at(client)];
        let Some(port) = known.port else {
            return true;
        };
        let rooms = self.control().led_to(port, known.user);
        match known.speech.room() {
            Some(_) => rooms == [room],
            None => rooms.contains(&room),
        }
    }
}

fn at(number: u32) -> usize {
    usize::try_from(number).expect("an index")
}
