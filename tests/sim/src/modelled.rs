//! The model of the control plane by itself, to be held against the real one: commands drawn
//! from a seed, and what nodes hear of each and read after it. Runs no world.

use porthouse_model::{
    Audience, Change, Content, PolicyKey, Resolved, RoomRules, SessionId, TokenHash, UserId,
};

use crate::chance::Chance;
use crate::control::{Control, Intent, Numbering, room_name, user_id, username};

/// Rooms, and users, that commands are about.
const ROOMS: u32 = 3;
const USERS: u32 = 4;
/// Sessions that commands are about, the youngest.
const SESSIONS: u32 = 6;

/// What a room asks, as far as commands set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Signed-in users alone enter.
    pub users_only: bool,
    /// Text alone is said.
    pub text_only: bool,
    /// The longest message.
    pub bytes_max: u32,
    /// Senders hear themselves.
    pub echo: bool,
}

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// The room is made, or asks this from now on.
    PutRoom {
        /// Which.
        room: u32,
        /// What it asks; no password.
        asked: Asked,
    },
    /// The room is given a password, or another.
    SetPassword {
        /// Which.
        room: u32,
    },
    /// The room's password goes.
    ClearPassword {
        /// Which.
        room: u32,
    },
    /// The room goes.
    DeleteRoom {
        /// Which.
        room: u32,
    },
    /// Somebody becomes a member.
    AddMember {
        /// Of which room.
        room: u32,
        /// Who.
        user: u32,
    },
    /// Somebody is no member any more.
    RemoveMember {
        /// Of which room.
        room: u32,
        /// Who.
        user: u32,
    },
    /// Somebody signs in.
    OpenSession {
        /// Who.
        user: u32,
    },
    /// A session is revoked.
    EndSession {
        /// Which, in the order in which they were opened.
        session: u32,
    },
    /// All sessions of somebody are revoked.
    EndUser {
        /// Who.
        user: u32,
    },
}

/// The model.
#[derive(Debug)]
pub struct Modelled {
    control: Control,
    chance: Chance,
    opened: u32,
}

impl Modelled {
    /// The model and the commands of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        Self {
            control: Control::new(chance.fork(), (USERS, ROOMS), Numbering::Locked),
            chance,
            opened: 0,
        }
    }

    /// The names of all rooms there may be.
    pub fn rooms() -> impl Iterator<Item = String> {
        (0..ROOMS).map(|room| room_name(room).to_string())
    }

    /// The names of the users, who are there from the beginning, and the model's identities of them.
    pub fn users() -> impl Iterator<Item = (String, UserId)> {
        (0..USERS).map(|user| (username(user).to_string(), user_id(user)))
    }

    /// What is commanded next. A room is changed while it has no password: that of the model
    /// would go with its rules.
    pub fn draw(&mut self) -> Command {
        let room = self.chance.index_u32(ROOMS);
        let user = self.chance.index_u32(USERS);
        let session = self
            .opened
            .saturating_sub(self.chance.index_u32(SESSIONS) + 1);
        match self.chance.below(16) {
            0..=3 => match self.control.room(room) {
                Some(row) if row.room.rules.entry.password().is_some() => {
                    Command::ClearPassword { room }
                }
                Some(_) | None => self.put_room(room),
            },
            4 | 5 => Command::SetPassword { room },
            6 => Command::DeleteRoom { room },
            7..=9 => Command::AddMember { room, user },
            10 | 11 => Command::RemoveMember { room, user },
            12 | 13 => Command::OpenSession { user },
            14 if self.opened > 0 => Command::EndSession { session },
            _ => Command::EndUser { user },
        }
    }

    fn put_room(&mut self, room: u32) -> Command {
        Command::PutRoom {
            room,
            asked: Asked {
                users_only: self.chance.one_in(2),
                text_only: self.chance.one_in(2),
                bytes_max: *self.chance.pick(&[10, 100, 65_536]),
                echo: self.chance.one_in(2),
            },
        }
    }

    /// Does what is commanded; answers what nodes are told, if anything changed.
    pub fn apply(&mut self, command: &Command) -> Option<Change> {
        let intent = match *command {
            Command::PutRoom { room, asked } => Intent::PutRoom {
                room,
                rules: Box::new(rules(asked)),
            },
            Command::SetPassword { room } => Intent::Password { room, some: true },
            Command::ClearPassword { room } => Intent::Password { room, some: false },
            Command::DeleteRoom { room } => Intent::DeleteRoom { room },
            Command::AddMember { room, user } => Intent::AddMember { room, user },
            Command::RemoveMember { room, user } => Intent::RemoveMember { room, user },
            Command::EndSession { session } => Intent::EndSession { session },
            Command::EndUser { user } => Intent::EndUser { user },
            Command::OpenSession { user } => {
                self.control.open_session(user);
                self.opened += 1;
                return None;
            }
        };
        let revision = self.control.head().revision.0 + 1;
        self.control.apply(revision, &intent)?;
        self.control.last_change().cloned()
    }

    /// The session that was opened last, and its token as nodes ask for it.
    ///
    /// # Panics
    ///
    /// When none was.
    #[must_use]
    pub fn youngest(&self) -> (SessionId, TokenHash) {
        let row = self.control.session(self.opened - 1);
        (row.session.id, row.hash)
    }

    /// How this stands now.
    #[must_use]
    pub fn resolve(&self, key: PolicyKey) -> Resolved {
        let mut found = self.control.resolve(&[key]).found;
        found.pop().unwrap_or(Resolved::Absent)
    }
}

fn rules(asked: Asked) -> RoomRules {
    let mut rules = RoomRules::default();
    if asked.users_only {
        rules.connection.audience = Audience::Users;
    }
    if asked.text_only {
        rules.messages.content = Content::Text;
    }
    rules.messages.bytes_max = asked.bytes_max;
    rules.broadcast.echo = asked.echo;
    rules
}
