//! The end of a turn: deadlines that are due, then one write to each socket that
//! has something to be told, room by room, within a slice.

use core::time::Duration;

use porthouse_model::{Refused, Time};

use super::{Drain, Puddle};
use crate::input::SocketId;
use crate::outbox::{Flushed, Pressure};
use crate::output::{Deadline, Output, Shell, WireForm};
use crate::sequence::Event;
use crate::socket::Phase;
use crate::upgrade::BadUpgrade;
use crate::wire::frame;
use crate::wire::multiplexed::Event as Told;

/// What a write costs, about: `send` on a loopback socket, whatever its length.
const WRITE_COST: Duration = Duration::from_micros(4);
/// After writing to all rooms, or to so many sockets, those rooms wait for a part of the
/// time that it took: so that more is said in each write when there is much to say.
const PACED_WRITES: usize = 1_024;
/// This part.
const PACE_PART: u32 = 8;
/// And no longer than this.
const PACE_MAX: Duration = Duration::from_millis(1);
/// The part of a drain's time in which sockets are told to go.
const DRAIN_TELL: f64 = 0.8;
/// How often some more are told.
const DRAIN_STEP: Duration = Duration::from_millis(20);

/// Since the last pause.
#[derive(Debug, Default)]
pub(super) struct Pacing {
    /// When the last flush began, and its writes, until it is known how long it took.
    flushed: Option<(Time, usize)>,
    /// Writes before that, and how long they took.
    writes: usize,
    took: Duration,
}

impl Puddle {
    pub(super) fn writable(&mut self, id: SocketId) {
        if self.sockets.get(id).is_some() {
            self.thin(id, Pressure::Resumed);
            self.outbox.unblock(id.slot);
        }
    }

    /// Looks at every socket whose moment has come.
    pub(super) fn wake(&mut self) {
        while let Some(id) = self.timers.due(self.now) {
            let silence_max = self.settings.silence_time_max;
            let Some(socket) = self.sockets.get_mut(id) else {
                continue;
            };
            if socket.armed > self.now {
                continue;
            }
            socket.armed = Time::END;
            if socket.deadline(silence_max) <= self.now {
                self.overdue(id);
            }
            self.arm(id);
        }
    }

    fn overdue(&mut self, id: SocketId) {
        let now = self.now;
        let Some(socket) = self.sockets.get_mut(id) else {
            return;
        };
        match &socket.phase {
            Phase::Upgrading { .. } => return self.refuse_bad(id, &BadUpgrade::SLOW),
            Phase::Closing { .. } => return self.hang_up(id),
            Phase::Knocking(knock) => {
                let room = knock.entry.room.clone();
                return self.advance(id, &room, Event::Late);
            }
            Phase::Raw(stay, _) if stay.until <= now => {
                let room = stay.room;
                return self.judge(id, room);
            }
            Phase::Raw(..) => {}
            Phase::Multiplexed(lobby) => {
                if lobby.session_ended(now) {
                    return self.close_refused(id, Refused::SessionExpired);
                }
                let is_idle = lobby.is_idle() && lobby.idle_until <= now;
                if is_idle || lobby.is_unbound(now) {
                    return self.close_refused(id, Refused::EntryTooSlow);
                }
                self.tell_endings(id);
                let Some(lobby) = self.lobby_mut(id) else {
                    return;
                };
                let rooms: Vec<_> = lobby.stays_over(now);
                let late: Vec<_> = lobby.entries_over(now);
                for room in rooms {
                    self.judge(id, room);
                }
                for room in late {
                    self.advance(id, &room, Event::Late);
                }
            }
        }
        self.listen(id);
    }

    /// A socket that has been silent is asked whether it is there; one that does
    /// not answer is not.
    fn listen(&mut self, id: SocketId) {
        let silence_max = self.settings.silence_time_max;
        let Some(socket) = self.sockets.get_mut(id) else {
            return;
        };
        if self.now.since(socket.heard) < silence_max {
            return;
        }
        if socket.form == WireForm::EventStream {
            self.keep_stream(id);
        } else if !socket.pinged {
            socket.pinged = true;
            self.tell(id, |out| frame::ping(b"", out));
        } else if self.now.since(socket.heard) >= silence_max * 2 {
            self.hang_up(id);
        }
    }

    /// Writes to the sockets whose turn it is.
    pub(super) fn flush(&mut self, shell: &mut impl Shell) {
        if self.now >= self.paced_until {
            self.outbox.go_on();
        } else if !self.outbox.is_ready() {
            return;
        }
        let mut writes = 0;
        while writes < self.settings.slice_sockets_max
            && let Some(slot) = self.outbox.next()
        {
            let Some(id) = self.sockets.in_slot(slot).map(|socket| socket.id) else {
                continue;
            };
            writes += 1;
            let flushed = self.outbox.flush(id, shell);
            if let Some(socket) = self.sockets.get_mut(id) {
                socket.unanswered = false;
            }
            match flushed {
                Flushed::Clean => self.written(id),
                Flushed::Gone => self.hang_up(id),
                Flushed::Blocked { bytes } if bytes > self.settings.socket_backlog_bytes_max => {
                    self.keep_backlog(id);
                }
                Flushed::Blocked { .. } | Flushed::More => {}
            }
        }
        self.outbox.end_turn();
        self.keep_memory();
        self.pacing.flushed = Some((self.now, writes));
    }

    /// The first moment after a flush: how long it took is known now, unless the
    /// puddle has slept since; then nothing is waiting that could be merged.
    pub(super) fn pace(&mut self) {
        let Some((began, writes)) = self.pacing.flushed.take() else {
            return;
        };
        let took = self.now.since(began);
        let expected = WRITE_COST * u32::try_from(writes).unwrap_or(u32::MAX);
        if took >= expected * 2 {
            self.pacing = Pacing::default();
            return;
        }
        self.pacing.writes += writes;
        self.pacing.took += took;
        if self.pacing.writes >= PACED_WRITES || !self.outbox.is_ready() {
            self.paced_until = self.now + (self.pacing.took / PACE_PART).min(PACE_MAX);
            self.pacing = Pacing::default();
            self.outbox.pause();
        }
    }

    /// A socket that has nothing more to be told and nothing to wait for ends.
    fn written(&mut self, id: SocketId) {
        let Some(socket) = self.sockets.get(id) else {
            return;
        };
        if matches!(socket.phase, Phase::Closing { answered: true, .. }) {
            self.hang_up(id);
        }
    }

    /// Everything up to here holds, and is written or next to be.
    pub(super) fn acknowledge(&mut self) {
        if let Some(revision) = self.policy.settled()
            && revision > self.acknowledged
        {
            self.acknowledged = revision;
            self.outputs.push(Output::Applied { revision });
        }
    }

    pub(super) fn drain(&mut self, until: Time) {
        let slots = self.sockets.slots();
        self.drain = Some(Drain {
            began: self.now,
            until,
            slot: 0,
            slots,
            busy: Vec::new(),
        });
        let delay = until.since(self.now);
        let told: Vec<SocketId> = self.sockets.iter().map(|socket| socket.id).collect();
        for id in told {
            if self.lobby_mut(id).is_some() {
                let delay_ms = u64::try_from(delay.mul_f64(DRAIN_TELL).as_millis());
                let draining = Told::Draining {
                    delay_ms: delay_ms.unwrap_or(u64::MAX),
                };
                self.tell(id, |out| draining.frame(out));
            }
        }
    }

    /// Sockets are closed one after the other, so that they do not all come to
    /// the other nodes at once.
    pub(super) fn keep_draining(&mut self) {
        let Some(mut drain) = self.drain.take() else {
            return;
        };
        let whole = drain
            .until
            .since(drain.began)
            .mul_f64(DRAIN_TELL)
            .as_secs_f64();
        let gone = self.now.since(drain.began).as_secs_f64();
        let part = if whole > 0.0 {
            (gone / whole).min(1.0)
        } else {
            1.0
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a part of a number of slots is one"
        )]
        let due = (f64::from(drain.slots) * part).ceil() as u32;
        let next = (drain.slot..due).filter_map(|slot| self.sockets.in_slot(slot));
        drain.busy.extend(next.map(|socket| socket.id));
        // While there is time, whoever is still being told something hears the rest.
        let (busy, free): (Vec<_>, Vec<_>) = std::mem::take(&mut drain.busy)
            .into_iter()
            .filter(|id| self.sockets.get(*id).is_some())
            .partition(|id| part < 1.0 && !self.outbox.is_empty(id.slot));
        for id in free {
            self.send_away(id);
        }
        drain.busy = busy;
        drain.slot = drain.slot.max(due);
        self.drain = Some(drain);
    }

    fn send_away(&mut self, id: SocketId) {
        match self.sockets.get(id).map(|socket| &socket.phase) {
            Some(Phase::Upgrading { .. }) => self.refuse_request(id, Refused::Draining),
            Some(Phase::Knocking(_) | Phase::Raw(..) | Phase::Multiplexed(_)) => {
                self.close_refused(id, Refused::Draining);
            }
            Some(Phase::Closing { .. }) | None => {}
        }
    }

    /// When to settle again, at the latest.
    pub(super) fn next_deadline(&self) -> Option<Deadline> {
        let at = |at, reason| Deadline { at, reason };
        let turn = self.outbox.is_waiting().then(|| {
            let ready = self.outbox.is_ready();
            at(
                if ready {
                    self.now
                } else {
                    self.paced_until.max(self.now)
                },
                "sockets to write to",
            )
        });
        let socket = self.timers.next().map(|due| at(due, "a socket's deadline"));
        let policy = self
            .policy
            .deadline()
            .map(|due| at(due, "policy to ask for"));
        let drain = self.drain.as_ref().filter(|drain| drain.is_under_way());
        let drain = drain.map(|_| at(self.now + DRAIN_STEP, "sockets to send away"));
        let foreseeing = self.foreseeing.is_under_way();
        let foreseeing = foreseeing.then(|| at(self.now, "sockets to judge"));
        let stale = self
            .stale_at()
            .map(|due| at(due, "rooms whose policy grows old"));
        let homes = self.homes.deadline();
        let homes = homes.map(|due| at(due, "a room's home to forget"));
        let forgetting = self.storing.forgetting.deadline();
        let forgetting = forgetting.map(|due| at(due, "a store to be asked again"));
        let resting = self.resting.first();
        let resting = resting.map(|due| at(due, "sockets to read again"));
        [
            turn, socket, policy, drain, foreseeing, stale, homes, forgetting, resting,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn stale_at(&self) -> Option<Time> {
        let age = self.policy.age(self.now);
        let first = self.strict.first()?;
        // Just past it: at the bound itself a room still delivers.
        Some(self.now + first.saturating_sub(age) + Duration::from_nanos(1))
    }
}
