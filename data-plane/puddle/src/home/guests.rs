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
use crate::people::RoomLife;

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

/// Who is inside.
#[derive(Debug, Default)]
pub(crate) struct Guests {
    /// Dense: a tree that is filled in order is half empty. Its keys are the shell's, so
    /// nobody can aim at one bucket.
    by_socket: IndexMap<(PuddleId, SocketId), Guest, BuildHasherDefault<SipHasher13>>,
    sockets_of: BTreeMap<ClientId, u32>,
}

impl Guests {
    /// One more is inside. Answers whether it is the first of its client.
    pub(crate) fn add(&mut self, puddle: PuddleId, guest: Guest) -> bool {
        let client = guest.client;
        if self
            .by_socket
            .insert((puddle, guest.socket), guest)
            .is_some()
        {
            return false;
        }
        let sockets = self.sockets_of.entry(client).or_default();
        *sockets += 1;
        *sockets == 1
    }

    /// One has gone. Answers who, if it was the last of its client.
    pub(crate) fn remove(&mut self, puddle: PuddleId, socket: SocketId) -> Option<Guest> {
        let guest = self.by_socket.swap_remove(&(puddle, socket))?;
        let sockets = self
            .sockets_of
            .get_mut(&guest.client)
            .expect("who is inside is counted");
        *sockets -= 1;
        if *sockets > 0 {
            return None;
        }
        self.sockets_of.remove(&guest.client);
        Some(guest)
    }

    /// All of a puddle have gone. Answers those who were the last of their
    /// client.
    pub(crate) fn gone_with(&mut self, puddle: PuddleId) -> Vec<Guest> {
        let theirs = self.by_socket.keys().filter(|(of, _)| *of == puddle);
        let sockets: Vec<_> = theirs.map(|(_, socket)| *socket).collect();
        let gone = sockets
            .into_iter()
            .filter_map(|socket| self.remove(puddle, socket));
        gone.collect()
    }

    /// Nothing waits for a client any more.
    pub(crate) fn forget_waited(&mut self, client: ClientId) {
        if self.sockets_of.contains_key(&client) {
            let theirs = self.by_socket.values_mut();
            for guest in theirs.filter(|guest| guest.client == client) {
                guest.waited = None;
            }
        }
    }

    /// Who a socket is, if it is inside.
    pub(crate) fn get(&self, puddle: PuddleId, socket: SocketId) -> Option<&Guest> {
        self.by_socket.get(&(puddle, socket))
    }

    /// All of them, with their puddles.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (PuddleId, &Guest)> + Clone {
        let guests = self.by_socket.iter();
        guests.map(|((puddle, _), guest)| (*puddle, guest))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_socket.is_empty()
    }

    pub(crate) fn check(&self) {
        let counted: usize = self.sockets_of.values().map(|count| *count as usize).sum();
        assert_eq!(counted, self.by_socket.len(), "sockets are counted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(slot: u32, client: u8) -> Guest {
        Guest {
            socket: SocketId {
                slot,
                generation: 0,
            },
            client: ClientId::from_bytes([client; 16]),
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

    #[test]
    fn a_client_is_inside_while_one_of_its_sockets_is() {
        let mut guests = Guests::default();
        let (one, other) = (PuddleId(0), PuddleId(1));
        assert!(guests.add(one, guest(1, 7)));
        assert!(!guests.add(other, guest(1, 7)), "the second of its client");
        assert!(!guests.add(other, guest(1, 7)), "told twice");
        assert_eq!(guests.remove(one, guest(1, 7).socket), None);
        assert_eq!(guests.gone_with(other), [guest(1, 7)]);
        assert!(guests.is_empty());
        guests.check();
    }
}
