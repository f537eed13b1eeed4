//! What puddles ask of the store of durable rooms, from the question to the answer: some come
//! late, some answers are lost, and for a while it may be away. Knows no records.

use porthouse_puddle::{Input, StoreRequest, StoredRoom, ToStore};

use super::{Event, World};
use crate::queue::{MILLIS, SECONDS};
use crate::store::Answer;

impl World {
    pub(super) fn ask_store(&mut self, puddle: u8, asked: (StoreRequest, StoredRoom, ToStore)) {
        let number = self.store.ask(puddle, asked);
        let delay = self.store_delay();
        let late = self.plan.storing.late;
        if self.is_unlucky(late) {
            // Who asked has waited as long as it does, and it comes all the same.
            let patience = self.store.chance.between(MILLIS, 2 * SECONDS);
            self.queue.after(patience, Event::GivenUp(number));
            return self.queue.after(patience + delay, Event::Stores(number));
        }
        self.queue.after(delay, Event::Stores(number));
    }

    /// Something comes to the store.
    pub(super) fn stores(&mut self, number: u32) {
        let now = self.now();
        if self.store.come(number, now) {
            let delay = self.store_delay();
            self.queue.after(delay, Event::Stored(number));
        }
    }

    /// Its answer comes to who asked.
    pub(super) fn stored(&mut self, number: u32) {
        if self.is_asleep(number, Event::Stored(number)) {
            return;
        }
        let lost = self.plan.storing.lost;
        let lost = self.is_unlucky(lost);
        let answer = self.store.answer(number, lost);
        self.is_answered(answer);
    }

    /// Who asked does not wait any more.
    pub(super) fn given_up(&mut self, number: u32) {
        if self.is_asleep(number, Event::GivenUp(number)) {
            return;
        }
        let answer = self.store.gives_up(number);
        self.is_answered(answer);
    }

    /// Whether who asked sleeps; then it is answered when it wakes.
    fn is_asleep(&mut self, number: u32, event: Event) -> bool {
        let asker = self.store.asker(number);
        asker.is_some_and(|puddle| self.sleeps(puddle, event))
    }

    fn is_answered(&mut self, answer: Option<Answer>) {
        if let Some((puddle, request, answer)) = answer {
            self.input(puddle, Input::Bridged { request, answer });
        }
    }

    fn store_delay(&mut self) -> u64 {
        let mean = self.plan.storing.delay.max(1);
        self.store.chance.below(2 * mean)
    }

    fn is_unlucky(&mut self, percent: u64) -> bool {
        percent > 0 && !self.phase.is_healed() && self.store.chance.percent(percent)
    }
}
