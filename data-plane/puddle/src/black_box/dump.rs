//! A black box as a file: a line that says what it is, how the puddle began, why
//! the box was opened, the turns, and a hash over all of it.

use core::fmt;

use porthouse_model::Time;
use porthouse_rules::Rules;

use super::Ring;
use super::code::{Garbled, Kept, Reader, fields, garbled, variants, write_bytes};
use super::fold::Fold;
use crate::resume::ResumeKeys;
use crate::seed::Seeds;
use crate::settings::Settings;

/// The first line. The number is that of the form.
const HEAD: &[u8] = b"porthouse black box 1\n";
/// At the end of the file.
const HASH_BYTES: usize = 8;

/// Why a box was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Somebody asked for it: the puddle goes on.
    Asked,
    /// The puddle panicked, and said this.
    Panicked(String),
}

/// Why a file is no black box that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotABox {
    /// It does not begin as one.
    Head,
    /// It is of another form.
    Form,
    /// It was cut or changed.
    Changed,
    /// What is in it is not what this version writes.
    Garbled(Garbled),
}

impl fmt::Display for NotABox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head => f.write_str("this is no black box: it does not begin as one"),
            Self::Form => f.write_str(
                "this black box is of another form: replay it with the version that wrote it",
            ),
            Self::Changed => {
                f.write_str("this black box was cut or changed: its hash is not its own")
            }
            Self::Garbled(garbled) => write!(
                f,
                "this black box cannot be read: {garbled}; replay it with the version that wrote it"
            ),
        }
    }
}

impl core::error::Error for NotABox {}

impl From<Garbled> for NotABox {
    fn from(garbled: Garbled) -> Self {
        Self::Garbled(garbled)
    }
}

/// What is in a black box.
#[derive(Debug)]
pub struct Dump {
    /// The version that wrote it.
    pub version: String,
    /// Why it was opened.
    pub end: End,
    /// How many turns the puddle had before the first that is in it.
    pub lost: u64,
    pub(super) settings: Settings,
    pub(super) seeds: Seeds,
    /// When the puddle began.
    pub(super) began: Time,
    /// Whole turns, the oldest first.
    pub(super) turns: Vec<Box<[u8]>>,
    /// The turn that was under way.
    pub(super) under_way: Box<[u8]>,
}

variants! {
    End { 0 Asked, 1 Panicked(said), }
}

// In the order in which `written` writes them.
fields! {
    Dump { version, end, lost, settings, seeds, began, turns, under_way }
}

/// The bytes of the file.
pub(super) fn written(ring: &Ring, end: &End) -> Vec<u8> {
    let mut out = HEAD.to_vec();
    env!("CARGO_PKG_VERSION").to_owned().write(&mut out);
    end.write(&mut out);
    // A turn that could not be kept takes those before it along.
    let kept = if ring.too_long { 0 } else { ring.lengths.len() };
    (ring.lost + (ring.lengths.len() - kept) as u64).write(&mut out);
    out.extend_from_slice(&ring.began);
    kept.write(&mut out);
    let mut at = 0;
    let (first, second) = ring.turns.as_slices();
    for length in ring.lengths.iter().take(kept) {
        let end = at + *length as usize;
        length.write(&mut out);
        out.extend_from_slice(&first[at.min(first.len())..end.min(first.len())]);
        let past = |at: usize| at.saturating_sub(first.len());
        out.extend_from_slice(&second[past(at)..past(end)]);
        at = end;
    }
    write_bytes(&ring.turn, &mut out);
    let mut fold = Fold::default();
    fold.bytes(&out);
    out.extend_from_slice(&fold.value().to_le_bytes());
    out
}

impl Dump {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// See [`NotABox`].
    pub fn read(file: &[u8]) -> Result<Self, NotABox> {
        let (kind, form) = HEAD.split_at(HEAD.len() - 2);
        let rest = file.strip_prefix(kind).ok_or(NotABox::Head)?;
        let rest = rest.strip_prefix(form).ok_or(NotABox::Form)?;
        let (body, hash) = rest
            .split_last_chunk::<HASH_BYTES>()
            .ok_or(NotABox::Changed)?;
        let mut fold = Fold::default();
        fold.bytes(&file[..file.len() - HASH_BYTES]);
        if fold.value().to_le_bytes() != *hash {
            return Err(NotABox::Changed);
        }
        let mut from = Reader(body);
        let dump: Self = Kept::read(&mut from)?;
        if from.left() > 0 {
            return Err(garbled("end of the file").into());
        }
        let settings = &dump.settings;
        if !(1..=64).contains(&settings.puddles) || settings.puddle.0 >= settings.puddles {
            return Err(garbled("puddle of a node").into());
        }
        if Rules::compile(settings.transient_rules.clone()).is_err() {
            return Err(garbled("rule of transient rooms that can be kept").into());
        }
        Ok(dump)
    }

    /// Which puddle it is of, and of how many.
    #[must_use]
    pub const fn puddle(&self) -> (u8, u8) {
        (self.settings.puddle.0, self.settings.puddles)
    }

    /// Takes keys that tokens were sealed under from those given: keys that are
    /// more than one process's are not in a box. Answers how many are missing;
    /// without them a replay differs where a token is sealed or opened.
    pub fn unlock(&mut self, given: &ResumeKeys) -> usize {
        self.settings.resume_keys.complete(given)
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use porthouse_model::{Format, UnixTime};
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::black_box::{BlackBox, Replay};
    use crate::input::{Input, PuddleId, SocketId};
    use crate::output::{Output, Shell, Wrote};
    use crate::puddle::Puddle;
    use crate::seed::Seed;

    /// A world that takes everything.
    struct Takes;

    impl Shell for Takes {
        fn write(&mut self, _socket: SocketId, _bytes: &[IoSlice<'_>]) -> Wrote {
            Wrote::All
        }

        fn output(&mut self, _output: Output) {}
    }

    /// A box of a few turns and of one that was under way.
    fn file() -> Vec<u8> {
        let (settings, seeds) = (Settings::new(PuddleId(0), 2), Seeds::repeatable(Seed(7)));
        let mut black_box = BlackBox::new(1 << 16);
        black_box.begin(&settings, &seeds, Time::ZERO);
        let mut puddle = Puddle::new(settings, seeds, Time::ZERO);
        for slot in 0..3 {
            let now = Time::from_nanos(u64::from(slot) * 1_000);
            let socket = SocketId {
                slot,
                generation: 1,
            };
            let address = [127, 0, 0, 1].into();
            black_box.handle(&mut puddle, now, Input::Connected { socket, address });
            let mut bytes = b"GET /lobby HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
            let bytes = bytes.as_mut_slice();
            black_box.handle(&mut puddle, now, Input::Received { socket, bytes });
            black_box.settle(&mut puddle, now, &mut Takes);
        }
        let now = Time::from_nanos(4_000);
        black_box.handle(&mut puddle, now, Input::Wall(UnixTime::from_millis(5)));
        let end = End::Panicked("it was too much".to_owned());
        black_box.dump(&end).expect("it keeps something")
    }

    /// A file of this, with a hash that is its own: as somebody writes it who means it.
    fn sealed(mut body: Vec<u8>) -> Vec<u8> {
        let mut fold = Fold::default();
        fold.bytes(&body);
        body.extend_from_slice(&fold.value().to_le_bytes());
        body
    }

    /// Reads it, and begins as its puddle did where it can be read.
    fn begun(file: &[u8]) -> Option<Replay> {
        Dump::read(file).ok().map(Replay::new)
    }

    proptest! {
        #[test]
        fn what_is_no_box_is_refused_and_nothing_panics(bytes in any::<Vec<u8>>()) {
            prop_assert!(begun(&bytes).is_none());
            let headed = [HEAD, &bytes].concat();
            prop_assert!(begun(&headed).is_none());
            let _ = begun(&sealed(headed));
        }

        #[test]
        fn a_box_that_was_changed_and_sealed_again_is_read_or_refused(
            places in prop::collection::vec((any::<Index>(), any::<u8>()), 1..4),
            cut in prop::option::of(any::<Index>()),
        ) {
            let mut body = file();
            body.truncate(body.len() - HASH_BYTES);
            for (place, byte) in places {
                let place = place.index(body.len());
                body[place] = byte;
            }
            if let Some(cut) = cut {
                body.truncate(cut.index(body.len()));
            }
            let _ = begun(&sealed(body));
        }
    }

    #[test]
    fn a_whole_box_is_read_and_its_ends_are_told_apart() {
        let file = file();
        let dump = Dump::read(&file).expect("a box");
        assert_eq!((dump.turns.len(), dump.lost), (3, 0));
        assert_eq!(dump.puddle(), (0, 2));
        assert!(!dump.under_way.is_empty());
        for at in 0..file.len() {
            assert!(Dump::read(&file[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_box_whose_puddle_could_not_begin_is_refused() {
        let mut settings = Settings::new(PuddleId(0), 1);
        settings.transient_rules.messages.format = Format::JsonSchema("no schema".into());
        let mut black_box = BlackBox::new(1 << 10);
        black_box.begin(&settings, &Seeds::repeatable(Seed(7)), Time::ZERO);
        let file = black_box.dump(&End::Asked).expect("it keeps something");
        let refused = Dump::read(&file).expect_err("its rules cannot be kept");
        assert!(refused.to_string().contains("transient"), "{refused}");
    }
}
