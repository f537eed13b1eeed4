//! RFC 6455, section 5: a client's frame headers read and checked, payloads
//! unmasked, a server's frames written. Owns what is a fault in a frame; knows
//! no message longer than one frame (see [`super::assembly`]).

use porthouse_model::{CloseCode, MessageKind};

/// The longest payload of a control frame (section 5.5).
const CONTROL_PAYLOAD_BYTES_MAX: usize = 125;
/// The longest reason of a close frame: its code takes two bytes.
pub(crate) const CLOSE_REASON_BYTES_MAX: usize = CONTROL_PAYLOAD_BYTES_MAX - 2;
const FIN: u8 = 0b1000_0000;
const RESERVED: u8 = 0b0111_0000;
const OPCODE: u8 = 0b0000_1111;
const MASKED: u8 = 0b1000_0000;
const LENGTH: u8 = 0b0111_1111;
/// A length of 16 bits follows.
const LENGTH_16: u8 = 126;
/// A length of 64 bits follows.
const LENGTH_64: u8 = 127;
const MASK_BYTES: usize = 4;

/// What a socket may send, as far as frames go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// A message's bytes, all its fragments together.
    pub message_bytes_max: usize,
    /// Frames in a row, inside one fragmented message, that bring none of its
    /// bytes.
    pub idle_frames_max: u16,
}

/// A frame's opcode (section 5.2). Reserved ones are faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation,
    Message(MessageKind),
    Close,
    Ping,
    Pong,
}

impl Opcode {
    const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Message(MessageKind::Text),
            0x2 => Self::Message(MessageKind::Binary),
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return None,
        })
    }

    const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Message(MessageKind::Text) => 0x1,
            Self::Message(MessageKind::Binary) => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xa,
        }
    }

    const fn is_control(self) -> bool {
        match self {
            Self::Continuation | Self::Message(_) => false,
            Self::Close | Self::Ping | Self::Pong => true,
        }
    }
}

/// What was wrong with what a client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A reserved bit is set; no extension was agreed.
    ReservedBits,
    /// An opcode that means nothing.
    ReservedOpcode,
    /// A client's frame without a mask.
    Unmasked,
    /// A control frame in fragments.
    FragmentedControl,
    /// A control frame longer than 125 bytes.
    LongControl,
    /// A length written in more bytes than it needs.
    LengthNotMinimal,
    /// A 64-bit length whose top bit is set.
    LengthTopBit,
    /// A continuation of nothing.
    NothingToContinue,
    /// A new message before the last one ended.
    MessageInMessage,
    /// A close frame of one byte.
    CloseTooShort,
    /// A close code that must not be sent.
    CloseCode,
    /// A close reason that is not UTF-8.
    CloseReason,
    /// A text message that is not UTF-8.
    NotUtf8,
    /// Too many frames that bring nothing.
    Idle,
    /// A message longer than is taken.
    TooLong,
}

impl Fault {
    /// The code to close with.
    pub(crate) const fn code(self) -> CloseCode {
        match self {
            Self::ReservedBits
            | Self::ReservedOpcode
            | Self::Unmasked
            | Self::FragmentedControl
            | Self::LongControl
            | Self::LengthNotMinimal
            | Self::LengthTopBit
            | Self::NothingToContinue
            | Self::MessageInMessage
            | Self::CloseTooShort
            | Self::CloseCode => CloseCode::PROTOCOL_ERROR,
            Self::CloseReason | Self::NotUtf8 => CloseCode::INVALID_DATA,
            Self::Idle => CloseCode::POLICY,
            Self::TooLong => CloseCode::TOO_BIG,
        }
    }

    /// The reason to close with: the rule, for a person.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::ReservedBits => "frame: reserved bits must be 0, no extension was agreed",
            Self::ReservedOpcode => "frame: this opcode is reserved",
            Self::Unmasked => "frame: a client's frame must be masked",
            Self::FragmentedControl => "frame: a control frame must not be fragmented",
            Self::LongControl => "frame: a control frame holds 125 bytes at most",
            Self::LengthNotMinimal => "frame: the length must be written in the fewest bytes",
            Self::LengthTopBit => "frame: the top bit of a 64-bit length must be 0",
            Self::NothingToContinue => "frame: a continuation without a message to continue",
            Self::MessageInMessage => "frame: a new message before the last fragment of another",
            Self::CloseTooShort => "close frame: a code takes two bytes",
            Self::CloseCode => "close frame: this code must not be sent",
            Self::CloseReason => "close frame: the reason must be UTF-8",
            Self::NotUtf8 => "text must be UTF-8",
            Self::Idle => "idle_frames_max: too many frames that bring no byte of their message",
            Self::TooLong => "messages.bytes_max: the message is longer than is taken here",
        }
    }
}

/// The header of a client's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Whether the message ends with this frame.
    pub fin: bool,
    /// What the frame is.
    pub opcode: Opcode,
    /// The payload's bytes.
    pub payload_bytes: u64,
    /// What the payload is masked with.
    pub mask: [u8; MASK_BYTES],
    /// The header's own bytes.
    pub bytes: usize,
}

/// What the first bytes of a frame are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// A whole header.
    Whole(Header),
    /// The header's beginning; it is so many bytes, or more.
    Part(usize),
}

/// Reads the header of a client's frame, and finds its faults as soon as the
/// byte that shows them is there.
pub(crate) fn read_header(bytes: &[u8]) -> Result<Head, Fault> {
    let Some(&first) = bytes.first() else {
        return Ok(Head::Part(2));
    };
    if first & RESERVED != 0 {
        return Err(Fault::ReservedBits);
    }
    let opcode = Opcode::from_bits(first & OPCODE).ok_or(Fault::ReservedOpcode)?;
    let fin = first & FIN != 0;
    if opcode.is_control() && !fin {
        return Err(Fault::FragmentedControl);
    }
    let Some(&second) = bytes.get(1) else {
        return Ok(Head::Part(2));
    };
    if second & MASKED == 0 {
        return Err(Fault::Unmasked);
    }
    let short = second & LENGTH;
    if opcode.is_control() && usize::from(short) > CONTROL_PAYLOAD_BYTES_MAX {
        return Err(Fault::LongControl);
    }
    let mask_at = match short {
        LENGTH_16 => 4,
        LENGTH_64 => 10,
        _ => 2,
    };
    let header_bytes = mask_at + MASK_BYTES;
    let Some(length) = bytes.get(2..mask_at) else {
        return Ok(Head::Part(header_bytes));
    };
    let payload_bytes = read_length(short, length)?;
    let Some(mask) = bytes.get(mask_at..header_bytes) else {
        return Ok(Head::Part(header_bytes));
    };
    Ok(Head::Whole(Header {
        fin,
        opcode,
        payload_bytes,
        mask: mask.try_into().expect("four bytes were taken"),
        bytes: header_bytes,
    }))
}

fn read_length(short: u8, extended: &[u8]) -> Result<u64, Fault> {
    if extended.is_empty() {
        return Ok(u64::from(short));
    }
    let length = extended
        .iter()
        .fold(0, |length, byte| length << 8 | u64::from(*byte));
    if length >> 63 != 0 {
        return Err(Fault::LengthTopBit);
    }
    let least = if short == LENGTH_16 { 126 } else { 1 << 16 };
    if length < least {
        return Err(Fault::LengthNotMinimal);
    }
    Ok(length)
}

/// Takes the mask off, or puts it on (section 5.3): word by word, which the
/// compiler makes vectors of.
pub(crate) fn unmask(payload: &mut [u8], mask: [u8; MASK_BYTES]) {
    let word = u64::from(u32::from_ne_bytes(mask)) * 0x1_0000_0001;
    let (words, rest) = payload.as_chunks_mut::<8>();
    for bytes in words {
        *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(word.to_ne_bytes()) {
        *byte ^= mask;
    }
}

/// Whether a peer may send this close code (section 7.4, and IANA's registry).
pub(crate) const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Appends the header of a whole message of our own.
pub(crate) fn header(kind: MessageKind, payload_bytes: usize, out: &mut Vec<u8>) {
    put_header(Opcode::Message(kind), payload_bytes, out);
}

/// Appends a whole message.
pub(crate) fn message(kind: MessageKind, payload: &[u8], out: &mut Vec<u8>) {
    header(kind, payload.len(), out);
    out.extend_from_slice(payload);
}

/// Appends a close frame. A reason that does not fit is cut between characters.
pub(crate) fn close(code: CloseCode, reason: &str, out: &mut Vec<u8>) {
    let reason = &reason[..reason.floor_char_boundary(CLOSE_REASON_BYTES_MAX)];
    put_header(Opcode::Close, 2 + reason.len(), out);
    out.extend_from_slice(&code.0.to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
}

/// Appends a close frame without a code, the answer to one without.
pub(crate) fn close_empty(out: &mut Vec<u8>) {
    put_header(Opcode::Close, 0, out);
}

/// Appends a ping.
pub(crate) fn ping(payload: &[u8], out: &mut Vec<u8>) {
    control(Opcode::Ping, payload, out);
}

/// Appends a pong, whose payload is the ping's (section 5.5.3).
pub(crate) fn pong(payload: &[u8], out: &mut Vec<u8>) {
    control(Opcode::Pong, payload, out);
}

fn control(opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
    assert!(
        payload.len() <= CONTROL_PAYLOAD_BYTES_MAX,
        "a control frame's payload is short"
    );
    put_header(opcode, payload.len(), out);
    out.extend_from_slice(payload);
}

fn put_header(opcode: Opcode, payload_bytes: usize, out: &mut Vec<u8>) {
    out.push(FIN | opcode.bits());
    if let Ok(short @ 0..LENGTH_16) = u8::try_from(payload_bytes) {
        out.push(short);
    } else if let Ok(length) = u16::try_from(payload_bytes) {
        out.push(LENGTH_16);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        out.push(LENGTH_64);
        out.extend_from_slice(&(payload_bytes as u64).to_be_bytes());
    }
}

/// A client's frames, for tests: masked, and wrong where asked.
#[cfg(test)]
pub(crate) mod client {
    use super::{Fault, MASKED, Opcode};
    use porthouse_model::MessageKind;

    pub(crate) const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    pub(crate) const CONTINUATION: Opcode = Opcode::Continuation;
    pub(crate) const TEXT: Opcode = Opcode::Message(MessageKind::Text);
    pub(crate) const BINARY: Opcode = Opcode::Message(MessageKind::Binary);

    /// A frame as a client sends it.
    pub(crate) fn frame(fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        super::put_header(opcode, payload.len(), &mut frame);
        if !fin {
            frame[0] &= !super::FIN;
        }
        frame[1] |= MASKED;
        frame.extend_from_slice(&MASK);
        let masked = payload.iter().zip(MASK.iter().cycle());
        frame.extend(masked.map(|(byte, mask)| byte ^ mask));
        frame
    }

    /// What a header of these bytes is refused for.
    pub(crate) fn fault(bytes: &[u8]) -> Fault {
        super::read_header(bytes).expect_err("a fault")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_part(bytes: &[u8], header_bytes: usize) -> bool {
        read_header(bytes) == Ok(Head::Part(header_bytes))
    }

    #[test]
    fn the_examples_of_the_rfc_are_read_and_written() {
        // Section 5.7: "Hello", masked, from a client; and from a server.
        let masked = [
            0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
        ];
        assert_eq!(masked[..], client::frame(true, client::TEXT, b"Hello"));
        let mut payload = masked[6..].to_vec();
        unmask(&mut payload, client::MASK);
        assert_eq!(payload, b"Hello");

        let mut out = Vec::new();
        message(MessageKind::Text, b"Hello", &mut out);
        assert_eq!(out, [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
        out.clear();
        ping(b"Hello", &mut out);
        assert_eq!(out, [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
        out.clear();
        message(MessageKind::Binary, &[7; 256], &mut out);
        assert_eq!(out[..4], [0x82, 0x7e, 0x01, 0x00]);
        out.clear();
        message(MessageKind::Binary, &vec![7; 65536], &mut out);
        assert_eq!(out[..10], [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn a_header_is_waited_for_as_long_as_it_is_short() {
        let frame = client::frame(true, client::BINARY, &vec![0; 65536]);
        assert!(is_part(&frame[..0], 2) && is_part(&frame[..1], 2));
        for bytes in 2..14 {
            assert!(is_part(&frame[..bytes], 14), "{bytes}");
        }
        let frame = client::frame(true, client::BINARY, &[0; 126]);
        assert!(is_part(&frame[..7], 8));
        let frame = client::frame(true, client::BINARY, &[]);
        assert!(is_part(&frame[..5], 6));
    }

    #[test]
    fn a_fault_is_found_at_the_byte_that_shows_it() {
        for (bytes, expected) in [
            (&[0xc1_u8][..], Fault::ReservedBits),
            (&[0xa1], Fault::ReservedBits),
            (&[0x91], Fault::ReservedBits),
            (&[0x83], Fault::ReservedOpcode),
            (&[0x87], Fault::ReservedOpcode),
            (&[0x8b], Fault::ReservedOpcode),
            (&[0x8f], Fault::ReservedOpcode),
            (&[0x08], Fault::FragmentedControl),
            (&[0x09], Fault::FragmentedControl),
            (&[0x81, 0x05], Fault::Unmasked),
            (&[0x88, 0x00], Fault::Unmasked),
            (&[0x89, 0xfe], Fault::LongControl),
            (&[0x88, 0xff], Fault::LongControl),
            (&[0x82, 0xfe, 0, 125], Fault::LengthNotMinimal),
            (
                &[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
                Fault::LengthNotMinimal,
            ),
            (
                &[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0],
                Fault::LengthTopBit,
            ),
        ] {
            assert_eq!(client::fault(bytes), expected, "{bytes:x?}");
            assert!(read_header(&bytes[..bytes.len() - 1]).is_ok(), "{bytes:x?}");
            assert_eq!(expected.code(), CloseCode::PROTOCOL_ERROR);
        }
    }

    #[test]
    fn only_the_codes_of_the_registry_and_the_free_ranges_may_be_sent() {
        for code in (0..1000)
            .chain(1004..=1006)
            .chain(1015..3000)
            .chain(5000..=u16::MAX)
        {
            assert!(!may_be_sent(code), "{code}");
        }
        for code in (1000..=1003).chain(1007..=1014).chain(3000..5000) {
            assert!(may_be_sent(code), "{code}");
        }
    }

    #[test]
    fn every_reason_fits_a_close_frame() {
        for fault in [
            Fault::ReservedBits,
            Fault::ReservedOpcode,
            Fault::Unmasked,
            Fault::FragmentedControl,
            Fault::LongControl,
            Fault::LengthNotMinimal,
            Fault::LengthTopBit,
            Fault::NothingToContinue,
            Fault::MessageInMessage,
            Fault::CloseTooShort,
            Fault::CloseCode,
            Fault::CloseReason,
            Fault::NotUtf8,
            Fault::Idle,
            Fault::TooLong,
        ] {
            assert!(fault.reason().len() <= CLOSE_REASON_BYTES_MAX);
            assert!(may_be_sent(fault.code().0));
        }
    }

    #[test]
    fn a_reason_that_does_not_fit_is_cut_between_characters() {
        let mut out = Vec::new();
        close(CloseCode::POLICY, &"é".repeat(100), &mut out);
        assert_eq!(out[..4], [0x88, 124, 0x03, 0xf0]);
        assert_eq!(out[4..], *"é".repeat(61).as_bytes());
        out.clear();
        close(CloseCode::NORMAL, "", &mut out);
        close_empty(&mut out);
        pong(b"x", &mut out);
        assert_eq!(out, [0x88, 2, 0x03, 0xe8, 0x88, 0, 0x8a, 1, b'x']);
    }

    proptest! {
        #[test]
        fn unmasking_is_what_the_rfc_says(payload: Vec<u8>, mask: [u8; 4]) {
            let mut unmasked = payload.clone();
            unmask(&mut unmasked, mask);
            let naive: Vec<u8> =
                payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]).collect();
            prop_assert_eq!(&unmasked, &naive);
            unmask(&mut unmasked, mask);
            prop_assert_eq!(unmasked, payload);
        }

        #[test]
        fn a_length_is_read_back_and_written_in_the_fewest_bytes(
            length in prop_oneof![0_usize..200, 65_000_usize..66_000, any::<u32>().prop_map(|n| n as usize)],
        ) {
            let mut out = Vec::new();
            header(MessageKind::Binary, length, &mut out);
            let extended = match length {
                0..=125 => 0,
                126..=0xffff => 2,
                _ => 8,
            };
            prop_assert_eq!(out.len(), 2 + extended);
            out[1] |= MASKED;
            out.extend_from_slice(&client::MASK);
            let read = read_header(&out).expect("a header of ours");
            prop_assert_eq!(read, Head::Whole(Header {
                fin: true,
                opcode: client::BINARY,
                payload_bytes: length as u64,
                mask: client::MASK,
                bytes: out.len(),
            }));
        }

        #[test]
        fn any_bytes_are_read_as_another_implementation_reads_them(
            bytes in proptest::collection::vec(any::<u8>(), 0..16),
        ) {
            use tungstenite::protocol::frame::FrameHeader;
            let theirs = FrameHeader::parse(&mut std::io::Cursor::new(&bytes));
            if let Ok(Head::Whole(ours)) = read_header(&bytes) {
                let (header, length) = theirs.expect("no fault").expect("whole");
                prop_assert_eq!(length, ours.payload_bytes);
                prop_assert_eq!(header.is_final, ours.fin);
                prop_assert_eq!(header.mask, Some(ours.mask));
                prop_assert_eq!(u8::from(header.opcode), ours.opcode.bits());
            }
        }
    }
}
