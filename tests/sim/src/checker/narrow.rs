//! Narrow doors (P6): who is on a list, who comes from a page, whether the room is open, how many
//! are inside at once, and how fast something is said. So many at once is judged by what proves
//! that somebody was inside: from when they were told so, to when the last was said that they
//! heard.

use core::num::NonZeroU64;
use std::collections::BTreeMap;

use serde::Serialize;

use super::hash::Table;
use super::line::{Shape, Stamp};
use super::message::{Moment, Receiver};
use super::violation::{Violation, broken};
use super::{Checker, index};

/// The node's clock is told every second.
const SLACK: u64 = 1_500_000_000;
/// What is said over a room's rate is held up, and said no later than this.
const AHEAD: u64 = 1_000_000_000;
/// Of what one said so many in a row are looked at together.
const RUN_MAX: usize = 64;

/// So many a second, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Pace {
    pub(crate) per_second: u16,
    pub(crate) burst: u16,
}

/// What of a door is narrow. By default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Narrow {
    /// The users who may enter, each by a bit, if not all.
    pub(crate) users_allowed: Option<NonZeroU64>,
    pub(crate) users_denied: u64,
    /// The users who may, as members, by the role that they have then.
    pub(crate) roles_allowed: Option<NonZeroU64>,
    pub(crate) roles_denied: u64,
    /// Pages stay outside.
    pub(crate) no_pages: bool,
    /// The room is closed before this moment.
    pub(crate) opens: Option<NonZeroU64>,
    /// And from this one on.
    pub(crate) closes: Option<NonZeroU64>,
    pub(crate) sockets_max: Option<u16>,
    pub(crate) per_client: Option<u16>,
    /// One more of a client's puts out the oldest.
    pub(crate) replaces: bool,
    /// What is said is this.
    pub(crate) shape: Shape,
    pub(crate) per_socket: Option<Pace>,
    pub(crate) by_client: Option<Pace>,
    pub(crate) per_room: Option<Pace>,
    /// So often one network comes in.
    pub(crate) joins: Option<Pace>,
    /// The users who, as members, hear nothing by the role that they have then, and those who
    /// hear everything.
    pub(crate) never: u64,
    pub(crate) always: u64,
}

/// Who comes: which user, whether as a member, and whether a page brings them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Comer {
    pub(crate) user: Option<u32>,
    pub(crate) is_member: bool,
    pub(crate) page: bool,
}

impl Narrow {
    /// Whether the lists let somebody in, and the page they come from.
    pub(crate) fn lets_in(&self, comer: Comer) -> bool {
        let Comer {
            user,
            is_member,
            page,
        } = comer;
        let is_on = |bits: u64| user.is_some_and(|user| bits >> user & 1 == 1);
        let as_member = |bits: u64| is_member && is_on(bits);
        self.users_allowed.is_none_or(|bits| is_on(bits.get()))
            && self.roles_allowed.is_none_or(|bits| as_member(bits.get()))
            && !is_on(self.users_denied)
            && !as_member(self.roles_denied)
            && !(page && self.no_pages)
    }

    /// Whether it matters who is inside, and since when.
    const fn counts(&self) -> bool {
        self.is_paced() || self.sockets_max.is_some() || self.per_client.is_some()
    }

    /// Whether what is said there may come too fast.
    pub(super) const fn is_paced(&self) -> bool {
        self.per_socket.is_some() || self.by_client.is_some() || self.per_room.is_some()
    }

    /// Whether it is closed at a moment, for certain.
    fn is_closed(&self, at: u64) -> bool {
        self.opens.is_some_and(|opens| at < opens.get())
            || self.closes.is_some_and(|closes| at > closes.get() + SLACK)
    }
}

/// Who was inside when, where that is counted; and what was said where that has a pace.
#[derive(Debug, Default)]
pub(crate) struct Crowds {
    stays: Vec<Stay>,
    by_entry: Table<u32, usize>,
    /// By message.
    paced: BTreeMap<u32, Paced>,
    /// The steps at which a part of the node panicked, and forgot what it had counted.
    lost: Vec<u64>,
}

impl Crowds {
    /// A part of the node panicked.
    pub(super) fn may_be_lost(&mut self, step: u64) {
        self.lost.push(step);
    }

    /// Whether something that was counted between these steps may be lost.
    pub(super) fn is_lost(&self, from: u64, until: u64) -> bool {
        self.lost.iter().any(|step| (from..=until).contains(step))
    }
}

#[derive(Clone, Copy, Debug)]
struct Stay {
    socket: u32,
    /// Which of the rooms of its name.
    life: u64,
    client: Option<u128>,
    limits: Narrow,
    /// From which step to which it was inside for certain.
    from: u64,
    until: u64,
}

#[derive(Clone, Copy, Debug)]
struct Paced {
    life: u64,
    sender: u32,
    limits: Narrow,
    spell: Spell,
}

/// Something was taken between these moments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spell {
    pub(super) sent: Moment,
    pub(super) heard: Stamp,
}

impl Checker {
    /// Nothing of a room begins while it is closed.
    pub(super) fn is_not_closed(
        &self,
        socket: u32,
        room: u32,
        written: Stamp,
    ) -> Result<(), Violation> {
        let Some(door) = self.policy.door(room) else {
            return Ok(());
        };
        if door.narrow.is_closed(written.at) && self.is_heard_of(room, written.step) {
            return broken(
                "P6",
                format!("socket {socket} is in {room} at {written:?}, which is closed"),
            );
        }
        Ok(())
    }

    /// Whether the node had these rules already.
    pub(super) fn is_heard_of(&self, room: u32, step: u64) -> bool {
        let heard = self.policy.step_of(self.policy.rules_of(room));
        heard.is_some_and(|heard| heard < step)
    }

    /// Somebody is inside from this step on, for certain.
    pub(super) fn stays(&mut self, entry: u32, step: u64) {
        self.crowds.by_entry.remove(&entry);
        let known = self.entries[index(entry)];
        let Some(door) = self.policy.door(known.room) else {
            return;
        };
        let is_counted = door.narrow.counts();
        if !is_counted || !self.is_heard_of(known.room, step) {
            return;
        }
        let stay = Stay {
            socket: known.socket,
            life: door.identity,
            client: self.sockets[index(known.socket)].client,
            limits: door.narrow,
            from: step,
            until: step,
        };
        self.crowds.by_entry.insert(entry, self.crowds.stays.len());
        self.crowds.stays.push(stay);
    }

    /// Somebody heard something that was said then, and was inside until then.
    pub(super) fn stayed(&mut self, to: Receiver, message: u32, written: Stamp) {
        let Some(sent) = self.messages.sent_at(message) else {
            return;
        };
        if to.inside == u64::MAX {
            return;
        }
        if let Some(&place) = self.crowds.by_entry.get(&to.entry) {
            let stay = &mut self.crowds.stays[place];
            stay.until = stay.until.max(sent.step);
        }
        let Some(door) = self.policy.door(to.room) else {
            return;
        };
        let (life, limits) = (door.identity, door.narrow);
        let Some(sender) = self.messages.sender(message).filter(|_| limits.is_paced()) else {
            return;
        };
        if !self.is_heard_of(to.room, sent.step) || self.messages.may_be_twice(message) {
            return;
        }
        let paced = self.crowds.paced.entry(message).or_insert(Paced {
            life,
            sender,
            limits,
            spell: Spell {
                sent,
                heard: written,
            },
        });
        if written.step < paced.spell.heard.step {
            paced.spell.heard = written;
        }
    }

    /// No more were inside at once than may be, and nothing was said faster than it may be.
    pub(super) fn were_few(&self) -> Result<(), Violation> {
        let mut rooms: BTreeMap<u64, Vec<Stay>> = BTreeMap::new();
        let mut clients: BTreeMap<(u64, u128), Vec<Stay>> = BTreeMap::new();
        for stay in &self.crowds.stays {
            rooms.entry(stay.life).or_default().push(*stay);
            if let Some(client) = stay.client {
                clients.entry((stay.life, client)).or_default().push(*stay);
            }
        }
        for (life, stays) in &rooms {
            let most = stays.first().and_then(|stay| stay.limits.sockets_max);
            at_once(stays, most, &format!("the room {life}"))?;
        }
        for (whose, stays) in &clients {
            let most = stays.first().and_then(|stay| stay.limits.per_client);
            at_once(stays, most, &format!("{whose:?}"))?;
        }
        self.were_slow()
    }

    /// Whether this one was inside from when something was said until it was heard.
    fn is_there(&self, (life, socket): (u64, u32), (from, heard): (&Spell, u64)) -> bool {
        self.crowds.stays.iter().any(|stay| {
            let is_meant = stay.life == life && stay.socket == socket;
            is_meant && stay.from <= from.sent.step && stay.until >= heard
        })
    }

    fn were_slow(&self) -> Result<(), Violation> {
        let mut rooms: BTreeMap<u64, Said> = BTreeMap::new();
        let mut clients: BTreeMap<(u64, u128), Said> = BTreeMap::new();
        let mut senders: BTreeMap<(u64, u32), Said> = BTreeMap::new();
        for paced in self.crowds.paced.values() {
            rooms.entry(paced.life).or_default().put(paced);
            let of_sender = senders.entry((paced.life, paced.sender)).or_default();
            of_sender.put(paced);
            if let Some(client) = self.sockets[index(paced.sender)].client {
                let of_client = clients.entry((paced.life, client)).or_default();
                of_client.put(paced);
            }
        }
        let is_kept = |from: &Spell, heard| !self.crowds.is_lost(from.sent.step, heard);
        for (life, said) in &mut rooms {
            let pace = said.limits.per_room;
            in_pace(
                &mut said.spells,
                (pace, AHEAD),
                is_kept,
                &format!("the room {life}"),
            )?;
        }
        for (whose, said) in &mut clients {
            let pace = said.limits.by_client;
            in_pace(&mut said.spells, (pace, 0), is_kept, &format!("{whose:?}"))?;
        }
        for (whose, said) in &mut senders {
            let pace = said.limits.per_socket;
            // What is counted of a socket is forgotten when it leaves.
            let is_same = |from: &Spell, heard| self.is_there(*whose, (from, heard));
            in_pace(&mut said.spells, (pace, 0), is_same, &format!("{whose:?}"))?;
        }
        Ok(())
    }
}

/// What was said where that has a pace.
#[derive(Debug, Default)]
struct Said {
    limits: Narrow,
    spells: Vec<Spell>,
}

impl Said {
    fn put(&mut self, paced: &Paced) {
        self.limits = paced.limits;
        self.spells.push(paced.spell);
    }
}

/// No more of these at any step.
fn at_once(stays: &[Stay], most: Option<u16>, whose: &str) -> Result<(), Violation> {
    let Some(most) = most else {
        return Ok(());
    };
    let proven = stays.iter().filter(|stay| stay.from < stay.until);
    // Who goes at a step makes room for who comes at it.
    let mut turns: Vec<(u64, i64)> = proven
        .flat_map(|stay| [(stay.from, 1), (stay.until, -1)])
        .collect();
    turns.sort_unstable();
    let mut inside = 0;
    for (step, turn) in turns {
        inside += turn;
        if inside > i64::from(most) {
            return broken(
                "P6",
                format!("{inside} sockets of {whose} are inside at step {step}, {most} may be"),
            );
        }
    }
    Ok(())
}

/// No more of what was taken within any span than that lets through.
pub(super) fn in_pace(
    said: &mut [Spell],
    (pace, ahead): (Option<Pace>, u64),
    is_same: impl Fn(&Spell, u64) -> bool,
    whose: &str,
) -> Result<(), Violation> {
    let Some(pace) = pace else {
        return Ok(());
    };
    said.sort_unstable_by_key(|spell| (spell.sent.step, spell.heard.step));
    for (first, from) in said.iter().enumerate() {
        let mut heard = from.heard;
        for (count, spell) in (1_u64..).zip(said[first..].iter().take(RUN_MAX)) {
            if spell.heard.step > heard.step {
                heard = spell.heard;
            }
            let span = u128::from(heard.at - from.sent.at + ahead);
            let more = span * u128::from(pace.per_second) / 1_000_000_000;
            let most = u128::from(pace.burst) + more + 1;
            if u128::from(count) > most && is_same(from, heard.step) {
                return broken(
                    "P6",
                    format!("{count} of {whose} are taken from {from:?} on: {pace:?}"),
                );
            }
        }
    }
    Ok(())
}
