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
    /// What is kept of the message under way, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        let under_way = self.under_way.as_ref();
        under_way.map_or(0, |fragments| fragments.bytes.len())
    }

    /// Takes the next frame from the front of what was received.
    pub(crate) fn next<'b>(&mut self, bytes: &'b mut [u8], limits: &Limits) -> Step<'b> {
        self.step(bytes, limits).unwrap_or_else(Step::Fault)
    }

    fn step<'b>(&mut self, bytes: &'b mut [u8], limits: &Limits) -> Result<Step<'b>, Fault> {
        let header = match frame::read_header(bytes)? {
            Head::Whole(header) => header,
            Head::Part(bytes_wanted) => return Ok(Step::NeedMore { bytes_wanted }),
        };
        let payload_bytes = self.check(&header, limits)?;
        let frame_bytes = header.bytes + payload_bytes;
        let Some(payload) = bytes.get_mut(header.bytes..frame_bytes) else {
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

#[cfg(test)]
mod tests {
    use super::super::frame::client::{BINARY, CONTINUATION, TEXT, frame};
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits {
        message_bytes_max: 1_000,
        idle_frames_max: 1_000,
    };

    /// What a peer said, of a life of its own.
    #[derive(Clone, Debug, PartialEq, Eq)]
    enum Said {
        Message(MessageKind, Vec<u8>),
        Ping(Vec<u8>),
        Pong,
        Close(Option<CloseCode>),
        Fault(Fault),
    }

    fn said(event: Event<'_>) -> Said {
        match event {
            Event::Message { kind, payload } => Said::Message(kind, payload.into_owned()),
            Event::Ping(payload) => Said::Ping(payload.to_vec()),
            Event::Pong => Said::Pong,
            Event::Close(code) => Said::Close(code),
        }
    }

    /// Reads what comes in these pieces, as a socket does.
    fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Said> {
        let mut assembly = Assembly::default();
        let (mut held, mut all) = (Vec::new(), Vec::new());
        for piece in pieces {
            held.extend_from_slice(piece);
            loop {
                let bytes = match assembly.next(&mut held, &LIMITS) {
                    Step::Event { event, bytes } => {
                        all.push(said(event));
                        bytes
                    }
                    Step::Progress { bytes } => bytes,
                    Step::NeedMore { bytes_wanted } => {
                        assert!(bytes_wanted > held.len(), "it is worth waiting");
                        break;
                    }
                    Step::Fault(fault) => {
                        all.push(Said::Fault(fault));
                        return all;
                    }
                };
                held.drain(..bytes);
            }
        }
        all
    }

    fn fault(frames: &[Vec<u8>]) -> Fault {
        match read([&frames.concat()[..]]).pop() {
            Some(Said::Fault(fault)) => fault,
            other => panic!("no fault but {other:?}"),
        }
    }

    fn text(text: &str) -> Said {
        Said::Message(MessageKind::Text, text.as_bytes().to_vec())
    }

    #[test]
    fn an_idle_socket_costs_a_pointer() {
        assert_eq!(size_of::<Assembly>(), size_of::<usize>());
    }

    #[test]
    fn the_fragmented_example_of_the_rfc_is_one_message() {
        let frames = [frame(false, TEXT, b"Hel"), frame(true, CONTINUATION, b"lo")].concat();
        assert_eq!(read([&frames[..]]), [text("Hello")]);
    }

    #[test]
    fn control_frames_pass_between_fragments() {
        let frames = [
            frame(false, TEXT, b"Hel"),
            frame(true, Opcode::Ping, b"?"),
            frame(true, Opcode::Pong, b""),
            frame(true, CONTINUATION, b"lo"),
            frame(true, Opcode::Close, b"\x03\xe8bye"),
        ];
        assert_eq!(
            read([&frames.concat()[..]]),
            [
                Said::Ping(b"?".to_vec()),
                Said::Pong,
                text("Hello"),
                Said::Close(Some(CloseCode::NORMAL)),
            ]
        );
    }

    #[test]
    fn a_message_too_long_is_refused_by_its_header() {
        let whole = frame(true, BINARY, &[0; 1_001]);
        assert_eq!(fault(&[whole[..8].to_vec()]), Fault::TooLong);
        let rest = frame(false, CONTINUATION, &[0; 401]);
        let fragmented = [frame(false, BINARY, &[0; 600]), rest[..8].to_vec()];
        assert_eq!(fault(&fragmented), Fault::TooLong);
        let huge = [
            0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0,
        ];
        assert_eq!(fault(&[huge.to_vec()]), Fault::TooLong);
        assert_eq!(Fault::TooLong.code(), CloseCode::TOO_BIG);
        let most = frame(true, BINARY, &[0; 1_000]);
        assert_eq!(read([&most[..]]).len(), 1);
    }

    #[test]
    fn text_must_be_utf8_however_it_is_cut() {
        assert_eq!(fault(&[frame(true, TEXT, b"\xff")]), Fault::NotUtf8);
        let euro = "€".as_bytes();
        let cut = [
            frame(false, TEXT, &euro[..1]),
            frame(true, CONTINUATION, &euro[1..]),
        ];
        assert_eq!(read([&cut.concat()[..]]), [text("€")]);
        let never_ended = [
            frame(false, TEXT, &euro[..2]),
            frame(true, CONTINUATION, b""),
        ];
        assert_eq!(fault(&never_ended), Fault::NotUtf8);
        let surrogate = [
            frame(false, TEXT, b"\xed"),
            frame(false, CONTINUATION, b"\xa0\x80"),
        ];
        assert_eq!(
            fault(&surrogate),
            Fault::NotUtf8,
            "before the last fragment"
        );
        assert_eq!(Fault::NotUtf8.code(), CloseCode::INVALID_DATA);
        assert_eq!(read([&frame(true, BINARY, b"\xff")[..]]).len(), 1);
    }

    #[test]
    fn fragments_have_an_order() {
        assert_eq!(
            fault(&[frame(true, CONTINUATION, b"")]),
            Fault::NothingToContinue
        );
        assert_eq!(
            fault(&[frame(false, TEXT, b"a"), frame(true, TEXT, b"b")]),
            Fault::MessageInMessage
        );
        assert_eq!(
            fault(&[
                frame(false, TEXT, b"a"),
                frame(true, CONTINUATION, b"b"),
                frame(true, CONTINUATION, b"c"),
            ]),
            Fault::NothingToContinue
        );
    }

    #[test]
    fn the_thousandth_frame_without_progress_is_the_last() {
        let mut frames = vec![frame(false, BINARY, b"x")];
        for number in 0..999 {
            let empty = frame(false, CONTINUATION, b"");
            frames.push(if number % 2 == 0 {
                empty
            } else {
                frame(true, Opcode::Ping, b"?")
            });
        }
        let patient = [&frames[..], &[frame(true, CONTINUATION, b"y")]].concat();
        assert_eq!(
            read([&patient.concat()[..]]).pop(),
            Some(Said::Message(MessageKind::Binary, b"xy".to_vec()))
        );
        frames.push(frame(false, CONTINUATION, b""));
        assert_eq!(fault(&frames), Fault::Idle);
        assert_eq!(Fault::Idle.code(), CloseCode::POLICY);
    }

    #[test]
    fn a_heartbeat_is_no_idle_frame() {
        let pings = frame(true, Opcode::Ping, b"").repeat(5_000);
        assert_eq!(read([&pings[..]]), vec![Said::Ping(Vec::new()); 5_000]);
    }

    #[test]
    fn a_close_frame_says_nothing_or_something_true() {
        assert_eq!(
            read([&frame(true, Opcode::Close, b"")[..]]),
            [Said::Close(None)]
        );
        for (payload, expected) in [
            (&b"\x03"[..], Fault::CloseTooShort),
            (b"\x03\xed", Fault::CloseCode),
            (b"\x03\xee", Fault::CloseCode),
            (b"\x03\xf7", Fault::CloseCode),
            (b"\x00\x00", Fault::CloseCode),
            (b"\x03\xe8\xff", Fault::CloseReason),
        ] {
            assert_eq!(fault(&[frame(true, Opcode::Close, payload)]), expected);
        }
        assert_eq!(Fault::CloseReason.code(), CloseCode::INVALID_DATA);
    }

    #[test]
    fn what_is_not_whole_is_not_touched() {
        let whole = frame(true, TEXT, b"Hello");
        let mut part = whole[..whole.len() - 1].to_vec();
        let step = Assembly::default().next(&mut part, &LIMITS);
        assert_eq!(
            step,
            Step::NeedMore {
                bytes_wanted: whole.len()
            }
        );
        assert_eq!(part, whole[..whole.len() - 1]);
    }

    fn frames() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let payload = || proptest::collection::vec(any::<u8>(), 0..300);
        let control = prop_oneof![Just(Opcode::Ping), Just(Opcode::Pong)];
        let one = prop_oneof![
            "\\PC{0,80}".prop_map(|text| vec![frame(true, TEXT, text.as_bytes())]),
            ("\\PC{1,80}", 0_usize..80).prop_map(|(text, at)| {
                let (start, end) = text.as_bytes().split_at(at.min(text.len()));
                vec![frame(false, TEXT, start), frame(true, CONTINUATION, end)]
            }),
            proptest::collection::vec(payload(), 1..4).prop_map(|parts| {
                let opcode = |at| if at == 0 { BINARY } else { CONTINUATION };
                let end = parts.len() - 1;
                let parts = parts.iter().enumerate();
                parts
                    .map(|(at, part)| frame(at == end, opcode(at), part))
                    .collect()
            }),
            (control, payload()).prop_map(|(opcode, mut payload)| {
                payload.truncate(125);
                vec![frame(true, opcode, &payload)]
            }),
        ];
        proptest::collection::vec(one, 0..8).prop_map(|all| all.concat())
    }

    proptest! {
        #[test]
        fn the_pieces_it_comes_in_change_nothing(
            frames in frames(),
            size in 1_usize..40,
        ) {
            let stream = frames.concat();
            let whole = read([&stream[..]]);
            prop_assert!(!whole.iter().any(|said| matches!(said, Said::Fault(_))));
            prop_assert_eq!(read(stream.chunks(size)), whole);
        }

        #[test]
        fn any_bytes_are_read_or_refused_alike_in_any_pieces(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            first in prop_oneof![Just(0x81_u8), Just(0x01), Just(0x82), Just(0x88), any::<u8>()],
            size in 1_usize..40,
        ) {
            let mut stream = vec![first, 0x84];
            stream.extend(bytes);
            prop_assert_eq!(read(stream.chunks(size)), read([&stream[..]]));
        }
    }
}
