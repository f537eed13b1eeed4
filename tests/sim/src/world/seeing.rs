//! Whose sessions have sockets: what the puddles tell of it, kept until it is said on the watch, and
//! what the control plane makes of that: sessions that nobody has seen for long end.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use porthouse_model::SessionId;

use super::{Event, Phase, World};
use crate::control::Intent;
use crate::queue::{MILLIS, Nanos, SECONDS};

/// How often the node says what it was told.
const SAID_EVERY: Nanos = 500 * MILLIS;

/// What was told and is not said yet, and what is on its way.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    sessions: BTreeSet<SessionId>,
    /// When each puddle last told; all must have since it was last said.
    told: BTreeMap<u8, Nanos>,
    under_way: VecDeque<Report>,
}

/// What the node says on a watch: all whom it saw until then.
#[derive(Debug)]
struct Report {
    watch: u64,
    until: Nanos,
    sessions: Vec<SessionId>,
}

impl World {
    /// Sessions may be idle for so long here.
    pub(super) fn watch_idle(&mut self) {
        if self.plan.reach.idle > 0 {
            self.queue.after(SAID_EVERY, Event::Say);
            self.queue.after(self.plan.reach.idle / 4, Event::Idle);
        }
    }

    /// A puddle tells whose sessions have, or had, a socket.
    pub(super) fn puddle_saw(&mut self, puddle: u8, sessions: Vec<SessionId>) {
        if self.plan.reach.idle > 0 {
            self.seen.sessions.extend(sessions);
            self.seen.told.insert(puddle, self.queue.now());
        }
    }

    /// The node says it, once all its puddles have told.
    pub(super) fn say_seen(&mut self) {
        self.queue.after(SAID_EVERY, Event::Say);
        let Some(watch) = self.watch.open() else {
            return;
        };
        if self.seen.told.len() < usize::from(self.plan.puddles) {
            return;
        }
        let told = std::mem::take(&mut self.seen.told);
        let until = told.into_values().min().expect("a puddle");
        let sessions = std::mem::take(&mut self.seen.sessions);
        self.seen.under_way.push_back(Report {
            watch,
            until,
            sessions: sessions.into_iter().collect(),
        });
        let delay = self.plan.rpc_delay.min(50 * MILLIS);
        self.queue.after(delay, Event::Seen);
    }

    /// The control plane hears it, if the watch is still the same.
    pub(super) fn seen(&mut self) {
        let Some(report) = self.seen.under_way.pop_front() else {
            return;
        };
        let is_heard = self.watch.open() == Some(report.watch) && !self.watch.unreadable;
        if is_heard {
            let idle = self.plan.reach.idle;
            self.control.see(&report.sessions, report.until, idle);
        }
    }

    /// The control plane looks for sessions that nobody has seen for too long.
    pub(super) fn end_idle(&mut self) {
        if self.phase != Phase::Troubled {
            return;
        }
        let idle = self.plan.reach.idle;
        self.queue.after((idle / 4).max(SECONDS / 10), Event::Idle);
        if self.watch.down || self.watch.unreadable {
            return;
        }
        if let Some((seen_before, sessions)) = self.control.idle(idle) {
            let transaction = self.commit.begin(Intent::EndIdle {
                seen_before,
                sessions,
            });
            self.queue.after(MILLIS, Event::Number(transaction.0));
        }
    }
}
