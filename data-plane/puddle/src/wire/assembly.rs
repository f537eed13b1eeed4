//! Messages from frames: one machine a socket, which holds bytes only while a
//! fragmented message is under way (RFC 6455, section 5.4). Reads and unmasks in
//! place; never writes, and never holds a frame that is not whole.

use std::borrow::Cow;

use porthouse_model::{CloseCode, MessageKind};

use super::frame::{self, Fault, Head, Header, Limits, Opcode};

/// What one frame came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<'b> {
    /// A message or a control frame.
    Event {
        /// What.
        event: Event<'b>,
        /// Bytes taken.
        bytes: usize,
    },
    /// A fragment was taken; its message goes on.
    Progress {
        /// Bytes taken.
        bytes: usize,
    },
    /// The frame is not whole. Nothing was taken or touched.
    NeedMore {
        /// Bytes, from the frame's first, before it is worth looking again.
        bytes_wanted: usize,
    },
    /// The socket must be closed. Nothing after this may be read.
    Fault(Fault),
}

/// Something the peer said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event<'b> {
    /// A whole message, within the limit; if text, UTF-8.
    Message {
        /// Its kind.
        kind: MessageKind,
        /// Its bytes: in place, or put together from fragments.
        payload: Cow<'b, [u8]>,
    },
    /// Answer with a pong of the same payload.
    Ping(&'b [u8]),
    /// The peer is there.
    Pong,
    /// The peer closes. The answer, if none was sent, is a close frame of the
    /// same code; an empty one to `None`.
    Close(Option<CloseCode>),
}

/// What of a message has come so far; nothing, most of the time.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    under_way: Option<Box<Fragments>>,
}

#[derive(Debug)]
struct Fragments {
    kind: MessageKind,
    bytes: Vec<u8>,
    /// Of a text, so much is known to be UTF-8.
    valid_bytes: usize,
    /// Frames since the message last grew.
    idle_frames: u16,
}

impl Assembly {
    /// Takes the next frame from the front of what was received.
    pub(crate) fn next<'b>(&mut self, bytes: &'b mut [u8], limits: &Limits) -> Step<'b> {
        self.step(bytes, limits).unwrap_or_else(Step::Fault)
    }

    /// Whether a fragmented message is under way.
    pub(crate) const fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    fn step<'b>(&mut self, bytes: &'b mut [u8], limits: &Limits) -> Result<Step<'b>, Fault> {
        let header = match frame::read_header(bytes)? {
            Head::Whole(header) => header,
            Head::Part(bytes_wanted) => return Ok(Step::NeedMore { bytes_wanted }),
        };
        let payload_bytes = self.check(&header, limits)?;
        let frame_bytes = header.header_bytes + payload_bytes;
        let Some(payload) = bytes.get_mut(header.header_bytes..frame_bytes) else {
            return Ok(Step::NeedMore {
                bytes_wanted: frame_bytes,
            });
        };
        frame::unmask(payload, header.mask);
        let event = match header.opcode {
            Opcode::Message(kind) if header.fin => whole(kind, payload)?,
            Opcode::Message(_) | Opcode::Continuation => {
                match self.grow(&header, payload, limits)? {
                    Some(event) => event,
                    None => return Ok(Step::Progress { bytes: frame_bytes }),
                }
            }
            Opcode::Ping => self.between(Event::Ping(payload), limits)?,
            Opcode::Pong => self.between(Event::Pong, limits)?,
            Opcode::Close => read_close(payload)?,
        };
        Ok(Step::Event {
            event,
            bytes: frame_bytes,
        })
    }

    /// What the header alone shows, before any of the payload is kept: the order
    /// of fragments, and the limit over all of them. Answers the payload's bytes.
    fn check(&self, header: &Header, limits: &Limits) -> Result<usize, Fault> {
        let before = match (header.opcode, &self.under_way) {
            (Opcode::Continuation, None) => return Err(Fault::NothingToContinue),
            (Opcode::Message(_), Some(_)) => return Err(Fault::MessageInMessage),
            (Opcode::Continuation, Some(fragments)) => fragments.bytes.len(),
            (Opcode::Message(_), None) => 0,
            // At most 125 bytes, and no part of a message.
            (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => {
                return Ok(usize::try_from(header.payload_bytes).expect("a control frame is short"));
            }
        };
        let room_left = limits.message_bytes_max.saturating_sub(before);
        match usize::try_from(header.payload_bytes) {
            Ok(payload_bytes) if payload_bytes <= room_left => Ok(payload_bytes),
            Ok(_) | Err(_) => Err(Fault::TooLong),
        }
    }

    /// Adds a fragment; answers the message if it was the last.
    fn grow<'b>(
        &mut self,
        header: &Header,
        payload: &[u8],
        limits: &Limits,
    ) -> Result<Option<Event<'b>>, Fault> {
        let mut fragments = match header.opcode {
            Opcode::Message(kind) => Box::new(Fragments::new(kind)),
            Opcode::Continuation | Opcode::Close | Opcode::Ping | Opcode::Pong => {
                self.under_way.take().expect("checked by the header")
            }
        };
        fragments.take(payload, limits)?;
        if header.fin {
            return fragments.finish().map(Some);
        }
        self.under_way = Some(fragments);
        Ok(None)
    }

    /// A control frame: if it stands between fragments it is one that brings no
    /// byte of the message. Outside of one it is a heartbeat, and not counted.
    fn between<'b>(&mut self, event: Event<'b>, limits: &Limits) -> Result<Event<'b>, Fault> {
        if let Some(fragments) = &mut self.under_way {
            fragments.idle(limits)?;
        }
        Ok(event)
    }
}

impl Fragments {
    const fn new(kind: MessageKind) -> Self {
        Self {
            kind,
            bytes: Vec::new(),
            valid_bytes: 0,
            idle_frames: 0,
        }
    }

    fn take(&mut self, payload: &[u8], limits: &Limits) -> Result<(), Fault> {
        if payload.is_empty() {
            return self.idle(limits);
        }
        self.idle_frames = 0;
        self.bytes.extend_from_slice(payload);
        match self.kind {
            MessageKind::Text => self.validate(),
            MessageKind::Binary => Ok(()),
        }
    }

    fn idle(&mut self, limits: &Limits) -> Result<(), Fault> {
        self.idle_frames = self.idle_frames.saturating_add(1);
        if self.idle_frames >= limits.idle_frames_max {
            return Err(Fault::Idle);
        }
        Ok(())
    }

    /// Refuses what no later fragment can mend; a character cut by the fragment's
    /// end waits for the next.
    fn validate(&mut self) -> Result<(), Fault> {
        match simdutf8::compat::from_utf8(&self.bytes[self.valid_bytes..]) {
            Ok(_) => self.valid_bytes = self.bytes.len(),
            Err(error) if error.error_len().is_none() => self.valid_bytes += error.valid_up_to(),
            Err(_) => return Err(Fault::NotUtf8),
        }
        Ok(())
    }

    fn finish<'b>(self) -> Result<Event<'b>, Fault> {
        match self.kind {
            MessageKind::Text if self.valid_bytes < self.bytes.len() => Err(Fault::NotUtf8),
            MessageKind::Text | MessageKind::Binary => Ok(Event::Message {
                kind: self.kind,
                payload: Cow::Owned(self.bytes),
            }),
        }
    }
}

fn whole(kind: MessageKind, payload: &[u8]) -> Result<Event<'_>, Fault> {
    match kind {
        MessageKind::Text if simdutf8::basic::from_utf8(payload).is_err() => Err(Fault::NotUtf8),
        MessageKind::Text | MessageKind::Binary => Ok(Event::Message {
            kind,
            payload: Cow::Borrowed(payload),
        }),
    }
}

fn read_close(payload: &[u8]) -> Result<Event<'_>, Fault> {
    let (code, reason) = match *payload {
        [] => return Ok(Event::Close(None)),
        [_] => return Err(Fault::CloseTooShort),
        [high, low, ref reason @ ..] => (u16::from_be_bytes([high, low]), reason),
    };
    if !frame::may_be_sent(code) {
        return Err(Fault::CloseCode);
    }
    if simdutf8::basic::from_utf8(reason).is_err() {
        return Err(Fault::CloseReason);
    }
    Ok(Event::Close(Some(CloseCode(code))))
}
