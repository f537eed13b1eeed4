//! What one room says to all who sit in it, one message behind the other: put
//! into their queues once, when somebody looks at a queue, so that a receiver
//! costs a run and not a message.
//!
//! Owns what is still to be put there. Never in force while a queue is read or
//! changed: [`Outbox`](super::Outbox) sees to that.

use smallvec::SmallVec;

use super::log::Span;
use crate::output::WireForm;

/// What a fan-out needs of a seat: 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    /// The socket's slot.
    pub slot: u32,
    /// How it speaks.
    pub form: WireForm,
}

/// Those who hear one message in a room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Audience<'a> {
    /// The room.
    pub room: u32,
    /// Changes whenever the seats do, while the room is there.
    pub stamp: u64,
    /// All who sit there.
    pub seats: &'a [Seat],
    /// The socket that does not hear it, if one does not.
    pub silent: Option<u32>,
}

impl Audience<'_> {
    /// How many hear it.
    #[inline]
    pub(super) fn receivers(&self) -> usize {
        let silent = self.silent.unwrap_or(u32::MAX);
        let seats = self.seats.iter();
        seats.filter(|seat| seat.slot != silent).count()
    }
}

/// A message's frame in each wire form that is spoken in its room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frames {
    /// For raw sockets.
    pub raw: Option<Span>,
    /// For `porthouse.v1`.
    pub multiplexed: Option<Span>,
    /// For event streams.
    pub event_stream: Option<Span>,
}

impl Frames {
    /// The frame of a form that is spoken.
    pub(crate) fn of(&self, form: WireForm) -> Span {
        let frame = match form {
            WireForm::Raw => self.raw,
            WireForm::Multiplexed => self.multiplexed,
            WireForm::EventStream => self.event_stream,
        };
        frame.expect("a form that is spoken was encoded")
    }
}

/// Places in a log; nearly always one.
type Places = SmallVec<[Span; 2]>;

/// Messages that the same seats of one room hear.
#[derive(Debug, Default)]
pub(super) struct Run {
    room: u32,
    stamp: u64,
    silent: Option<u32>,
    /// All who sat there, the silent one among them.
    seats: Vec<Seat>,
    /// Those who hear it.
    receivers: usize,
    raw: Places,
    multiplexed: Places,
    event_stream: Places,
}

impl Run {
    /// Whether nobody hears it.
    #[inline]
    pub(super) const fn is_empty(&self) -> bool {
        self.receivers == 0
    }

    pub(super) const fn room(&self) -> u32 {
        self.room
    }

    /// Whether those who hear this are those who hear the run.
    pub(super) fn is_heard_by(&self, audience: &Audience<'_>) -> bool {
        !self.is_empty()
            && (self.room, self.stamp, self.silent)
                == (audience.room, audience.stamp, audience.silent)
    }

    /// Begins anew, for these, who are so many; somebody is among them.
    pub(super) fn begin(&mut self, audience: &Audience<'_>, receivers: usize) {
        debug_assert!(self.is_empty(), "a run is put into its queues first");
        self.room = audience.room;
        self.stamp = audience.stamp;
        self.silent = audience.silent;
        self.receivers = receivers;
        self.seats.extend_from_slice(audience.seats);
    }

    /// Adds a message that those who hear it all can take. Answers how many do.
    pub(super) fn add(&mut self, frames: &Frames) -> u64 {
        for (places, frame) in [
            (&mut self.raw, frames.raw),
            (&mut self.multiplexed, frames.multiplexed),
            (&mut self.event_stream, frames.event_stream),
        ] {
            if let Some(frame) = frame
                && !places.last_mut().is_some_and(|last| last.join(frame))
            {
                places.push(frame);
            }
        }
        self.receivers as u64
    }

    /// Hands each receiver what it hears, place by place.
    #[inline]
    pub(super) fn each(&self, mut hears: impl FnMut(u32, Span)) {
        let places = [&self.raw[..], &self.multiplexed, &self.event_stream];
        let silent = self.silent.unwrap_or(u32::MAX);
        for seat in &self.seats {
            if seat.slot == silent {
                continue;
            }
            let places = match seat.form {
                WireForm::Raw => places[0],
                WireForm::Multiplexed => places[1],
                WireForm::EventStream => places[2],
            };
            for place in places {
                hears(seat.slot, *place);
            }
        }
    }

    /// Forgets it, and keeps its memory for the next.
    pub(super) fn clear(&mut self) {
        self.seats.clear();
        self.receivers = 0;
        self.raw.clear();
        self.multiplexed.clear();
        self.event_stream.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::SocketId;
    use crate::outbox::{Lane, Outbox};
    use crate::output::{Output, Shell, Wrote};

    const ROOM: u32 = 3;

    /// Takes everything, and remembers it.
    #[derive(Default)]
    struct Heard(Vec<u8>);

    impl Shell for Heard {
        fn write(&mut self, _: SocketId, slices: &[std::io::IoSlice<'_>]) -> Wrote {
            self.0.extend(slices.iter().flat_map(|slice| slice.iter()));
            Wrote::All
        }

        fn output(&mut self, _: Output) {}
    }

    fn heard(outbox: &mut Outbox, slot: u32) -> String {
        let mut heard = Heard::default();
        let socket = SocketId {
            slot,
            generation: 0,
        };
        outbox.flush(socket, &mut heard);
        String::from_utf8(heard.0).expect("ASCII")
    }

    fn outbox(slots: u32) -> Outbox {
        let mut outbox = Outbox::default();
        (0..slots).for_each(|slot| outbox.open(slot));
        outbox
    }

    fn seats(slots: impl IntoIterator<Item = u32>) -> Vec<Seat> {
        let seat = |slot| Seat {
            slot,
            form: WireForm::Raw,
        };
        slots.into_iter().map(seat).collect()
    }

    fn say(outbox: &mut Outbox, said: &str, audience: &Audience<'_>) -> u64 {
        let raw = outbox.message(WireForm::Raw, audience.room, |out| {
            out.extend_from_slice(said.as_bytes());
        });
        let frames = Frames {
            raw: Some(raw),
            multiplexed: None,
            event_stream: None,
        };
        outbox.broadcast(audience, &frames)
    }

    #[test]
    fn whoever_came_between_two_messages_hears_the_second_alone() {
        let mut outbox = outbox(3);
        let (before, after) = (seats([0, 1]), seats([0, 1, 2]));
        let mut audience = Audience {
            room: ROOM,
            stamp: 2,
            seats: &before,
            silent: None,
        };
        assert_eq!(say(&mut outbox, "a", &audience), 2);
        assert_eq!(say(&mut outbox, "b", &audience), 2);
        audience.seats = &after;
        audience.stamp = 3;
        assert_eq!(say(&mut outbox, "c", &audience), 3);
        let all: Vec<String> = (0..3).map(|slot| heard(&mut outbox, slot)).collect();
        assert_eq!(all, ["abc", "abc", "c"]);
        outbox.check();
    }

    #[test]
    fn each_speaker_hears_the_others_and_not_itself() {
        let mut outbox = outbox(3);
        let seats = seats(0..3);
        let mut audience = Audience {
            room: ROOM,
            stamp: 1,
            seats: &seats,
            silent: Some(0),
        };
        assert_eq!(say(&mut outbox, "a", &audience), 2);
        audience.silent = Some(1);
        assert_eq!(say(&mut outbox, "b", &audience), 2);
        // Who has left since is not among them.
        audience.silent = Some(7);
        assert_eq!(say(&mut outbox, "c", &audience), 3);
        let all: Vec<String> = (0..3).map(|slot| heard(&mut outbox, slot)).collect();
        assert_eq!(all, ["bc", "ac", "abc"]);
    }

    #[test]
    fn what_one_is_told_between_two_messages_stands_between_them() {
        let mut outbox = outbox(2);
        let seats = seats(0..2);
        let audience = Audience {
            room: ROOM,
            stamp: 1,
            seats: &seats,
            silent: None,
        };
        say(&mut outbox, "a", &audience);
        let answer = outbox.frame(WireForm::Raw, Lane::Control, |out| out.push(b'!'));
        outbox.push(1, answer, Lane::Control);
        say(&mut outbox, "b", &audience);
        assert_eq!(heard(&mut outbox, 0), "ab");
        assert_eq!(heard(&mut outbox, 1), "a!b");
    }

    #[test]
    fn nothing_said_before_a_slot_is_cleared_reaches_who_has_it_next() {
        let mut outbox = outbox(2);
        let seats = seats(0..2);
        let audience = Audience {
            room: ROOM,
            stamp: 1,
            seats: &seats,
            silent: None,
        };
        say(&mut outbox, "a", &audience);
        outbox.clear(1);
        outbox.open(1);
        say(
            &mut outbox,
            "b",
            &Audience {
                stamp: 2,
                seats: &seats[..1],
                ..audience
            },
        );
        assert_eq!(heard(&mut outbox, 0), "ab");
        assert_eq!(heard(&mut outbox, 1), "");
        outbox.check();
    }

    #[test]
    fn what_a_speaker_says_to_itself_alone_is_said_to_nobody() {
        let mut outbox = outbox(1);
        let seats = seats([0]);
        let audience = Audience {
            room: ROOM,
            stamp: 1,
            seats: &seats,
            silent: Some(0),
        };
        assert_eq!(say(&mut outbox, "a", &audience), 0);
        assert!(!outbox.is_waiting());
        assert_eq!(heard(&mut outbox, 0), "");
    }
}
