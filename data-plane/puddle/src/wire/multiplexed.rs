//! `porthouse.v1`: every frame is one header line of JSON, then the payload
//! untouched. Owns what a client can ask; what it is told is in [`event`], how a
//! line is read in `header`. Knows no room and no client.

mod header;
mod value;
mod event;
mod people;
mod id;

use std::borrow::Cow;

use porthouse_model::{BadCredential, ClientId, RoomName, TokenHash, Username};

use crate::home::Range;
use crate::people::RoomLife;
use crate::question::{DeviceMark, Proof, Secret};
use crate::sequence::Asked;
use crate::settings::Settings;
use crate::waiting::Decision;
pub(crate) use event::{Event, Level, Place, Step as AskedStep, message};
pub(crate) use header::KEY_BYTES_MAX;
pub(crate) use id::Id;
pub(crate) use people::PeopleEvent;

/// When somebody who is put out of a room may come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comeback {
    /// At once.
    AtOnce,
    /// After a while, as the node is configured.
    Later,
}

/// One frame, read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// The client's own name for the request, to be echoed in its one reply.
    pub id: Option<Id>,
    /// What it asks.
    pub op: Op<'a>,
    /// What follows the line.
    pub payload: &'a [u8],
}

/// What a client asks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Op<'a> {
    /// Be the holder of this session.
    AuthSession {
        /// Its token's hash, if it is a token.
        token: Result<TokenHash, BadCredential>,
    },
    /// Be this user.
    AuthJwt {
        /// The token.
        jwt: Secret,
    },
    AuthPassword {
        /// Who.
        username: Username,
        /// By this password.
        password: Secret,
        /// On which device.
        device: DeviceMark,
    },
    /// Be the user whose password was right, by a code of the second factor.
    AuthCode {
        /// The code, or a recovery code.
        code: Secret,
        /// On which device.
        device: DeviceMark,
    },
    /// Go on by another session of the same user.
    Renew {
        /// Its token's hash, if it is a token.
        token: Result<TokenHash, BadCredential>,
    },
    /// Enter a room.
    Join {
        /// The room.
        room: RoomName,
        /// How long it lives, if it is transient and made by this.
        life: Option<RoomLife>,
        /// The token by which to go on where the client was, and the last offset
        /// it has seen since.
        token: Option<(Secret, Option<u64>)>,
    },
    /// Give a token by which to come back to a room.
    Resume {
        /// The room.
        room: RoomName,
    },
    /// Answer what was asked at a room's door.
    Answer {
        /// The room.
        room: RoomName,
        /// The answer.
        answer: Answer,
    },
    /// Let in or turn away who waits to be let in.
    Decide {
        /// The room.
        room: RoomName,
        /// Who waits.
        client: ClientId,
        /// What is decided.
        decision: Decision,
    },
    /// Put a client out of a room.
    Kick {
        /// The room.
        room: RoomName,
        /// Whom.
        client: ClientId,
        /// When it may come back.
        comeback: Comeback,
    },
    /// Leave a room, or its door.
    Leave {
        /// The room.
        room: RoomName,
    },
    /// Say the payload in a room.
    Send {
        /// The room, as it was written: a name that is no room's is no room this
        /// socket is in, and looking is cheaper than parsing.
        room: Cow<'a, str>,
        /// Only to these, if any; sorted.
        to: Vec<ClientId>,
        /// Not to these; sorted.
        except: Vec<ClientId>,
        /// The receipt that is wanted.
        receipt: Level,
        /// The client's own name for the message: said again under it, it is the
        /// same message.
        key: Option<Cow<'a, str>>,
    },
    /// Read what was said in a room.
    History {
        /// The room.
        room: RoomName,
        /// What of it.
        range: Range,
    },
    /// Tell who is in a room, and what changes from here on.
    Presence {
        /// The room.
        room: RoomName,
        /// Only clients after this one.
        after: Option<ClientId>,
    },
    /// Hand a transient room on.
    Pass {
        /// The room.
        room: RoomName,
        /// To whom.
        client: ClientId,
    },
    /// Set a transient room's rules, which are the payload.
    Rules {
        /// The room.
        room: RoomName,
    },
    /// Reply with a pong.
    Ping,
}

/// An answer, of a kind that fits the question or does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A password.
    Password(Secret),
    /// A code.
    Code(Secret),
}

impl Answer {
    /// What it shows, if it is of the kind that was asked for.
    pub(crate) fn to(self, asked: Asked) -> Option<Proof> {
        match (self, asked) {
            (Self::Password(password), Asked::Password) => Some(Proof::Password(password)),
            (Self::Code(code), Asked::SecondFactor) => Some(Proof::SecondFactor(code)),
            (Self::Code(code), Asked::RoomCode) => Some(Proof::RoomCode(code)),
            (Self::Password(_), Asked::SecondFactor | Asked::RoomCode)
            | (Self::Code(_), Asked::Password) => None,
        }
    }
}

/// Why a frame could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LineFault {
    /// The line is longer than it may be: the socket is closed with 1008.
    TooLong,
    /// The line says nothing that can be done: an `error` event tells why, and
    /// the socket stays.
    Bad {
        /// The request's id, as far as it could be found.
        id: Option<Id>,
        /// Why.
        error: LineError,
    },
}

/// What is wrong with a line, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LineError {
    /// The field or limit, by name.
    pub rule: &'static str,
    /// What it must be.
    pub needed: Cow<'static, str>,
    /// What was there instead, where that is short and no secret.
    pub found: Option<String>,
}

impl LineError {
    /// An error that needs no more words.
    pub(crate) const fn new(rule: &'static str, needed: &'static str) -> Self {
        Self {
            rule,
            needed: Cow::Borrowed(needed),
            found: None,
        }
    }
}

/// The reason a socket is closed with for [`LineFault::TooLong`].
pub(crate) const LINE_TOO_LONG: &str =
    "header_line_bytes_max: a header line of JSON ends with a newline before its payload";

/// Reads one frame.
pub(crate) fn parse<'a>(frame: &'a [u8], settings: &Settings) -> Result<Line<'a>, LineFault> {
    let bytes_max = settings.header_line_bytes_max;
    let head = &frame[..frame.len().min(bytes_max)];
    let (line, payload) = match head.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&frame[..end], &frame[end + 1..]),
        None if frame.len() <= bytes_max => (frame, &frame[frame.len()..]),
        None => return Err(LineFault::TooLong),
    };
    let (id, op) = header::read(line, settings)?;
    Ok(Line { id, op, payload })
}

#[cfg(test)]
mod tests;
