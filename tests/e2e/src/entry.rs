//! Somebody before a room's door, over either wire form in which a door can ask:
//! `porthouse.v1` and `porthouse.raw.v1`. Owns that both are asked and told
//! alike, a close frame being a refusal. Never answers by itself.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::multiplexed::{Multiplexed, Told};
use crate::raw::{Raw, request, with_header};

/// A wire form in which a door can ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `porthouse.v1`.
    Multiplexed,
    /// `porthouse.raw.v1`.
    Handshake,
}

impl Form {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Multiplexed, Self::Handshake];
}

/// Somebody at a door, or behind it.
#[derive(Debug)]
pub struct Entry {
    room: String,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Multiplexed(Multiplexed),
    Handshake(Raw),
}

impl Entry {
    /// Knocks, and answers what the door says first.
    pub async fn knock(
        ws: SocketAddr,
        form: Form,
        room: &str,
        token: Option<&str>,
    ) -> (Self, Value) {
        let mut entry = Self {
            room: room.to_owned(),
            socket: match form {
                Form::Multiplexed => Socket::Multiplexed(Multiplexed::open(ws, token).await),
                Form::Handshake => {
                    let request = request(ws, &format!("/{room}"), token);
                    let offer = "porthouse.raw.v1";
                    let request = with_header(request, "sec-websocket-protocol", offer);
                    let socket = Raw::ask(ws, request).await;
                    Socket::Handshake(socket.expect("a handshake always runs"))
                }
            },
        };
        let first = match &mut entry.socket {
            Socket::Multiplexed(socket) => {
                if token.is_some() {
                    socket.event("authenticated").await;
                }
                socket.ask("join", json!({ "room": room })).await
            }
            Socket::Handshake(_) => entry.told().await,
        };
        (entry, first)
    }

    /// Answers what was asked; what the door says to that.
    pub async fn answer(&mut self, field: &str, value: &str) -> Value {
        match &mut self.socket {
            Socket::Multiplexed(socket) => {
                let answer = json!({ "room": self.room, field: value });
                socket.ask("answer", answer).await
            }
            Socket::Handshake(socket) => {
                let answer = json!({ "op": "answer", field: value });
                socket.say(Message::text(answer.to_string())).await;
                self.told().await
            }
        }
    }

    /// What the door says next, unasked.
    ///
    /// # Panics
    /// When that is no line of ours.
    pub async fn told(&mut self) -> Value {
        match &mut self.socket {
            Socket::Multiplexed(socket) => match socket.next().await {
                Told::Line { header, .. } => header,
                Told::Closed(closed) => panic!("closed: {closed:?}"),
            },
            Socket::Handshake(socket) => match socket.next().await {
                Message::Text(line) => serde_json::from_str(&line).expect("a line is JSON"),
                Message::Close(Some(frame)) => {
                    let rule = frame.reason.split("; ").next().unwrap_or_default();
                    json!({ "op": "refused", "code": u16::from(frame.code), "rule": rule })
                }
                other @ (Message::Binary(_)
                | Message::Ping(_)
                | Message::Pong(_)
                | Message::Close(None)
                | Message::Frame(_)) => {
                    panic!("neither a line nor a close frame that says why: {other:?}")
                }
            },
        }
    }

    /// Takes the seat it was admitted to.
    ///
    /// # Panics
    /// When it was not.
    pub async fn start(&mut self) {
        if let Socket::Handshake(socket) = &mut self.socket {
            socket.say(Message::text(r#"{"op":"start"}"#)).await;
            assert_eq!(self.told().await["op"], "started");
        }
    }

    /// Says a text in the room.
    pub async fn say(&mut self, text: &str) {
        match &mut self.socket {
            Socket::Multiplexed(socket) => {
                let header = json!({ "op": "send", "room": self.room });
                socket.say_line(&header, Message::text(text)).await;
            }
            Socket::Handshake(socket) => socket.say(Message::text(text)).await,
        }
    }

    /// The next thing that is heard, a message of the room.
    pub async fn message(&mut self) -> Message {
        match &mut self.socket {
            Socket::Multiplexed(socket) => socket.message(&self.room).await,
            Socket::Handshake(socket) => socket.next().await,
        }
    }
}
