//! Bytes on a TCP connection, for what no well-behaved client sends and for what
//! a page's own WebSocket would see. Owns just enough of HTTP and RFC 6455 to
//! read answers. Checks nothing of what is sent.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::raw::Closed;
use crate::wait::within;

/// A masking key; RFC 6455 wants it random, which nobody can tell.
const MASK: [u8; 4] = [7, 1, 254, 99];
/// The opcode of a close frame.
pub const CLOSE: u8 = 8;
/// An answer's head longer than this is none.
const HEAD_BYTES_MAX: usize = 16_384;

/// A connection.
#[derive(Debug)]
pub struct Wire(TcpStream);

/// An HTTP answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Header lines as they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// A header's value; names are compared without case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// All of a header's lines.
    #[must_use]
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let own = self.headers.iter();
        own.filter(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("the body is JSON")
    }
}

/// A frame as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The opcode.
    pub opcode: u8,
    /// The payload.
    pub payload: Vec<u8>,
}

impl Wire {
    /// Connects.
    ///
    /// # Panics
    /// When nobody listens.
    pub async fn connect(ws: SocketAddr) -> Self {
        let stream = within("a connection", TcpStream::connect(ws)).await;
        Self(stream.expect("the node listens"))
    }

    /// The same over a connection that is there.
    #[must_use]
    pub const fn over(stream: TcpStream) -> Self {
        Self(stream)
    }

    /// Sends bytes, as long as the connection stands; answers whether it did.
    pub async fn try_send(&mut self, bytes: &[u8]) -> bool {
        within("room to send", self.0.write_all(bytes))
            .await
            .is_ok()
    }

    /// All that still comes until the connection ends.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset is an end too: the node did not read all that was sent.
        let _ = within("the end of the connection", self.0.read_to_end(&mut rest)).await;
        rest
    }

    /// Sends a handshake with these further header lines, and reads the answer.
    pub async fn upgrade(ws: SocketAddr, path: &str, headers: &[&str]) -> (Self, Answer) {
        let mut wire = Self::connect(ws).await;
        let mut lines = vec![
            format!("GET {path} HTTP/1.1"),
            format!("Host: {ws}"),
            "Upgrade: websocket".to_owned(),
            "Connection: Upgrade".to_owned(),
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==".to_owned(),
            "Sec-WebSocket-Version: 13".to_owned(),
        ];
        lines.extend(headers.iter().map(|line| (*line).to_owned()));
        wire.send(format!("{}\r\n\r\n", lines.join("\r\n")).as_bytes())
            .await;
        let answer = wire.answer().await;
        (wire, answer)
    }

    /// An upgraded socket.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn open(ws: SocketAddr, path: &str, headers: &[&str]) -> Self {
        let (wire, answer) = Self::upgrade(ws, path, headers).await;
        assert_eq!(answer.status, 101, "{path}: {}", answer.body);
        wire
    }

    /// Sends bytes.
    ///
    /// # Panics
    /// When the connection has ended.
    pub async fn send(&mut self, bytes: &[u8]) {
        let sent = within("room to send", self.0.write_all(bytes)).await;
        sent.expect("the connection is open");
    }

    /// Sends a frame with a mask; `first` holds FIN, reserved bits and opcode.
    pub async fn send_frame(&mut self, first: u8, payload: &[u8]) {
        let mut bytes = head(first, 0x80, payload.len());
        bytes.extend(MASK);
        let masked = payload.iter().zip(MASK.iter().cycle());
        bytes.extend(masked.map(|(byte, mask)| byte ^ mask));
        self.send(&bytes).await;
    }

    /// Sends a frame without a mask.
    pub async fn send_unmasked(&mut self, first: u8, payload: &[u8]) {
        let mut bytes = head(first, 0, payload.len());
        bytes.extend(payload);
        self.send(&bytes).await;
    }

    /// Sends the header of a frame whose payload never comes.
    pub async fn send_head(&mut self, first: u8, payload_bytes: usize) {
        let mut bytes = head(first, 0x80, payload_bytes);
        bytes.extend(MASK);
        self.send(&bytes).await;
    }

    /// Reads an HTTP answer; a body as long as it says.
    ///
    /// # Panics
    /// When it is none.
    pub async fn answer(&mut self) -> Answer {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            assert!(head.len() < HEAD_BYTES_MAX, "a head without end");
            head.push(self.byte().await);
        }
        let head = String::from_utf8(head).expect("a head is ASCII");
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let headers = lines.filter_map(|line| line.split_once(':'));
        let mut answer = Answer {
            status: status
                .and_then(|status| status.parse().ok())
                .expect("a status line"),
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
                .collect(),
            body: String::new(),
        };
        let bytes = answer.header("content-length").unwrap_or("0");
        let body = self.bytes(bytes.parse().expect("a number")).await;
        answer.body = String::from_utf8(body).expect("a body is text");
        answer
    }

    /// Reads a line of text, without its newline.
    ///
    /// # Panics
    /// When the connection ends, or the line is no text.
    pub async fn line(&mut self) -> String {
        let mut line = Vec::new();
        loop {
            match self.byte().await {
                b'\n' => return String::from_utf8(line).expect("a line is text"),
                byte => line.push(byte),
            }
        }
    }

    /// Reads a frame.
    ///
    /// # Panics
    /// When it is masked, or the connection ends.
    pub async fn frame(&mut self) -> Frame {
        let opcode = self.byte().await & 0x0f;
        let short = self.byte().await;
        assert!(short < 0x80, "a server masks nothing");
        let length = match short {
            126 => self.number(2).await,
            127 => self.number(8).await,
            short => usize::from(short),
        };
        Frame {
            opcode,
            payload: self.bytes(length).await,
        }
    }

    /// Reads the close frame, which must come next, and the end after it.
    ///
    /// # Panics
    /// When something else comes.
    pub async fn closed(&mut self) -> Closed {
        let frame = self.frame().await;
        assert_eq!(frame.opcode, CLOSE, "{frame:?}");
        let (code, reason) = frame.payload.split_at(2);
        let closed = Closed {
            code: u16::from_be_bytes([code[0], code[1]]),
            reason: String::from_utf8(reason.to_vec()).expect("a reason is UTF-8"),
        };
        // What a client owes: the same code back.
        let _ = self.0.write_all(&[0x88, 0x80, 0, 0, 0, 0]).await;
        self.ended().await;
        closed
    }

    /// The close frame, whatever else comes before it.
    pub async fn closed_at_last(&mut self) -> Closed {
        loop {
            let frame = self.frame().await;
            if frame.opcode == CLOSE {
                let (code, reason) = frame.payload.split_at(2);
                return Closed {
                    code: u16::from_be_bytes([code[0], code[1]]),
                    reason: String::from_utf8_lossy(reason).into_owned(),
                };
            }
        }
    }

    /// The node ends the connection and says nothing more.
    ///
    /// # Panics
    /// When it says more.
    pub async fn ended(&mut self) {
        let mut rest = Vec::new();
        // A reset is an end too: the node did not read all that was sent.
        let _ = within("the end of the connection", self.0.read_to_end(&mut rest)).await;
        assert!(rest.is_empty(), "after the end: {rest:?}");
    }

    async fn byte(&mut self) -> u8 {
        within("a byte", self.0.read_u8())
            .await
            .expect("the connection is open")
    }

    async fn number(&mut self, bytes: usize) -> usize {
        let read = self.bytes(bytes).await;
        let number = read.iter().fold(0, |all, byte| all << 8 | u64::from(*byte));
        usize::try_from(number).expect("it fits")
    }

    async fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        within("the rest", self.0.read_exact(&mut bytes))
            .await
            .expect("the connection is open");
        bytes
    }
}

/// The header of a frame, its length in the fewest bytes.
fn head(first: u8, mask: u8, payload_bytes: usize) -> Vec<u8> {
    let mut head = vec![first];
    match (u8::try_from(payload_bytes), u16::try_from(payload_bytes)) {
        (Ok(short), _) if short < 126 => head.push(mask | short),
        (_, Ok(middle)) => {
            head.push(mask + 126);
            head.extend(middle.to_be_bytes());
        }
        (_, Err(_)) => {
            head.push(mask + 127);
            head.extend((payload_bytes as u64).to_be_bytes());
        }
    }
    head
}
