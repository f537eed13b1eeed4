//! RFC 6455 as a client has it: its own frames masked, the server's read and held to the letter.
//! Written apart from the node's, so that one mistake is not made twice.

use crate::chance::Chance;

/// A frame's meaning (RFC 6455, section 11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }
}

/// A server's frame: where its payload is in what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) opcode: Opcode,
    /// Bytes before the payload.
    pub(crate) header: usize,
    pub(crate) payload: usize,
}

/// What a server must not send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// Reads a server's frame head, once all of the frame is there.
pub(crate) fn read(bytes: &[u8]) -> Result<Option<Head>, Malformed> {
    let &[first, second, ..] = bytes else {
        return Ok(None);
    };
    let opcode = match first {
        0x81 => Opcode::Text,
        0x82 => Opcode::Binary,
        0x88 => Opcode::Close,
        0x89 => Opcode::Ping,
        0x8a => Opcode::Pong,
        _ => return Err(Malformed("a frame that is reserved, unknown or fragmented")),
    };
    if second & 0x80 != 0 {
        return Err(Malformed("a masked frame"));
    }
    let (header, payload) = match second {
        126 => {
            let Some(len) = bytes.get(2..4) else {
                return Ok(None);
            };
            (4, usize::from(u16::from_be_bytes([len[0], len[1]])))
        }
        127 => {
            let Some(len) = bytes.get(2..10) else {
                return Ok(None);
            };
            let len = u64::from_be_bytes(len.try_into().expect("8 bytes"));
            (
                10,
                usize::try_from(len).map_err(|_| Malformed("an endless frame"))?,
            )
        }
        short => (2, usize::from(short)),
    };
    let minimal = match payload {
        0..=125 => header == 2,
        126..=0xffff => header == 4,
        _ => header == 10,
    };
    if !minimal {
        return Err(Malformed("a length that is not minimal"));
    }
    let is_control = matches!(opcode, Opcode::Close | Opcode::Ping | Opcode::Pong);
    if is_control && payload > 125 {
        return Err(Malformed("a long control frame"));
    }
    let whole = bytes.len() >= header + payload;
    Ok(whole.then_some(Head {
        opcode,
        header,
        payload,
    }))
}

/// Appends a client's frame.
pub(crate) fn write(
    out: &mut Vec<u8>,
    (opcode, last): (Opcode, bool),
    payload: &[u8],
    chance: &mut Chance,
) {
    out.push(opcode.bits() | if last { 0x80 } else { 0 });
    match payload.len() {
        len @ 0..=125 => out.push(0x80 | u8::try_from(len).expect("7 bits")),
        len @ 126..=0xffff => {
            out.push(0x80 | 0x7e);
            out.extend_from_slice(&u16::try_from(len).expect("16 bits").to_be_bytes());
        }
        len => {
            out.push(0x80 | 0x7f);
            out.extend_from_slice(&u64::try_from(len).expect("64 bits").to_be_bytes());
        }
    }
    let key = chance.next().to_le_bytes();
    let key = [key[0], key[1], key[2], key[3]];
    out.extend_from_slice(&key);
    let start = out.len();
    out.extend_from_slice(payload);
    let (words, rest) = out[start..].as_chunks_mut::<4>();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(key)).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_once_all_of_it_is_there() {
        let frame = [&[0x82, 126, 0, 200][..], &[7; 200]].concat();
        for cut in 0..frame.len() {
            assert_eq!(read(&frame[..cut]), Ok(None));
        }
        let head = read(&frame).expect("well formed").expect("whole");
        assert_eq!(
            (head.opcode, head.header, head.payload),
            (Opcode::Binary, 4, 200)
        );
    }

    #[test]
    fn what_no_server_may_send_is_told() {
        for frame in [
            &[0x01, 0][..],
            &[0x81, 0x80],
            &[0x83, 0],
            &[0x82, 126, 0, 1],
            &[0x89, 126, 0, 126],
        ] {
            assert!(read(frame).is_err(), "{frame:?}");
        }
    }

    #[test]
    fn what_a_client_writes_is_masked() {
        let mut out = Vec::new();
        write(
            &mut out,
            (Opcode::Text, true),
            b"hello",
            &mut Chance::new(1),
        );
        assert_eq!(out[..2], [0x81, 0x85]);
        let unmasked: Vec<u8> = (0..5).map(|at| out[6 + at] ^ out[2 + at % 4]).collect();
        assert_eq!(unmasked, b"hello");
    }
}
