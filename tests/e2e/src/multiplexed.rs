//! A `porthouse.v1` socket: header lines and payloads, as docs/protocol.md has
//! them. Owns the pairing of a request with its one reply; what came meanwhile
//! is kept in order. Never interprets a line.

use std::collections::VecDeque;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::raw::{Closed, Raw, request, with_header};

/// The subprotocol's name.
pub const SUBPROTOCOL: &str = "porthouse.v1";

/// An open socket.
#[derive(Debug)]
pub struct Multiplexed {
    socket: Raw,
    next_id: u64,
    waiting: VecDeque<Told>,
}

/// What came.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// A header line and its payload, in a text or a binary frame.
    Line {
        /// The header line.
        header: Value,
        /// What came after it, as a message of the frame's kind.
        payload: Message,
    },
    /// The close frame.
    Closed(Closed),
}

impl Multiplexed {
    /// Opens a socket in the lobby, with a session's token or without.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn open(ws: SocketAddr, token: Option<&str>) -> Self {
        Self::open_as(ws, SUBPROTOCOL, token).await
    }

    /// The same over a connection that is there, without a token.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn open_over(ws: SocketAddr, stream: tokio::net::TcpStream) -> Self {
        let request = with_header(
            request(ws, "/", None),
            "sec-websocket-protocol",
            SUBPROTOCOL,
        );
        let socket = Raw::ask_over(stream, request).await;
        Self {
            socket: socket.expect("the lobby is open"),
            next_id: 1,
            waiting: VecDeque::new(),
        }
    }

    /// The same under another subprotocol that speaks in lines.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn open_as(ws: SocketAddr, subprotocol: &str, token: Option<&str>) -> Self {
        let request = with_header(
            request(ws, "/", token),
            "sec-websocket-protocol",
            subprotocol,
        );
        let socket = Raw::ask(ws, request).await;
        Self {
            socket: socket.expect("the lobby is open"),
            next_id: 1,
            waiting: VecDeque::new(),
        }
    }

    /// Asks something and waits for its reply.
    ///
    /// # Panics
    /// When the socket is closed instead.
    pub async fn ask(&mut self, op: &str, fields: Value) -> Value {
        self.ask_with(op, fields, Message::text("")).await
    }

    /// The same with a payload, in a frame of its kind.
    ///
    /// # Panics
    /// When the socket is closed instead.
    pub async fn ask_with(&mut self, op: &str, fields: Value, payload: Message) -> Value {
        let id = self.next_id;
        self.next_id += 1;
        let mut header = fields;
        header["op"] = json!(op);
        header["id"] = json!(id);
        self.say_line(&header, payload).await;
        loop {
            match self.read().await {
                Told::Line { header, .. } if header["id"] == json!(id) => return header,
                Told::Closed(closed) => panic!("closed instead of a reply to {op}: {closed:?}"),
                other @ Told::Line { .. } => self.waiting.push_back(other),
            }
        }
    }

    /// Joins a room and must be let in; answers its client id there.
    ///
    /// # Panics
    /// When it is not.
    pub async fn join(&mut self, room: &str) -> String {
        let reply = self.ask("join", json!({ "room": room })).await;
        assert_eq!(reply["op"], "admitted", "{reply}");
        reply["client"].as_str().expect("a client id").to_owned()
    }

    /// Sends a header line with a payload, in a frame of its kind.
    pub async fn say_line(&mut self, header: &Value, payload: Message) {
        let line = format!("{header}\n");
        let frame = match payload {
            Message::Text(text) => Message::text(format!("{line}{text}")),
            Message::Binary(bytes) => Message::binary([line.as_bytes(), &bytes].concat()),
            other @ (Message::Ping(_)
            | Message::Pong(_)
            | Message::Close(_)
            | Message::Frame(_)) => other,
        };
        self.socket.say(frame).await;
    }

    /// Sends a frame as it stands.
    pub async fn say_frame(&mut self, frame: Message) {
        self.socket.say(frame).await;
    }

    /// What comes next.
    pub async fn next(&mut self) -> Told {
        match self.waiting.pop_front() {
            Some(told) => told,
            None => self.read().await,
        }
    }

    /// So many pings come, each of which is answered, and nothing else.
    ///
    /// # Panics
    /// When something else comes.
    pub async fn pinged(&mut self, times: usize) {
        self.socket.pinged(times).await;
    }

    /// The next line, which must be this event.
    ///
    /// # Panics
    /// When it is another.
    pub async fn event(&mut self, op: &str) -> Value {
        match self.next().await {
            Told::Line { header, .. } if header["op"] == op => header,
            other @ (Told::Line { .. } | Told::Closed(_)) => panic!("not {op} but {other:?}"),
        }
    }

    /// The next line, which must be a message; its payload.
    ///
    /// # Panics
    /// When it is none.
    pub async fn message(&mut self, room: &str) -> Message {
        match self.next().await {
            Told::Line { header, payload } if header["op"] == "message" => {
                assert_eq!(header["room"], room, "{header}");
                payload
            }
            other @ (Told::Line { .. } | Told::Closed(_)) => panic!("no message but {other:?}"),
        }
    }

    /// The close frame, which must come next.
    ///
    /// # Panics
    /// When something else does.
    pub async fn closed(&mut self) -> Closed {
        let (lines, closed) = self.rest().await;
        assert!(lines.is_empty(), "before the close frame: {lines:?}");
        closed
    }

    /// All lines up to the close frame, and what that says.
    pub async fn rest(&mut self) -> (Vec<Told>, Closed) {
        let mut lines = Vec::new();
        loop {
            match self.next().await {
                Told::Closed(closed) => return (lines, closed),
                line @ Told::Line { .. } => lines.push(line),
            }
        }
    }

    async fn read(&mut self) -> Told {
        match self.socket.next().await {
            Message::Text(text) => {
                let (header, payload) = parted(text.as_bytes());
                let payload = String::from_utf8(payload.to_vec()).expect("part of a text");
                Told::Line {
                    header,
                    payload: Message::text(payload),
                }
            }
            Message::Binary(bytes) => {
                let (header, payload) = parted(&bytes);
                Told::Line {
                    header,
                    payload: Message::binary(Bytes::copy_from_slice(payload)),
                }
            }
            Message::Close(frame) => {
                let frame = frame.expect("a close frame says why");
                Told::Closed(Closed {
                    code: frame.code.into(),
                    reason: frame.reason.to_string(),
                })
            }
            other @ (Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {
                panic!("no frame of porthouse.v1: {other:?}")
            }
        }
    }
}

/// The header line, and the payload after its newline.
fn parted(frame: &[u8]) -> (Value, &[u8]) {
    let end = frame.iter().position(|byte| *byte == b'\n');
    let (line, payload) = match end {
        Some(end) => (&frame[..end], &frame[end + 1..]),
        None => (frame, &[][..]),
    };
    let header = serde_json::from_slice(line).expect("a header line is JSON");
    (header, payload)
}
