//! A small control plane: a log, and what holds at each of its revisions. Owns
//! the truth that tests compare with; never the machine's own code.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use porthouse_model::{
    Acts, Address, ApiKey, ApiKeyId, Block, Change, ChangeItem, Device, Endpoint, Member,
    MessageRules, NamePrefix, PolicyKey, Revision, Role, Room, RoomBlocks, RoomId, RoomName,
    RoomRules, Session, SessionId, Template, TokenHash, UnixTime, UserId,
};

use crate::input::Changed;
use crate::policy::{RoomPolicy, TemplatePolicy};
use crate::question::{Answer, Known};

pub(crate) fn name(text: &str) -> RoomName {
    text.parse().expect("a room's name")
}

pub(crate) fn room_id(id: u8) -> RoomId {
    RoomId::from_bytes([id; 16])
}

pub(crate) fn user_id(id: u8) -> UserId {
    UserId::from_bytes([id; 16])
}

pub(crate) fn session_id(id: u8) -> SessionId {
    SessionId::from_bytes([id; 16])
}

pub(crate) fn api_key_id(id: u8) -> ApiKeyId {
    ApiKeyId::from_bytes([id; 16])
}

/// The token of the session, or the API key, of this number.
pub(crate) fn token(id: u8) -> TokenHash {
    TokenHash::from_bytes([id; 32])
}

pub(crate) fn room(id: u8, text: &str, bytes_max: u32) -> Room {
    let rules = RoomRules {
        messages: MessageRules {
            bytes_max,
            ..MessageRules::default()
        },
        ..RoomRules::default()
    };
    Room {
        id: room_id(id),
        name: name(text),
        rules: Box::new(rules),
        owner: None,
        blocks: RoomBlocks::default(),
    }
}

/// A template, of which there is one a prefix.
pub(crate) fn template(prefix: &str, bytes_max: u32) -> Template {
    let room = room(0, "rules", bytes_max);
    Template {
        id: room_id(100 + u8::try_from(prefix.len()).expect("short")),
        prefix: prefix.parse().expect("a prefix"),
        rules: room.rules,
    }
}

pub(crate) fn session(id: u8, user: u8) -> Session {
    let username = "sana".parse().expect("a user's name");
    Session {
        id: session_id(id),
        user: user_id(user),
        username,
        expires: UnixTime::from_millis(u64::MAX),
        second_factor: None,
        device: None,
    }
}

/// A device token that opens so many rooms.
pub(crate) fn device(id: u8, user: u8, rooms: usize) -> Session {
    let names = ["lobby", "library"];
    let rooms = names.iter().take(rooms);
    Session {
        device: Some(Box::new(Device {
            display_name: "thermometer".to_owned(),
            acts: Acts::ALL,
            rooms: rooms.map(|name| name.parse().expect("a name")).collect(),
            blocks: Vec::new(),
        })),
        ..session(id, user)
    }
}

/// What holds at one revision.
#[derive(Clone, Debug, Default)]
struct World {
    rooms: BTreeMap<RoomName, Room>,
    members: BTreeSet<(RoomId, UserId)>,
    blocks: BTreeSet<(RoomId, UserId)>,
    templates: BTreeMap<NamePrefix, Template>,
    sessions: BTreeMap<TokenHash, Session>,
    api_keys: BTreeMap<TokenHash, ApiKey>,
    endpoints: BTreeMap<Address, Endpoint>,
}

/// The log and all its snapshots.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    worlds: Vec<World>,
    log: Vec<Arc<Changed>>,
    raw: Vec<Change>,
}

impl ControlPlane {
    pub(crate) fn new() -> Self {
        Self {
            worlds: vec![World::default()],
            log: Vec::new(),
            raw: Vec::new(),
        }
    }

    pub(crate) fn head(&self) -> Revision {
        Revision(self.log.len() as u64)
    }

    /// One transaction.
    pub(crate) fn commit(&mut self, mut items: Vec<ChangeItem>) -> Revision {
        let mut world = self.world().clone();
        for item in &items {
            world.apply(item);
        }
        for item in &mut items {
            world.complete(item);
        }
        self.worlds.push(world);
        let change = Change {
            revision: Revision(self.log.len() as u64 + 1),
            items,
        };
        self.raw.push(change.clone());
        self.log.push(Arc::new(Changed::compile(change)));
        self.head()
    }

    /// The database was restored: what came after this never was.
    pub(crate) fn rewind(&mut self, to: Revision) {
        let left = usize::try_from(to.0).expect("small");
        self.worlds.truncate(left + 1);
        self.log.truncate(left);
        self.raw.truncate(left);
    }

    /// Opens a session, of which the log says nothing.
    pub(crate) fn sign_in(&mut self, session: Session) -> TokenHash {
        let token = TokenHash::from_bytes([session.id.as_bytes()[0]; 32]);
        self.world_mut().sessions.insert(token, session);
        token
    }

    pub(crate) fn change(&self, revision: Revision) -> &Arc<Changed> {
        &self.log[usize::try_from(revision.0).expect("small") - 1]
    }

    /// What a revision changed, as the log has it.
    pub(crate) fn raw(&self, revision: Revision) -> Change {
        self.raw[usize::try_from(revision.0).expect("small") - 1].clone()
    }

    /// How a key stood at a revision.
    pub(crate) fn at(&self, revision: Revision, key: &PolicyKey) -> Known {
        self.worlds[usize::try_from(revision.0).expect("small")].known(key)
    }

    pub(crate) fn now(&self, key: &PolicyKey) -> Known {
        self.at(self.head(), key)
    }

    pub(crate) fn answer(&self, revision: Revision, key: &PolicyKey) -> Answer {
        Answer::Resolved {
            revision,
            known: self.at(revision, key),
        }
    }

    fn world(&self) -> &World {
        self.worlds.last().expect("one before the first revision")
    }

    fn world_mut(&mut self) -> &mut World {
        self.worlds
            .last_mut()
            .expect("one before the first revision")
    }
}

impl World {
    fn apply(&mut self, item: &ChangeItem) {
        match item {
            ChangeItem::Room(room) => {
                self.rooms.insert(room.name.clone(), room.clone());
            }
            ChangeItem::RoomGone { id, name, .. } => {
                self.rooms
                    .retain(|_, room| room.id != *id || room.name != *name);
                self.members.retain(|(room, _)| room != id);
                self.blocks.retain(|(room, _)| room != id);
            }
            ChangeItem::Template(template) => {
                self.templates
                    .insert(template.prefix.clone(), template.clone());
            }
            ChangeItem::TemplateGone { prefix, .. } => {
                self.templates.remove(prefix);
            }
            ChangeItem::Block(block) => {
                self.blocks.insert((block.room, block.user));
            }
            ChangeItem::BlockGone { room, user } => {
                self.blocks.remove(&(*room, *user));
            }
            ChangeItem::Member(member) => {
                self.members.insert((member.room, member.user));
            }
            ChangeItem::MemberGone { room, user } => {
                self.members.remove(&(*room, *user));
            }
            ChangeItem::Session(session) => {
                let mut sessions = self.sessions.values_mut();
                if let Some(old) = sessions.find(|old| old.id == session.id) {
                    *old = session.clone();
                }
            }
            ChangeItem::DeviceToken(token, session) => {
                self.sessions.insert(*token, session.clone());
            }
            ChangeItem::SessionGone(id) => self.sessions.retain(|_, session| session.id != *id),
            ChangeItem::UserGone(user) => self.sessions.retain(|_, session| session.user != *user),
            ChangeItem::ApiKeyGone(id) => self.api_keys.retain(|_, api_key| api_key.id != *id),
            ChangeItem::Endpoint(endpoint) => {
                self.endpoints
                    .insert(endpoint.address.clone(), endpoint.clone());
            }
            ChangeItem::EndpointGone(address) => {
                self.endpoints.remove(address);
            }
        }
    }

    fn known(&self, key: &PolicyKey) -> Known {
        let found = match key {
            PolicyKey::Room(name) => self
                .rooms
                .get(name)
                .map(|room| Known::Room(Arc::new(RoomPolicy::compile(room.clone()))))
                .or_else(|| self.covering(name.as_str()).map(templated)),
            PolicyKey::Block(room, user) => self
                .blocks
                .get(&(*room, *user))
                .map(|_| Known::Block(block(*room, *user))),
            PolicyKey::Session(token) => self
                .sessions
                .get(token)
                .map(|session| Known::Session(Arc::new(session.clone()))),
            PolicyKey::Member(room, user) => self.members.get(&(*room, *user)).map(|_| {
                Known::Member(Member {
                    room: *room,
                    user: *user,
                    role: Role::MEMBER,
                    expires: None,
                    then: None,
                })
            }),
            PolicyKey::ApiKey(hash) => self
                .api_keys
                .get(hash)
                .map(|api_key| Known::ApiKey(Arc::new(api_key.clone()))),
            PolicyKey::Endpoint(address) => self
                .endpoints
                .get(address)
                .map(|endpoint| Known::Endpoint(Arc::new(endpoint.clone()))),
        };
        found.unwrap_or(Known::Absent)
    }

    /// The longest prefix that something begins with.
    fn covering(&self, text: &str) -> Option<&Template> {
        let covers = self
            .templates
            .values()
            .filter(|template| text.starts_with(template.prefix.as_str()));
        covers.max_by_key(|template| template.prefix.as_str().len())
    }

    /// Says in a change what covers names from then on, as the control plane does.
    fn complete(&self, item: &mut ChangeItem) {
        match item {
            ChangeItem::RoomGone { name, template, .. } => {
                *template = self.covering(name.as_str()).cloned();
            }
            ChangeItem::TemplateGone { prefix, next, .. } => {
                *next = self.covering(prefix.as_str()).cloned();
            }
            _ => {}
        }
    }
}

fn templated(template: &Template) -> Known {
    Known::Templated(Arc::new(TemplatePolicy::compile(template.clone())))
}

pub(crate) fn block(room: RoomId, user: UserId) -> Block {
    Block {
        room,
        user,
        expires: None,
    }
}

/// Whether two of the same key say the same.
pub(crate) fn same(one: &Known, other: &Known) -> bool {
    match (one, other) {
        (Known::Room(one), Known::Room(other)) => one.room == other.room,
        (Known::Templated(one), Known::Templated(other)) => one.template == other.template,
        (Known::Block(one), Known::Block(other)) => one == other,
        (Known::Session(one), Known::Session(other)) => one == other,
        (Known::Member(one), Known::Member(other)) => one == other,
        (Known::ApiKey(one), Known::ApiKey(other)) => one == other,
        (Known::Endpoint(one), Known::Endpoint(other)) => one == other,
        (Known::Absent, Known::Absent) => true,
        _ => false,
    }
}
