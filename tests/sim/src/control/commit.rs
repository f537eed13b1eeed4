//! Transactions: begun in one order, numbered and committed in another. A revision is given under
//! a lock that is held to the commit, so that the log has no hole a reader could miss.

use core::time::Duration;

use porthouse_model::{
    Act, Audience, Block, Capabilities, Change, ChangeItem, Content, EntryRules, EntryStep, Keep,
    Member, PasswordVersion, Revision, Room, RoomBlocks, RoomId, RoomRules, SlowConsumer, UserId,
};

use super::narrowing::{invites, narrow};
use super::porting::Lets;
use super::{Control, RoomRow, Row, chain, device, room_name, user_id};
use crate::checker::line::{Door, Edit, Who};
use crate::checker::stored::Kept;
use crate::queue::Nanos;

/// Names a transaction under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TransactionId(pub(crate) u32);

/// What an administrator wants.
#[derive(Clone, Debug)]
pub(crate) enum Intent {
    /// A room that is made, or stands like this from now on.
    PutRoom {
        room: u32,
        rules: Box<RoomRules>,
    },
    /// A password that is set anew, or taken away.
    Password {
        room: u32,
        some: bool,
    },
    DeleteRoom {
        room: u32,
    },
    /// A template that is made, or stands like this from now on.
    PutTemplate {
        prefix: u32,
        rules: Box<RoomRules>,
    },
    DeleteTemplate {
        prefix: u32,
    },
    AddMember {
        room: u32,
        user: u32,
    },
    RemoveMember {
        room: u32,
        user: u32,
    },
    Block {
        room: u32,
        user: u32,
    },
    Unblock {
        room: u32,
        user: u32,
    },
    EndSession {
        session: u32,
    },
    EndUser {
        user: u32,
    },
    /// A user has a label from now on, or has it no more.
    Label {
        user: u32,
        label: u32,
        some: bool,
    },
    /// Whoever has a label is a member from now on, or is no more.
    Group {
        room: u32,
        label: u32,
        some: bool,
    },
    /// Sessions that nobody has seen since then.
    EndIdle {
        seen_before: Nanos,
        sessions: Vec<u32>,
    },
    /// An issuer is not trusted any more.
    Withdraw {
        issuer: u32,
    },
    /// A device may enter these rooms from now on, each by a bit.
    DeviceRooms {
        session: u32,
        rooms: u32,
    },
    /// An address leads to these rooms from now on, each by a bit.
    PutPort {
        port: u32,
        rooms: u32,
        lets: Lets,
    },
    WithdrawPort {
        port: u32,
    },
}

/// How revisions are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbering {
    /// Under a lock held to the commit.
    Locked,
    /// When a transaction wants one: a planted bug.
    Unlocked,
}

/// Transactions under way: who has the lock, who waits.
#[derive(Debug, Default)]
pub(crate) struct Commit {
    begun: Vec<Option<(Intent, Option<u64>)>>,
    holder: Option<TransactionId>,
    waiting: Vec<TransactionId>,
    given: u64,
}

impl Commit {
    /// Begins one.
    pub(crate) fn begin(&mut self, intent: Intent) -> TransactionId {
        let id = u32::try_from(self.begun.len()).expect("fewer than 2^32 transactions");
        self.begun.push(Some((intent, None)));
        TransactionId(id)
    }

    /// One wants its revision. Answers whether it goes on to its commit now.
    pub(crate) fn number(&mut self, id: TransactionId, control: &Control) -> bool {
        match control.numbering {
            Numbering::Locked if self.holder.is_some() => {
                self.waiting.push(id);
                false
            }
            Numbering::Locked => {
                self.holder = Some(id);
                true
            }
            Numbering::Unlocked => {
                self.given = self.given.max(control.head().revision.0) + 1;
                let given = self.given;
                let slot = self.slot(id).as_mut().expect("under way");
                slot.1 = Some(given);
                true
            }
        }
    }

    /// One commits, unless there is nothing to do. Answers what was changed, and who has the lock
    /// next.
    pub(crate) fn commit(
        &mut self,
        id: TransactionId,
        control: &mut Control,
    ) -> (Option<(u64, Vec<Edit>)>, Option<TransactionId>) {
        let done = self.end(id, control);
        let next = match self.waiting() {
            [] => None,
            waiting => Some(*control.chance.pick(waiting)),
        };
        if let Some(next) = next {
            self.hand(next);
        }
        (done, next)
    }

    /// One commits, and nobody is given the lock after it yet.
    pub(crate) fn end(
        &mut self,
        id: TransactionId,
        control: &mut Control,
    ) -> Option<(u64, Vec<Edit>)> {
        let (intent, given) = self.slot(id).take().expect("under way");
        let revision = given.unwrap_or_else(|| control.head().revision.0 + 1);
        let done = control.apply(revision, &intent);
        self.release(id);
        done
    }

    /// One is undone, and nobody is given the lock after it yet.
    pub(crate) fn roll_back(&mut self, id: TransactionId) {
        self.slot(id).take().expect("under way");
        self.release(id);
    }

    fn release(&mut self, id: TransactionId) {
        self.holder.take_if(|holder| *holder == id);
    }

    /// Who can be given the lock: all who wait, once nobody holds it.
    pub(crate) fn waiting(&self) -> &[TransactionId] {
        if self.holder.is_some() {
            &[]
        } else {
            &self.waiting
        }
    }

    /// One of those who wait is given the lock.
    pub(crate) fn hand(&mut self, to: TransactionId) {
        let at = self.waiting.iter().position(|waits| *waits == to);
        self.waiting.swap_remove(at.expect("it waits"));
        self.holder = Some(to);
    }

    fn slot(&mut self, id: TransactionId) -> &mut Option<(Intent, Option<u64>)> {
        &mut self.begun[usize::try_from(id.0).expect("an index")]
    }
}

impl Control {
    /// Writes what is wanted at this revision, unless there is nothing to do.
    pub(crate) fn apply(&mut self, revision: u64, intent: &Intent) -> Option<(u64, Vec<Edit>)> {
        let changes = self.changes(intent)?;
        let (items, mut edits): (Vec<_>, Vec<_>) = changes.into_iter().unzip();
        let items: Vec<_> = items.into_iter().flatten().collect();
        // What concerns nobody who is told is no revision.
        if items.is_empty() {
            return Some((self.head().revision.0, edits));
        }
        edits.extend(self.cover());
        let payload = revision.to_le_bytes().to_vec();
        let before = self.log.last().map(|row| row.chain);
        self.log.push(Row {
            change: Change {
                revision: Revision(revision),
                items,
            },
            chain: chain(before, &payload),
            payload,
        });
        Some((revision, edits))
    }

    /// What is told to nodes, and what an administrator has written; what tells nodes nothing alone.
    fn changes(&mut self, intent: &Intent) -> Option<Vec<(Option<ChangeItem>, Edit)>> {
        let told = match *intent {
            Intent::Label { user, label, some } => return self.label(user, label, some),
            Intent::Group { room, label, some } => return self.group(room, label, some),
            Intent::AddMember { room, user } => return self.own_member(room, user, true),
            Intent::RemoveMember { room, user } => return self.own_member(room, user, false),
            Intent::PutTemplate { prefix, ref rules } => {
                let item = self.put_template(prefix, rules);
                Some(vec![(item, Edit::Template { prefix })])
            }
            Intent::DeleteTemplate { prefix } => {
                let item = self.delete_template(prefix)?;
                Some(vec![(item, Edit::Template { prefix })])
            }
            Intent::PutRoom { room, ref rules } => {
                // What is there already is written by nobody; what is asked for is new each time.
                let stands = self.rooms.get(&room).map(|row| &row.room.rules);
                let is_there = stands == Some(rules) && rules.entry.steps.is_empty();
                (!is_there).then(|| vec![self.put_room(room, rules)])
            }
            Intent::Password { room, some } => {
                let mut rules = self.rooms.get(&room)?.room.rules.clone();
                rules.entry = if some {
                    EntryRules::by_password(PasswordVersion(0))
                } else {
                    EntryRules::default()
                };
                Some(vec![self.put_room(room, &rules)])
            }
            Intent::DeleteRoom { room } => {
                let row = self.rooms.remove(&room)?;
                self.members.retain(|(of, _)| *of != row.room.id);
                self.groups.forget(row.room.id);
                self.blocks.retain(|(of, _)| *of != row.room.id);
                let item = ChangeItem::RoomGone {
                    id: row.room.id,
                    name: row.room.name,
                    template: self.covering(room).map(|row| row.template.clone()),
                };
                Some(vec![(item, Edit::RoomGone { room })])
            }
            Intent::Block { room, user } => self.block(room, user),
            Intent::Unblock { room, user } => self.unblock(room, user),
            Intent::EndSession { session } => {
                let row = self.sessions.get_mut(usize::try_from(session).ok()?)?;
                let ended = std::mem::replace(&mut row.ended, true);
                let item = ChangeItem::SessionGone(row.session.id);
                (!ended).then(|| vec![(item, Edit::SessionGone { session })])
            }
            Intent::EndIdle {
                seen_before,
                ref sessions,
            } => self.end_idle(seen_before, sessions),
            Intent::Withdraw { issuer } => self.withdraw(issuer),
            Intent::DeviceRooms { session, rooms } => {
                let row = self.sessions.get_mut(usize::try_from(session).ok()?)?;
                let device = Some(Box::new(device(rooms)));
                (!row.ended && row.session.device != device).then_some(())?;
                row.session.device = device;
                let item = ChangeItem::DeviceToken(row.hash, row.session.clone());
                Some(vec![(item, Edit::DeviceRooms { session, rooms })])
            }
            Intent::PutPort { port, rooms, lets } => self.put_port(port, rooms, lets),
            Intent::WithdrawPort { port } => self.withdraw_port(port),
            Intent::EndUser { user } => Some(self.end_user(user)),
        }?;
        let told = told.into_iter().map(|(item, edit)| (Some(item), edit));
        Some(told.collect())
    }

    /// All sessions of a user end. Tokens of devices do not, and follow the word that ends all.
    fn end_user(&mut self, user: u32) -> Vec<(ChangeItem, Edit)> {
        let edit = Edit::UserGone { user };
        let mut changes = vec![(ChangeItem::UserGone(user_id(user)), edit)];
        let own = self.sessions.iter_mut();
        for row in own.filter(|row| row.user == user && !row.ended) {
            if row.session.device.is_some() {
                let item = ChangeItem::DeviceToken(row.hash, row.session.clone());
                changes.push((item, edit));
            } else {
                row.ended = true;
            }
        }
        changes
    }

    /// A new room, or a changed one. A password without a version is set anew.
    fn put_room(&mut self, room: u32, rules: &RoomRules) -> (ChangeItem, Edit) {
        let before = self.rooms.get(&room).cloned();
        let identity = before.as_ref().map_or_else(
            || {
                self.identities += 1;
                self.identities
            },
            |row| row.identity,
        );
        let mut rules = rules.clone();
        rules.entry = self.versioned(&rules.entry);
        let kept = Room {
            id: room_id(identity),
            name: room_name(room),
            rules: Box::new(rules),
            owner: None,
            blocks: before.map_or_else(RoomBlocks::default, |row| row.room.blocks),
        };
        let door = door(identity, &kept.rules);
        let row = RoomRow {
            room: kept.clone(),
            identity,
        };
        self.rooms.insert(room, row);
        (ChangeItem::Room(kept), Edit::Room { room, door })
    }

    /// A membership of a user's own. Where a group gives one too, nodes are told nothing.
    fn own_member(
        &mut self,
        room: u32,
        user: u32,
        some: bool,
    ) -> Option<Vec<(Option<ChangeItem>, Edit)>> {
        let row = self.rooms.get(&room)?;
        let (room, identity) = (row.room.id, row.identity);
        let before = self.is_member(room, user);
        let (changed, edit) = if some {
            let edit = Edit::Member { identity, user };
            (self.members.insert((room, user)), edit)
        } else {
            let edit = Edit::MemberGone { identity, user };
            (self.members.remove(&(room, user)), edit)
        };
        changed.then_some(())?;
        let is_told = self.is_member(room, user) != before;
        Some(vec![(is_told.then(|| self.membership(room, user)), edit)])
    }

    /// How somebody stands in a room, as it is told.
    pub(super) fn membership(&self, room: RoomId, user: u32) -> ChangeItem {
        if self.is_member(room, user) {
            ChangeItem::Member(self.member(room, user))
        } else {
            let user = user_id(user);
            ChangeItem::MemberGone { room, user }
        }
    }

    /// A member, for good.
    pub(super) fn member(&self, room: RoomId, user: u32) -> Member {
        Member {
            role: self.role(user),
            room,
            user: user_id(user),
            expires: None,
            then: None,
        }
    }

    /// With the room's first block of a user, the room says that there are some.
    fn block(&mut self, room: u32, user: u32) -> Option<Vec<(ChangeItem, Edit)>> {
        let row = self.rooms.get(&room)?;
        let (id, identity, before) = (row.room.id, row.identity, row.room.blocks.users);
        self.blocks.insert((id, user)).then_some(())?;
        let mut changes = Vec::new();
        if !before {
            changes.push(self.blocks_users(room, true)?);
        }
        let item = ChangeItem::Block(block(id, user_id(user)));
        changes.push((item, Edit::Block { identity, user }));
        Some(changes)
    }

    /// With the last, that there are none.
    fn unblock(&mut self, room: u32, user: u32) -> Option<Vec<(ChangeItem, Edit)>> {
        let row = self.rooms.get(&room)?;
        let (id, identity) = (row.room.id, row.identity);
        self.blocks.remove(&(id, user)).then_some(())?;
        let mut changes = Vec::new();
        if !self.blocks.iter().any(|(of, _)| *of == id) {
            changes.push(self.blocks_users(room, false)?);
        }
        let item = ChangeItem::BlockGone {
            room: id,
            user: user_id(user),
        };
        changes.push((item, Edit::BlockGone { identity, user }));
        Some(changes)
    }

    fn blocks_users(&mut self, room: u32, users: bool) -> Option<(ChangeItem, Edit)> {
        let row = self.rooms.get_mut(&room)?;
        row.room.blocks.users = users;
        let door = door(row.identity, &row.room.rules);
        let item = ChangeItem::Room(row.room.clone());
        Some((item, Edit::Room { room, door }))
    }
}

/// A user who is kept out, for good.
pub(super) const fn block(room: RoomId, user: UserId) -> Block {
    Block {
        room,
        user,
        expires: None,
    }
}

/// The identity of a room.
pub(super) fn room_id(identity: u64) -> RoomId {
    let mut id = [0; 16];
    id[0] = 0xaa;
    id[8..].copy_from_slice(&identity.to_be_bytes());
    RoomId::from_bytes(id)
}

/// A room as the checker reads of it.
pub(super) fn door(identity: u64, rules: &RoomRules) -> Door {
    let nanos = |span: Duration| u64::try_from(span.as_nanos()).expect("a short span");
    let asked = Asked::of(&rules.entry);
    Door {
        identity,
        who: match rules.connection.audience {
            Audience::Anyone => Who::Anyone,
            Audience::Users => Who::Users,
            Audience::Members => Who::Members,
            Audience::Nobody => unreachable!("no administrator writes it"),
        },
        speaks: speaks(&rules.capabilities),
        devices_speak: rules.capabilities.device.has(Act::Send),
        password: asked.password,
        code: asked.code,
        second_factor: asked.second_factor,
        approval: asked.approval,
        invites: invites(&rules.capabilities),
        hook: asked.hook,
        text: rules.messages.content != Content::Binary,
        binary: rules.messages.content != Content::Text,
        bytes_max: usize::try_from(rules.messages.bytes_max).expect("a length"),
        echo: rules.broadcast.echo,
        named: rules.broadcast.receivers_named,
        deliver_max: rules.staleness.deliver_max.map(nanos),
        admit_max: nanos(rules.staleness.admit_max),
        hands_over: rules.history.waiting.is_some(),
        waits: rules.history.waiting.is_some() && rules.history.keep != Keep::Latest,
        shown_late_max: nanos(rules.presence.grace) + 2 * nanos(rules.presence.interval),
        shown_every: nanos(rules.presence.interval),
        kept: kept(rules),
        skips: rules.delivery.slow_consumer != SlowConsumer::Close,
        narrow: narrow(rules),
    }
}

/// What of a durable room survives.
fn kept(rules: &RoomRules) -> Option<Kept> {
    let kept = match rules.history.keep {
        Keep::None => return None,
        Keep::Latest => Kept {
            messages_max: 1,
            seconds_max: u32::MAX,
        },
        Keep::Last {
            messages_max,
            age_max,
        } => Kept {
            messages_max,
            seconds_max: u32::try_from(age_max.as_secs()).expect("a short span"),
        },
    };
    rules.history.durable.then_some(kept)
}

/// Who may say something.
const fn speaks(capabilities: &Capabilities) -> Who {
    if capabilities.anonymous.has(Act::Send) {
        Who::Anyone
    } else if capabilities.user.has(Act::Send) {
        Who::Users
    } else {
        Who::Members
    }
}

/// What is asked at a door, by versions.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    password: Option<u64>,
    code: Option<u64>,
    second_factor: bool,
    approval: bool,
    hook: Option<u64>,
}

impl Asked {
    fn of(entry: &EntryRules) -> Self {
        let mut asked = Self::default();
        for step in &entry.steps {
            match step {
                EntryStep::Password(version) => asked.password = Some(version.0),
                EntryStep::RoomCode(version) => asked.code = Some(version.0),
                EntryStep::SecondFactor { .. } => asked.second_factor = true,
                EntryStep::Hook(version) => asked.hook = Some(version.0),
                EntryStep::Approval => asked.approval = true,
            }
        }
        asked
    }
}
