//! Who receives a message, and its way into their queues. The message is encoded
//! once a wire form; a receiver costs one push.

use porthouse_model::{ClientId, MessageKind, RoomName};
use porthouse_rules::Hearing;

use super::seats::{Seat, Sitter};
use super::{Room, RoomIndex};
use crate::hop::RoomMessage;
use crate::outbox::{Lane, Outbox, Span};
use crate::output::WireForm;
use crate::wire;
use crate::wire::multiplexed::Place;

/// A message that the room's rules allow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    /// Who sent it; `None`: a backend.
    pub from: Option<ClientId>,
    /// Its kind.
    pub kind: MessageKind,
    /// Its bytes.
    pub payload: &'a [u8],
    /// Only to these, if any; sorted.
    pub to: &'a [ClientId],
    /// Not to these; sorted.
    pub except: &'a [ClientId],
    /// Where it stands among the room's messages.
    pub place: Place,
}

impl<'a> Message<'a> {
    /// A message that was carried.
    pub(crate) fn of(carried: &'a RoomMessage) -> Self {
        Self {
            from: carried.from,
            kind: carried.kind,
            payload: &carried.payload,
            to: &carried.to,
            except: &carried.except,
            place: Place::default(),
        }
    }
}

/// How many sockets here a message is for.
pub(crate) fn count(room: &Room, message: Message<'_>) -> u64 {
    let sitters = room.seats.sitters().iter();
    let theirs = sitters.filter(|sitter| receives(sitter, message));
    theirs.count() as u64
}

/// Queues a message for everybody in the room here, but for one socket where it
/// does not hear itself. Answers for how many.
pub(crate) fn deliver(
    room: &Room,
    index: RoomIndex,
    message: Message<'_>,
    silent: Option<u32>,
    outbox: &mut Outbox,
) -> u64 {
    let seats = room.seats.as_slice();
    let frames = Frames::encode(room, index, message, outbox);
    let lane = Lane::Room(index);
    let to_all = message.to.is_empty() && message.except.is_empty();
    if to_all && room.seats.are_alike() {
        return broadcast(seats, frames, silent, lane, outbox);
    }
    let mut receivers = 0;
    for (sitter, seat) in room.seats.sitters().iter().zip(seats) {
        if silent != Some(seat.slot) && receives(sitter, message) {
            outbox.push(seat.slot, frames.of(seat.form), lane);
            receivers += 1;
        }
    }
    receivers
}

fn broadcast(
    seats: &[Seat],
    frames: Frames,
    silent: Option<u32>,
    lane: Lane,
    outbox: &mut Outbox,
) -> u64 {
    let silent = silent.unwrap_or(u32::MAX);
    let mut receivers = 0;
    for seat in seats {
        if seat.slot != silent {
            outbox.push(seat.slot, frames.of(seat.form), lane);
            receivers += 1;
        }
    }
    receivers
}

fn receives(sitter: &Sitter, message: Message<'_>) -> bool {
    match sitter.rights.hearing {
        Hearing::Named => is_named(sitter.client, message),
        Hearing::Never => false,
        Hearing::Always => true,
    }
}

fn is_named(client: ClientId, message: Message<'_>) -> bool {
    let to = message.to.is_empty() || message.to.binary_search(&client).is_ok();
    to && message.except.binary_search(&client).is_err()
}

/// The message's frame in each wire form that is spoken in the room.
#[derive(Clone, Copy, Debug)]
struct Frames {
    raw: Option<Span>,
    multiplexed: Option<Span>,
    event_stream: Option<Span>,
}

impl Frames {
    fn encode(room: &Room, index: RoomIndex, message: Message<'_>, outbox: &mut Outbox) -> Self {
        let mut frame = |form: WireForm| {
            room.seats
                .speaks(form)
                .then(|| outbox.message(form, index, |out| encode(form, &room.name, message, out)))
        };
        Self {
            raw: frame(WireForm::Raw),
            multiplexed: frame(WireForm::Multiplexed),
            event_stream: frame(WireForm::EventStream),
        }
    }

    fn of(&self, form: WireForm) -> Span {
        let frame = match form {
            WireForm::Raw => self.raw,
            WireForm::Multiplexed => self.multiplexed,
            WireForm::EventStream => self.event_stream,
        };
        frame.expect("a form that is spoken was encoded")
    }
}

/// Appends a message's frame.
pub(crate) fn encode(form: WireForm, room: &RoomName, message: Message<'_>, out: &mut Vec<u8>) {
    match form {
        WireForm::Raw => wire::frame::message(message.kind, message.payload, out),
        WireForm::Multiplexed => {
            let Message {
                from,
                kind,
                payload,
                place,
                ..
            } = message;
            wire::multiplexed::message(room, from, place, kind, payload, out);
        }
        WireForm::EventStream => {
            let stand = message.place.stand;
            wire::event_stream::message(stand, message.kind, message.payload, out);
        }
    }
}
