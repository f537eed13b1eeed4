//! What was said before: handed over once to who was away, and read in pages that hold what they
//! say they hold (P3, P10). Knows what each socket asked for and what came of it.

use super::hash::Table;
use super::line::{Range, Stand};
use super::message::{Messages, Receiver};
use super::ordered::{Orders, Said};
use super::violation::{Violation, broken};

/// What sockets have asked, and what has come and is not accounted for.
#[derive(Debug, Default)]
pub(crate) struct Past {
    asked: Table<(u32, u32), Asked>,
    /// Who was handed which message when they came in, and from which place.
    handed: Table<(u128, u32), (u32, Stand)>,
}

#[derive(Debug, Default)]
struct Asked {
    /// By which request, at which step.
    waiting: Vec<((u64, u64), Range)>,
    /// It was out since: what comes may be of before.
    stale: bool,
    came: Vec<(u64, Said)>,
    /// A page was not what it said. Some of it may have been dropped, if it is out of the room
    /// next.
    short: Option<Violation>,
}

/// How a page ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageEnd {
    pub(crate) id: u64,
    pub(crate) count: u64,
    pub(crate) through: u64,
    pub(crate) complete: bool,
}

impl Past {
    /// A socket asks.
    pub(crate) fn ask(&mut self, socket: u32, room: u32, asks: (u64, u64), range: Range) {
        let asked = self.asked.entry((socket, room)).or_default();
        asked.waiting.push((asks, range));
    }

    /// Whether a page may come.
    pub(crate) fn is_asked(&self, socket: u32, room: u32) -> bool {
        let asked = self.asked.get(&(socket, room));
        asked.is_some_and(|asked| !asked.waiting.is_empty())
    }

    /// At which step the first was asked for that may come.
    pub(crate) fn asked_at(&self, socket: u32, room: u32) -> Option<u64> {
        let asked = self.asked.get(&(socket, room))?;
        let steps = asked.waiting.iter().map(|((_, step), _)| *step);
        steps.min()
    }

    /// It is out.
    pub(crate) fn leave(&mut self, socket: u32, room: u32) {
        if let Some(asked) = self.asked.get_mut(&(socket, room)) {
            asked.stale = !asked.waiting.is_empty();
            asked.came.clear();
            asked.short = None;
        }
    }

    /// Something else of the room came, or all is over: it is not out.
    pub(crate) fn is_whole(&self, socket: u32, room: u32) -> Result<(), Violation> {
        let asked = self.asked.get(&(socket, room));
        let short = asked.and_then(|asked| asked.short.clone());
        short.map_or(Ok(()), Err)
    }

    /// Its request is answered otherwise.
    pub(crate) fn answered(&mut self, socket: u32, room: u32, id: u64) {
        if let Some(asked) = self.asked.get_mut(&(socket, room)) {
            asked.waiting.retain(|((of, _), _)| *of != id);
            asked.stale &= !asked.waiting.is_empty();
        }
    }

    /// A message of before came. `waits`: the room hands over what waited, and nothing else.
    pub(crate) fn come(
        &mut self,
        to: Receiver,
        (stand, said): (Stand, Said),
        waits: bool,
    ) -> Result<(), Violation> {
        let asked = self.asked.entry((to.socket, to.room)).or_default();
        if !asked.waiting.is_empty() {
            asked.came.push((stand.offset, said));
            return Ok(());
        }
        let (Some(client), Said::Message(message), true) = (to.client, said, waits) else {
            return Ok(());
        };
        // Said again after its key was forgotten, it is another, in another place.
        match self.handed.insert((client, message), (to.entry, stand)) {
            Some((before, at)) if at == stand => broken(
                "P2",
                format!("{to:?} was handed {message}, which had waited for {before} too"),
            ),
            Some(_) | None => Ok(()),
        }
    }

    /// A page is whole.
    pub(crate) fn page(
        &mut self,
        to: Receiver,
        end: PageEnd,
        (orders, messages): (&Orders, &Messages),
        is_kept: impl FnOnce(u64, &[(u64, Said)], Range) -> Result<(), Violation>,
    ) {
        let Some(asked) = self.asked.get_mut(&(to.socket, to.room)) else {
            return;
        };
        let Some(at) = asked.waiting.iter().position(|((id, _), _)| *id == end.id) else {
            return;
        };
        let ((_, since), range) = asked.waiting.remove(at);
        let came = std::mem::take(&mut asked.came);
        if asked.stale {
            asked.stale = !asked.waiting.is_empty();
            return;
        }
        let page = page_of(&came, range, end);
        let judged = is_kept(since, page, range)
            .and_then(|()| is_what_it_says(to, page, (range, end), (orders, messages)));
        asked.short = asked.short.take().or(judged.err());
    }
}

/// Of what came, the last messages that are in order and within what was asked: before them may
/// have come what was handed over, or what was missed.
fn page_of(came: &[(u64, Said)], range: Range, end: PageEnd) -> &[(u64, Said)] {
    let within = |offset| {
        range.since.is_none_or(|since| offset > since)
            && range.before.is_none_or(|before| offset < before)
            && offset <= end.through
    };
    let most = range.last.map_or(end.count, |last| last.min(end.count));
    let (mut first, mut after) = (came.len(), u64::MAX);
    for &(offset, _) in came.iter().rev() {
        let full = (came.len() - first) as u64 == most;
        if full || offset >= after || !within(offset) {
            break;
        }
        (first, after) = (first - 1, offset);
    }
    &came[first..]
}

/// It holds as many as it says, nothing that is not theirs, and lacks nothing.
fn is_what_it_says(
    to: Receiver,
    page: &[(u64, Said)],
    (range, end): (Range, PageEnd),
    (orders, messages): (&Orders, &Messages),
) -> Result<(), Violation> {
    if page.len() as u64 != end.count {
        return broken("P3", format!("{to:?}: {end:?} of {range:?} is {page:?}"));
    }
    for &(offset, said) in page {
        is_theirs(to, offset, said, (orders, messages))?;
    }
    match orders.stand_of(to.entry) {
        Some(stand) if end.complete => {
            lacks_nothing(to, stand, page, (range, end), (orders, messages))
        }
        Some(_) | None => Ok(()),
    }
}

/// What was for all but some is shown to who was inside then.
fn is_theirs(
    to: Receiver,
    offset: u64,
    said: Said,
    (orders, messages): (&Orders, &Messages),
) -> Result<(), Violation> {
    let (Some(since), Said::Message(number)) = (orders.came_in(to.entry), said) else {
        return Ok(());
    };
    if offset <= since && messages.is_kept_from_some(number, to.client) {
        return broken(
            "P10",
            format!("{to:?} read {number} at {offset}, and is inside since {since}"),
        );
    }
    Ok(())
}

/// A page that says that it lacks nothing holds all that is known to be theirs.
fn lacks_nothing(
    to: Receiver,
    stand: Stand,
    page: &[(u64, Said)],
    (range, end): (Range, PageEnd),
    (orders, messages): (&Orders, &Messages),
) -> Result<(), Violation> {
    let whole = range.last == Some(end.count);
    let from = match page.first() {
        Some(&(first, _)) if whole => first,
        None if whole => return Ok(()),
        Some(_) | None => range.since.unwrap_or(0) + 1,
    };
    let until = range
        .before
        .unwrap_or(u64::MAX)
        .min(end.through.saturating_add(1));
    let since = orders.came_in(to.entry).unwrap_or(0);
    let mut held = page.iter().map(|&(offset, _)| offset).peekable();
    for (offset, said) in orders.between(to.room, stand.epoch, from, until) {
        while held.peek().is_some_and(|held| *held < offset) {
            held.next();
        }
        let is_here = held.peek() == Some(&offset);
        let Said::Message(number) = said else {
            continue;
        };
        let hidden = offset <= since && messages.is_kept_from_some(number, to.client);
        if !is_here && !hidden && messages.is_owed(number, to.socket, to.client) {
            return broken(
                "P3",
                format!("{to:?}: {end:?} of {range:?} lacks {number} at {offset}"),
            );
        }
    }
    Ok(())
}
