//! Turns of the node's parts: inputs in, settled, outputs to where they go. The planted bugs that
//! live between the parts are here.

use core::time::Duration;
use std::sync::Arc;

use porthouse_model::Time;
use porthouse_puddle::{Action, Hop, Input, Output, PuddleId, RoomMessage, ToPuddle};

use super::node::{Hands, Told, place};
use super::{Event, World};
use crate::plant::{
    Plant, to_nowhere, with_another_byte, without_predicate, without_rooms, without_some,
};
use crate::queue::{MICROS, MILLIS, Nanos};

/// Of so many turns one is followed by a look at every invariant.
const CHECKED_STEPS: u64 = 64;

impl World {
    /// A puddle that sleeps takes nothing: what comes for it comes again when it wakes.
    pub(super) fn sleeps(&mut self, puddle: u8, event: Event) -> bool {
        let wakes_at = self.node.workers[usize::from(puddle)].asleep_until;
        let sleeps = wakes_at > self.now();
        if sleeps {
            self.queue.at(wakes_at, event);
        }
        sleeps
    }

    /// One input, and a turn that ends soon.
    pub(super) fn input(&mut self, puddle: u8, input: Input<'_>) {
        self.inputs += 1;
        let now = self.time();
        let worker = &mut self.node.workers[usize::from(puddle)];
        worker.black_box.handle(&mut worker.puddle, now, input);
        self.settle_soon(puddle);
    }

    pub(super) fn settle_soon(&mut self, puddle: u8) {
        let delay = if self.chance.one_in(4) {
            self.chance.below(50 * MICROS)
        } else {
            0
        };
        self.settle_at(puddle, self.now() + delay);
    }

    fn settle_at(&mut self, puddle: u8, moment: Nanos) {
        let worker = &mut self.node.workers[usize::from(puddle)];
        if worker.settles_at.is_none_or(|due| due > moment) {
            worker.settles_at = Some(moment);
            if worker.looks.insert(moment) {
                self.queue.at(moment, Event::Settle(puddle));
            }
        }
    }

    pub(super) fn settle(&mut self, puddle: u8) {
        let worker = &mut self.node.workers[usize::from(puddle)];
        worker.looks.remove(&self.queue.now());
        // An earlier turn has taken this one's place.
        if worker.settles_at.is_none_or(|due| due > self.queue.now()) {
            return;
        }
        if self.sleeps(puddle, Event::Settle(puddle)) {
            return;
        }
        let (now, stamp, healed) = (self.time(), self.stamp(), self.phase.is_healed());
        let link_delay = self.link_delay();
        let worker = &mut self.node.workers[usize::from(puddle)];
        worker.settles_at = None;
        let mut outputs = Vec::new();
        let mut hands = Hands {
            plan: &self.plan,
            plant: self.plant,
            queue: &mut self.queue,
            chance: &mut self.chance,
            sockets: &mut self.sockets,
            slots: &worker.slots,
            outputs: &mut outputs,
            stamp,
            hash: &mut self.hash,
            healed,
            link_delay,
            writes: &mut self.writes,
        };
        let deadline = worker.black_box.settle(&mut worker.puddle, now, &mut hands);
        if self.step.is_multiple_of(CHECKED_STEPS) {
            worker.puddle.check();
        }
        for output in outputs {
            self.output(puddle, output);
        }
        if let Some(deadline) = deadline {
            let due = deadline.at.as_nanos().max(self.now() + MICROS);
            self.settle_at(puddle, due);
        }
    }

    fn output(&mut self, puddle: u8, output: Output) {
        let from = PuddleId(puddle);
        match output {
            Output::Close { socket } | Output::HandOver { socket, .. } => {
                self.node_closes(puddle, socket);
            }
            Output::Pause { socket } => self.pause(puddle, socket, true),
            Output::Resume { socket } => self.pause(puddle, socket, false),
            Output::Hop { to, hop } => self.send_hop(puddle, to.0, hop),
            Output::Ask { question, what, .. } => {
                let asked = porthouse_puddle::Event::Asked {
                    puddle: from,
                    question,
                    what,
                };
                self.say(puddle, asked);
            }
            Output::Bridge {
                request,
                room,
                what,
            } => self.ask_store(puddle, (request, room, what)),
            Output::Applied { revision } => {
                let applied = porthouse_puddle::Event::Applied {
                    puddle: from,
                    revision,
                };
                self.say(puddle, applied);
            }
            Output::Seen { sessions } => self.puddle_saw(puddle, sessions),
            // Who was put out, one node alone keeps out by itself.
            Output::KeepOut(_) => {}
            Output::Followed { .. } => unreachable!("no backend follows a room here"),
            Output::Reply { order, reply } => {
                let replied = porthouse_puddle::Event::Replied {
                    puddle: from,
                    order,
                    reply,
                };
                self.say(puddle, replied);
            }
        }
    }

    pub(super) fn say(&mut self, puddle: u8, event: porthouse_puddle::Event) {
        self.node.workers[usize::from(puddle)].said.push_back(event);
        self.after(self.plan.part_delay, Event::Said(puddle));
    }

    /// The switchboard takes what a puddle said first.
    pub(super) fn said_by(&mut self, puddle: u8) {
        if let Some(event) = self.node.workers[usize::from(puddle)].said.pop_front() {
            if let porthouse_puddle::Event::PuddleRestarted { puddle } = event {
                self.is_heard_to_begin(puddle);
            }
            self.tell_board(event);
        }
    }

    pub(super) fn tell_board(&mut self, event: porthouse_puddle::Event) {
        self.inputs += 1;
        let now = self.time();
        self.node.board.handle(now, event);
        self.board_at(self.now());
    }

    pub(super) fn board_at(&mut self, moment: Nanos) {
        if self.node.board_settles_at.is_none_or(|due| due > moment) {
            self.node.board_settles_at = Some(moment);
            if self.node.board_looks.insert(moment) {
                self.queue.at(moment, Event::Board);
            }
        }
    }

    pub(super) fn settle_board(&mut self) {
        self.node.board_looks.remove(&self.queue.now());
        if self
            .node
            .board_settles_at
            .is_none_or(|due| due > self.queue.now())
        {
            return;
        }
        self.node.board_settles_at = None;
        let mut actions = Vec::new();
        let deadline = self
            .node
            .board
            .settle(Time::from_nanos(self.queue.now()), &mut actions);
        if self.step.is_multiple_of(CHECKED_STEPS) {
            self.node.board.check();
        }
        for action in actions {
            self.act_for_board(action);
        }
        if let Some(deadline) = deadline {
            let due = deadline.at.as_nanos().max(self.now() + MICROS);
            self.board_at(due);
        }
    }

    fn act_for_board(&mut self, action: Action) {
        match action {
            Action::Tell { puddle, message } => {
                let worker = &mut self.node.workers[place(puddle)];
                if worker.is_deaf {
                    return;
                }
                worker.told.push_back(Told::Word(message));
                self.after(self.plan.part_delay, Event::Told(puddle.0));
            }
            Action::OpenWatch { watch, from } => self.open_watch(watch, from),
            Action::Acknowledge { revision } => {
                self.see(&crate::checker::line::Line::Acknowledged {
                    revision: revision.0,
                });
                if self.plant != Some(Plant::WaitsForHearing) {
                    self.is_applied(revision.0);
                }
            }
            action @ (Action::Resolve { .. } | Action::Verify { .. } | Action::SignIn { .. }) => {
                self.call(action);
            }
            Action::Complete { call, result } => self.completed(call, &result),
        }
    }

    /// A puddle takes what it was told first.
    pub(super) fn told(&mut self, puddle: u8) {
        if self.sleeps(puddle, Event::Told(puddle)) {
            return;
        }
        let Some(told) = self.node.workers[usize::from(puddle)].told.pop_front() else {
            return;
        };
        let told = match told {
            Told::Restarted(other) => return self.hears_again(puddle, other),
            Told::Word(told) => told,
        };
        let is_unheard = self.plant == Some(Plant::DrainUnheard) && puddle == 0;
        let told = match told {
            ToPuddle::Drain { .. } if is_unheard => return,
            ToPuddle::Changed(changed)
                if self.plant == Some(Plant::NegativeEntryKept)
                    && self.watch.made_a_room(changed.revision.0) =>
            {
                ToPuddle::Changed(Arc::new(without_rooms(&changed)))
            }
            ToPuddle::Changed(changed) => match self.plant {
                Some(plant) => ToPuddle::Changed(Arc::new(without_some(plant, &changed))),
                None => ToPuddle::Changed(changed),
            },
            other @ (ToPuddle::Answered { .. }
            | ToPuddle::Fresh { .. }
            | ToPuddle::Resync { .. }
            | ToPuddle::Ordered { .. }
            | ToPuddle::Drain { .. }) => other,
        };
        self.input(puddle, told.into());
    }

    fn send_hop(&mut self, from: u8, to: u8, hop: Hop) {
        if self.plant == Some(Plant::LeakedCredit)
            && matches!(hop, Hop::Credit { .. })
            && self.chance.one_in(4)
        {
            return;
        }
        let slots = self.plan.settings.hop_ring_slots();
        // Whoever has not heard that the other began anew tells the one that is gone.
        if self.node.workers[usize::from(from)].deaf_to.contains(&to) {
            return;
        }
        let ring = &mut self.node.workers[usize::from(to)].rings[usize::from(from)];
        ring.push_back(hop);
        let len = ring.len();
        assert!(
            len <= usize::try_from(slots).expect("32 bits"),
            "a ring has overflowed"
        );
        if self.plant.is_some_and(|plant| plant.swaps(ring)) {
            ring.swap(len - 1, len - 2);
        }
        self.after(self.plan.part_delay, Event::Hop { from, to });
    }

    /// A puddle takes what another told it first.
    pub(super) fn hop(&mut self, from: u8, to: u8) {
        if self.sleeps(to, Event::Hop { from, to }) {
            return;
        }
        if self.node.workers[usize::from(to)].deaf_to.contains(&from) {
            return;
        }
        let ring = &mut self.node.workers[usize::from(to)].rings[usize::from(from)];
        let Some(hop) = ring.pop_front() else {
            return;
        };
        if let Some(plant) = self.plant {
            let (loses, doubles) = (plant.loses(&hop), plant.doubles(&hop));
            let unlucky = (loses || doubles) && self.chance.one_in(16);
            if loses && unlucky {
                return;
            }
            if doubles && unlucky {
                let (from, hop) = (PuddleId(from), hop.clone());
                self.input(to, Input::Hopped { from, hop });
            }
        }
        let hop = match hop {
            Hop::Message(message) => self.pass_on((from, to), message),
            Hop::Entered { room, visit } => {
                let key = (from, to, room.clone());
                self.watch.entered.insert(key, self.now());
                Hop::Entered { room, visit }
            }
            Hop::Kicked { room, whom, time } => {
                let untold = self.plant == Some(Plant::AnewUntold);
                let time = if untold { Duration::ZERO } else { time };
                Hop::Kicked { room, whom, time }
            }
            other @ (Hop::Enter { .. }
            | Hop::Leave { .. }
            | Hop::ToHome(_)
            | Hop::FromHome(_)
            | Hop::Waiting(_)
            | Hop::Sibling(_)
            | Hop::Counting(_)
            | Hop::Placed(_)
            | Hop::Credit { .. }
            | Hop::Kick { .. }
            | Hop::CreditAsks { .. }) => other,
        };
        let from = PuddleId(from);
        self.input(to, Input::Hopped { from, hop });
    }

    fn pass_on(&self, (from, to): (u8, u8), message: Arc<RoomMessage>) -> Hop {
        match self.plant {
            Some(Plant::PredicateDropped) => without_predicate(&message),
            Some(Plant::ByteChanged) if message.payload.len() % 16 == 9 => {
                with_another_byte(&message)
            }
            Some(Plant::AdmittedBeforeInterest) => {
                let key = (from, to, message.room.clone());
                let entered = self.watch.entered.get(&key);
                match entered {
                    Some(entered) if self.now() < entered + 500 * MILLIS => to_nowhere(&message),
                    Some(_) | None => Hop::Message(message),
                }
            }
            Some(_) | None => Hop::Message(message),
        }
    }
}
