//! What sockets are sent: each frame stands once in a log, and a socket's queue
//! is a short run of places in it. Writing is one call a socket and turn.
//!
//! Owns the logs, the queues and who is written to next. Never looks into a
//! frame and never decides who receives it.

mod log;
mod run;
mod queue;
mod thinning;
mod turns;

use std::collections::BTreeMap;
use std::io::IoSlice;

use crate::input::SocketId;
use crate::output::{Shell, WireForm, Wrote};
pub(crate) use log::Span;
use log::{Logs, What};
use queue::Queue;
use run::Run;
pub(crate) use run::{Audience, Frames, Seat};
pub(crate) use thinning::{Pressure, Thinned};
use turns::Turns;

/// Below this a run of several places is copied together and written as one
/// slice, which is cheaper than a vector of them.
const COPY_BYTES_MAX: usize = 4 * 1024;
/// Slices in one vectored write.
const SLICES_MAX: usize = 64;

/// In which turn order a socket is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Before all rooms: answers, refusals, close frames.
    Control,
    /// With the others of this room; rooms take turns.
    Room(u32),
}

/// What became of a socket that was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// Nothing is left.
    Clean,
    /// It took all that it was offered, and is offered more in this turn.
    More,
    /// It takes no more now; so many bytes are left.
    Blocked {
        /// Left, in bytes.
        bytes: usize,
    },
    /// The connection is broken.
    Gone,
}

/// The outbox of a puddle.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    logs: Logs,
    queues: Vec<Queue>,
    turns: Turns,
    /// Not in any queue yet. What looks at a queue puts it there first.
    run: Run,
    scratch: Scratch,
}

/// The run that was copied together last, kept for the next socket with the
/// same one.
#[derive(Debug, Default)]
struct Scratch {
    spans: Vec<Span>,
    bytes: Vec<u8>,
}

impl Outbox {
    /// Makes room for a socket in this slot.
    pub(crate) fn open(&mut self, slot: u32) {
        self.spread();
        let at = slot as usize;
        if self.queues.len() <= at {
            self.queues.resize_with(at + 1, Queue::default);
        }
        debug_assert!(
            self.queues[at].is_empty(),
            "a slot is cleared before it is used again"
        );
    }

    /// Forgets what a slot still holds.
    pub(crate) fn clear(&mut self, slot: u32) {
        self.spread();
        let queue = &mut self.queues[slot as usize];
        for span in queue.spans() {
            self.logs.release(*span);
        }
        *queue = Queue::default();
    }

    /// Adds a frame that must arrive to a form's log and answers its place.
    /// `write` appends it.
    pub(crate) fn frame(
        &mut self,
        form: WireForm,
        lane: Lane,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Span {
        let what = match lane {
            Lane::Control => What::Control,
            Lane::Room(room) => What::Event(room),
        };
        self.logs.append(form, what, write)
    }

    /// The same for what is said in a room, which a socket that reads too slowly
    /// may miss.
    pub(crate) fn message(
        &mut self,
        form: WireForm,
        room: u32,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Span {
        self.logs.append(form, What::Message(room), write)
    }

    /// Queues a message for all who sit in a room. Answers for how many.
    pub(crate) fn broadcast(&mut self, audience: &Audience<'_>, frames: &Frames) -> u64 {
        if !self.run.is_heard_by(audience) {
            let receivers = audience.receivers();
            if receivers == 0 {
                return 0;
            }
            self.spread();
            self.run.begin(audience, receivers);
        }
        self.run.add(frames)
    }

    /// Puts the run into its receivers' queues.
    #[inline]
    fn spread(&mut self) {
        if !self.run.is_empty() {
            self.spread_run();
        }
    }

    fn spread_run(&mut self) {
        let mut run = std::mem::take(&mut self.run);
        let lane = Lane::Room(run.room());
        run.each(|slot, span| self.enqueue(slot, span, lane));
        run.clear();
        self.run = run;
    }

    /// Queues a frame for a socket.
    pub(crate) fn push(&mut self, slot: u32, span: Span, lane: Lane) {
        self.spread();
        self.enqueue(slot, span, lane);
    }

    /// The innermost loop of a fan-out.
    #[inline]
    fn enqueue(&mut self, slot: u32, span: Span, lane: Lane) {
        let queue = &mut self.queues[slot as usize];
        if !queue.extend(span) {
            queue.start(span);
            self.logs.hold(span);
        }
        match lane {
            Lane::Control => {
                if queue.mark_urgent() {
                    self.turns.urgent(slot);
                }
            }
            Lane::Room(room) => {
                if queue.mark_dirty() {
                    self.turns.room(room, slot);
                }
            }
        }
    }

    /// Drops what a socket has queued, but for the rest of a frame already begun.
    pub(crate) fn cut(&mut self, slot: u32) {
        self.spread();
        let Some(&first) = self.queues[slot as usize].spans().first() else {
            return;
        };
        let begun = self.logs.rest_of_frame(first);
        self.replace(slot, begun.into_iter().collect());
    }

    /// Drops what a socket has queued, but for the first frame.
    pub(crate) fn cut_behind_first(&mut self, slot: u32) {
        self.spread();
        let first = self.queues[slot as usize].spans().first().copied();
        let first = first.map(|first| self.logs.first_frame(first));
        self.replace(slot, first.into_iter().collect());
    }

    /// Drops what a room has said from a socket's queue, but for the rest of a
    /// frame already begun.
    pub(crate) fn cut_room(&mut self, slot: u32, room: u32) {
        self.spread();
        let queue = &mut self.queues[slot as usize];
        if queue.is_empty() {
            return;
        }
        let kept = self.logs.without_room(queue.spans(), room);
        self.replace(slot, kept);
    }

    fn replace(&mut self, slot: u32, kept: Vec<Span>) {
        let queue = &mut self.queues[slot as usize];
        for span in &kept {
            self.logs.hold(*span);
        }
        for span in queue.spans() {
            self.logs.release(*span);
        }
        queue.replace(kept);
    }

    /// The socket takes more: it is written to in this turn.
    pub(crate) fn unblock(&mut self, slot: u32) {
        self.spread();
        let queue = &mut self.queues[slot as usize];
        queue.unblock();
        if !queue.is_empty() && queue.mark_urgent() {
            self.turns.urgent(slot);
        }
    }

    /// How much is queued for a socket, but for the run of this turn.
    pub(crate) fn bytes(&self, slot: u32) -> usize {
        self.queues[slot as usize].bytes()
    }

    /// Whether nothing is queued for a socket.
    pub(crate) fn is_empty(&mut self, slot: u32) -> bool {
        self.spread();
        self.queues[slot as usize].is_empty()
    }

    /// The next socket to be written to in this turn.
    pub(crate) fn next(&mut self) -> Option<u32> {
        self.spread();
        self.turns.next()
    }

    /// Whether somebody is written to next, though the puddle pauses.
    pub(crate) fn is_ready(&self) -> bool {
        self.turns.is_ready() || (!self.run.is_empty() && !self.turns.rests(self.run.room()))
    }

    /// Whether sockets wait for their turn.
    pub(crate) fn is_waiting(&self) -> bool {
        self.turns.is_waiting() || !self.run.is_empty()
    }

    /// A pause begins for the rooms that were written to since the last.
    pub(crate) fn pause(&mut self) {
        self.turns.pause();
    }

    /// The pause is over, if there was one.
    pub(crate) fn go_on(&mut self) {
        self.turns.go_on();
    }

    /// Writes to a socket what it takes.
    pub(crate) fn flush(&mut self, socket: SocketId, shell: &mut impl Shell) -> Flushed {
        self.spread();
        let queue = &mut self.queues[socket.slot as usize];
        queue.unmark();
        if queue.is_empty() {
            return Flushed::Clean;
        }
        if queue.is_blocked() {
            return Flushed::Blocked {
                bytes: queue.bytes(),
            };
        }
        let (wrote, offered) = match queue.spans() {
            [span] => {
                let wrote = shell.write(socket, &[IoSlice::new(self.logs.bytes(*span))]);
                (wrote, span.len())
            }
            spans if queue.bytes() <= COPY_BYTES_MAX => {
                let run = self.scratch.copy(spans, &self.logs);
                (shell.write(socket, &[IoSlice::new(run)]), run.len())
            }
            spans => {
                let mut slices = [IoSlice::new(&[]); SLICES_MAX];
                let count = spans.len().min(SLICES_MAX);
                for (slice, span) in slices.iter_mut().zip(spans) {
                    *slice = IoSlice::new(self.logs.bytes(*span));
                }
                let offered = spans[..count].iter().map(|span| span.len()).sum();
                (shell.write(socket, &slices[..count]), offered)
            }
        };
        self.wrote(socket.slot, wrote, offered)
    }

    fn wrote(&mut self, slot: u32, wrote: Wrote, offered: usize) -> Flushed {
        let queue = &mut self.queues[slot as usize];
        let taken = match wrote {
            Wrote::Gone => return Flushed::Gone,
            Wrote::Part(bytes) => {
                queue.block();
                bytes
            }
            Wrote::All => offered,
        };
        queue.advance(taken, |span| self.logs.release(span));
        if queue.is_empty() {
            return Flushed::Clean;
        }
        if queue.is_blocked() {
            return Flushed::Blocked {
                bytes: queue.bytes(),
            };
        }
        if queue.mark_urgent() {
            self.turns.urgent(slot);
        }
        Flushed::More
    }

    /// Ends a turn: logs that nobody holds are emptied, and used again.
    pub(crate) fn end_turn(&mut self) {
        self.spread();
        self.logs.recycle();
        self.scratch.spans.clear();
    }

    /// Bytes held by all queues, shared ones counted once.
    pub(crate) const fn held_bytes(&self) -> usize {
        self.logs.held_bytes()
    }

    /// The logs that were opened first, oldest first, of at least so many bytes
    /// together: what must go when too much is held. Nothing more is added to
    /// them. With each come the sockets that keep it from being freed, in order of
    /// their slots. However many logs there are, the queues are walked once.
    pub(crate) fn oldest_logs(&mut self, bytes: usize) -> Vec<(u32, Vec<u32>)> {
        self.spread();
        let oldest = self.logs.oldest_held(bytes);
        for log in &oldest {
            self.logs.seal(*log);
        }
        let mut holders: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (slot, queue) in self.queues.iter().enumerate() {
            let slot = u32::try_from(slot).expect("slots are 32 bits");
            for span in queue.spans() {
                let log = span.log();
                if !oldest.contains(&log) {
                    continue;
                }
                let theirs = holders.entry(log).or_default();
                if theirs.last() != Some(&slot) {
                    theirs.push(slot);
                }
            }
        }
        let with_holders = oldest.into_iter();
        with_holders
            .map(|log| (log, holders.remove(&log).unwrap_or_default()))
            .collect()
    }

    /// Whether a socket still keeps a log from being freed.
    pub(crate) fn holds(&mut self, slot: u32, log: u32) -> bool {
        self.spread();
        let spans = self.queues[slot as usize].spans();
        spans.iter().any(|span| span.is_in(log))
    }

    /// A room is gone: its place among the turns is free for another.
    pub(crate) fn forget_room(&mut self, room: u32) {
        self.spread();
        self.turns.forget(room);
    }

    /// Every invariant.
    pub(crate) fn check(&self) {
        self.logs.check(
            self.queues
                .iter()
                .flat_map(|queue| queue.spans().iter().copied()),
        );
        for queue in &self.queues {
            queue.check();
        }
    }
}

impl Scratch {
    fn copy(&mut self, spans: &[Span], logs: &Logs) -> &[u8] {
        if self.spans != spans {
            self.spans.clear();
            self.spans.extend_from_slice(spans);
            self.bytes.clear();
            for span in spans {
                self.bytes.extend_from_slice(logs.bytes(*span));
            }
        }
        &self.bytes
    }
}
