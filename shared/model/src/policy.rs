//! What nodes are told by the control plane, as values: rooms, sessions,
//! members and keys, how they are asked for, and how they change.

use crate::block::{Block, RoomBlocks};
use crate::credential::TokenHash;
use crate::identity::{ApiKeyId, ClientId, EndpointId, RoomId, SessionId, UserId};
use crate::name::{Address, RoomName, Username};
use crate::rule::{Acts, Role, RoomRules};
use crate::template::{NamePrefix, Template};
use crate::time::UnixTime;

/// A place in the policy log: given in commit order, one a transaction, from 1.
/// 0 is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// A persistent room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Its identity.
    pub id: RoomId,
    /// Its name.
    pub name: RoomName,
    /// Its rules.
    pub rules: Box<RoomRules>,
    /// The user who owns it.
    pub owner: Option<UserId>,
    /// Who is kept out.
    pub blocks: RoomBlocks,
}

/// A live session of an enabled user: of themselves, or of a device of theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its identity.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// The user's name.
    pub username: Username,
    /// When it ends by itself.
    pub expires: UnixTime,
    /// When its user's second factor was last verified in it; `None`: never.
    pub second_factor: Option<UnixTime>,
    /// The device whose it is; `None`: it is the user's own.
    pub device: Option<Box<Device>>,
}

/// What comes by a device token: a client of its own that has no login. It
/// enters where its owner may, and does what the room lets devices do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// What its owner calls it.
    pub display_name: String,
    /// What it may do at most.
    pub acts: Acts,
    /// The rooms it may enter, all different, and is in once it has connected; at
    /// most [`DEVICE_ROOMS_MAX`].
    pub rooms: Vec<RoomName>,
    /// Of which of them it is kept out itself; its owner may not be.
    pub blocks: Vec<DeviceBlock>,
}

/// A room of a device's that keeps it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceBlock {
    /// The room.
    pub room: RoomName,
    /// When that ends by itself; `None`: never.
    pub expires: Option<UnixTime>,
}

/// The most rooms of one device token.
pub const DEVICE_ROOMS_MAX: usize = 32;

impl Session {
    /// Whose messages are said by it.
    #[must_use]
    pub fn client(&self) -> ClientId {
        match self.device {
            None => self.user.into(),
            Some(_) => self.id.into(),
        }
    }

    /// Whether a room may be entered by it at all.
    #[must_use]
    pub fn leads_to(&self, room: &RoomName) -> bool {
        let device = self.device.as_ref();
        device.is_none_or(|device| device.rooms.contains(room))
    }

    /// What keeps the device out of a room whose it is, ended or not.
    #[must_use]
    pub fn device_block(&self, room: &RoomName) -> Option<&DeviceBlock> {
        let blocks = &self.device.as_ref()?.blocks;
        blocks.iter().find(|block| block.room == *room)
    }

    /// The most that is done by it, where it is narrower than its user.
    #[must_use]
    pub fn device_acts(&self) -> Option<Acts> {
        self.device.as_ref().map(|device| device.acts)
    }
}

/// A user's membership of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The room.
    pub room: RoomId,
    /// The user.
    pub user: UserId,
    /// As what the user comes.
    pub role: Role,
    /// When it ends by itself; `None`: never.
    pub expires: Option<UnixTime>,
    /// What the user is from then on.
    pub then: Option<Then>,
}

/// The membership that comes after one that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Then {
    /// As what the user comes.
    pub role: Role,
    /// When it ends by itself; `None`: never.
    pub expires: Option<UnixTime>,
}

/// Where sockets arrive, and where that leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its identity.
    pub id: EndpointId,
    /// Where it is reached.
    pub address: Address,
    /// The user who owns it.
    pub owner: Option<UserId>,
    /// The rooms it leads to, in order, all different; at least one.
    pub rooms: Vec<RoomName>,
    /// Who may arrive by it. The rooms judge everybody once more.
    pub access: EndpointAccess,
}

/// Who may arrive by an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndpointAccess {
    /// Anyone.
    Anyone,
    /// Signed-in users.
    Users,
    /// Its owner alone.
    Owner,
}

/// An API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its identity.
    pub id: ApiKeyId,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it ends by itself; `None`: never.
    pub expires: Option<UnixTime>,
}

/// What can be asked of the control plane.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PolicyKey {
    /// What stands under a room's name: a room of its own, or what covers it.
    Room(RoomName),
    /// A session, or a device token, by the token's hash.
    Session(TokenHash),
    /// A membership.
    Member(RoomId, UserId),
    /// A user's block. Asked only where a room says that it has such.
    Block(RoomId, UserId),
    /// An API key by its secret's hash.
    ApiKey(TokenHash),
    /// An endpoint by its address.
    Endpoint(Address),
}

/// The answer to a [`PolicyKey`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// The room.
    Room(Room),
    /// There is no such room, but a template covers its name.
    Template(Template),
    /// The session.
    Session(Session),
    /// The membership.
    Member(Member),
    /// The block.
    Block(Block),
    /// The API key.
    ApiKey(ApiKey),
    /// The endpoint.
    Endpoint(Endpoint),
    /// There is no such thing.
    Absent,
}

/// What one transaction changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its place in the log.
    pub revision: Revision,
    /// The changes, in the order in which they were written.
    pub items: Vec<ChangeItem>,
}

/// One thing that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeItem {
    /// A room was made or changed, and stands like this now.
    Room(Room),
    /// A room is gone.
    RoomGone {
        /// Its identity.
        id: RoomId,
        /// The name it had.
        name: RoomName,
        /// What covers that name now.
        template: Option<Template>,
    },
    /// A template was made or changed, and stands like this now.
    Template(Template),
    /// A template is gone.
    TemplateGone {
        /// Its identity.
        id: RoomId,
        /// The prefix it had.
        prefix: NamePrefix,
        /// What covers all names with that prefix now.
        next: Option<Template>,
    },
    /// A membership was made or changed.
    Member(Member),
    /// A membership is gone.
    MemberGone {
        /// The room.
        room: RoomId,
        /// The user.
        user: UserId,
    },
    /// A session was changed, and stands like this now.
    Session(Session),
    /// A device token was made or changed, and opens this now.
    DeviceToken(TokenHash, Session),
    /// A user was blocked, or for another time.
    Block(Block),
    /// A user is blocked no more.
    BlockGone {
        /// The room.
        room: RoomId,
        /// The user.
        user: UserId,
    },
    /// A session or a device token has ended.
    SessionGone(SessionId),
    /// Every session of a user has ended, and every device token that is not told
    /// of after it in the same change.
    UserGone(UserId),
    /// An API key has ended.
    ApiKeyGone(ApiKeyId),
    /// An endpoint was made or changed.
    Endpoint(Endpoint),
    /// Nothing is at an address any more.
    EndpointGone(Address),
}
