//! What a `porthouse.v1` client is told, as it is written. Owns the events'
//! JSON; decides nothing.

use porthouse_model::{ClientId, MessageKind, Refusal, RoomName, UnixTime, Username};
use serde::{Serialize, Serializer};

use super::{Id, LineError};
use crate::home::Stand;
use crate::sequence::Asked;
use crate::wire::explanation::{Explanation, as_text, as_texts};
use crate::wire::frame;

/// Something a client is told, apart from a room's messages. One text frame, all
/// of it header line. Shown nowhere: one holds a secret.
#[derive(Serialize)]
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
        /// What its owner, who has that name, calls the device that it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        device: Option<&'a str>,
        /// When the session ends by itself.
        #[serde(rename = "expires_ms", serialize_with = "as_millis")]
        expires: UnixTime,
        /// By what this device is known again when somebody signs in on it.
        #[serde(skip_serializing_if = "Option::is_none")]
        device_mark: Option<&'a str>,
    },
    /// A sibling's secret, for one raw socket, once.
    Bind {
        secret: &'a str,
        /// When it must have been shown.
        within_ms: u64,
    },
    /// A raw socket before this room's door has shown it.
    Bound {
        #[serde(serialize_with = "as_text")]
        room: &'a RoomName,
    },
    /// The session, or the right to be in this room, ends by itself then.
    Expiring {
        #[serde(skip_serializing_if = "Option::is_none")]
        room: Option<&'a str>,
        #[serde(rename = "expires_ms", serialize_with = "as_millis")]
        expires: UnixTime,
    },
    /// The socket goes on by another session.
    Renewed {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Id>,
        /// When that ends by itself.
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
        #[serde(skip_serializing_if = "Option::is_none")]
        attempts_left: Option<u8>,
    },
    /// The password was right, and a code is needed until then to sign in.
    #[serde(rename = "challenge")]
    CodeNeeded {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Id>,
        step: Step,
        #[serde(rename = "expires_ms", serialize_with = "as_millis")]
        expires: UnixTime,
    },
    /// Who waits to be let in to a room where this client may do so. All of
    /// them, each time that changes.
    Waiting {
        #[serde(serialize_with = "as_text")]
        room: &'a RoomName,
        count: usize,
        #[serde(serialize_with = "as_texts")]
        clients: &'a [ClientId],
    },
    /// What was decided about somebody who waits is on its way to them.
    Decided {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Id>,
        #[serde(serialize_with = "as_text")]
        room: &'a RoomName,
        #[serde(serialize_with = "as_text")]
        client: ClientId,
    },
    /// A client is on its way out of a room, wherever its sockets are.
    Kicked {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Id>,
        #[serde(serialize_with = "as_text")]
        room: &'a RoomName,
        #[serde(serialize_with = "as_text")]
        client: ClientId,
    },
    /// From here on a `porthouse.raw.v1` socket has the room's frames, and
    /// nothing of ours.
    Started,
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
        /// Who owns the room, where it is transient.
        #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text_if")]
        owner: Option<ClientId>,
        /// Which life of the room's offsets it is, where it has them.
        #[serde(skip_serializing_if = "Option::is_none")]
        epoch: Option<u64>,
        /// What was said after this offset comes.
        #[serde(skip_serializing_if = "Option::is_none")]
        offset: Option<u64>,
        /// Whether that is all it missed, where it came to go on.
        #[serde(skip_serializing_if = "Option::is_none")]
        recovered: Option<bool>,
        /// By which it may come back to where it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        resume: Option<&'a str>,
    },
    /// The reply to asking for a token by which to come back.
    Resume {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Id>,
        #[serde(serialize_with = "as_text")]
        room: &'a RoomName,
        resume: &'a str,
    },
    /// The room's offsets begin anew: what comes has this epoch, and offsets
    /// after this one.
    Epoch {
        #[serde(serialize_with = "as_text")]
        room: &'a RoomName,
        epoch: u64,
        offset: u64,
    },
    /// So many of the room's messages are missing here, for the socket read too
    /// slowly.
    Gap {
        #[serde(serialize_with = "as_text")]
        room: &'a RoomName,
        dropped: u32,
    },
    /// A request was refused; the socket stays.
    Refused {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Id>,
        #[serde(skip_serializing_if = "Option::is_none")]
        room: Option<&'a str>,
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
    /// A backend has moved this socket out of one room and before the door of
    /// another.
    Moved {
        #[serde(serialize_with = "as_text")]
        room: &'a RoomName,
        #[serde(serialize_with = "as_text")]
        to: &'a RoomName,
    },
    /// A send was taken.
    Receipt {
        id: &'a Id,
        #[serde(serialize_with = "as_text")]
        room: &'a RoomName,
        level: Level,
        #[serde(skip_serializing_if = "Option::is_none")]
        offset: Option<u64>,
    },
    /// The reply to reading what was said, after the messages.
    History {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Id>,
        #[serde(serialize_with = "as_text")]
        room: &'a RoomName,
        /// How many messages came.
        count: usize,
        /// Up to this offset everything that was asked for is answered.
        through: u64,
        /// Whether nothing of it is missing.
        complete: bool,
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
    /// This node goes away, and closes this socket within the delay.
    Draining { delay_ms: u64 },
}

/// What a door asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// The room's password.
    Password,
    /// A code of the client's own second factor.
    SecondFactor,
    /// A code of the room's.
    RoomCode,
    /// Nothing: somebody inside lets the client in.
    Approval,
}

impl Step {
    /// The step at which a client is asked for this.
    pub(crate) const fn of(asked: Asked) -> Self {
        match asked {
            Asked::Password => Self::Password,
            Asked::SecondFactor => Self::SecondFactor,
            Asked::RoomCode => Self::RoomCode,
        }
    }
}

/// What a receipt promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// This node took it.
    #[default]
    Accepted,
    /// It is on its way to every receiver on this node.
    Relayed,
    /// It is in durable history.
    Stored,
}

impl Level {
    /// By its name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "accepted" => Self::Accepted,
            "relayed" => Self::Relayed,
            "stored" => Self::Stored,
            _ => return None,
        })
    }
}

impl<'a> Event<'a> {
    /// A refused request.
    pub(crate) fn refused(
        id: Option<&'a Id>,
        room: Option<&'a RoomName>,
        refusal: &Refusal,
    ) -> Self {
        Self::Refused {
            id,
            room: room.map(RoomName::as_str),
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

/// Where a message stands among those of its room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its place in the room's order, where the room has one.
    pub stand: Option<Stand>,
    /// Whether it was said before, and is not heard live.
    pub past: bool,
}

/// Appends a room's message as `porthouse.v1` has it: one frame of the message's
/// own kind. `from` is `None` for a backend's.
pub(crate) fn message(
    room: &RoomName,
    from: Option<ClientId>,
    place: Place,
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
    line.push(b'"');
    if let Some(stand) = place.stand {
        line.extend_from_slice(br#","offset":"#);
        line.extend_from_slice(stand.offset.to_string().as_bytes());
    }
    if place.past {
        line.extend_from_slice(br#","history":true"#);
    }
    line.extend_from_slice(b"}\n");
    frame::header(kind, line.len() + payload.len(), out);
    out.extend_from_slice(&line);
    out.extend_from_slice(payload);
}

#[expect(clippy::ref_option, reason = "serde passes the field by reference")]
fn as_text_if<S: Serializer>(client: &Option<ClientId>, serializer: S) -> Result<S::Ok, S::Error> {
    match client {
        Some(client) => serializer.collect_str(client),
        None => serializer.serialize_none(),
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes the field by reference"
)]
fn as_millis<S: Serializer>(time: &UnixTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(time.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use porthouse_model::{Denial, RefusalId, Refused};

    const CLIENT: ClientId = ClientId::from_bytes([1; 16]);

    fn room(name: &str) -> RoomName {
        name.parse().expect("a room's name")
    }

    fn written(event: &Event<'_>) -> String {
        let mut out = Vec::new();
        event.frame(&mut out);
        let line = out
            .windows(2)
            .position(|two| two == b"{\"")
            .expect("a line");
        let line = out.split_off(line);
        let mut expected = Vec::new();
        frame::header(MessageKind::Text, line.len(), &mut expected);
        assert_eq!(out, expected, "one text frame");
        String::from_utf8(line).expect("UTF-8")
    }

    fn refusal(refused: Refused) -> Refusal {
        Denial::of(refused).named(RefusalId(0xab))
    }

    #[test]
    fn sign_in_and_entry_are_written_as_documented() {
        let (id, room) = (Id::Text("j".into()), room("lobby"));
        let username = "ada".parse().expect("a name");
        assert_eq!(
            written(&Event::Authenticated {
                id: Some(&id),
                client: CLIENT,
                username: &username,
                device: None,
                expires: UnixTime::from_millis(1_700_000_000_000),
                device_mark: None,
            }),
            r#"{"op":"authenticated","id":"j","client":"01010101-0101-0101-0101-010101010101","username":"ada","expires_ms":1700000000000}"#
        );
        assert_eq!(
            written(&Event::Challenge {
                id: Some(&id),
                room: &room,
                step: Step::Password,
                attempts_left: Some(3),
            }),
            r#"{"op":"challenge","id":"j","room":"lobby","step":"password","attempts_left":3}"#
        );
        assert_eq!(
            written(&Event::Admitted {
                id: None,
                room: &room,
                client: CLIENT,
                revision: 12,
                owner: None,
                epoch: None,
                offset: None,
                recovered: None,
                resume: None,
            }),
            r#"{"op":"admitted","room":"lobby","client":"01010101-0101-0101-0101-010101010101","revision":12}"#
        );
        assert_eq!(
            written(&Event::Admitted {
                id: None,
                room: &room,
                client: CLIENT,
                revision: 0,
                owner: Some(CLIENT),
                epoch: Some(77),
                offset: Some(3),
                recovered: Some(true),
                resume: Some("AQ"),
            }),
            r#"{"op":"admitted","room":"lobby","client":"01010101-0101-0101-0101-010101010101","revision":0,"owner":"01010101-0101-0101-0101-010101010101","epoch":77,"offset":3,"recovered":true,"resume":"AQ"}"#
        );
        assert_eq!(
            written(&Event::Epoch {
                room: &room,
                epoch: 78,
                offset: 0,
            }),
            r#"{"op":"epoch","room":"lobby","epoch":78,"offset":0}"#
        );
    }

    #[test]
    fn refusals_and_ends_are_written_as_documented() {
        let (id, room) = (Id::Natural(5), room("lobby"));
        assert_eq!(
            written(&Event::refused(
                Some(&id),
                Some(&room),
                &refusal(Refused::Stale)
            )),
            r#"{"op":"refused","id":5,"room":"lobby","code":4204,"rule":"staleness","needed":"word from the control plane","retry":"after","retry_after_ms":5000,"refusal_id":"00000000000000ab"}"#
        );
        assert_eq!(
            written(&Event::refused(
                None,
                None,
                &refusal(Refused::CredentialUnknown)
            )),
            r#"{"op":"refused","code":4100,"rule":"credential","needed":"a live session's token","retry":"authenticate","refusal_id":"00000000000000ab"}"#
        );
        assert_eq!(
            written(&Event::closed(&room, &refusal(Refused::RoomClosed))),
            r#"{"op":"closed","room":"lobby","code":4005,"rule":"room","needed":"a room that still exists","retry":"never","refusal_id":"00000000000000ab"}"#
        );
        assert_eq!(
            written(&Event::Left {
                id: Some(&id),
                room: &room,
            }),
            r#"{"op":"left","id":5,"room":"lobby"}"#
        );
        assert_eq!(
            written(&Event::Draining { delay_ms: 250 }),
            r#"{"op":"draining","delay_ms":250}"#
        );
    }

    #[test]
    fn receipts_pongs_and_errors_are_written_as_documented() {
        let (id, room) = (Id::Negative(-5), room("lobby"));
        assert_eq!(
            written(&Event::Receipt {
                id: &id,
                room: &room,
                level: Level::Accepted,
                offset: None,
            }),
            r#"{"op":"receipt","id":-5,"room":"lobby","level":"accepted"}"#
        );
        assert_eq!(
            written(&Event::Receipt {
                id: &id,
                room: &room,
                level: Level::Relayed,
                offset: Some(4),
            }),
            r#"{"op":"receipt","id":-5,"room":"lobby","level":"relayed","offset":4}"#
        );
        assert_eq!(
            written(&Event::History {
                id: Some(&id),
                room: &room,
                count: 2,
                through: 12,
                complete: true,
            }),
            r#"{"op":"history","id":-5,"room":"lobby","count":2,"through":12,"complete":true}"#
        );
        assert_eq!(written(&Event::Pong { id: None }), r#"{"op":"pong"}"#);
        let error = LineError {
            found: Some("sned".to_owned()),
            ..LineError::new("op", "another")
        };
        assert_eq!(
            written(&Event::error(Some(&id), &error)),
            r#"{"op":"error","id":-5,"rule":"op","needed":"another","found":"sned"}"#
        );
    }

    #[test]
    fn a_message_is_one_frame_of_its_own_kind() {
        let mut out = Vec::new();
        message(
            &room("a.b~c"),
            None,
            Place::default(),
            MessageKind::Binary,
            b"\0\xff",
            &mut out,
        );
        assert_eq!(
            out,
            b"\x82\x22{\"op\":\"message\",\"room\":\"a.b~c\"}\n\0\xff"
        );
        out.clear();
        let nowhere = Place::default();
        message(
            &room("a"),
            Some(CLIENT),
            nowhere,
            MessageKind::Text,
            b"hi",
            &mut out,
        );
        let line = br#"{"op":"message","room":"a","from":"01010101-0101-0101-0101-010101010101"}"#;
        let bytes = u8::try_from(line.len() + 3).expect("short");
        assert_eq!(out[..2], [0x81, bytes]);
        assert_eq!(out[2..], [&line[..], b"\nhi"].concat());
        out.clear();
        let past = Place {
            stand: Some(Stand {
                epoch: 7,
                offset: 12,
            }),
            past: true,
        };
        message(&room("a"), None, past, MessageKind::Text, b"hi", &mut out);
        let line = br#"{"op":"message","room":"a","offset":12,"history":true}"#;
        assert_eq!(out[2..], [&line[..], b"\nhi"].concat());
    }
}
