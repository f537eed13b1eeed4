//! A model of the control plane over a model of its database: what is committed, what a snapshot
//! reads, what is verified. Answers are as true as the moment they were read in; how late they
//! come is the network's affair. Knows no node.

mod commit;
mod covering;
mod feed;
mod grouping;
mod idling;
mod issuing;
mod judging;
mod lasting;
mod narrowing;
mod porting;
mod ticketing;

use std::collections::{BTreeMap, BTreeSet};

use porthouse_model::{
    Acts, Change, ChangeItem, Credential, CredentialKind, Device, PasswordVersion, PolicyKey,
    Resolved, Room, RoomId, RoomName, Session, SessionId, TokenHash, UserId, Username,
};
use porthouse_puddle::{Chain, Position, Secret, SignInBy, SignInVerdict, Snapshot};
use sha2::{Digest, Sha256};

use crate::chance::Chance;
use crate::checker::line::Door;
use crate::plant::Plant;
use crate::queue::Nanos;
pub(crate) use commit::{Commit, Intent, Numbering, TransactionId};
use covering::{Covered, TemplateRow};
pub(crate) use covering::{PREFIXES, name_prefix};
pub(crate) use feed::{Feed, Frame};
use grouping::Groups;
pub(crate) use grouping::LABELS;
use idling::Watched;
pub(crate) use issuing::{ISSUERS, jwt_of};
use judging::Codes;
pub(crate) use lasting::Lives;
use lasting::NEVER;
pub(crate) use narrowing::{ROLES, role_name};
pub(crate) use porting::Lets;
use porting::PortRow;
pub(crate) use ticketing::TICKET_NANOS;
use ticketing::TicketRow;

/// One committed revision.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) change: Change,
    pub(crate) payload: Vec<u8>,
    pub(crate) chain: Chain,
}

/// A persistent room and its password.
#[derive(Clone, Debug)]
pub(crate) struct RoomRow {
    pub(crate) room: Room,
    pub(crate) identity: u64,
}

/// A session and the token that opens it.
#[derive(Clone, Debug)]
pub(crate) struct SessionRow {
    pub(crate) session: Session,
    pub(crate) user: u32,
    pub(crate) token: String,
    pub(crate) hash: TokenHash,
    pub(crate) ended: bool,
    /// When it ends by itself.
    pub(crate) until: Option<Nanos>,
    /// When it was seen last, as far as that was told.
    seen: Nanos,
    /// By whose word it was opened.
    pub(crate) issuer: Option<u32>,
}

/// The control plane.
#[derive(Debug)]
pub(crate) struct Control {
    chance: Chance,
    users: u32,
    /// So many names of rooms there are.
    names: u32,
    rooms: BTreeMap<u32, RoomRow>,
    /// By their prefixes, the longest last.
    templates: BTreeMap<u32, TemplateRow>,
    covered: BTreeMap<u32, Covered>,
    members: BTreeSet<(RoomId, u32)>,
    /// Members have roles.
    roles: bool,
    groups: Groups,
    blocks: BTreeSet<(RoomId, u32)>,
    sessions: Vec<SessionRow>,
    by_hash: BTreeMap<TokenHash, usize>,
    identities: u64,
    versions: u64,
    codes: Codes,
    /// Issuers that are not trusted.
    withdrawn: BTreeSet<u32>,
    tickets: BTreeMap<TokenHash, TicketRow>,
    ports: BTreeMap<u32, PortRow>,
    log: Vec<Row>,
    numbering: Numbering,
    lives: Lives,
    watched: Watched,
    now: Nanos,
    plant: Option<Plant>,
}

impl Control {
    pub(crate) fn new(chance: Chance, (users, names): (u32, u32), numbering: Numbering) -> Self {
        Self {
            chance,
            users,
            names,
            rooms: BTreeMap::new(),
            templates: BTreeMap::new(),
            covered: BTreeMap::new(),
            members: BTreeSet::new(),
            roles: false,
            groups: Groups::default(),
            blocks: BTreeSet::new(),
            sessions: Vec::new(),
            by_hash: BTreeMap::new(),
            identities: 0,
            versions: 0,
            codes: Codes::default(),
            withdrawn: BTreeSet::new(),
            tickets: BTreeMap::new(),
            ports: BTreeMap::new(),
            log: Vec::new(),
            numbering,
            lives: Lives::default(),
            watched: Watched::default(),
            now: 0,
            plant: None,
        }
    }

    /// Puts a bug in.
    pub(crate) const fn plant(&mut self, plant: Option<Plant>) {
        self.plant = plant;
    }

    /// The highest revision a snapshot taken now holds.
    pub(crate) fn head(&self) -> Position {
        let last = self.log.iter().max_by_key(|row| row.change.revision);
        last.map_or(Position::START, |row| Position {
            revision: row.change.revision,
            chain: row.chain,
        })
    }

    /// What the last commit changed.
    pub(crate) fn last_change(&self) -> Option<&Change> {
        self.log.last().map(|row| &row.change)
    }

    pub(crate) fn room(&self, room: u32) -> Option<&RoomRow> {
        self.rooms.get(&room)
    }

    /// Whether this is the room's first revision: it was given its identity by the last commit.
    pub(crate) fn is_first(&self, room: u32, identity: u64) -> bool {
        let same = |row: &Row| {
            let of = |item: &ChangeItem| match item {
                ChangeItem::Room(of) => commit::room_id(identity) == of.id,
                ChangeItem::RoomGone { .. }
                | ChangeItem::Member(_)
                | ChangeItem::MemberGone { .. }
                | ChangeItem::Template(_)
                | ChangeItem::TemplateGone { .. }
                | ChangeItem::Block(_)
                | ChangeItem::BlockGone { .. }
                | ChangeItem::Session(_)
                | ChangeItem::DeviceToken(..)
                | ChangeItem::SessionGone(_)
                | ChangeItem::UserGone(_)
                | ChangeItem::ApiKeyGone(_)
                | ChangeItem::Endpoint(_)
                | ChangeItem::EndpointGone(_) => false,
            };
            row.change.items.iter().any(of)
        };
        self.rooms.contains_key(&room) && self.log.iter().filter(|row| same(row)).count() == 1
    }

    pub(crate) fn session(&self, session: u32) -> &SessionRow {
        &self.sessions[usize::try_from(session).expect("an index")]
    }

    /// A room's rules, as the checker reads of them.
    pub(crate) fn door(&self, room: u32) -> Option<Door> {
        let own = self.rooms.get(&room);
        own.map(|row| commit::door(row.identity, &row.room.rules))
            .or_else(|| self.covered_door(room))
    }

    pub(crate) fn is_member(&self, room: RoomId, user: u32) -> bool {
        self.members.contains(&(room, user)) || self.groups.gives(room, user)
    }

    /// Whether the user is kept out of the room.
    pub(crate) fn is_blocked(&self, room: RoomId, user: u32) -> bool {
        self.blocks.contains(&(room, user))
    }

    /// All who are kept out, and of which rooms.
    pub(crate) fn blocked(&self) -> Vec<(u32, u32)> {
        let of = |(&room, row): (&u32, &RoomRow)| {
            let id = row.room.id;
            let own = self.blocks.iter().filter(move |(of, _)| *of == id);
            own.map(move |&(_, user)| (room, user))
        };
        self.rooms.iter().flat_map(of).collect()
    }

    /// Opens a session, as a sign-in does; it is not in the log.
    pub(crate) fn open_session(&mut self, user: u32) -> u32 {
        self.open(user, None)
    }

    /// Gives a user's device a token for these rooms, each by a bit.
    pub(crate) fn open_device(&mut self, user: u32, rooms: u32) -> u32 {
        self.open(user, Some(Box::new(device(rooms))))
    }

    fn open(&mut self, user: u32, device: Option<Box<Device>>) -> u32 {
        let number = self.sessions.len();
        let secret = self.secret();
        let kind = match device {
            None => CredentialKind::Session,
            Some(_) => CredentialKind::DeviceToken,
        };
        let credential = Credential::new(kind, secret);
        let hash = credential.hash();
        let mut id = [0; 16];
        id[..8].copy_from_slice(&(number as u64 + 1).to_be_bytes());
        self.by_hash.insert(hash, number);
        let until = self.draw_until(device.is_some());
        self.sessions.push(SessionRow {
            session: Session {
                id: SessionId::from_bytes(id),
                user: user_id(user),
                username: username(user),
                expires: lasting::expires(until),
                second_factor: None,
                device,
            },
            user,
            token: credential.reveal(),
            hash,
            ended: false,
            until,
            seen: self.now,
            issuer: None,
        });
        u32::try_from(number).expect("fewer than 2^32 sessions")
    }

    fn secret(&mut self) -> [u8; 32] {
        let mut secret = [0; 32];
        for word in secret.as_chunks_mut::<8>().0 {
            *word = self.chance.next().to_le_bytes();
        }
        secret
    }

    /// How these stand now, in one snapshot.
    pub(crate) fn resolve(&self, keys: &[PolicyKey]) -> Snapshot {
        Snapshot {
            revision: self.head().revision,
            found: keys.iter().map(|key| self.look_up(key)).collect(),
        }
    }

    fn look_up(&self, key: &PolicyKey) -> Resolved {
        match key {
            PolicyKey::Room(name) => {
                room_number(name).map_or(Resolved::Absent, |room| self.look_up_room(room))
            }
            PolicyKey::Session(hash) => match self.by_hash.get(hash) {
                Some(&at) if !self.is_over(&self.sessions[at]) => {
                    Resolved::Session(self.told_of(&self.sessions[at]))
                }
                Some(_) | None => Resolved::Absent,
            },
            PolicyKey::Member(room, user) => {
                let known = user_number(*user).filter(|&user| self.is_member(*room, user));
                known.map_or(Resolved::Absent, |user| {
                    Resolved::Member(self.member(*room, user))
                })
            }
            PolicyKey::Block(room, user) => {
                let known = user_number(*user).is_some_and(|user| self.is_blocked(*room, user));
                if known {
                    Resolved::Block(commit::block(*room, *user))
                } else {
                    Resolved::Absent
                }
            }
            PolicyKey::Endpoint(address) => self.look_up_port(address),
            PolicyKey::ApiKey(_) => Resolved::Absent,
        }
    }

    fn look_up_room(&self, room: u32) -> Resolved {
        if let Some(row) = self.rooms.get(&room) {
            return Resolved::Room(row.room.clone());
        }
        self.covering(room).map_or(Resolved::Absent, |row| {
            Resolved::Template(row.template.clone())
        })
    }

    /// Signs a user in; answers the session's number too.
    pub(crate) fn sign_in(&mut self, by: &SignInBy) -> (SignInVerdict, Option<u32>) {
        let (user, issuer) = match by {
            SignInBy::Password {
                username, password, ..
            } => {
                let known = (0..self.users).find(|&user| self::username(user) == *username);
                let known = known.filter(|&user| password.expose() == user_password(user));
                (known, None)
            }
            SignInBy::Jwt(jwt) => (self.user_by(jwt.expose()), Some(())),
            SignInBy::Code {
                challenge, code, ..
            } => {
                let Some((user, issuer)) = self.challenged(challenge.expose()) else {
                    return (SignInVerdict::Gone, None);
                };
                ((code.expose() == CODE).then_some(user), issuer)
            }
            SignInBy::Ticket(_) => unreachable!("no session is opened by one"),
        };
        let Some(user) = user else {
            return (SignInVerdict::Wrong, None);
        };
        if has_second_factor(user) && !matches!(by, SignInBy::Code { .. }) {
            let needed = SignInVerdict::CodeNeeded {
                challenge: Secret::new(challenge_of(user, issuer)),
                expires: NEVER,
            };
            return (needed, None);
        }
        let number = self.open_session(user);
        self.vouch(number, issuer);
        let revision = self.head().revision;
        let row = self.session(number);
        let verdict = SignInVerdict::Right {
            session: std::sync::Arc::new(self.told_of(row)),
            token: row.hash,
            revision,
            device_mark: None,
        };
        (verdict, Some(number))
    }
}

/// A device that may enter these rooms, each by a bit.
fn device(rooms: u32) -> Device {
    let rooms = (0..32).filter(|room| rooms >> room & 1 == 1);
    Device {
        display_name: "a sensor".to_owned(),
        acts: Acts::ALL,
        rooms: rooms.map(room_name).collect(),
        blocks: Vec::new(),
    }
}

/// The chain hash of a revision, after the one before it, if there is one.
fn chain(before: Option<Chain>, payload: &[u8]) -> Chain {
    let mut hasher = Sha256::new();
    if let Some(before) = before {
        hasher.update(before.as_bytes());
    }
    hasher.update(payload);
    Chain::from_bytes(hasher.finalize().into())
}

/// The name of a room that an administrator may keep, or that is made by joining.
pub(crate) fn room_name(room: u32) -> RoomName {
    format!("room-{room}").parse().expect("a room name")
}

/// The room of a name.
pub(crate) fn room_number(name: &RoomName) -> Option<u32> {
    name.as_str().strip_prefix("room-")?.parse().ok()
}

/// The code of every second factor.
pub(crate) const CODE: &str = "123456";

/// Some users have a second factor.
const fn has_second_factor(user: u32) -> bool {
    user % 4 == 3
}

/// What waits for a user's code, after a password or an issuer's word.
fn challenge_of(user: u32, issuer: Option<()>) -> String {
    match issuer {
        Some(()) => format!("challenge-{user}-by-issuer"),
        None => format!("challenge-{user}"),
    }
}

/// The name of a user.
pub(crate) fn username(user: u32) -> Username {
    format!("user-{user}").parse().expect("a user name")
}

/// The password of a user.
pub(crate) fn user_password(user: u32) -> String {
    format!("secret of {user}")
}

/// The password of a room, by its version.
pub(crate) fn room_password(version: PasswordVersion) -> String {
    format!("open sesame {}", version.0)
}

/// The identity of a user.
pub(crate) fn user_id(user: u32) -> UserId {
    let mut id = [0; 16];
    id[0] = 0xee;
    id[12..].copy_from_slice(&user.to_be_bytes());
    UserId::from_bytes(id)
}

/// The client id of a user: the user's own.
pub(crate) fn user_client(user: u32) -> u128 {
    u128::from_be_bytes(*user_id(user).as_bytes())
}

fn user_number(id: UserId) -> Option<u32> {
    let number: [u8; 4] = id.as_bytes()[12..].try_into().expect("4 of 16 bytes");
    Some(u32::from_be_bytes(number)).filter(|&user| user_id(user) == id)
}
