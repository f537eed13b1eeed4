//! The logs frames stand in, one open segment a wire form: so that what one
//! room says in a turn is one contiguous run for every receiver of that form.

use crate::output::WireForm;

/// A segment that has grown past this is closed and another opened.
const SEGMENT_BYTES: usize = 256 * 1024;
/// An emptied buffer larger than this is given back.
const KEPT_BYTES_MAX: usize = 1024 * 1024;
/// Free segments that keep their buffers.
const FREE_KEPT_MAX: usize = 4;

/// A place in a log: some bytes of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    segment: u32,
    start: u32,
    end: u32,
}

impl Span {
    pub(crate) const fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether it begins where the other ends; then the two are one.
    const fn follows(self, other: Self) -> bool {
        self.segment == other.segment && self.start == other.end
    }

    /// Takes in what directly follows; otherwise answers false.
    #[inline]
    pub(super) const fn join(&mut self, other: Self) -> bool {
        let follows = other.follows(*self);
        if follows {
            self.end = other.end;
        }
        follows
    }

    /// Without its first bytes.
    pub(super) fn without_first(self, bytes: usize) -> Self {
        debug_assert!(bytes < self.len(), "something is left");
        Self {
            start: self.start + offset(bytes),
            ..self
        }
    }

    pub(super) const fn is_in(self, segment: u32) -> bool {
        self.segment == segment
    }

    /// The segment it is in.
    pub(super) const fn log(self) -> u32 {
        self.segment
    }
}

/// What a frame is, to whoever must make room for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// For one socket alone, of no room: an answer, a refusal, a close frame.
    Control,
    /// Of a room, and no message: who is there, who owns it, what was read.
    Event(u32),
    /// What was said in a room.
    Message(u32),
    /// That so many messages of a room are missing here.
    Gap {
        /// The room.
        room: u32,
        /// How many.
        dropped: u32,
    },
}

impl What {
    /// The room it is of.
    pub(super) const fn room(self) -> Option<u32> {
        match self {
            Self::Control => None,
            Self::Event(room) | Self::Message(room) | Self::Gap { room, .. } => Some(room),
        }
    }
}

/// A frame in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Its place, or that of its rest.
    pub span: Span,
    /// What it is.
    pub what: What,
    /// Whether nothing of it was written.
    pub whole: bool,
}

#[derive(Debug, Default)]
struct Segment {
    bytes: Vec<u8>,
    /// Where frames begin, in order, and what they are.
    frames: Vec<(u32, What)>,
    /// Queue entries that point here.
    holders: u32,
    /// When it was opened, among all; `None` while it is free.
    opened: Option<u64>,
}

impl Segment {
    /// Where a frame begins; where the last ends, for the one after it.
    fn start_of(&self, frame: usize) -> u32 {
        self.frames
            .get(frame)
            .map_or_else(|| offset(self.bytes.len()), |(start, _)| *start)
    }
}

/// All segments, by number; the open ones and the free ones among them.
#[derive(Debug, Default)]
pub(super) struct Logs {
    segments: Vec<Segment>,
    free: Vec<u32>,
    open: [Option<u32>; 3],
    /// How many were opened before.
    opened: u64,
    held_bytes: usize,
}

impl Logs {
    pub(super) fn append(
        &mut self,
        form: WireForm,
        what: What,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Span {
        let number = self.open_segment(form);
        let segment = self.segment_mut(number);
        let start = segment.bytes.len();
        segment.frames.push((offset(start), what));
        write(&mut segment.bytes);
        let end = segment.bytes.len();
        assert!(end > start, "a frame is never empty");
        self.held_bytes += end - start;
        Span {
            segment: number,
            start: offset(start),
            end: offset(end),
        }
    }

    fn open_segment(&mut self, form: WireForm) -> u32 {
        let at = match form {
            WireForm::Raw => 0,
            WireForm::Multiplexed => 1,
            WireForm::EventStream => 2,
        };
        match self.open[at] {
            Some(number) if self.segment(number).bytes.len() < SEGMENT_BYTES => number,
            Some(_) | None => {
                let number = self.free.pop().unwrap_or_else(|| {
                    self.segments.push(Segment::default());
                    offset(self.segments.len() - 1)
                });
                self.segment_mut(number).opened = Some(self.opened);
                self.opened += 1;
                self.open[at] = Some(number);
                number
            }
        }
    }

    pub(super) fn hold(&mut self, span: Span) {
        self.segment_mut(span.segment).holders += 1;
    }

    pub(super) fn release(&mut self, span: Span) {
        let segment = self.segment_mut(span.segment);
        segment.holders = segment
            .holders
            .checked_sub(1)
            .expect("what is released was held");
    }

    pub(super) fn bytes(&self, span: Span) -> &[u8] {
        &self.segment(span.segment).bytes[span.start as usize..span.end as usize]
    }

    /// When a span begins inside a frame: the rest of that frame.
    pub(super) fn rest_of_frame(&self, span: Span) -> Option<Span> {
        let segment = self.segment(span.segment);
        let next = segment
            .frames
            .partition_point(|(start, _)| *start < span.start);
        let end = segment.start_of(next);
        if end == span.start {
            None
        } else {
            Some(Span { end, ..span })
        }
    }

    /// The frame with which a span begins, or the rest of it.
    pub(super) fn first_frame(&self, span: Span) -> Span {
        let segment = self.segment(span.segment);
        let next = segment
            .frames
            .partition_point(|(start, _)| *start <= span.start);
        let end = segment.start_of(next);
        Span { end, ..span }
    }

    /// The frames of a run, in order.
    pub(super) fn frames(&self, run: &[Span]) -> Vec<Frame> {
        let mut frames = Vec::new();
        for span in run {
            let segment = self.segment(span.segment);
            let after = segment
                .frames
                .partition_point(|(start, _)| *start <= span.start);
            let first = after.checked_sub(1).expect("a run is made of frames");
            let theirs = (first..segment.frames.len())
                .take_while(|frame| segment.frames[*frame].0 < span.end);
            frames.extend(theirs.map(|frame| {
                let (start, what) = segment.frames[frame];
                Frame {
                    span: Span {
                        segment: span.segment,
                        start: start.max(span.start),
                        end: segment.start_of(frame + 1),
                    },
                    what,
                    whole: start >= span.start,
                }
            }));
        }
        frames
    }

    /// A run without what is of one room, but for the rest of a frame already
    /// begun.
    pub(super) fn without_room(&self, run: &[Span], room: u32) -> Vec<Span> {
        let mut kept = Vec::new();
        for frame in self.frames(run) {
            if !frame.whole || frame.what.room() != Some(room) {
                join(&mut kept, frame.span);
            }
        }
        kept
    }

    /// Nothing more is appended to a segment.
    pub(super) fn seal(&mut self, number: u32) {
        for open in &mut self.open {
            if *open == Some(number) {
                *open = None;
            }
        }
    }

    /// Empties what nobody holds; what is not open is free for another time.
    pub(super) fn recycle(&mut self) {
        for (number, segment) in self.segments.iter_mut().enumerate() {
            if segment.holders > 0 || segment.opened.is_none() {
                continue;
            }
            self.held_bytes -= segment.bytes.len();
            segment.bytes.clear();
            segment.frames.clear();
            let number = offset(number);
            let closed = !self.open.contains(&Some(number));
            if closed {
                segment.opened = None;
                self.free.push(number);
            }
            if segment.bytes.capacity() > KEPT_BYTES_MAX
                || closed && self.free.len() > FREE_KEPT_MAX
            {
                segment.bytes = Vec::new();
                segment.frames = Vec::new();
            }
        }
    }

    pub(super) const fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// The segments that were opened first of those that are held, in that order,
    /// until they have so many bytes together.
    pub(super) fn oldest_held(&self, bytes: usize) -> Vec<u32> {
        let held = self.segments.iter().enumerate();
        let mut held: Vec<(usize, &Segment)> =
            held.filter(|(_, segment)| segment.holders > 0).collect();
        held.sort_by_key(|(_, segment)| segment.opened);
        let mut left = bytes;
        let oldest = held.into_iter().take_while(|(_, segment)| {
            let more = left > 0;
            left = left.saturating_sub(segment.bytes.len());
            more
        });
        oldest.map(|(number, _)| offset(number)).collect()
    }

    fn segment(&self, number: u32) -> &Segment {
        &self.segments[number as usize]
    }

    fn segment_mut(&mut self, number: u32) -> &mut Segment {
        &mut self.segments[number as usize]
    }

    /// Every holder is counted, and every byte.
    pub(super) fn check(&self, held: impl Iterator<Item = Span>) {
        let mut holders = vec![0_u32; self.segments.len()];
        for span in held {
            holders[span.segment as usize] += 1;
            assert!(span.start < span.end, "no empty span is queued");
        }
        for (segment, holders) in self.segments.iter().zip(holders) {
            assert_eq!(segment.holders, holders, "holders are counted");
        }
        let bytes: usize = self
            .segments
            .iter()
            .map(|segment| segment.bytes.len())
            .sum();
        assert_eq!(bytes, self.held_bytes, "held bytes are counted");
    }
}

/// Adds a place to a run.
pub(super) fn join(run: &mut Vec<Span>, span: Span) {
    if !run.last_mut().is_some_and(|last| last.join(span)) {
        run.push(span);
    }
}

fn offset(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a segment and the number of them fit 32 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_holds_a_byte_for_ever_keeps_one_segment() {
        let mut logs = Logs::default();
        let frame = |logs: &mut Logs, bytes: usize| {
            logs.append(WireForm::Raw, What::Control, |out| {
                out.resize(out.len() + bytes, 7);
            })
        };
        let held = frame(&mut logs, 1);
        logs.hold(held);
        for _ in 0..1_000 {
            let turn = [(); 6].map(|()| frame(&mut logs, 64 * 1024));
            for span in turn {
                logs.hold(span);
            }
            for span in turn {
                logs.release(span);
            }
            logs.recycle();
        }
        assert!(logs.segments.len() <= 4, "{}", logs.segments.len());
        assert_eq!(logs.oldest_held(1), [held.segment]);
        assert!(logs.oldest_held(0).is_empty());
        logs.release(held);
        logs.recycle();
        assert_eq!(logs.held_bytes(), 0);
        logs.check([].into_iter());
    }

    #[test]
    fn what_was_begun_is_kept_when_a_room_is_cut() {
        let mut logs = Logs::default();
        let whats = [
            What::Message(1),
            What::Message(2),
            What::Message(1),
            What::Control,
        ];
        let spans = whats
            .map(|what| logs.append(WireForm::Raw, what, |out| out.extend_from_slice(b"abcd")));
        let mut all = spans[0];
        assert!(spans[1..].iter().all(|span| all.join(*span)));
        let all = all.without_first(1);
        let kept = logs.without_room(&[all], 1);
        let bytes: Vec<&[u8]> = kept.iter().map(|span| logs.bytes(*span)).collect();
        assert_eq!(bytes, [&b"bcdabcd"[..], b"abcd"]);
    }
}
