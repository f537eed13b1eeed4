//! The model of the control plane by itself, to be held against the real one: commands drawn
//! from a seed, and what nodes hear of each and read after it. Runs no world.

mod interleaved;

use core::time::Duration;

use porthouse_model::{
    Audience, Change, PolicyKey, Resolved, RoomRules, SessionId, SlowConsumer, TokenHash, UserId,
};

use crate::chance::Chance;
use crate::control::{
    Control, Intent, LABELS, Numbering, PREFIXES, name_prefix, room_name, user_id, username,
};
use crate::keeping::keep_some;
use crate::ruling::Ruling;

pub use interleaved::{Interleaved, Step};

/// Rooms, and users, that commands are about.
const ROOMS: u32 = 3;
const USERS: u32 = 4;
/// Sessions that commands are about, the youngest.
const SESSIONS: u32 = 6;
/// The longest message of a room without a limit of its own.
const MESSAGE_BYTES_MAX: u64 = 65_536;

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The room is made, or has these rules from now on.
    PutRoom {
        /// Which.
        room: u32,
        /// Its rules; no password.
        rules: Box<RoomRules>,
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
    /// A template is made, or has these rules from now on.
    PutTemplate {
        /// Which prefix.
        prefix: u32,
        /// Its rules; no password, and nobody is a member of what it covers.
        rules: Box<RoomRules>,
    },
    /// A template goes.
    DeleteTemplate {
        /// Which prefix.
        prefix: u32,
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
    /// Somebody is kept out.
    Block {
        /// Of which room.
        room: u32,
        /// Who.
        user: u32,
    },
    /// Somebody is kept out no more.
    Unblock {
        /// Of which room.
        room: u32,
        /// Who.
        user: u32,
    },
    /// Somebody has a label from now on, or has it no more.
    Label {
        /// Who.
        user: u32,
        /// Which.
        label: u32,
        /// Whether they have it.
        some: bool,
    },
    /// Whoever has a label is a member of a room, or is no more.
    Group {
        /// Of which room.
        room: u32,
        /// Which.
        label: u32,
        /// Whether they are.
        some: bool,
    },
    /// Somebody signs in.
    OpenSession {
        /// Who.
        user: u32,
    },
    /// Somebody's device is given a token.
    OpenDevice {
        /// Whose.
        user: u32,
        /// The rooms it may enter, each by a bit.
        rooms: u32,
    },
    /// A device may enter other rooms from now on.
    DeviceRooms {
        /// Which, in the order in which sessions and tokens were opened.
        session: u32,
        /// The rooms, each by a bit.
        rooms: u32,
    },
    /// A session is revoked, or a device's token.
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
    /// Which of all that were opened are devices'.
    devices: Vec<u32>,
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
            devices: Vec::new(),
        }
    }

    /// The names of all rooms there may be.
    pub fn rooms() -> impl Iterator<Item = String> {
        (0..ROOMS).map(|room| room_name(room).to_string())
    }

    /// The prefix of a number.
    #[must_use]
    pub fn prefix(prefix: u32) -> String {
        name_prefix(prefix).to_string()
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
        let label = self.chance.index_u32(LABELS);
        let some = !self.chance.one_in(3);
        match self.chance.below(28) {
            0..=3 => match self.control.room(room) {
                Some(row) if row.room.rules.entry.password().is_some() => {
                    Command::ClearPassword { room }
                }
                Some(_) | None => {
                    let rules = self.rules(room);
                    Command::PutRoom { room, rules }
                }
            },
            4 | 5 => Command::SetPassword { room },
            6 => Command::DeleteRoom { room },
            7..=9 => Command::AddMember { room, user },
            10 | 11 => Command::RemoveMember { room, user },
            12 | 13 => Command::Block { room, user },
            14 | 15 => self.unblock(room, user),
            16..=18 => Command::Label { user, label, some },
            19 | 20 => Command::Group { room, label, some },
            21 | 22 => self.template(),
            23 | 24 => Command::OpenSession { user },
            25 => self.device(user),
            26 => self.end_session(user),
            _ => Command::EndUser { user },
        }
    }

    fn unblock(&mut self, room: u32, user: u32) -> Command {
        let blocked = self.control.blocked();
        if blocked.is_empty() {
            return Command::Unblock { room, user };
        }
        let &(room, user) = self.chance.pick(&blocked);
        Command::Unblock { room, user }
    }

    fn end_session(&mut self, user: u32) -> Command {
        if self.opened == 0 {
            return Command::EndUser { user };
        }
        let back = self.chance.index_u32(SESSIONS) + 1;
        let session = self.opened.saturating_sub(back);
        Command::EndSession { session }
    }

    /// A device of a user's, or other rooms of one that is there.
    fn device(&mut self, user: u32) -> Command {
        let rooms = self.chance.index_u32(1 << ROOMS);
        if self.devices.is_empty() || self.chance.one_in(3) {
            return Command::OpenDevice { user, rooms };
        }
        let session = *self.chance.pick(&self.devices);
        Command::DeviceRooms { session, rooms }
    }

    fn template(&mut self) -> Command {
        let prefix = self.chance.index_u32(PREFIXES);
        if self.chance.one_in(3) {
            return Command::DeleteTemplate { prefix };
        }
        let mut rules = self.rules(prefix);
        // Nobody is a member of what it covers.
        if rules.connection.audience == Audience::Members {
            rules.connection.audience = Audience::Anyone;
        }
        Command::PutTemplate { prefix, rules }
    }

    /// Rules as worlds draw them, in every group of them.
    fn rules(&mut self, room: u32) -> Box<RoomRules> {
        let chance = &mut self.chance;
        let mut rules = crate::plan::rules(chance, MESSAGE_BYTES_MAX);
        rules.entry.steps.clear();
        keep_some(chance, &mut rules);
        let quiet = Ruling {
            quiet: 50,
            ..Ruling::default()
        };
        rules.capabilities = quiet.capabilities(chance);
        rules.delivery.slow_consumer = *chance.pick(&[
            SlowConsumer::Close,
            SlowConsumer::Conflate,
            SlowConsumer::DropOldest,
            SlowConsumer::DropNewest,
        ]);
        rules.staleness.deliver_max = crate::plan::deliver_max(room);
        rules.staleness.admit_max = Duration::from_secs(chance.between(5, 60));
        Box::new(rules)
    }

    /// Does what is commanded; answers what nodes are told, if anything changed.
    pub fn apply(&mut self, command: &Command) -> Option<Change> {
        let intent = match *command {
            Command::OpenSession { user } => {
                self.control.open_session(user);
                self.opened += 1;
                return None;
            }
            Command::OpenDevice { user, rooms } => {
                self.devices.push(self.control.open_device(user, rooms));
                self.opened += 1;
                return None;
            }
            Command::PutRoom { room, ref rules } => Intent::PutRoom {
                room,
                rules: rules.clone(),
            },
            Command::SetPassword { room } => Intent::Password { room, some: true },
            Command::ClearPassword { room } => Intent::Password { room, some: false },
            Command::DeleteRoom { room } => Intent::DeleteRoom { room },
            // What is there already is written by nobody; worlds draw it hardly ever.
            Command::PutTemplate { prefix, ref rules }
                if self.control.template_rules(prefix) == Some(&**rules) =>
            {
                return None;
            }
            Command::PutTemplate { prefix, ref rules } => Intent::PutTemplate {
                prefix,
                rules: rules.clone(),
            },
            Command::DeleteTemplate { prefix } => Intent::DeleteTemplate { prefix },
            Command::AddMember { room, user } => Intent::AddMember { room, user },
            Command::RemoveMember { room, user } => Intent::RemoveMember { room, user },
            Command::Block { room, user } => Intent::Block { room, user },
            Command::Unblock { room, user } => Intent::Unblock { room, user },
            Command::Label { user, label, some } => Intent::Label { user, label, some },
            Command::Group { room, label, some } => Intent::Group { room, label, some },
            Command::DeviceRooms { session, rooms } => Intent::DeviceRooms { session, rooms },
            Command::EndSession { session } => Intent::EndSession { session },
            Command::EndUser { user } => Intent::EndUser { user },
        };
        let before = self.control.head().revision;
        self.control.apply(before.0 + 1, &intent)?;
        let last = self.control.last_change();
        last.filter(|change| change.revision > before).cloned()
    }

    /// The session, or the device's token, that was opened last, and its token as nodes ask for it.
    ///
    /// # Panics
    ///
    /// When none was.
    #[must_use]
    pub fn youngest(&self) -> (SessionId, TokenHash) {
        let row = self.control.session(self.opened - 1);
        (row.session.id, row.hash)
    }

    /// How these stand now, in one snapshot.
    #[must_use]
    pub fn resolve(&self, keys: &[PolicyKey]) -> Vec<Resolved> {
        self.control.resolve(keys).found
    }
}
