//! What a `porthouse.v1` client is told, as it is written. Owns the events'
//! JSON; decides nothing.

use porthouse_model::{ClientId, MessageKind, Refusal, RoomName, UnixTime, Username};
use serde::{Serialize, Serializer};

use super::{Id, LineError};
use crate::wire::explanation::{Explanation, as_text};
use crate::wire::frame;

/// Something a client is told, apart from a room's messages. One text frame, all
/// of it header line.
#[derive(Debug, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum Event<'a> {
    /// This socket is this client now.
    Authenticated {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Id>,
        #[serde(serialize_with = "as_text")]
        client: ClientId,
        #[serde(serialize_with = "as_text")]
        username: &'a Username,
        /// When the session ends by itself.
        #[serde(rename = "expires_ms", serialize_with = "as_millis")]
        expires: UnixTime,
    },
    /// A door asks.
    Challenge {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Id>,
        #[serde(serialize_with = "as_text")]
        room: &'a RoomName,
        step: Step,
        attempts_left: u8,
    },
    /// Inside: from here the room's messages come.
    Admitted {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Id>,
        #[serde(serialize_with = "as_text")]
        room: &'a RoomName,
        #[serde(serialize_with = "as_text")]
        client: ClientId,
        /// The policy's revision that was decided by; 0 for a transient room.
        revision: u64,
    },
    /// A request was refused; the socket stays.
    Refused {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Id>,
        #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_room")]
        room: Option<&'a RoomName>,
        #[serde(flatten)]
        explanation: Explanation,
    },
    /// Outside again, as asked.
    Left {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Id>,
        #[serde(serialize_with = "as_text")]
        room: &'a RoomName,
    },
    /// Outside again, unasked; the socket stays.
    Closed {
        #[serde(serialize_with = "as_text")]
        room: &'a RoomName,
        #[serde(flatten)]
        explanation: Explanation,
    },
    /// A send was taken by this node.
    Receipt {
        id: &'a Id,
        #[serde(serialize_with = "as_text")]
        room: &'a RoomName,
        level: Level,
    },
    /// The reply to a ping.
    Pong {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Id>,
    },
    /// A line could not be read; the socket stays.
    Error {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Id>,
        rule: &'static str,
        needed: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        found: Option<&'a str>,
    },
    /// This node goes away: connect again, elsewhere, after the delay.
    Draining { delay_ms: u64 },
}

/// What a door asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// The room's password.
    Password,
}

/// What a receipt promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// This node took it.
    Accepted,
}

impl<'a> Event<'a> {
    /// A refused request.
    pub(crate) const fn refused(
        id: Option<&'a Id>,
        room: Option<&'a RoomName>,
        refusal: &Refusal,
    ) -> Self {
        Self::Refused {
            id,
            room,
            explanation: Explanation::of(refusal),
        }
    }

    /// A room left unasked.
    pub(crate) const fn closed(room: &'a RoomName, refusal: &Refusal) -> Self {
        Self::Closed {
            room,
            explanation: Explanation::of(refusal),
        }
    }

    /// A line that could not be read.
    pub(crate) fn error(id: Option<&'a Id>, error: &'a LineError) -> Self {
        Self::Error {
            id,
            rule: error.rule,
            needed: &error.needed,
            found: error.found.as_deref(),
        }
    }

    /// Appends the event's frame.
    pub(crate) fn frame(&self, out: &mut Vec<u8>) {
        let line = serde_json::to_vec(self).expect("an event is JSON");
        frame::message(MessageKind::Text, &line, out);
    }
}

/// Appends a room's message as `porthouse.v1` has it: one frame of the message's
/// own kind. `from` is `None` for a backend's.
pub(crate) fn message(
    room: &RoomName,
    from: Option<ClientId>,
    kind: MessageKind,
    payload: &[u8],
    out: &mut Vec<u8>,
) {
    let mut line = Vec::with_capacity(256);
    // A room's name holds nothing that JSON would escape.
    line.extend_from_slice(br#"{"op":"message","room":""#);
    line.extend_from_slice(room.as_str().as_bytes());
    if let Some(from) = from {
        line.extend_from_slice(br#"","from":""#);
        line.extend_from_slice(from.to_string().as_bytes());
    }
    line.extend_from_slice(b"\"}\n");
    frame::header(kind, line.len() + payload.len(), out);
    out.extend_from_slice(&line);
    out.extend_from_slice(payload);
}

#[expect(clippy::ref_option, reason = "serde passes the field by reference")]
fn as_room<S: Serializer>(room: &Option<&RoomName>, serializer: S) -> Result<S::Ok, S::Error> {
    match room {
        Some(room) => serializer.serialize_str(room.as_str()),
        None => serializer.serialize_none(),
    }
}

fn as_millis<S: Serializer>(time: &UnixTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(time.as_millis())
}
