//! A shell that looks on while a turn is settled: what each write answered is
//! kept, and what the puddle did is hashed. Changes nothing of either.

use core::fmt::Write as _;
use std::io::IoSlice;

use super::code::{Garbled, Kept, Reader, garbled};
use super::fold::Fold;
use crate::input::SocketId;
use crate::output::{Output, Shell, Wrote};

const PART: u8 = 1;
const GONE: u8 = 2;
/// After the last write that did not take all.
const NO_MORE: u8 = 0;

/// A shell, and what is kept of it, if anything is. It is one type either way, so
/// that a puddle's turn is compiled once.
pub(super) struct Watching<'a, S> {
    shell: &'a mut S,
    keeping: Option<Keeping<'a>>,
}

/// What is kept of a turn's end.
struct Keeping<'a> {
    /// The turn, into which answers other than [`Wrote::All`] are written, each
    /// behind how many of those came before it.
    turn: &'a mut Vec<u8>,
    scratch: &'a mut Vec<u8>,
    did: Did,
    all: u32,
}

impl<'a, S: Shell> Watching<'a, S> {
    /// Keeps nothing.
    pub(super) const fn nothing(shell: &'a mut S) -> Self {
        Self {
            shell,
            keeping: None,
        }
    }

    pub(super) fn new(shell: &'a mut S, turn: &'a mut Vec<u8>, scratch: &'a mut Vec<u8>) -> Self {
        let keeping = Some(Keeping {
            turn,
            scratch,
            did: Did::default(),
            all: 0,
        });
        Self { shell, keeping }
    }

    /// Ends the turn: what was done.
    pub(super) fn finish(self) {
        if let Some(keeping) = self.keeping {
            keeping.turn.push(NO_MORE);
            let did = keeping.did.value();
            keeping.turn.extend_from_slice(&did.to_le_bytes());
        }
    }
}

impl<S: Shell> Shell for Watching<'_, S> {
    fn write(&mut self, socket: SocketId, bytes: &[IoSlice<'_>]) -> Wrote {
        let wrote = self.shell.write(socket, bytes);
        if let Some(keeping) = &mut self.keeping {
            keeping.did.wrote(socket, bytes);
            keeping.answered(wrote);
        }
        wrote
    }

    fn output(&mut self, output: Output) {
        if let Some(keeping) = &mut self.keeping {
            keeping.did.put_out(&output, keeping.scratch);
        }
        self.shell.output(output);
    }
}

impl Keeping<'_> {
    fn answered(&mut self, wrote: Wrote) {
        match wrote {
            Wrote::All => {
                self.all += 1;
                return;
            }
            Wrote::Part(taken) => {
                self.turn.push(PART);
                self.all.write(self.turn);
                taken.write(self.turn);
            }
            Wrote::Gone => {
                self.turn.push(GONE);
                self.all.write(self.turn);
            }
        }
        self.all = 0;
    }
}

/// What a puddle did in a turn, hashed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Did(Fold);

impl Did {
    pub(super) fn wrote(&mut self, socket: SocketId, bytes: &[IoSlice<'_>]) {
        self.0
            .number(u64::from(socket.slot) << 32 | u64::from(socket.generation));
        for slice in bytes {
            self.0.bytes(slice);
        }
    }

    /// What goes out often is written as inputs are; all else as it is shown.
    pub(super) fn put_out(&mut self, output: &Output, scratch: &mut Vec<u8>) {
        scratch.clear();
        match output {
            Output::Hop { to, hop } => {
                to.write(scratch);
                hop.write(scratch);
            }
            Output::Followed { message, place } => {
                message.write(scratch);
                place.write(scratch);
            }
            Output::Close { .. }
            | Output::Pause { .. }
            | Output::Resume { .. }
            | Output::HandOver { .. }
            | Output::Ask { .. }
            | Output::Bridge { .. }
            | Output::Applied { .. }
            | Output::Seen { .. }
            | Output::KeepOut(_)
            | Output::Reply { .. } => {
                let mut shown = String::from_utf8(std::mem::take(scratch)).unwrap_or_default();
                write!(shown, "{output:?}").expect("a string takes all");
                *scratch = shown.into_bytes();
            }
        }
        self.0.bytes(scratch);
    }

    pub(super) const fn value(self) -> u64 {
        self.0.value()
    }
}

/// What writes answer when a turn is done again.
pub(super) struct Answers<'a> {
    from: Reader<'a>,
    /// How many take all before the next that does not.
    all: u32,
    next: Option<Wrote>,
}

impl<'a> Answers<'a> {
    /// Of a turn, from behind the mark that its inputs end with.
    pub(super) fn new(from: Reader<'a>) -> Result<Self, Garbled> {
        let mut answers = Self {
            from,
            all: 0,
            next: None,
        };
        answers.look()?;
        Ok(answers)
    }

    fn look(&mut self) -> Result<(), Garbled> {
        // A turn that was not settled to its end has no mark after its last answer.
        if self.from.left() == 0 {
            self.next = None;
            return Ok(());
        }
        self.next = match u8::read(&mut self.from)? {
            NO_MORE => None,
            PART => {
                self.all = u32::read(&mut self.from)?;
                Some(Wrote::Part(usize::read(&mut self.from)?))
            }
            GONE => {
                self.all = u32::read(&mut self.from)?;
                Some(Wrote::Gone)
            }
            _ => return Err(garbled("answer of a write")),
        };
        Ok(())
    }

    /// What the next write answers.
    pub(super) fn take(&mut self) -> Result<Wrote, Garbled> {
        let Some(next) = self.next else {
            return Ok(Wrote::All);
        };
        if self.all > 0 {
            self.all -= 1;
            return Ok(Wrote::All);
        }
        self.look()?;
        Ok(next)
    }

    /// What the turn did, which follows the last answer; `None`: it was not
    /// settled to its end.
    pub(super) fn did(mut self) -> Result<Option<u64>, Garbled> {
        while self.next.is_some() {
            self.look()?;
        }
        if self.from.left() == 0 {
            return Ok(None);
        }
        let did = self.from.array().map(u64::from_le_bytes)?;
        if self.from.left() > 0 {
            return Err(garbled("end of a turn"));
        }
        Ok(Some(did))
    }
}
