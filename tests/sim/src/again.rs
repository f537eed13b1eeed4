//! A puddle's black box done again, to the end of what is in it, to the first turn that differs, or
//! into the panic that it was opened for.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use porthouse_model::Time;
use porthouse_puddle::{Dump, Garbled, Replay};

use crate::words;

/// What came of doing a black box again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Again {
    /// Turns that were done again, the last of which may not have come to its end.
    pub turns: u64,
    /// What came in them.
    pub inputs: u64,
    /// How much of it was left out, as it is about what is not known any more.
    pub left_out: u64,
    /// How many turns the puddle had before the first in the box.
    pub lost: u64,
    /// How it ended.
    pub ending: Ending,
}

/// How a replay ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With the box, and all was done as then.
    Same,
    /// In a turn in which something else was done than then.
    Differs {
        /// Its number in the puddle's life.
        turn: u64,
        /// When it began.
        at: Time,
    },
    /// The puddle panicked, and said this.
    Panicked {
        /// The words.
        said: String,
        /// Whether it did so then, in these words.
        as_then: bool,
    },
    /// The puddle had panicked, and does not again.
    Calm,
    /// With the box; what was done cannot be compared.
    Shown,
    /// A turn is not one that this version writes.
    Garbled(Garbled),
}

/// Does a black box again, and tells each input before it is handled.
#[must_use]
pub fn again(dump: Dump, tell: &mut impl FnMut(Time, &str)) -> Again {
    let lost = dump.lost;
    let mut done = Again {
        turns: 0,
        inputs: 0,
        left_out: 0,
        lost,
        ending: Ending::Same,
    };
    let mut replay = Replay::new(dump);
    let then = replay.panicked().map(str::to_owned);
    loop {
        match catch_unwind(AssertUnwindSafe(|| replay.turn(tell))) {
            Err(panic) => {
                done.turns += 1;
                let said = words(panic.as_ref());
                let as_then = then.as_ref() == Some(&said);
                done.ending = Ending::Panicked { said, as_then };
                return done;
            }
            Ok(None) => break,
            Ok(Some(Err(garbled))) => {
                done.ending = Ending::Garbled(garbled);
                return done;
            }
            Ok(Some(Ok(turn))) => {
                done.turns += 1;
                done.inputs += turn.inputs;
                done.left_out += turn.left_out;
                if turn.same == Some(false) {
                    let (turn, at) = (turn.number, turn.at);
                    done.ending = Ending::Differs { turn, at };
                    return done;
                }
            }
        }
    }
    if lost > 0 {
        done.ending = Ending::Shown;
    } else if then.is_some() {
        done.ending = Ending::Calm;
    }
    done
}

impl fmt::Display for Again {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.lost > 0 {
            writeln!(
                f,
                "its beginning is lost: {} turns came before. What sockets that connected since have \
                 sent is read again, and no more: {} of {} inputs are left out",
                self.lost, self.left_out, self.inputs
            )?;
        }
        write!(f, "{} turns, {} inputs: ", self.turns, self.inputs)?;
        match &self.ending {
            Ending::Same => f.write_str("all was done as then"),
            Ending::Differs { turn, at } => write!(
                f,
                "something else was done in turn {turn}, at {} ns",
                at.as_nanos()
            ),
            Ending::Panicked {
                said,
                as_then: true,
            } => write!(f, "it panicked as then: {said}"),
            Ending::Panicked {
                said,
                as_then: false,
            } => write!(f, "it panicked otherwise than then: {said}"),
            Ending::Calm => f.write_str("it panicked then, and does not now"),
            Ending::Shown => f.write_str("what was done cannot be compared"),
            Ending::Garbled(garbled) => write!(f, "the next turn cannot be read: {garbled}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use porthouse_puddle::NotABox;

    use super::*;
    use crate::{Options, Verdict, recorded};

    const WHOLE: usize = 1 << 30;

    #[test]
    fn what_puddles_did_in_whole_worlds_is_done_again_bit_for_bit() {
        let mut turns = 0;
        for (seed, coming_and_going) in [(1, false), (2, false), (1, true)] {
            let options = Options {
                coming_and_going,
                black_box_bytes: WHOLE,
                ..Options::default()
            };
            let (report, boxes) = recorded(seed, options);
            assert_eq!(report.verdict, Verdict::Passed);
            let plain = Options {
                black_box_bytes: 0,
                ..options
            };
            assert_eq!(recorded(seed, plain).0, report, "a box changes nothing");
            for file in boxes {
                let done = again(Dump::read(&file).expect("a box"), &mut |_, _| {});
                assert_eq!(done.ending, Ending::Same, "seed {seed}: {done}");
                turns += done.turns;
            }
        }
        assert!(turns > 1_000, "{turns} turns prove something");
    }

    #[test]
    fn a_box_that_lost_its_beginning_says_so_and_reads_again_what_came_since() {
        let options = Options {
            black_box_bytes: 64 * 1024,
            ..Options::default()
        };
        let (_, boxes) = recorded(1, options);
        for file in boxes {
            assert!(file.len() < 66 * 1024, "it is bounded: {}", file.len());
            let done = again(Dump::read(&file).expect("a box"), &mut |_, _| {});
            assert_eq!(done.ending, Ending::Shown, "{done}");
            assert!(
                done.lost > 0 && done.left_out > 0 && done.left_out < done.inputs,
                "{done}"
            );
        }
    }

    #[test]
    fn a_box_that_was_cut_or_changed_is_refused() {
        let options = Options {
            black_box_bytes: WHOLE,
            ..Options::default()
        };
        let (_, boxes) = recorded(1, options);
        let file = boxes.first().expect("a puddle");
        for at in [0, 30, file.len() / 2, file.len() - 1] {
            let mut other = file.clone();
            other[at] ^= 1;
            let refused = Dump::read(&other).expect_err("it was changed");
            assert!(
                matches!(refused, NotABox::Head | NotABox::Changed),
                "{refused}"
            );
            assert!(Dump::read(&file[..at]).is_err(), "cut at {at}");
        }
    }
}
