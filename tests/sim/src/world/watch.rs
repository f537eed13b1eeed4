//! The watch between control plane and switchboard: opened, read, delayed, silent, cut. Says only
//! what the tailer read, unless a bug is planted.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use porthouse_model::{ChangeItem, RoomName};
use porthouse_puddle::{Position, WatchEnd, WatchId};

use super::{Event, World};
use crate::control::{Feed, Frame};
use crate::plant::{Plant, forget_some};
use crate::queue::{MILLIS, Nanos, SECONDS};

/// How often the tailer reads without being woken.
const POLL: Nanos = 250 * MILLIS;

/// The one watch of the node.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// What was opened last, and from where.
    asked: Option<(u64, Option<Position>)>,
    feed: Option<Feed>,
    under_way: VecDeque<(u64, Frame)>,
    polls_at: Nanos,
    /// Places before this revision are not in the log any more.
    cut: u64,
    silent: bool,
    pub(crate) down: bool,
    pub(crate) unreadable: bool,
    /// Revisions until whose application administrators wait.
    waited_for: Vec<u64>,
    /// Revisions that made a room.
    made: BTreeSet<u64>,
    /// When a puddle heard last that another sends it a room's messages.
    pub(crate) entered: BTreeMap<(u8, u8, RoomName), Nanos>,
}

impl Watch {
    /// The watch that is open now.
    pub(crate) fn open(&self) -> Option<u64> {
        self.feed?;
        self.asked.map(|(watch, _)| watch)
    }

    pub(crate) const fn is_silent(&self) -> bool {
        self.silent
    }

    /// An administrator waits until this is applied.
    pub(crate) fn wait(&mut self, revision: u64) {
        self.waited_for.push(revision);
    }

    pub(crate) fn makes_a_room(&mut self, revision: u64) {
        self.made.insert(revision);
    }

    pub(crate) fn made_a_room(&self, revision: u64) -> bool {
        self.made.contains(&revision)
    }
}

impl World {
    pub(super) fn open_watch(&mut self, watch: WatchId, from: Option<Position>) {
        self.watch.asked = Some((watch.0, from));
        self.watch.feed = None;
        self.watch.under_way.clear();
        self.after(self.plan.rpc_delay, Event::Opened(watch.0));
    }

    pub(super) fn watch_opened(&mut self, watch: u64) {
        let Some((asked, from)) = self.watch.asked.filter(|(asked, _)| *asked == watch) else {
            return;
        };
        if self.watch.down || self.watch.unreadable {
            return self.watch_ends(asked, WatchEnd::Retry);
        }
        let Some(feed) = Feed::open(&self.control, from, self.watch.cut) else {
            return self.watch_ends(asked, WatchEnd::Resync);
        };
        self.watch.feed = Some(feed);
        self.send_frame(feed.opened());
        self.read_log();
    }

    fn watch_ends(&mut self, watch: u64, reason: WatchEnd) {
        self.watch.feed = None;
        self.watch.under_way.clear();
        self.watch.asked = None;
        let watch = WatchId(watch);
        self.tell_board(porthouse_puddle::Event::WatchLost { watch, reason });
    }

    fn send_frame(&mut self, frame: Frame) {
        let Some((watch, _)) = self.watch.asked else {
            return;
        };
        self.watch.under_way.push_back((watch, frame));
        let delay = self.plan.rpc_delay.min(50 * MILLIS);
        self.after(delay, Event::Frame);
    }

    /// The tailer reads: woken, or because it is time.
    pub(super) fn tail(&mut self) {
        if self.now() >= self.watch.polls_at {
            self.watch.polls_at = self.now() + POLL;
            self.queue.after(POLL, Event::Tail);
        }
        self.read_log();
    }

    fn read_log(&mut self) {
        if self.watch.down || self.watch.unreadable {
            return;
        }
        let Some(feed) = self.watch.feed.as_mut() else {
            return;
        };
        for frame in feed.read(&self.control) {
            self.send_frame(frame);
        }
    }

    pub(super) fn progress(&mut self) {
        self.queue.after(SECONDS, Event::Progress);
        self.read_log();
        let has_read = !self.watch.unreadable || self.plant == Some(Plant::ProgressFromTimer);
        if let Some(feed) = self.watch.feed
            && has_read
        {
            self.send_frame(feed.progress());
        }
    }

    /// The first frame under way arrives.
    pub(super) fn frame(&mut self) {
        if self.watch.silent {
            return;
        }
        let Some((watch, frame)) = self.watch.under_way.pop_front() else {
            return;
        };
        let watch = WatchId(watch);
        let event = match frame {
            Frame::Opened { head } => porthouse_puddle::Event::WatchOpened { watch, head },
            Frame::Progress { head } => porthouse_puddle::Event::Progress { watch, head },
            Frame::Change(mut row) => {
                for item in &mut row.change.items {
                    if let ChangeItem::Room(room) = item {
                        forget_some(self.plant, room);
                    }
                }
                if self.plant == Some(Plant::AcknowledgedEarly) {
                    let revision = row.change.revision.0;
                    self.see(&crate::checker::line::Line::Acknowledged { revision });
                }
                if self.plant == Some(Plant::WaitsForHearing) {
                    self.is_applied(row.change.revision.0);
                }
                porthouse_puddle::Event::Changed {
                    watch,
                    change: row.change,
                    payload: row.payload,
                    chain: row.chain,
                }
            }
        };
        self.tell_board(event);
    }

    /// The control plane takes everything up to here for applied: whoever waits hears of it.
    pub(super) fn is_applied(&mut self, revision: u64) {
        let before = self.watch.waited_for.len();
        self.watch.waited_for.retain(|waited| *waited > revision);
        if self.watch.waited_for.len() < before {
            self.after(self.plan.rpc_delay, Event::Waited(revision));
        }
    }

    pub(super) fn watch_silent(&mut self, begins: bool) {
        self.watch.silent = begins;
        if !begins {
            for _ in 0..self.watch.under_way.len() {
                self.queue.after(MILLIS, Event::Frame);
            }
        }
    }

    pub(super) fn watch_cut(&mut self) {
        if let Some((watch, _)) = self.watch.asked
            && self.watch.feed.is_some()
        {
            self.watch_ends(watch, WatchEnd::Retry);
        }
    }

    /// The log is cut at its head, or rewound so that the head is unknown too.
    pub(super) fn watch_compacted(&mut self) {
        self.watch.cut = self.control.head().revision.0 + self.chance.below(2);
        self.watch_cut();
    }

    /// The control plane is gone, or back.
    pub(super) fn control_fails(&mut self, begins: bool) {
        self.watch.down = begins;
        if begins {
            self.watch_cut();
        }
    }
}
