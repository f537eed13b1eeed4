//! Turns for work of which little may run at once: who may begin, who waits, and
//! who is told to come back. Askers take turns, so that one who asks a thousand
//! times waits for itself. Never does the work.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Who asks: turns go round among these.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asker(pub(crate) String);

/// As many wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// How many may run and wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) running_max: usize,
    pub(crate) waiting_max: usize,
}

/// How many run and wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) running: usize,
    pub(crate) waiting: usize,
}

/// Gives turns.
#[derive(Clone, Debug)]
pub(crate) struct Turns {
    places: Places,
    lines: Arc<Mutex<Lines>>,
}

/// Who runs and who waits.
#[derive(Debug, Default)]
struct Lines {
    running: usize,
    waiting: usize,
    /// Askers of whom somebody waits, the next one first.
    order: VecDeque<Asker>,
    /// Who waits, by asker; never an empty line.
    of: HashMap<Asker, VecDeque<Waiter>>,
    next_id: u64,
}

/// Somebody who waits.
#[derive(Debug)]
struct Waiter {
    id: u64,
    told: oneshot::Sender<Turn>,
}

impl Turns {
    pub(crate) fn new(places: Places) -> Self {
        Self {
            places,
            lines: Arc::default(),
        }
    }

    /// Waits for a turn. Whoever goes away while waiting gives up the place.
    ///
    /// # Errors
    ///
    /// [`Full`] when as many wait as may. Of a full house the one who came last
    /// to the longest line is sent away, which need not be the one who comes.
    pub(crate) async fn turn(&self, asker: Asker) -> Result<Turn, Full> {
        let (id, told) = {
            let mut lines = self.lines();
            if lines.running < self.places.running_max {
                lines.running += 1;
                return Ok(Turn {
                    turns: Some(self.clone()),
                });
            }
            lines.enlist(asker.clone(), self.places.waiting_max)?
        };
        let _place = Place {
            turns: self,
            asker,
            id,
        };
        told.await.map_err(|_| Full)
    }

    /// How many may run and wait.
    pub(crate) const fn places(&self) -> Places {
        self.places
    }

    /// How many run and wait now.
    pub(crate) fn line(&self) -> Line {
        let lines = self.lines();
        Line {
            running: lines.running,
            waiting: lines.waiting,
        }
    }

    /// Gives a turn that is over to who is next.
    fn pass_on(&self) {
        loop {
            let next = {
                let mut lines = self.lines();
                let next = lines.next();
                if next.is_none() {
                    lines.running -= 1;
                }
                next
            };
            let Some(next) = next else { return };
            let turn = Turn {
                turns: Some(self.clone()),
            };
            match next.told.send(turn) {
                Ok(()) => return,
                // Has just gone away: the turn is still ours to give.
                Err(mut turn) => turn.turns = None,
            }
        }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn enlist(
        &mut self,
        asker: Asker,
        waiting_max: usize,
    ) -> Result<(u64, oneshot::Receiver<Turn>), Full> {
        if self.waiting >= waiting_max {
            self.send_away(&asker)?;
        }
        let (told, tells) = oneshot::channel();
        let id = self.next_id;
        self.next_id += 1;
        self.waiting += 1;
        let line = self.of.entry(asker.clone()).or_default();
        if line.is_empty() {
            self.order.push_back(asker);
        }
        line.push_back(Waiter { id, told });
        Ok((id, tells))
    }

    /// Makes room for one more of `asker`, at the end of the longest line; unless
    /// that would then be its own.
    fn send_away(&mut self, asker: &Asker) -> Result<(), Full> {
        let length = |asker: &Asker| self.of.get(asker).map_or(0, VecDeque::len);
        let longest = self.order.iter().max_by_key(|asker| length(asker));
        let longest = longest.cloned().ok_or(Full)?;
        if length(asker) + 1 >= length(&longest) {
            return Err(Full);
        }
        // Dropping it tells it.
        let last = self.of.get_mut(&longest).and_then(VecDeque::pop_back);
        self.waiting -= usize::from(last.is_some());
        Ok(())
    }

    /// Takes the next one out of line; its asker is last then.
    fn next(&mut self) -> Option<Waiter> {
        let asker = self.order.pop_front()?;
        let line = self.of.get_mut(&asker)?;
        let next = line.pop_front();
        self.waiting -= usize::from(next.is_some());
        if line.is_empty() {
            self.of.remove(&asker);
        } else {
            self.order.push_back(asker);
        }
        next
    }

    fn leave(&mut self, asker: &Asker, id: u64) {
        let Some(line) = self.of.get_mut(asker) else {
            return;
        };
        let Some(at) = line.iter().position(|waiter| waiter.id == id) else {
            return;
        };
        line.remove(at);
        self.waiting -= 1;
        if line.is_empty() {
            self.of.remove(asker);
            self.order.retain(|other| other != asker);
        }
    }
}

/// A place in line, given up when it is dropped.
struct Place<'t> {
    turns: &'t Turns,
    asker: Asker,
    id: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.turns.lines().leave(&self.asker, self.id);
    }
}

/// Leave to run, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Option<Turns>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turns) = self.turns.take() {
            turns.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use futures_util::FutureExt as _;

    use super::*;

    fn turns(waiting_max: usize) -> Turns {
        Turns::new(Places {
            running_max: 1,
            waiting_max,
        })
    }

    type Asked<'t> = Pin<Box<dyn Future<Output = Result<Turn, Full>> + 't>>;

    /// Asks, and waits if it must.
    fn ask<'t>(turns: &'t Turns, name: &str) -> Asked<'t> {
        let mut asked: Asked<'t> = Box::pin(turns.turn(Asker(name.to_owned())));
        assert!(asked.as_mut().now_or_never().is_none(), "it must wait");
        asked
    }

    fn has_turn(asked: &mut Asked<'_>) -> Option<Turn> {
        asked.as_mut().now_or_never().and_then(Result::ok)
    }

    #[tokio::test]
    async fn askers_take_turns_however_often_one_asks() {
        let turns = turns(8);
        let first = turns.turn(Asker("flood".into())).await.expect("free");
        let mut flood: Vec<_> = (0..4).map(|_| ask(&turns, "flood")).collect();
        let mut other = ask(&turns, "other");
        drop(first);
        let second = has_turn(&mut flood[0]).expect("it came first");
        drop(second);
        let third = has_turn(&mut other).expect("the other's turn");
        drop(third);
        assert!(has_turn(&mut flood[1]).is_some());
    }

    #[tokio::test]
    async fn of_a_full_house_the_longest_line_loses_its_last() {
        let turns = turns(3);
        let running = turns.turn(Asker("flood".into())).await.expect("free");
        let mut flood: Vec<_> = (0..3).map(|_| ask(&turns, "flood")).collect();
        let more = turns.turn(Asker("flood".into())).await;
        assert_eq!(more.err(), Some(Full), "its own line is the longest");
        let mut other = ask(&turns, "other");
        let last = flood.pop().expect("three").await;
        assert_eq!(last.err(), Some(Full));
        assert_eq!(turns.lines().waiting, 3);
        drop(running);
        drop(has_turn(&mut flood[0]).expect("a turn"));
        assert!(has_turn(&mut other).is_some());
    }

    #[tokio::test]
    async fn whoever_goes_away_leaves_nothing_behind() {
        let turns = turns(2);
        let running = turns.turn(Asker("a".into())).await.expect("free");
        let (gone, mut stays) = (ask(&turns, "b"), ask(&turns, "c"));
        drop(gone);
        // Told, and gone before it looked.
        let told = ask(&turns, "a");
        drop(running);
        drop(has_turn(&mut stays).expect("a turn"));
        drop(told);
        let lines = turns.lines();
        assert_eq!((lines.running, lines.waiting), (0, 0));
        assert!(lines.of.is_empty() && lines.order.is_empty());
    }
}
