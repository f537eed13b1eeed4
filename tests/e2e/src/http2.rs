//! HTTP/2 written frame by frame, for what no well-behaved caller sends. Owns the
//! bytes of frames and what became of them; never judges that.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::wait::within;

/// Kinds of frames.
pub const DATA: u8 = 0x0;
/// Opens a stream.
pub const HEADERS: u8 = 0x1;
/// Ends a stream at once.
pub const RST_STREAM: u8 = 0x3;
/// Says how to be spoken to.
pub const SETTINGS: u8 = 0x4;
/// Asks whether somebody is there.
pub const PING: u8 = 0x6;
/// Ends the connection.
pub const GOAWAY: u8 = 0x7;
/// More of what a `HEADERS` began.
pub const CONTINUATION: u8 = 0x9;

/// The setting: streams that may be open.
pub const MAX_CONCURRENT_STREAMS: u16 = 0x3;
/// The setting: bytes that may be sent on a stream before more are asked for.
pub const INITIAL_WINDOW_SIZE: u16 = 0x4;

/// The flag: nothing follows on the stream.
pub const END_STREAM: u8 = 0x1;
/// The flag: the headers end here.
pub const END_HEADERS: u8 = 0x4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What the kernel keeps for us of what is not read.
const UNREAD_BYTES_MAX: u32 = 16 * 1024;
/// After so long without a byte taken nobody reads us any more.
const STUCK_AFTER: Duration = Duration::from_secs(3);

/// A connection.
#[derive(Debug)]
pub struct Http2 {
    stream: TcpStream,
}

/// A frame that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its kind.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream; 0: the connection.
    pub stream: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// What became of bytes that were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// They were taken.
    All,
    /// They are not read any more.
    Stuck,
    /// The connection is no more.
    Gone,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By a `GOAWAY` with this code.
    GoAway(u32),
    /// Without a word.
    Lost,
}

impl Frame {
    /// A number that it carries from this byte on.
    ///
    /// # Panics
    /// When it is too short.
    #[must_use]
    pub fn number(&self, from: usize) -> u32 {
        let bytes = self.payload[from..from + 4].try_into();
        u32::from_be_bytes(bytes.expect("four bytes"))
    }

    /// What a frame of settings says of one.
    ///
    /// # Panics
    /// Never: settings are of one length.
    #[must_use]
    pub fn setting(&self, wanted: u16) -> Option<u32> {
        let mut settings = self.payload.chunks_exact(6);
        let said = settings.find(|said| said[..2] == wanted.to_be_bytes())?;
        let value = said[2..].try_into().expect("four bytes");
        Some(u32::from_be_bytes(value))
    }
}

impl Http2 {
    /// Connects and says these settings.
    ///
    /// # Panics
    /// When nobody listens.
    pub async fn connect(to: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket
            .set_recv_buffer_size(UNREAD_BYTES_MAX)
            .expect("before it connects");
        let stream = within("a connection", socket.connect(to)).await;
        let mut http2 = Self {
            stream: stream.expect("somebody listens"),
        };
        let said: Vec<u8> = settings
            .iter()
            .flat_map(|(setting, value)| {
                [&setting.to_be_bytes()[..], &value.to_be_bytes()].concat()
            })
            .collect();
        let first = [PREFACE, &frame(SETTINGS, 0, 0, &said)].concat();
        assert_eq!(http2.send(&first).await, Sent::All, "it begins");
        http2
    }

    /// Sends bytes as far as they are taken.
    pub async fn send(&mut self, mut bytes: &[u8]) -> Sent {
        while !bytes.is_empty() {
            match timeout(STUCK_AFTER, self.stream.write(bytes)).await {
                Ok(Ok(taken)) if taken > 0 => bytes = &bytes[taken..],
                Ok(Ok(_) | Err(_)) => return Sent::Gone,
                Err(_) => return Sent::Stuck,
            }
        }
        Sent::All
    }

    /// The next frame, or nothing where the connection has ended.
    pub async fn next(&mut self) -> Option<Frame> {
        within("a frame", self.read()).await
    }

    async fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).expect("a small number")];
        self.stream.read_exact(&mut payload).await.ok()?;
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]),
            payload,
        })
    }

    /// Reads until the connection ends.
    pub async fn ended(&mut self) -> Ended {
        while let Some(frame) = self.next().await {
            if frame.kind == GOAWAY {
                return Ended::GoAway(frame.number(4));
            }
        }
        Ended::Lost
    }
}

/// A frame.
///
/// # Panics
/// When it is longer than a frame can be.
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("it is short");
    let head = [
        &length.to_be_bytes()[1..],
        &[kind, flags],
        &stream.to_be_bytes(),
    ]
    .concat();
    [&head, payload].concat()
}

/// Headers that open a call to a path, with this key if there is one; `flags` say
/// whether more headers or a message follow.
#[must_use]
pub fn call(stream: u32, path: &str, key: Option<&str>, flags: u8) -> Vec<u8> {
    // `:method: POST`, `:scheme: http`, `:path`, `:authority`, `content-type`, `te`,
    // by the numbers that RFC 7541 gives the names.
    let mut block = vec![0x83, 0x86, 0x04];
    text(&mut block, path);
    block.push(0x01);
    text(&mut block, "porthouse");
    block.extend([0x0f, 0x10]);
    text(&mut block, "application/grpc");
    block.push(0x00);
    text(&mut block, "te");
    text(&mut block, "trailers");
    if let Some(key) = key {
        block.extend([0x0f, 0x08]);
        text(&mut block, &format!("Bearer {key}"));
    }
    frame(HEADERS, flags, stream, &block)
}

/// A message of a call, which is its last.
///
/// # Panics
/// When it is longer than a frame can be.
#[must_use]
pub fn message(stream: u32, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("it is short");
    let framed = [&[0][..], &length.to_be_bytes(), message].concat();
    frame(DATA, END_STREAM, stream, &framed)
}

fn text(block: &mut Vec<u8>, text: &str) {
    let length = u8::try_from(text.len()).expect("it is short");
    assert!(length < 0x7f, "it is short");
    block.push(length);
    block.extend(text.as_bytes());
}
