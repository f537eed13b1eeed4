//! What backends order: each order has one reply.

use core::time::Duration;

use porthouse_model::{ClientId, Refused, RoomName};

use super::{Puddle, slot_of};
use crate::home::{Stand, keeps};
use crate::hop::RoomMessage;
use crate::input::{Command, OrderId, Publish, SocketId};
use crate::output::{ListedRoom, ListedSocket, Output, Reply};
use crate::room::{Governed, Message, count, deliver};
use crate::socket::{Phase, Who};
use crate::wire::multiplexed::Place;

impl Puddle {
    pub(super) fn ordered(&mut self, order: OrderId, command: Command) {
        match &command {
            Command::Purge { room, through } if self.homes.is_durable(room) => {
                return self.purge_durably(order, room, *through);
            }
            Command::Publish(message) if self.homes.is_durable(&message.room) => {
                return self.publish_durably(order, message);
            }
            Command::Purge { .. }
            | Command::Publish(_)
            | Command::ListRooms { .. }
            | Command::ListSockets { .. }
            | Command::ListPresent { .. }
            | Command::Move { .. }
            | Command::ListWaiting { .. }
            | Command::DecideWaiting { .. }
            | Command::Recall(_)
            | Command::Foresee(_)
            | Command::Kick { .. } => {}
        }
        if let Some(reply) = self.carry_out(order, command) {
            self.outputs.push(Output::Reply { order, reply });
        }
    }

    /// What came of it; `None`: that takes some turns more.
    fn carry_out(&mut self, order: OrderId, command: Command) -> Option<Reply> {
        Some(match command {
            Command::Purge { room, through } => self.purge(&room, through),
            Command::Publish(message) => self.publish(&message),
            Command::ListRooms { after, rooms_max } => self.list_rooms(after.as_ref(), rooms_max),
            Command::ListSockets {
                room,
                after,
                sockets_max,
            } => self.list_sockets(&room, after, sockets_max),
            Command::ListPresent {
                room,
                after,
                clients_max,
            } => Reply::Present(self.list_present(&room, after, clients_max)),
            Command::Move { client, from, to } => self.move_client(client, &from, &to),
            Command::Recall(id) => self.recall(id),
            Command::Foresee(item) => {
                self.foresee(order, &item);
                return None;
            }
            Command::ListWaiting { room } => Reply::Waiting(self.waiting_rooms.list(&room)),
            Command::DecideWaiting {
                room,
                client,
                decision,
            } => Reply::Decided {
                sockets: self.decide_here(&room, client, decision),
            },
            Command::Kick {
                client,
                room,
                block,
            } => {
                let time = block.unwrap_or(self.settings.kick_block_time);
                if let Some(room) = &room {
                    self.kicked_by_backend(client, room, time);
                }
                self.kick(client, room.as_ref(), time)
            }
        })
    }

    /// Every puddle is given the order, so that each queues for its own sockets
    /// and nothing hops.
    fn publish(&mut self, said: &Publish) -> Reply {
        if let Some(reply) = self.publish_by_home(said) {
            return reply;
        }
        let Some(index) = self.rooms.find(&said.room) else {
            return Reply::Published { receivers: None };
        };
        let room = self.rooms.get(index);
        if room.seats.is_empty() {
            return Reply::Published { receivers: None };
        }
        let rules = room.governed.rules();
        let allowed = rules.say(said.kind, said.payload.len());
        if let Err(refused) = allowed.and_then(|()| rules.format(&said.payload)) {
            return Reply::Refused(refused);
        }
        let message = Message {
            from: None,
            kind: said.kind,
            payload: &said.payload,
            to: &sorted(&said.to),
            except: &sorted(&said.except),
            place: Place::default(),
        };
        if keeps(room.governed.rules().source()) {
            return Reply::Counted {
                receivers: count(room, message),
            };
        }
        let receivers = deliver(room, index, message, None, &mut self.outbox);
        self.counters.messages += 1;
        self.counters.deliveries += receivers;
        Reply::Published {
            receivers: Some(receivers),
        }
    }

    /// Where this puddle is the home of a room that keeps, it has what is said
    /// there told by all. Nobody need be inside, if the home is kept in mind.
    fn publish_by_home(&mut self, said: &Publish) -> Option<Reply> {
        let name = &said.room;
        let message = |governed: &Governed| published(said, governed);
        let placed = match self.homes.publish(name, message, self.now)? {
            Ok(placed) => placed,
            Err(refused) => return Some(Reply::Refused(refused)),
        };
        self.counters.messages += 1;
        let receivers = self.spread(name, &placed);
        self.home_deserted(name);
        let Stand { epoch, offset } = placed.stand;
        Some(Reply::Placed {
            receivers,
            epoch,
            offset,
        })
    }

    /// Forgets what a room has kept, at its home.
    fn purge(&mut self, room: &RoomName, through: u64) -> Reply {
        let purged = self.homes.with(room, |home, _| home.purge(through));
        self.home_deserted(room);
        Reply::Purged { messages: purged }
    }

    fn list_rooms(&self, after: Option<&RoomName>, rooms_max: usize) -> Reply {
        let seated = self
            .rooms
            .iter()
            .map(|(_, room)| room)
            .filter(|room| !room.seats.is_empty());
        let mut rooms: Vec<ListedRoom> = seated
            .filter(|room| after.is_none_or(|after| room.name > *after))
            .map(|room| ListedRoom {
                name: room.name.clone(),
                persistent: matches!(room.governed, Governed::Persistent(_)),
                sockets: room.seats.len() as u64,
            })
            .collect();
        rooms.sort_by(|one, other| one.name.cmp(&other.name));
        rooms.truncate(rooms_max);
        Reply::Rooms(rooms)
    }

    fn list_sockets(&self, room: &RoomName, after: Option<SocketId>, sockets_max: usize) -> Reply {
        let Some(index) = self.rooms.find(room) else {
            return Reply::Sockets(Vec::new());
        };
        let sitters = self.rooms.get(index).seats.sitters().iter();
        let mut sockets: Vec<ListedSocket> = sitters
            .filter(|sitter| after.is_none_or(|after| sitter.socket > after))
            .filter_map(|sitter| {
                let socket = self.sockets.get(sitter.socket)?;
                let username = match socket.who() {
                    Who::Session(holder) => holder
                        .session
                        .as_ref()
                        .map(|session| session.username.clone()),
                    Who::Anonymous => None,
                };
                Some(ListedSocket {
                    socket: sitter.socket,
                    client: sitter.client,
                    username,
                    wire_form: socket.form,
                })
            })
            .collect();
        sockets.sort_by_key(|listed| listed.socket);
        sockets.truncate(sockets_max);
        Reply::Sockets(sockets)
    }

    /// Out of a room, or off this node.
    pub(super) fn kick(
        &mut self,
        client: ClientId,
        room: Option<&RoomName>,
        time: Duration,
    ) -> Reply {
        let mut kicked = 0;
        let sockets = self.sockets_of(client);
        self.homes.end_strands(client, room);
        if let Some(room) = room {
            self.keep_out(client, &sockets, room, time);
        }
        for id in sockets {
            match room {
                None => {
                    self.leave_rooms(id);
                    self.close_refused(id, Refused::Kicked);
                    kicked += 1;
                }
                Some(name) => {
                    let index = self.rooms.find(name);
                    if let Some(index) = index
                        && self
                            .sockets
                            .get(id)
                            .is_some_and(|known| known.stay(index).is_some())
                    {
                        self.put_out(id, index, Refused::Kicked);
                        kicked += 1;
                    } else if self.entry_mut(id, name).is_some() {
                        self.refuse_entry(id, name, Refused::Kicked);
                        kicked += 1;
                    }
                }
            }
        }
        Reply::Kicked { sockets: kicked }
    }

    pub(super) fn sockets_of(&self, client: ClientId) -> Vec<SocketId> {
        let signed_in = self.signed_in.of_client(client);
        if !signed_in.is_empty() {
            return signed_in;
        }
        let found = slot_of(client).and_then(|slot| self.sockets.in_slot(slot));
        let inside = |phase: &Phase| match phase {
            Phase::Raw(..) | Phase::Multiplexed(_) | Phase::Knocking(_) => true,
            Phase::Upgrading { .. } | Phase::Closing { .. } => false,
        };
        found
            .filter(|socket| *socket.who() == Who::Anonymous && inside(&socket.phase))
            .filter(|socket| self.client_of(socket.id, None) == client)
            .map(|socket| socket.id)
            .into_iter()
            .collect()
    }
}

/// A backend's message as the room's, if its rules allow it.
pub(super) fn published(said: &Publish, governed: &Governed) -> Result<RoomMessage, Refused> {
    let rules = governed.rules();
    rules.say(said.kind, said.payload.len())?;
    rules.format(&said.payload)?;
    Ok(RoomMessage {
        room: said.room.clone(),
        room_id: governed.id(),
        from: None,
        kind: said.kind,
        payload: said.payload.clone(),
        to: sorted(&said.to).into(),
        except: sorted(&said.except).into(),
    })
}

fn sorted(named: &[ClientId]) -> Vec<ClientId> {
    let mut named = named.to_vec();
    named.sort_unstable();
    named
}
