//! The logs frames stand in, one open segment a wire form: so that what one
//! room says in a turn is one contiguous run for every receiver of that form.

use std::collections::VecDeque;

use super::Lane;
use crate::output::WireForm;

/// A segment that has grown past this is closed and another opened.
const SEGMENT_BYTES: usize = 256 * 1024;
/// An emptied buffer larger than this is given back.
const KEPT_BYTES_MAX: usize = 1024 * 1024;

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
    pub(super) const fn follows(self, other: Self) -> bool {
        self.segment == other.segment && self.start == other.end
    }

    pub(super) const fn extended_to(self, other: Self) -> Self {
        Self {
            end: other.end,
            ..self
        }
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
}

#[derive(Debug, Default)]
struct Segment {
    bytes: Vec<u8>,
    /// Where frames begin, in order, and who says them.
    frames: Vec<(u32, Lane)>,
    /// Queue entries that point here.
    holders: u32,
}

impl Segment {
    /// Where a frame begins; where the last ends, for the one after it.
    fn start_of(&self, frame: usize) -> u32 {
        self.frames
            .get(frame)
            .map_or_else(|| offset(self.bytes.len()), |(start, _)| *start)
    }
}

/// All segments, by number; the open ones among them.
#[derive(Debug, Default)]
pub(super) struct Logs {
    segments: VecDeque<Segment>,
    /// The number of the first in `segments`.
    first: u32,
    open: [Option<u32>; 2],
    held_bytes: usize,
    spare: Vec<Segment>,
}

impl Logs {
    pub(super) fn append(
        &mut self,
        form: WireForm,
        lane: Lane,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Span {
        let number = self.open_segment(form);
        let segment = self.segment_mut(number);
        let start = segment.bytes.len();
        segment.frames.push((offset(start), lane));
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
        };
        match self.open[at] {
            Some(number) if self.segment(number).bytes.len() < SEGMENT_BYTES => number,
            Some(_) | None => {
                let number = self.first.wrapping_add(offset(self.segments.len()));
                self.segments
                    .push_back(self.spare.pop().unwrap_or_default());
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

    /// A run without what one lane says, but for the rest of a frame already
    /// begun.
    pub(super) fn without_lane(&self, run: &[Span], lane: Lane) -> Vec<Span> {
        let mut kept: Vec<Span> = Vec::new();
        for (at, span) in run.iter().enumerate() {
            let begun = if at == 0 {
                self.rest_of_frame(*span)
            } else {
                None
            };
            let segment = self.segment(span.segment);
            let from = begun.map_or(span.start, |begun| begun.end);
            let first = segment.frames.partition_point(|(start, _)| *start < from);
            let rest = (first..segment.frames.len())
                .take_while(|frame| segment.frames[*frame].0 < span.end)
                .filter(|frame| segment.frames[*frame].1 != lane)
                .map(|frame| Span {
                    segment: span.segment,
                    start: segment.frames[frame].0,
                    end: segment.start_of(frame + 1),
                });
            for span in begun.into_iter().chain(rest) {
                match kept.last_mut() {
                    Some(last) if span.follows(*last) => *last = last.extended_to(span),
                    Some(_) | None => kept.push(span),
                }
            }
        }
        kept
    }

    /// Empties what nobody holds, and forgets the segments before the oldest
    /// that is held or open.
    pub(super) fn recycle(&mut self) {
        for segment in &mut self.segments {
            if segment.holders == 0 && !segment.bytes.is_empty() {
                self.held_bytes -= segment.bytes.len();
                segment.bytes.clear();
                segment.frames.clear();
                if segment.bytes.capacity() > KEPT_BYTES_MAX {
                    *segment = Segment::default();
                }
            }
        }
        while let Some(front) = self.segments.front()
            && front.holders == 0
            && !self.open.contains(&Some(self.first))
        {
            let front = self.segments.pop_front().expect("there is a front");
            self.first = self.first.wrapping_add(1);
            if self.spare.len() < 2 {
                self.spare.push(front);
            }
        }
    }

    pub(super) const fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    pub(super) fn oldest_held(&self) -> Option<u32> {
        let at = self
            .segments
            .iter()
            .position(|segment| segment.holders > 0)?;
        Some(self.first.wrapping_add(offset(at)))
    }

    fn segment(&self, number: u32) -> &Segment {
        &self.segments[number.wrapping_sub(self.first) as usize]
    }

    fn segment_mut(&mut self, number: u32) -> &mut Segment {
        &mut self.segments[number.wrapping_sub(self.first) as usize]
    }

    /// Every holder is counted, and every byte.
    pub(super) fn check(&self, held: impl Iterator<Item = Span>) {
        let mut holders = vec![0_u32; self.segments.len()];
        for span in held {
            holders[span.segment.wrapping_sub(self.first) as usize] += 1;
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

fn offset(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a segment and the number of them fit 32 bits")
}
