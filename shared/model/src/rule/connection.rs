//! Who may connect to a room: audience, roles, origins, numbers, hours.

use std::collections::BTreeSet;

use super::message::Rate;
use super::role::Role;
use crate::identity::UserId;

/// Who may enter at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Anyone, signed in or not.
    #[default]
    Anyone,
    /// Signed-in users.
    Users,
    /// The room's members and its owner.
    Members,
    /// Nobody.
    Nobody,
}

/// Who may connect. The default lets anyone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ConnectionRules {
    /// Who may enter at all.
    pub audience: Audience,
    /// If any are named, only members of these roles, and the owner.
    pub roles_allowed: BTreeSet<Role>,
    /// Members of these roles do not enter.
    pub roles_denied: BTreeSet<Role>,
    /// If any are named, only these users, and the owner.
    pub users_allowed: BTreeSet<UserId>,
    /// These users do not enter.
    pub users_denied: BTreeSet<UserId>,
    /// If any are named, a request with an `Origin` header must come from one of
    /// these (RFC 6454, as browsers send it: `https://app.example`).
    pub origins: BTreeSet<String>,
    /// The most sockets inside; `None`: as many as the node holds.
    pub sockets_max: Option<u32>,
    /// The most sockets of one client inside.
    pub sockets_per_client: Option<ClientSockets>,
    /// The most joins from one address.
    pub joins_per_address: Option<Rate>,
    /// When the room is open; `None`: always.
    pub hours: Option<OpeningHours>,
}

/// How many sockets of one client may be inside, and which one goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientSockets {
    /// The most; at least 1.
    pub sockets_max: u32,
    /// Which goes when one more comes.
    pub surplus: Surplus,
}

/// Which socket goes when a client has one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Surplus {
    /// The new one is refused.
    Newest,
    /// The one that came first is put out.
    Oldest,
}

/// When a room is open.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OpeningHours {
    /// The time zone, by its IANA name: `Europe/Berlin`.
    pub zone: String,
    /// The spans of the week, in local time, in order and apart.
    pub spans: Vec<WeekSpan>,
}

/// A span of the week, in minutes since Monday 00:00 local time: from 0 to
/// 10,080, the end after the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WeekSpan {
    /// The first minute in it.
    pub from_minute: u16,
    /// The first minute after it.
    pub to_minute: u16,
}
