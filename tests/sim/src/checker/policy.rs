//! What administrators have said, by revision, and since when somebody is shut out by it. Judges
//! doors only; knows no sockets.

use std::collections::{BTreeMap, BTreeSet};

use super::grouped::Groups;
use super::led::Ports;
use super::line::{Door, Edit, Who};
use super::narrow::Comer;
use super::violation::{Violation, broken};

/// Since when something holds: the revision, and the moment it was committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Since {
    pub(crate) revision: u64,
    pub(crate) at: u64,
}

/// The state at the log's head.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    pub(crate) head: u64,
    rooms: BTreeMap<u32, Room>,
    members: BTreeMap<(u64, u32), (bool, Since)>,
    groups: Groups,
    pub(super) ports: Ports,
    blocks: BTreeMap<(u64, u32), (bool, Since)>,
    sessions: BTreeMap<u32, Session>,
    /// Issuers that are not trusted.
    withdrawn: BTreeSet<u32>,
    acknowledged: Vec<(u64, u64)>,
}

#[derive(Debug)]
struct Room {
    door: Option<Door>,
    changed: Since,
    /// The revision that made the present one, or the last.
    made: u64,
    /// When it was deleted last, if the node had heard of it by then.
    gone: Option<Since>,
}

/// A session, as whoever opened it knows it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(super) user: u32,
    pub(super) client: u128,
    pub(super) opened: u64,
    /// The rooms that a device may enter, each by a bit, and since when.
    pub(super) rooms: Option<(u32, Since)>,
    /// When it ends by itself.
    pub(super) until: Option<u64>,
    /// By whose word it was opened.
    pub(super) issuer: Option<u32>,
    pub(super) ended: Option<Since>,
}

/// Who stands at a door.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visitor<'a> {
    pub(crate) user: Option<u32>,
    pub(crate) session: Option<u32>,
    /// Whether a page brought them.
    pub(crate) page: bool,
    /// The versions of the room's password it has given.
    pub(crate) passed: &'a [u64],
}

impl Policy {
    pub(crate) fn commit(&mut self, revision: u64, at: u64, edits: &[Edit]) {
        self.head = self.head.max(revision);
        let since = Since { revision, at };
        for edit in edits {
            match *edit {
                Edit::Room { room, door } => self.set_room(room, Some(door), since),
                Edit::RoomGone { room } => self.set_room(room, None, since),
                Edit::Template { .. } | Edit::Port { .. } | Edit::PortGone { .. } => {}
                Edit::Uncovered { room } => self.uncover(room, since),
                Edit::Member { identity, user } => {
                    self.members.insert((identity, user), (true, since));
                }
                Edit::MemberGone { identity, user } => {
                    self.members.insert((identity, user), (false, since));
                }
                Edit::Labelled { user, label, some } => {
                    self.groups.label((user, label), (some, since));
                }
                Edit::Grouped {
                    identity,
                    label,
                    some,
                } => self.groups.group((identity, label), (some, since)),
                Edit::Block { identity, user } => {
                    self.blocks.insert((identity, user), (true, since));
                }
                Edit::BlockGone { identity, user } => {
                    self.blocks.insert((identity, user), (false, since));
                }
                Edit::SessionGone { session } | Edit::SessionIdle { session } => {
                    self.end(|number, _| number == session, since);
                }
                Edit::IssuerGone { issuer } => {
                    self.withdrawn.insert(issuer);
                    self.end(|_, session| session.issuer == Some(issuer), since);
                }
                Edit::DeviceRooms { session, rooms } => {
                    if let Some(session) = self.sessions.get_mut(&session) {
                        session.rooms = Some((rooms, since));
                    }
                }
                Edit::UserGone { user } => {
                    // Tokens of devices stay.
                    let is_own = |session: &Session| session.user == user;
                    self.end(|_, own| is_own(own) && own.rooms.is_none(), since);
                }
            }
        }
    }

    fn set_room(&mut self, room: u32, door: Option<Door>, since: Since) {
        let known = self.rooms.get(&room);
        let before = known.and_then(|known| known.gone);
        let is_same = |before: Door| door.is_none_or(|door| door.identity == before.identity);
        let goes_on = known.filter(|known| known.door.is_some_and(is_same));
        let made = goes_on.map_or(since.revision, |known| known.made);
        let gone = match door {
            None if made <= self.applied() => Some(since),
            None | Some(_) => before,
        };
        let now = Room {
            door,
            changed: since,
            made,
            gone,
        };
        self.rooms.insert(room, now);
    }

    fn uncover(&mut self, room: u32, since: Since) {
        if let Some(known) = self.rooms.get_mut(&room) {
            (known.door, known.changed) = (None, since);
        }
    }

    fn end(&mut self, is_meant: impl Fn(u32, &Session) -> bool, since: Since) {
        for (&number, session) in &mut self.sessions {
            if session.ended.is_none() && is_meant(number, session) {
                session.ended = Some(since);
            }
        }
    }

    /// Somebody has signed in, by the word of nobody who was withdrawn.
    pub(crate) fn sign_in(&mut self, session: u32, opened: Session) -> Result<(), Violation> {
        let withdrawn = opened
            .issuer
            .filter(|issuer| self.withdrawn.contains(issuer));
        if let Some(issuer) = withdrawn {
            return broken(
                "P6",
                format!("session {session} is opened by issuer {issuer}, which is withdrawn"),
            );
        }
        self.sessions.insert(session, opened);
        Ok(())
    }

    /// An issuer's word is taken again.
    pub(crate) fn trust(&mut self, issuer: u32) {
        self.withdrawn.remove(&issuer);
    }

    /// The node has applied everything up to `revision`, and said so at `step`.
    pub(crate) fn acknowledge(&mut self, revision: u64, step: u64) {
        if self.applied() < revision {
            self.acknowledged.push((revision, step));
        }
    }

    /// The highest revision that was acknowledged.
    pub(crate) fn applied(&self) -> u64 {
        self.acknowledged
            .last()
            .map_or(0, |&(revision, _)| revision)
    }

    /// The highest revision that was acknowledged before this step.
    pub(crate) fn applied_at(&self, step: u64) -> u64 {
        let until = self.acknowledged.partition_point(|&(_, at)| at < step);
        let last = until.checked_sub(1);
        last.map_or(0, |last| self.acknowledged[last].0)
    }

    /// The step at which this revision was acknowledged.
    pub(crate) fn step_of(&self, revision: u64) -> Option<u64> {
        let at = self
            .acknowledged
            .partition_point(|&(until, _)| until < revision);
        self.acknowledged.get(at).map(|&(_, step)| step)
    }

    /// The step from which nobody takes a room for the one of its name before: when it
    /// was acknowledged that it was made or deleted.
    pub(crate) fn known_from(&self, room: u32) -> u64 {
        self.rooms.get(&room).map_or(0, |known| {
            let gone = known.gone.map_or(0, |gone| gone.revision);
            let since = known.made.max(gone);
            self.step_of(since).unwrap_or(u64::MAX)
        })
    }

    /// Whose session this is.
    pub(crate) fn user(&self, session: u32) -> Option<u32> {
        self.sessions.get(&session).map(|session| session.user)
    }

    /// Which client its holder is.
    pub(crate) fn client(&self, session: u32) -> Option<u128> {
        self.sessions.get(&session).map(|session| session.client)
    }

    /// Since when a session is over.
    pub(crate) fn ended(&self, session: u32) -> Option<Since> {
        self.sessions.get(&session)?.ended
    }

    /// When somebody signed in.
    pub(crate) fn opened(&self, session: u32) -> u64 {
        self.sessions.get(&session).map_or(0, |known| known.opened)
    }

    /// When a session ends by itself.
    pub(crate) fn until(&self, session: u32) -> Option<u64> {
        self.sessions.get(&session)?.until
    }

    /// When the room was deleted last.
    pub(crate) fn gone(&self, room: u32) -> Option<Since> {
        self.rooms.get(&room)?.gone
    }

    /// The room's rules, if it is a persistent one.
    pub(crate) fn door(&self, room: u32) -> Option<&Door> {
        self.rooms.get(&room)?.door.as_ref()
    }

    /// Whether the room is the same now as at this step, as far as the node knew.
    pub(crate) fn is_same_since(&self, room: u32, step: u64) -> bool {
        self.rooms.get(&room).is_none_or(|known| {
            let gone = known.gone.map_or(0, |gone| gone.revision);
            let last = if known.door.is_some() {
                known.made
            } else {
                known.changed.revision
            };
            self.step_of(last.max(gone))
                .is_some_and(|heard| heard < step)
        })
    }

    /// How long a room that the node had heard of at this step may deliver without word.
    pub(crate) fn deliver_max(&self, room: u32, step: u64) -> Option<u64> {
        let heard_of = |known: &&Room| self.step_of(known.made).is_some_and(|heard| heard < step);
        let known = self.rooms.get(&room).filter(heard_of)?;
        known.door.as_ref()?.deliver_max
    }

    /// How long a room that the node had heard of at this step may admit without word.
    pub(crate) fn admit_max(&self, room: u32, step: u64) -> Option<u64> {
        let heard_of = |known: &&Room| self.step_of(known.made).is_some_and(|heard| heard < step);
        let known = self.rooms.get(&room).filter(heard_of)?;
        Some(known.door.as_ref()?.admit_max)
    }

    /// Since when, at the latest, somebody must stay outside; `None`: they may be inside.
    pub(crate) fn shut_out(&self, room: u32, visitor: Visitor<'_>) -> Option<Since> {
        self.not_led_to(room, visitor)
            .or_else(|| self.shut_door(room, visitor))
    }

    /// Whether this session is a device's.
    pub(crate) fn is_device(&self, session: Option<u32>) -> bool {
        let session = session.and_then(|session| self.sessions.get(&session));
        session.is_some_and(|session| session.rooms.is_some())
    }

    /// Whether a user is a member of a room, by its identity.
    pub(crate) fn is_member(&self, identity: u64, user: Option<u32>) -> bool {
        user.is_some_and(|user| self.stands(identity, user).is_some_and(|(is, _)| is))
    }

    /// Whether somebody is a member of their own or by a group, and since when that may be so.
    fn stands(&self, identity: u64, user: u32) -> Option<(bool, Since)> {
        let own = self.members.get(&(identity, user)).copied();
        match (own, self.groups.stands(identity, user)) {
            (Some((own, since)), Some((given, also))) => Some((own || given, since.max(also))),
            (own, None) => own,
            (None, given) => given,
        }
    }

    /// Since when a device may not enter a room.
    fn not_led_to(&self, room: u32, visitor: Visitor<'_>) -> Option<Since> {
        let session = self.sessions.get(&visitor.session?)?;
        let (rooms, since) = session.rooms?;
        (rooms >> room & 1 == 0).then_some(since)
    }

    fn shut_door(&self, room: u32, visitor: Visitor<'_>) -> Option<Since> {
        let known = self.rooms.get(&room)?;
        let door = known.door.as_ref()?;
        let member = visitor
            .user
            .and_then(|user| self.stands(door.identity, user));
        let block = visitor
            .user
            .and_then(|user| self.blocks.get(&(door.identity, user)).copied());
        let is_meant = match door.who {
            Who::Anyone => true,
            Who::Users => visitor.user.is_some(),
            Who::Members => member.is_some_and(|(is_member, _)| is_member),
        };
        let is_member = member.is_some_and(|(is_member, _)| is_member);
        let is_let_in = door.narrow.lets_in(Comer {
            user: visitor.user,
            is_member,
            page: visitor.page,
        });
        let is_blocked = block.is_some_and(|(is_blocked, _)| is_blocked);
        let enters = is_meant && is_let_in && !is_blocked;
        let passed = door.needs().all(|needed| visitor.passed.contains(&needed))
            && door.is_approved(visitor, is_member && !self.is_device(visitor.session));
        let words = [member, block].into_iter().flatten();
        let last = words.fold(known.changed, |last, (_, since)| last.max(since));
        (!enters || !passed).then_some(last)
    }

    /// The last revision that mattered to whether this visitor may enter.
    pub(crate) fn last_word(&self, room: u32, user: Option<u32>) -> u64 {
        let Some(known) = self.rooms.get(&room) else {
            return 0;
        };
        let identity = known.door.as_ref().map(|door| door.identity);
        let key = identity.zip(user);
        let member = key.and_then(|(identity, user)| self.stands(identity, user));
        let block = key.and_then(|key| self.blocks.get(&key).copied());
        let words = [member, block].into_iter().flatten();
        let last = words.fold(known.changed, |last, (_, since)| last.max(since));
        last.revision
    }
}
