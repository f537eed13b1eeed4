//! A command socket beside a raw one: the secret by which the two find each
//! other, and what their puddles tell each other about the pair.
//!
//! Owns the secret's form. Never decides whether a secret is right.

use core::fmt;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use porthouse_model::{ClientId, Refusal, RoomName, TokenHash};
use sha2::{Digest, Sha256};

use crate::home::{OwnerAct, Range};
use crate::input::{PuddleId, SocketId};
use crate::waiting::Decision;
use crate::wire::multiplexed::{Answer, Comeback, Id};

/// Bytes that say where the sibling is; they are no secret.
const PLACE_BYTES: usize = 9;
/// Bytes that nobody guesses.
const SECRET_BYTES: usize = 16;

/// What a sibling is given, to be shown by one raw socket, once.
pub(crate) struct BindSecret([u8; PLACE_BYTES + SECRET_BYTES]);

impl fmt::Debug for BindSecret {
    /// Never the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BindSecret")
    }
}

impl BindSecret {
    pub(crate) fn new(puddle: PuddleId, sibling: SocketId, secret: [u8; SECRET_BYTES]) -> Self {
        let mut bytes = [0; PLACE_BYTES + SECRET_BYTES];
        bytes[0] = puddle.0;
        bytes[1..5].copy_from_slice(&sibling.slot.to_be_bytes());
        bytes[5..9].copy_from_slice(&sibling.generation.to_be_bytes());
        bytes[9..].copy_from_slice(&secret);
        Self(bytes)
    }

    /// Reads one; `None`: no sibling was ever given this.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }

    /// The text to hand to the sibling, once.
    pub(crate) fn reveal(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }

    /// What is kept and told in its place.
    pub(crate) fn shown(&self) -> Shown {
        let [puddle, slot @ ..] = &self.0;
        let number = |at: usize| {
            let bytes: [u8; 4] = slot[at..at + 4].try_into().expect("four bytes");
            u32::from_be_bytes(bytes)
        };
        Shown {
            puddle: PuddleId(*puddle),
            sibling: SocketId {
                slot: number(0),
                generation: number(4),
            },
            secret: TokenHash::from_bytes(Sha256::digest(self.0).into()),
        }
    }
}

/// A secret that was shown: where its sibling is, and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The sibling's puddle.
    pub puddle: PuddleId,
    /// The sibling there.
    pub sibling: SocketId,
    /// The secret's hash.
    pub secret: TokenHash,
}

/// A raw socket and its sibling, each a name on its own puddle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    /// The raw socket.
    pub raw: SocketId,
    /// The sibling.
    pub sibling: SocketId,
}

/// What the puddles of a raw socket and its sibling tell each other.
#[derive(Clone, Debug)]
pub struct SiblingHop {
    /// Whose puddles.
    pub(crate) pair: Pair,
    /// What.
    pub(crate) what: SiblingSaid,
}

/// See [`SiblingHop`].
#[derive(Clone, Debug)]
pub(crate) enum SiblingSaid {
    /// A raw socket of mine, before this room's door, has shown a secret of yours.
    Bind(Claim),
    /// They are a pair from here on.
    Bound,
    /// They are none.
    Unbound,
    /// The sibling asks this of the raw socket.
    Do(Option<Id>, Command),
    /// That was taken up: the sibling may ask more.
    Done,
    /// The sibling is told this: frames, as they are written.
    Told(Arc<[u8]>),
    /// Nothing more is written of what the sibling was told: the right to it may
    /// have ended.
    Cut,
    /// The raw socket is moved to this room.
    Moved(RoomName),
    /// The raw socket has gone.
    Ended(End),
    /// The sibling has gone.
    Gone,
}

/// What a raw socket says of itself when it shows a secret.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    /// The secret's hash.
    pub secret: TokenHash,
    /// The token by which it comes; the sibling must have come by the same.
    pub token: Option<TokenHash>,
    /// The room before whose door it stands.
    pub room: RoomName,
}

/// What a sibling asks of its raw socket.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    /// Answers what the door asks.
    Answer(Answer),
    /// Leaves the room.
    Leave,
    /// Lets in or turns away who waits to be let in.
    Decide(ClientId, Decision),
    /// Puts a client out of the room.
    Kick(ClientId, Comeback),
    /// Reads what was said.
    History(Range),
    /// Looks at who is there.
    Presence(Option<ClientId>),
    /// Does what only the room's owner may.
    Own(OwnerAct),
    /// Goes on by this session, as the sibling does now.
    Renew(TokenHash),
}

/// How it ended for a raw socket.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// It closed, was closed for how it behaved, or left as this request asked.
    Left(Option<Id>),
    /// It was refused at the door, in reply to this request if there is one.
    Refused(Option<Id>, Refusal),
    /// It was inside, and was put out.
    Closed(Refusal),
}

impl SiblingHop {
    /// What it costs on a ring, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        match &self.what {
            SiblingSaid::Told(frames) => frames.len() as u64,
            SiblingSaid::Do(_, Command::Own(OwnerAct::Rule(rules))) => rules.len() as u64,
            SiblingSaid::Do(..)
            | SiblingSaid::Bind(_)
            | SiblingSaid::Bound
            | SiblingSaid::Unbound
            | SiblingSaid::Done
            | SiblingSaid::Cut
            | SiblingSaid::Moved(_)
            | SiblingSaid::Ended(_)
            | SiblingSaid::Gone => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: SocketId = SocketId {
        slot: 7,
        generation: 0x0102_0304,
    };

    #[test]
    fn a_secret_says_where_its_sibling_is_and_nothing_else() {
        let secret = BindSecret::new(PuddleId(3), AT, [9; 16]);
        let text = secret.reveal();
        let read = BindSecret::parse(&text).expect("a secret");
        assert_eq!(read.shown(), secret.shown());
        assert_eq!(
            (read.shown().puddle, read.shown().sibling),
            (PuddleId(3), AT)
        );
        let other = BindSecret::new(PuddleId(3), AT, [8; 16]);
        assert_ne!(other.shown().secret, secret.shown().secret);
        assert_eq!(format!("{secret:?}"), "BindSecret");
    }

    #[test]
    fn what_is_no_secret_is_none() {
        let client = ClientId::from_bytes([1; 16]).to_string();
        for text in [
            "",
            "x",
            &client,
            "018f3c5e",
            &"A".repeat(33),
            &"A".repeat(36),
        ] {
            assert!(BindSecret::parse(text).is_none(), "{text}");
        }
    }
}
