//! Who receives a message, and its way into their queues. The message is encoded
//! once a wire form; a receiver costs one push a run of messages.

use porthouse_model::{ClientId, MessageKind, RoomName};
use porthouse_rules::Hearing;

use super::seats::Sitter;
use super::{Room, RoomIndex};
use crate::hop::RoomMessage;
use crate::outbox::{Audience, Frames, Lane, Outbox};
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
    let frames = encode_all(room, index, message, outbox);
    let to_all = message.to.is_empty() && message.except.is_empty();
    if to_all && room.seats.are_alike() {
        let audience = Audience {
            room: index,
            stamp: room.seats.stamp(),
            seats: room.seats.as_slice(),
            silent,
        };
        return outbox.broadcast(&audience, &frames);
    }
    let lane = Lane::Room(index);
    let mut receivers = 0;
    for (sitter, seat) in room.seats.sitters().iter().zip(room.seats.as_slice()) {
        if silent != Some(seat.slot) && receives(sitter, message) {
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

/// Encodes a message in each wire form that is spoken in the room.
fn encode_all(room: &Room, index: RoomIndex, message: Message<'_>, outbox: &mut Outbox) -> Frames {
    let mut frame = |form: WireForm| {
        room.seats
            .speaks(form)
            .then(|| outbox.message(form, index, |out| encode(form, &room.name, message, out)))
    };
    Frames {
        raw: frame(WireForm::Raw),
        multiplexed: frame(WireForm::Multiplexed),
        event_stream: frame(WireForm::EventStream),
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
