//! Porthouse's raw sockets: a room is a path, a message is a frame.

use crate::frames::{self, BINARY, Frames};
use crate::speech::{Speech, Who, handshake};
use crate::target::Target;

/// Raw sockets in rooms whose names begin alike.
#[derive(Clone)]
pub struct Raw {
    rooms: Rooms,
    /// Of each session, by the number that else tells the room; none: the target's.
    tokens: Vec<String>,
}

#[derive(Clone, Debug)]
enum Rooms {
    Of(String),
    Numbered(String),
}

impl Raw {
    /// All in one room.
    #[must_use]
    pub fn in_room(name: &str) -> Self {
        Self {
            rooms: Rooms::Of(name.to_owned()),
            tokens: Vec::new(),
        }
    }

    /// In rooms that are called this and a number.
    #[must_use]
    pub fn in_rooms(beginning: &str) -> Self {
        Self {
            rooms: Rooms::Numbered(beginning.to_owned()),
            tokens: Vec::new(),
        }
    }

    /// Each by the session of its number, `Who::room`; in one room all the same.
    #[must_use]
    pub fn as_each(self, tokens: Vec<String>) -> Self {
        Self { tokens, ..self }
    }
}

impl Speech for Raw {
    type Meter = Frames;

    fn request(&self, target: &Target, who: Who) -> String {
        let path = match &self.rooms {
            Rooms::Of(name) => format!("/{name}"),
            Rooms::Numbered(beginning) => format!("/{beginning}{}", who.room),
        };
        let credential = self.tokens.get(who.room).or(target.token.as_ref());
        let credential = credential.map(|token| format!("Authorization: Bearer {token}\r\n"));
        handshake(&target.host, &path, &credential.unwrap_or_default())
    }

    fn greeting(&self, _who: Who) -> Vec<u8> {
        Vec::new()
    }

    fn meter(&self, _who: Who) -> Frames {
        Frames::default()
    }

    fn message(&self, _who: Who, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        frames::encode(&mut bytes, BINARY, payload);
        bytes
    }
}
