//! A black box as a file: a line that says what it is, how the puddle began, why
//! the box was opened, the turns, and a hash over all of it.

use core::fmt;

use porthouse_model::Time;

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
