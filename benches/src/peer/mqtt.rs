//! Mosquitto: MQTT 3.1.1 over WebSocket, one topic, quality of service 0. Knows
//! of the protocol what a subscriber to one topic sees.

use std::process::Command;

use porthouse_load::frames::{self, BINARY, Frames, Piece};
use porthouse_load::speech::{Meter, Part, Seen, Speech, Who, handshake};
use porthouse_load::target::Target;

use super::{Place, found};

const TOPIC: &[u8] = b"bench";
/// Kinds of packets, as the first half of their first byte.
const CONNACK: u8 = 2;
const PUBLISH: u8 = 3;
const SUBACK: u8 = 9;

/// Its program and configuration. Without a limit on what is queued it drops
/// nothing of what it is asked for here. A WebSocket listener alone it takes for
/// none at all, hence the other.
pub(super) fn command(place: &Place) -> anyhow::Result<Command> {
    let text = format!(
        "listener 0 {}
listener {} 127.0.0.1
protocol websockets
allow_anonymous true
persistence false
set_tcp_nodelay true
max_queued_messages 0
max_connections -1
log_type error
user root
",
        place.directory.path().join("socket").display(),
        place.port()
    );
    let configuration = place.configure("mosquitto.conf", &text)?;
    let mut command = Command::new(found("mosquitto")?);
    command.arg("-c").arg(configuration);
    Ok(command)
}

/// One topic.
#[derive(Clone, Copy)]
pub(super) struct Mqtt;

impl Speech for Mqtt {
    type Meter = Packets;

    fn request(&self, target: &Target, _who: Who) -> String {
        handshake(&target.host, "/mqtt", "Sec-WebSocket-Protocol: mqtt\r\n")
    }

    fn greeting(&self, who: Who) -> Vec<u8> {
        // A clean session, kept alive without end, under an id that it is given.
        let hello = b"\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0";
        let mut bytes = Vec::new();
        frames::encode(&mut bytes, BINARY, hello);
        if who.part != Part::Speaks {
            let subscription = b"\x82\x0a\0\x01\0\x05bench\0";
            frames::encode(&mut bytes, BINARY, subscription);
        }
        bytes
    }

    fn meter(&self, who: Who) -> Packets {
        Packets {
            frames: Frames::default(),
            inner: Inner::new(if who.part == Part::Speaks {
                CONNACK
            } else {
                SUBACK
            }),
        }
    }

    fn message(&self, _who: Who, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![PUBLISH << 4];
        let mut left = 2 + TOPIC.len() + payload.len();
        while left >= 128 {
            packet.push(u8::try_from(left % 128).unwrap_or_default() | 128);
            left /= 128;
        }
        packet.push(u8::try_from(left).unwrap_or_default());
        packet.extend_from_slice(&[0, 5]);
        packet.extend_from_slice(TOPIC);
        packet.extend_from_slice(payload);
        let mut bytes = Vec::new();
        frames::encode(&mut bytes, BINARY, &packet);
        bytes
    }
}

/// Where in the protocol's stream a socket is.
pub(super) struct Packets {
    frames: Frames,
    inner: Inner,
}

struct Inner {
    /// The kind of packet that says that the socket is in.
    awaited: u8,
    inside: bool,
    step: Step,
}

#[derive(Clone, Copy)]
enum Step {
    Kind,
    Length { kind: u8, shift: u32, length: usize },
    Body { kind: u8, left: usize },
}

impl Meter for Packets {
    fn take(&mut self, bytes: &[u8], seen: &mut Seen) {
        let inner = &mut self.inner;
        self.frames.take(bytes, |piece| match piece {
            Piece::Payload(payload) => inner.take(payload, seen),
            Piece::Message => {}
            Piece::Ping => seen.owed = &frames::PONG,
            Piece::Close(goodbye) => seen.closed = Some(goodbye),
        });
    }

    fn is_inside(&self) -> bool {
        self.inner.inside
    }
}

impl Inner {
    const fn new(awaited: u8) -> Self {
        Self {
            awaited,
            inside: false,
            step: Step::Kind,
        }
    }

    fn take(&mut self, mut bytes: &[u8], seen: &mut Seen) {
        while let Some((byte, after)) = bytes.split_first() {
            self.step = match self.step {
                Step::Kind => {
                    bytes = after;
                    Step::Length {
                        kind: byte >> 4,
                        shift: 0,
                        length: 0,
                    }
                }
                Step::Length {
                    kind,
                    shift,
                    length,
                } => {
                    bytes = after;
                    let length = length | usize::from(byte & 127) << shift;
                    if byte & 128 == 0 {
                        self.body(kind, length, seen)
                    } else {
                        Step::Length {
                            kind,
                            shift: (shift + 7).min(21),
                            length,
                        }
                    }
                }
                Step::Body { kind, left } => {
                    let own = left.min(bytes.len());
                    bytes = &bytes[own..];
                    self.body(kind, left - own, seen)
                }
            };
        }
    }

    /// What comes after some of a packet's body.
    fn body(&mut self, kind: u8, left: usize, seen: &mut Seen) -> Step {
        if left > 0 {
            return Step::Body { kind, left };
        }
        seen.messages += u64::from(kind == PUBLISH);
        self.inside |= kind == self.awaited;
        Step::Kind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_counted_however_the_stream_is_cut() {
        let mut packets = b"\x20\x02\0\0\x90\x03\0\x01\0".to_vec();
        packets.extend_from_slice(&[0x30, 0xcf, 0x01]);
        packets.extend_from_slice(&[7; 207]);
        packets.extend_from_slice(&[0x30, 3, 0, 1, b'x']);
        let mut stream = vec![0x82, 126, 0, u8::try_from(packets.len()).expect("short")];
        stream.extend_from_slice(&packets);
        for size in [1, 2, 5, stream.len()] {
            let mut meter = Mqtt.meter(Who {
                room: 0,
                part: Part::Listens,
            });
            let mut seen = Seen::default();
            for bytes in stream.chunks(size) {
                meter.take(bytes, &mut seen);
            }
            assert!(meter.is_inside());
            assert_eq!(seen.messages, 2, "in steps of {size}");
        }
    }

    #[test]
    fn a_message_names_its_length_in_as_few_bytes_as_it_takes() {
        let who = Who {
            room: 0,
            part: Part::Speaks,
        };
        let frame = Mqtt.message(who, &[b'x'; 128]);
        assert_eq!(frame[8..13], [0x30, 0x87, 0x01, 0, 5]);
    }
}
