//! The course of a run: trouble, then healing, then everybody must be heard, then everybody goes
//! and nothing may be left.

use porthouse_model::Time;
use porthouse_puddle::Counters;

use super::node::at;
use super::{Event, Failure, World};
use crate::checker::line::Line;
use crate::plan::Broken;
use crate::queue::{MILLIS, Nanos, SECONDS};

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Faults and changes.
    Troubled,
    /// No faults and no changes; everybody comes back.
    Healing,
    /// Everybody is inside, and speaks.
    Settled,
    /// The node goes away, and everybody talks on.
    Draining,
    /// Everybody goes.
    Leaving,
}

/// From healing to when everybody must be inside.
const SETTLES_AFTER: Nanos = 20 * SECONDS;
/// From healing to when everything must be well.
const FINISHED_AFTER: Nanos = 30 * SECONDS;

/// From when it must have gone away to when everybody has heard of it.
const DRAINED_AFTER: Nanos = 2 * SECONDS;

impl Phase {
    pub(crate) fn is_healed(self) -> bool {
        self > Self::Troubled
    }
}

impl World {
    /// The first events.
    pub(super) fn begin(&mut self) {
        self.draw_policy();
        self.draw_clients();
        self.tick();
        self.queue.at(0, Event::Board);
        self.node.board_settles_at = Some(0);
        self.queue.after(100 * MILLIS, Event::Tail);
        self.queue.after(SECONDS, Event::Progress);
        self.queue.after(self.plan.admin_gap, Event::Admin);
        self.watch_idle();
        for fault in self.plan.faults.clone() {
            let what = fault.what;
            self.queue
                .at(fault.from, Event::Fault { what, begins: true });
            let begins = false;
            self.queue.at(fault.until, Event::Fault { what, begins });
        }
    }

    /// Runs to the end, or to the first broken promise.
    pub(crate) fn run(&mut self) -> Result<(), Failure> {
        let heal_at = self.plan.heal_at;
        self.run_until(heal_at);
        self.heal();
        self.run_until(heal_at + SETTLES_AFTER);
        self.settled();
        self.run_until(heal_at + FINISHED_AFTER);
        self.finished();
        let mut until = self.now();
        for _ in 0..12 {
            until += 10 * SECONDS;
            self.run_until(until);
            if self.is_idle() {
                break;
            }
        }
        self.idle();
        self.failure.take().map_or(Ok(()), Err)
    }

    fn heal(&mut self) {
        self.phase = Phase::Healing;
        self.see(&Line::Healed);
        self.heal_links();
        for client in 0..self.plan.clients {
            self.act_within(client, SECONDS);
        }
    }

    fn settled(&mut self) {
        self.phase = Phase::Settled;
        self.see(&Line::Settled);
        self.see_outside();
        for client in 0..self.plan.clients {
            self.act_within(client, SECONDS);
        }
    }

    fn finished(&mut self) {
        self.see(&Line::Finished);
        if self.calls.backend_waits() {
            let told = "P15 is broken: a backend's call was never completed".to_owned();
            self.failure.get_or_insert(Failure::Liveness(told));
        }
        if let Some(span) = self.plan.drains {
            self.drains(span);
        }
        self.phase = Phase::Leaving;
        for client in 0..self.plan.clients {
            self.act_within(client, SECONDS);
        }
    }

    /// The node goes away within so long, and its clients try to come back.
    fn drains(&mut self, span: Nanos) {
        self.phase = Phase::Draining;
        let until = self.now() + span;
        self.see(&Line::Drains { until });
        self.tell_board(porthouse_puddle::Event::Drain {
            until: Time::from_nanos(until),
        });
        for client in 0..self.plan.clients {
            self.act_within(client, SECONDS);
        }
        self.run_until(until + DRAINED_AFTER);
        self.see(&Line::Drained);
    }

    fn is_idle(&self) -> bool {
        let empty = |counters: Counters| {
            counters.sockets == 0 && counters.rooms == 0 && counters.held_bytes == 0
        };
        self.node
            .workers
            .iter()
            .all(|worker| empty(worker.puddle.counters()))
    }

    /// Nothing is left of all those who were here.
    fn idle(&mut self) {
        if self.failure.is_some() || self.is_idle() {
            return;
        }
        let left = self
            .node
            .workers
            .iter()
            .map(|worker| worker.puddle.counters());
        let known = (0_u32..).zip(&self.sockets);
        let known = known.filter_map(|(number, socket)| {
            let socket = socket.as_ref().filter(|socket| socket.id.is_some())?;
            let speech = self.clients[at(socket.client)].speech;
            let (paused, hung_up) = (socket.up_paused, socket.up_ended);
            Some((number, speech, socket.stage, paused, hung_up))
        });
        let told = format!(
            "P16 is broken: something is left: {:?}, sockets: {:?}",
            left.collect::<Vec<_>>(),
            known.collect::<Vec<_>>()
        );
        self.failure = Some(Failure::Liveness(told));
    }

    /// Something breaks, or works again unless it is broken twice.
    pub(super) fn fault(&mut self, what: Broken, begins: bool) {
        let now = self.now();
        let same = self.plan.faults.iter().filter(|fault| fault.what == what);
        let lasting = same.filter(|fault| fault.from <= now && now < fault.until);
        let until = lasting.map(|fault| fault.until).max();
        match what {
            Broken::Control => self.control_fails(until.is_some()),
            Broken::Silence => self.watch_silent(until.is_some()),
            Broken::Database => self.watch.unreadable = until.is_some(),
            Broken::Store => self.store.is_away = until.is_some(),
            Broken::Restart if begins => self.store.restart(now),
            Broken::Cut if begins => self.watch_cut(),
            Broken::Compacted if begins => self.watch_compacted(),
            Broken::Panic(puddle) if begins => self.panics(puddle),
            Broken::Cut | Broken::Compacted | Broken::Panic(_) | Broken::Restart => {}
            Broken::Puddle(puddle) => {
                self.node.workers[usize::from(puddle)].asleep_until = until.unwrap_or(now);
            }
        }
    }
}
