//! What the model and the real control plane call the same things, and words that both share.

use std::collections::BTreeMap;

use porthouse_model::{
    Change, ChangeItem, EntryRules, PolicyKey, Resolved, Room, RoomId, RoomRules, Session,
    SessionId, TokenHash, UserId,
};
use porthouse_sim::Modelled;

/// The youngest sessions that are looked at.
const SESSIONS: usize = 6;

/// What nodes ask about.
#[derive(Clone, Debug)]
pub(super) enum About {
    Room(String),
    Member(String, String),
    Block(String, String),
    Session(usize),
}

/// What one side calls things: identities to names.
#[derive(Debug)]
pub(super) struct Names {
    users: Vec<(String, UserId)>,
    rooms: BTreeMap<String, RoomId>,
    rooms_ever: Vec<(RoomId, String)>,
    sessions: Vec<(SessionId, TokenHash)>,
}

impl Names {
    pub(super) const fn new(users: Vec<(String, UserId)>) -> Self {
        Self {
            users,
            rooms: BTreeMap::new(),
            rooms_ever: Vec::new(),
            sessions: Vec::new(),
        }
    }

    /// The name of a user, by number.
    pub(super) fn user_at(&self, number: u32) -> &str {
        let place = usize::try_from(number).expect("a small number");
        &self.users[place].0
    }

    pub(super) fn opened(&mut self, id: SessionId, token: TokenHash) {
        self.sessions.push((id, token));
    }

    /// A room, or a template, that was told of.
    fn room(&self, id: RoomId) -> &str {
        let ever = self.rooms_ever.iter().find(|(of, _)| *of == id);
        &ever.expect("it was told of").1
    }

    fn user(&self, id: UserId) -> &str {
        let known = self.users.iter().find(|(_, of)| *of == id);
        &known.expect("a user").0
    }

    fn session(&self, id: SessionId) -> usize {
        let opened = self.sessions.iter().position(|(of, _)| *of == id);
        opened.expect("a session that was opened")
    }

    /// What is asked about: members of rooms that were there, as a node asks.
    pub(super) fn all(&self) -> Vec<About> {
        let rooms = Modelled::rooms().map(About::Room);
        let pairs = self.rooms.keys().flat_map(|room| {
            let users = self.users.iter();
            users.map(|(user, _)| (room.clone(), user.clone()))
        });
        let pairs = pairs.flat_map(|(room, user)| {
            let member = About::Member(room.clone(), user.clone());
            [member, About::Block(room, user)]
        });
        let sessions = self.sessions.len().saturating_sub(SESSIONS)..self.sessions.len();
        rooms
            .chain(pairs)
            .chain(sessions.map(About::Session))
            .collect()
    }

    pub(super) fn keys(&self, about: &[About]) -> Vec<PolicyKey> {
        about.iter().map(|about| self.key(about)).collect()
    }

    fn key(&self, about: &About) -> PolicyKey {
        let id = |user: &String| {
            let known = self.users.iter().find(|(of, _)| of == user);
            known.expect("a user").1
        };
        match about {
            About::Room(name) => PolicyKey::Room(name.parse().expect("a name")),
            About::Member(room, user) => PolicyKey::Member(self.rooms[room], id(user)),
            About::Block(room, user) => PolicyKey::Block(self.rooms[room], id(user)),
            About::Session(number) => PolicyKey::Session(self.sessions[*number].1),
        }
    }

    /// A change in words that both sides share; learns what rooms and templates are called.
    pub(super) fn told(&mut self, change: &Change) -> Vec<String> {
        let mut told: Vec<_> = change.items.iter().map(|item| self.item(item)).collect();
        told.sort();
        told
    }

    fn item(&mut self, item: &ChangeItem) -> String {
        match item {
            ChangeItem::Room(room) => {
                let name = room.name.to_string();
                self.rooms.insert(name.clone(), room.id);
                self.rooms_ever.push((room.id, name));
                described(room)
            }
            ChangeItem::RoomGone { id, name, template } => {
                assert_eq!(self.room(*id), name.as_str());
                let template = template.as_ref();
                let under = template.map(|template| template.prefix.to_string());
                format!("{name} is gone, under {under:?}")
            }
            ChangeItem::Template(template) => {
                let prefix = template.prefix.to_string();
                self.rooms_ever.push((template.id, prefix.clone()));
                format!("template {prefix}: {}", rules(&template.rules))
            }
            ChangeItem::TemplateGone { id, prefix, next } => {
                assert_eq!(self.room(*id), prefix.to_string());
                let next = next.as_ref().map(|next| next.prefix.to_string());
                format!("template {prefix} is gone, then {next:?}")
            }
            ChangeItem::Member(member) => {
                let (room, user) = (self.room(member.room), self.user(member.user));
                format!("{user} in {room} as {:?}", member.role)
            }
            ChangeItem::MemberGone { room, user } => {
                format!("{} not in {}", self.user(*user), self.room(*room))
            }
            ChangeItem::Block(block) => {
                let (room, user) = (self.room(block.room), self.user(block.user));
                format!("{user} kept out of {room} until {:?}", block.expires)
            }
            ChangeItem::BlockGone { room, user } => {
                let (room, user) = (self.room(*room), self.user(*user));
                format!("{user} not kept out of {room}")
            }
            ChangeItem::DeviceToken(token, session) => {
                assert_eq!(self.sessions[self.session(session.id)].1, *token);
                self.opened_by(session)
            }
            ChangeItem::SessionGone(id) => format!("session {} is gone", self.session(*id)),
            ChangeItem::UserGone(id) => format!("{} is gone", self.user(*id)),
            ChangeItem::Session(_)
            | ChangeItem::ApiKeyGone(_)
            | ChangeItem::Endpoint(_)
            | ChangeItem::EndpointGone(_) => panic!("nothing of the kind was done: {item:?}"),
        }
    }

    /// An answer in words that both sides share.
    pub(super) fn found(&self, found: &Resolved) -> String {
        match found {
            Resolved::Room(room) => {
                assert_eq!(self.room(room.id), room.name.as_str());
                described(room)
            }
            Resolved::Template(template) => {
                let prefix = template.prefix.to_string();
                assert_eq!(self.room(template.id), prefix);
                format!("under {prefix}: {}", rules(&template.rules))
            }
            Resolved::Session(session) => self.opened_by(session),
            Resolved::Member(member) => format!("{:?}", member.role),
            Resolved::Block(block) => format!("kept out until {:?}", block.expires),
            Resolved::Absent => "absent".to_owned(),
            Resolved::ApiKey(_) | Resolved::Endpoint(_) => {
                panic!("nothing of the kind was asked about: {found:?}")
            }
        }
    }

    fn opened_by(&self, session: &Session) -> String {
        assert_eq!(self.user(session.user), session.username.as_str());
        let number = self.session(session.id);
        let device = session.device.as_deref();
        format!("session {number} of {}, {device:?}", session.username)
    }
}

fn described(room: &Room) -> String {
    let blocks = &room.blocks;
    format!("{}: {}, {blocks:?}", room.name, rules(&room.rules))
}

/// Rules, but for the number of the password.
fn rules(rules: &RoomRules) -> String {
    let password = rules.entry.password().is_some();
    let others = RoomRules {
        entry: EntryRules::default(),
        ..rules.clone()
    };
    format!("password {password}, {others:?}")
}
