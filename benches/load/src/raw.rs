//! Porthouse's raw sockets: a room is a path, a message is a frame.

use crate::frames::{self, BINARY, Frames, TEXT};
use crate::speech::{Speech, Who, handshake};
use crate::target::Target;

/// Raw sockets in rooms whose names begin alike.
#[derive(Clone)]
pub struct Raw {
    rooms: Rooms,
    /// Of each session, by the number that else tells the room; none: the target's.
    tokens: Vec<String>,
    words: Words,
}

/// What a message is.
#[derive(Clone, Copy, Debug)]
enum Words {
    Binary,
    /// A text that is a JSON string.
    Json,
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
            words: Words::Binary,
        }
    }

    /// In rooms that are called this and a number.
    #[must_use]
    pub fn in_rooms(beginning: &str) -> Self {
        Self {
            rooms: Rooms::Numbered(beginning.to_owned()),
            tokens: Vec::new(),
            words: Words::Binary,
        }
    }

    /// Each by the session of its number, `Who::room`; in one room all the same.
    #[must_use]
    pub fn as_each(self, tokens: Vec<String>) -> Self {
        Self { tokens, ..self }
    }

    /// What is said is JSON, a string as long as the payload.
    #[must_use]
    pub fn in_json(self) -> Self {
        Self {
            words: Words::Json,
            ..self
        }
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
        match self.words {
            Words::Binary => frames::encode(&mut bytes, BINARY, payload),
            Words::Json => {
                let mut text = payload.to_vec();
                if let [first, .., last] = text.as_mut_slice() {
                    (*first, *last) = (b'"', b'"');
                }
                frames::encode(&mut bytes, TEXT, &text);
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speech::Part;

    #[test]
    fn a_message_in_json_is_as_long_as_the_binary_one() {
        let who = Who {
            room: 0,
            part: Part::Speaks,
        };
        let raw = Raw::in_room("bench");
        let binary = raw.message(who, b"xxxx");
        let json = raw.in_json().message(who, b"xxxx");
        assert_eq!(binary.len(), json.len());
        assert!(json.ends_with(b"\"xx\""));
    }
}
