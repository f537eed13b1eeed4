//! Who is inside a room, on all puddles. Owns the list and the numbers in it;
//! never decides who may be.

use core::hash::BuildHasherDefault;
use std::collections::BTreeMap;

use indexmap::IndexMap;
use porthouse_model::{ClientId, Revision, Username};
use porthouse_rules::Hearing;
use siphasher::sip::SipHasher13;

use super::away::Absence;
use super::missed::Heard;
use super::strands::Resumes;
use crate::input::{PuddleId, SocketId};
use crate::output::WireForm;
use crate::people::{At, RoomLife};

/// A socket that is inside, or in the door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Guest {
    /// The socket.
    pub socket: SocketId,
    /// Its client.
    pub client: ClientId,
    /// Whether the client is a user, who is the same when they come back.
    pub user: bool,
    /// The user's name.
    pub username: Option<Username>,
    /// Whether it only posts a message: it takes no place
    /// and is not shown.
    pub posts: bool,
    /// How the socket speaks.
    pub form: WireForm,
    /// How long the room lives, if it is transient and made by this.
    pub makes: Option<RoomLife>,
    /// What they receive of what is said to some.
    pub hearing: Hearing,
    /// What had waited for them when they arrived. Boxed like the two that follow, for
    /// few have any.
    pub waited: Option<Box<Absence>>,
    /// Where they had been before, if they come back to go on from there.
    pub resumes: Option<Box<Resumes>>,
    /// How far it was, if it is a stream whose reader comes back and may read.
    pub heard: Option<Box<Heard>>,
    /// What the puddle that lets them in has applied.
    pub as_of: Revision,
}

/// A socket that is inside: what of a [`Guest`] is asked about from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// Its client.
    pub client: ClientId,
    /// The user's name.
    pub username: Option<Username>,
    /// What had waited for them when they arrived.
    pub waited: Option<Box<Absence>>,
    /// How the socket speaks.
    pub form: WireForm,
    /// Whether the client is a user.
    pub user: bool,
    /// Whether it only posts a message.
    pub posts: bool,
}

impl Guest {
    /// What is kept of them once they are inside.
    pub(crate) fn known(self) -> Known {
        Known {
            client: self.client,
            username: self.username,
            waited: self.waited,
            form: self.form,
            user: self.user,
            posts: self.posts,
        }
    }
}

/// Who is inside.
#[derive(Debug, Default)]
pub(crate) struct Guests {
    /// Dense: a tree that is filled in order is half empty. Its keys are the shell's, so
    /// nobody can aim at one bucket.
    by_socket: IndexMap<At, Known, BuildHasherDefault<SipHasher13>>,
    clients: BTreeMap<ClientId, Inside>,
    /// So many clients have come in, those counted twice who came again.
    came: u64,
}

/// A client that is inside.
#[derive(Clone, Copy, Debug)]
struct Inside {
    /// Who came before has a smaller number.
    since: u64,
    sockets: u32,
}

impl Guests {
    /// One more is inside. Answers the place of its client among all who came, if it is the
    /// first of them.
    pub(crate) fn add(&mut self, puddle: PuddleId, guest: Guest) -> Option<u64> {
        let (client, at) = (guest.client, (puddle, guest.socket));
        if self.by_socket.insert(at, guest.known()).is_some() {
            return None;
        }
        let came = &mut self.came;
        let inside = self.clients.entry(client).or_insert_with(|| {
            *came += 1;
            Inside {
                since: *came,
                sockets: 0,
            }
        });
        inside.sockets += 1;
        (inside.sockets == 1).then_some(inside.since)
    }

    /// One has gone. Answers who, if it was the last of its client.
    pub(crate) fn remove(&mut self, puddle: PuddleId, socket: SocketId) -> Option<Known> {
        let guest = self.by_socket.swap_remove(&(puddle, socket))?;
        let inside = self
            .clients
            .get_mut(&guest.client)
            .expect("who is inside is counted");
        inside.sockets -= 1;
        if inside.sockets > 0 {
            return None;
        }
        self.clients.remove(&guest.client);
        Some(guest)
    }

    /// A client's place among all who came, while it is inside.
    pub(crate) fn since(&self, client: ClientId) -> Option<u64> {
        self.clients.get(&client).map(|inside| inside.since)
    }

    /// How many clients are inside.
    pub(crate) fn clients(&self) -> usize {
        self.clients.len()
    }

    /// All clients, in the order in which they came.
    pub(crate) fn in_order(&self) -> Vec<(u64, ClientId)> {
        let all = self.clients.iter();
        let mut all: Vec<_> = all
            .map(|(client, inside)| (inside.since, *client))
            .collect();
        all.sort_unstable();
        all
    }

    /// All of a puddle have gone. Answers those who were the last of their
    /// client.
    pub(crate) fn gone_with(&mut self, puddle: PuddleId) -> Vec<Known> {
        let theirs = self.by_socket.keys().filter(|(of, _)| *of == puddle);
        let sockets: Vec<_> = theirs.map(|(_, socket)| *socket).collect();
        let gone = sockets
            .into_iter()
            .filter_map(|socket| self.remove(puddle, socket));
        gone.collect()
    }

    /// Nothing waits for a client any more.
    pub(crate) fn forget_waited(&mut self, client: ClientId) {
        if self.clients.contains_key(&client) {
            let theirs = self.by_socket.values_mut();
            for guest in theirs.filter(|guest| guest.client == client) {
                guest.waited = None;
            }
        }
    }

    /// Who a socket is, if it is inside.
    pub(crate) fn get(&self, puddle: PuddleId, socket: SocketId) -> Option<&Known> {
        self.by_socket.get(&(puddle, socket))
    }

    /// All of them, with where they are.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (At, &Known)> + Clone {
        self.by_socket.iter().map(|(at, known)| (*at, known))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_socket.is_empty()
    }

    pub(crate) fn check(&self) {
        let counted = self.clients.values().map(|inside| inside.sockets as usize);
        let counted: usize = counted.sum();
        assert_eq!(counted, self.by_socket.len(), "sockets are counted");
    }
}

#[cfg(test)]
impl Guest {
    /// A raw socket of a user.
    pub(crate) const fn of(slot: u32, client: ClientId) -> Self {
        Self {
            socket: SocketId {
                slot,
                generation: 0,
            },
            client,
            user: true,
            username: None,
            posts: false,
            form: WireForm::Raw,
            makes: None,
            hearing: Hearing::Named,
            waited: None,
            resumes: None,
            heard: None,
            as_of: Revision(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(slot: u32, client: u8) -> Guest {
        Guest::of(slot, ClientId::from_bytes([client; 16]))
    }

    #[test]
    fn a_client_is_inside_while_one_of_its_sockets_is() {
        let mut guests = Guests::default();
        let (one, other) = (PuddleId(0), PuddleId(1));
        assert_eq!(guests.add(one, guest(1, 7)), Some(1));
        assert_eq!(
            guests.add(other, guest(1, 7)),
            None,
            "the second of its client"
        );
        assert_eq!(guests.add(other, guest(1, 7)), None, "told twice");
        assert_eq!(guests.remove(one, guest(1, 7).socket), None);
        assert_eq!(guests.gone_with(other), [guest(1, 7).known()]);
        assert!(guests.is_empty());
        assert_eq!(guests.add(one, guest(1, 7)), Some(2), "it came again");
        guests.check();
    }
}
