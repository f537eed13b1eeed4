//! Where in the cache something is that a change names otherwise than it is
//! asked for. Owns the indices; they hold exactly what the cache holds.

use std::collections::BTreeSet;

use porthouse_model::{ApiKeyId, PolicyKey, RoomId, SessionId, TokenHash, UserId};

use crate::question::Known;
use crate::seed::{Hasher, Map};

/// Sessions and API keys by identity, sessions by user, members by room.
#[derive(Debug)]
pub(super) struct Index {
    sessions: Map<SessionId, TokenHash>,
    users: BTreeSet<(UserId, SessionId)>,
    api_keys: Map<ApiKeyId, TokenHash>,
    members: BTreeSet<(RoomId, UserId)>,
}

impl Index {
    pub(super) fn new(hasher: Hasher) -> Self {
        Self {
            sessions: Map::with_hasher(hasher),
            users: BTreeSet::new(),
            api_keys: Map::with_hasher(hasher),
            members: BTreeSet::new(),
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
            (PolicyKey::Room(_), Known::Room(_))
            | (PolicyKey::Endpoint(_), Known::Endpoint(_))
            | (_, Known::Absent) => {}
            (key, known) => unreachable!("{key:?} is never {known:?}"),
        }
    }

    /// The cache holds this no more.
    pub(super) fn remove(&mut self, known: &Known) {
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
            Known::Room(_) | Known::Endpoint(_) | Known::Absent => {}
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

    /// A room's members, ordered.
    pub(super) fn members_of(&self, room: RoomId) -> Vec<PolicyKey> {
        let first = (room, UserId::from_bytes([0; 16]));
        let last = (room, UserId::from_bytes([u8::MAX; 16]));
        let members = self.members.range(first..=last);
        members
            .map(|(room, user)| PolicyKey::Member(*room, *user))
            .collect()
    }

    /// How many sessions, API keys and members there are.
    pub(super) fn len(&self) -> usize {
        assert_eq!(
            self.sessions.len(),
            self.users.len(),
            "a session is indexed twice or not at all"
        );
        self.sessions.len() + self.api_keys.len() + self.members.len()
    }
}
