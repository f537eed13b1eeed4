//! Who is signed in on which sockets: found when a session ends, a user is put
//! out, or a membership changes.

use core::hash::Hash;
use std::collections::BTreeSet;

use porthouse_model::{ClientId, Session, SessionId, TokenHash, UserId};

use crate::input::SocketId;
use crate::seed::{Hasher, Map};

/// Sessions that are remembered though they may have no socket any more; of more,
/// those that have none are not told.
const SESSIONS_SEEN_MAX: usize = 262_144;

/// The sockets of each session, client and user that is known; a device is a
/// client, and its owner's.
#[derive(Debug)]
pub(crate) struct SignedIn {
    by_token: Map<TokenHash, SessionId>,
    by_session: Map<SessionId, BTreeSet<SocketId>>,
    by_client: Map<ClientId, BTreeSet<SocketId>>,
    by_user: Map<UserId, BTreeSet<SocketId>>,
    /// Those that had a socket since they were last told.
    seen: BTreeSet<SessionId>,
}

impl SignedIn {
    pub(crate) fn new(hasher: Hasher) -> Self {
        Self {
            by_token: Map::with_hasher(hasher),
            by_session: Map::with_hasher(hasher),
            by_client: Map::with_hasher(hasher),
            by_user: Map::with_hasher(hasher),
            seen: BTreeSet::new(),
        }
    }

    pub(crate) fn add(&mut self, token: TokenHash, session: &Session, socket: SocketId) {
        self.by_token.insert(token, session.id);
        if self.seen.len() < SESSIONS_SEEN_MAX {
            self.seen.insert(session.id);
        }
        self.by_session
            .entry(session.id)
            .or_default()
            .insert(socket);
        self.by_client
            .entry(session.client())
            .or_default()
            .insert(socket);
        self.by_user.entry(session.user).or_default().insert(socket);
    }

    pub(crate) fn remove(&mut self, token: TokenHash, session: &Session, socket: SocketId) {
        if let Some(sockets) = self.by_session.get_mut(&session.id) {
            sockets.remove(&socket);
            if sockets.is_empty() {
                self.by_session.remove(&session.id);
                self.by_token.remove(&token);
            }
        }
        take_out(&mut self.by_client, &session.client(), socket);
        take_out(&mut self.by_user, &session.user, socket);
    }

    /// In the order of their slots.
    pub(crate) fn of_session(&self, session: SessionId) -> Vec<SocketId> {
        listed(self.by_session.get(&session))
    }

    /// In the order of their slots.
    pub(crate) fn of_client(&self, client: ClientId) -> Vec<SocketId> {
        listed(self.by_client.get(&client))
    }

    /// Of the user and of their devices, in the order of their slots.
    pub(crate) fn of_user(&self, user: UserId) -> Vec<SocketId> {
        listed(self.by_user.get(&user))
    }

    /// Those that have a socket, or had one since this was last asked; in order.
    pub(crate) fn take_seen(&mut self) -> Vec<SessionId> {
        let mut seen = std::mem::take(&mut self.seen);
        seen.extend(self.by_session.keys());
        seen.into_iter().collect()
    }

    /// The session a token opened, while a socket is signed in by it.
    pub(crate) fn session_of(&self, token: &TokenHash) -> Option<SessionId> {
        self.by_token.get(token).copied()
    }
}

fn take_out<K: Eq + Hash>(from: &mut Map<K, BTreeSet<SocketId>>, key: &K, socket: SocketId) {
    if let Some(sockets) = from.get_mut(key) {
        sockets.remove(&socket);
        if sockets.is_empty() {
            from.remove(key);
        }
    }
}

fn listed(sockets: Option<&BTreeSet<SocketId>>) -> Vec<SocketId> {
    sockets.into_iter().flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use porthouse_model::UnixTime;

    use super::*;
    use crate::seed::{Chance, Seed};

    #[test]
    fn a_socket_is_found_until_it_is_taken_out() {
        let mut signed_in = SignedIn::new(Chance::new(Seed(1)).hasher());
        let user = UserId::from_bytes([1; 16]);
        let session = Session {
            id: SessionId::from_bytes([2; 16]),
            user,
            username: "ada".parse().expect("a name"),
            expires: UnixTime::from_millis(1),
            second_factor: None,
            device: None,
        };
        let token = TokenHash::from_bytes([3; 32]);
        let socket = SocketId {
            slot: 4,
            generation: 0,
        };
        signed_in.add(token, &session, socket);
        assert_eq!(signed_in.of_session(session.id), [socket]);
        assert_eq!(signed_in.of_client(user.into()), [socket]);
        assert_eq!(signed_in.session_of(&token), Some(session.id));
        signed_in.remove(token, &session, socket);
        assert_eq!(signed_in.of_session(session.id), []);
        assert_eq!(signed_in.of_client(user.into()), []);
        assert_eq!(signed_in.session_of(&token), None);
        assert_eq!(signed_in.take_seen(), [session.id], "it was there");
        assert_eq!(signed_in.take_seen(), []);
    }
}
