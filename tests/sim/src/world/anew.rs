//! A puddle that panics and begins anew, as the shell has it: its sockets end, what was told to it
//! and by other puddles is lost, and so is what it told them; a fresh one takes its place, which
//! the switchboard and the others hear of.

use porthouse_puddle::{Input, Puddle, PuddleId, Seed, Seeds};

use super::{Event, World, wall};
use crate::checker::line::Line;

impl World {
    /// It has panicked. Never two at once, as nobody has heard of the first by then.
    pub(super) fn panics(&mut self, puddle: u8) {
        let mut workers = self.node.workers.iter();
        if workers.any(|worker| worker.is_deaf || !worker.deaf_to.is_empty()) {
            return;
        }
        let all = self.plan.puddles == 1;
        self.see(&Line::Panicked { puddle, all });
        let now = self.time();
        let settings = self.plan.puddle(puddle);
        let seeds = Seeds::repeatable(Seed(self.chance.next()));
        for (number, worker) in (0..).zip(&mut self.node.workers) {
            if number == puddle {
                worker.black_box.begin(&settings, &seeds, now);
                worker
                    .rings
                    .iter_mut()
                    .for_each(std::collections::VecDeque::clear);
            } else {
                worker.rings[usize::from(puddle)].clear();
                worker.deaf_to.insert(puddle);
            }
        }
        let worker = &mut self.node.workers[usize::from(puddle)];
        worker.puddle = Puddle::new(settings, seeds, now);
        self.store.begins_anew(puddle);
        worker.told.clear();
        worker.is_deaf = true;
        worker.free.clear();
        let lost = std::mem::take(&mut worker.slots);
        for number in lost.into_iter().filter_map(|(_, socket)| socket) {
            self.is_abandoned(number);
        }
        let restarted = porthouse_puddle::Event::PuddleRestarted {
            puddle: PuddleId(puddle),
        };
        self.say(puddle, restarted);
        self.input(puddle, Input::Wall(wall(self.now())));
    }

    /// The node has heard of it: it is told things again, and the other puddles hear of it.
    pub(super) fn is_heard_to_begin(&mut self, puddle: PuddleId) {
        let puddle = puddle.0;
        self.node.workers[usize::from(puddle)].is_deaf = false;
        for other in (0..self.plan.puddles).filter(|other| *other != puddle) {
            let worker = &mut self.node.workers[usize::from(other)];
            worker.told.push_back(super::node::Told::Restarted(puddle));
            self.after(self.plan.part_delay, Event::Told(other));
        }
    }

    /// Another puddle hears of it: they tell each other things again.
    pub(super) fn hears_again(&mut self, here: u8, puddle: u8) {
        let worker = &mut self.node.workers[usize::from(here)];
        worker.deaf_to.remove(&puddle);
        let waits = worker.rings[usize::from(puddle)].len();
        for _ in 0..waits {
            let (from, to) = (puddle, here);
            self.queue.after(0, Event::Hop { from, to });
        }
        let puddle = PuddleId(puddle);
        self.input(here, Input::Restarted { puddle });
    }
}
