//! Where in the cache something is that a change names otherwise than it is
//! asked for. Owns the indices; they hold exactly what the cache holds.

use std::collections::BTreeSet;

use porthouse_model::{
    ApiKeyId, NamePrefix, PolicyKey, RoomId, RoomName, SessionId, TokenHash, UserId,
};

use super::template;
use crate::question::Known;
use crate::seed::{Hasher, Map};

/// Sessions and API keys by identity, sessions by user, members and blocks by
/// room, and names without a room of their own by their beginning.
#[derive(Debug)]
pub(super) struct Index {
    sessions: Map<SessionId, TokenHash>,
    users: BTreeSet<(UserId, SessionId)>,
    api_keys: Map<ApiKeyId, TokenHash>,
    members: BTreeSet<(RoomId, UserId)>,
    blocks: BTreeSet<(RoomId, UserId)>,
    unnamed: BTreeSet<RoomName>,
}

impl Index {
    pub(super) fn new(hasher: Hasher) -> Self {
        Self {
            sessions: Map::with_hasher(hasher),
            users: BTreeSet::new(),
            api_keys: Map::with_hasher(hasher),
            members: BTreeSet::new(),
            blocks: BTreeSet::new(),
            unnamed: BTreeSet::new(),
        }
    }

    /// The cache holds this from now on.
    pub(super) fn insert(&mut self, key: &PolicyKey, known: &Known) {
        match (key, known) {
            (PolicyKey::Session(token), Known::Session(session)) => {
                self.sessions.insert(session.id, *token);
                self.users.insert((session.user, session.id));
            }
            (PolicyKey::ApiKey(hash), Known::ApiKey(api_key)) => {
                self.api_keys.insert(api_key.id, *hash);
            }
            (PolicyKey::Member(room, user), Known::Member(_)) => {
                self.members.insert((*room, *user));
            }
            (PolicyKey::Block(room, user), Known::Block(_)) => {
                self.blocks.insert((*room, *user));
            }
            (PolicyKey::Room(name), Known::Templated(_) | Known::Absent) => {
                self.unnamed.insert(name.clone());
            }
            (PolicyKey::Room(_), Known::Room(_))
            | (PolicyKey::Endpoint(_), Known::Endpoint(_))
            | (_, Known::Absent) => {}
            (key, known) => unreachable!("{key:?} is never {known:?}"),
        }
    }

    /// The cache holds this no more.
    pub(super) fn remove(&mut self, key: &PolicyKey, known: &Known) {
        if let PolicyKey::Room(name) = key {
            self.unnamed.remove(name);
        }
        match known {
            Known::Session(session) => {
                self.sessions.remove(&session.id);
                self.users.remove(&(session.user, session.id));
            }
            Known::ApiKey(api_key) => {
                self.api_keys.remove(&api_key.id);
            }
            Known::Member(member) => {
                self.members.remove(&(member.room, member.user));
            }
            Known::Block(block) => {
                self.blocks.remove(&(block.room, block.user));
            }
            Known::Room(_) | Known::Templated(_) | Known::Endpoint(_) | Known::Absent => {}
        }
    }

    pub(super) fn session(&self, id: SessionId) -> Option<PolicyKey> {
        self.sessions.get(&id).copied().map(PolicyKey::Session)
    }

    pub(super) fn api_key(&self, id: ApiKeyId) -> Option<PolicyKey> {
        self.api_keys.get(&id).copied().map(PolicyKey::ApiKey)
    }

    /// A user's sessions, ordered.
    pub(super) fn sessions_of(&self, user: UserId) -> Vec<SessionId> {
        let first = (user, SessionId::from_bytes([0; 16]));
        let last = (user, SessionId::from_bytes([u8::MAX; 16]));
        self.users
            .range(first..=last)
            .map(|(_, session)| *session)
            .collect()
    }

    /// A room's members and blocks, ordered.
    pub(super) fn of_room(&self, room: RoomId) -> Vec<PolicyKey> {
        let first = (room, UserId::from_bytes([0; 16]));
        let last = (room, UserId::from_bytes([u8::MAX; 16]));
        let members = self.members.range(first..=last);
        let members = members.map(|(room, user)| PolicyKey::Member(*room, *user));
        let blocks = self.blocks.range(first..=last);
        let blocks = blocks.map(|(room, user)| PolicyKey::Block(*room, *user));
        members.chain(blocks).collect()
    }

    /// Names with a prefix that have no room of their own, ordered.
    pub(super) fn unnamed(&self, prefix: &NamePrefix) -> Vec<RoomName> {
        template::covered(&self.unnamed, prefix).cloned().collect()
    }

    /// How many sessions, API keys, members, blocks and names without a room
    /// there are.
    pub(super) fn len(&self) -> usize {
        assert_eq!(
            self.sessions.len(),
            self.users.len(),
            "a session is indexed twice or not at all"
        );
        self.sessions.len()
            + self.api_keys.len()
            + self.members.len()
            + self.blocks.len()
            + self.unnamed.len()
    }
}
