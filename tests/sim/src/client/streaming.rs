//! Clients that hear a room as server-sent events (WHATWG HTML, section 9.2), and say when they
//! come back which they heard last. Written from the protocol's text, apart from the node's.

use std::fmt::Write;

use super::payload::{body, number};
use crate::checker::line::{Kind, Line, Place, Stamp, Stand};
use crate::plant::Plant;
use crate::world::{Stage, World};

/// How far a reader of events is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reader {
    /// The id of the last event; it outlives the connection.
    last: Option<Stand>,
    /// What it has shown of that on this connection.
    shown: Option<Stand>,
    /// It was told how far the room is: what comes from here on is said now.
    placed: bool,
    /// It was told that nothing is missing.
    goes_on: bool,
}

/// One event.
#[derive(Debug, Default)]
struct Told {
    id: Option<Stand>,
    name: String,
    data: Vec<u8>,
    has_data: bool,
}

impl World {
    /// The request for a room's events.
    pub(super) fn event_request(&mut self, client: u32, path: &str, token: Option<&str>) -> String {
        let skips = self.chance.one_in(8);
        let reader = &mut self.clients[at(client)].reader;
        reader.shown = reader.last.filter(|_| !skips);
        (reader.placed, reader.goes_on) = (false, false);
        let mut request =
            format!("GET {path} HTTP/1.1\r\nHost: sim.example\r\nAccept: text/event-stream\r\n");
        if let Some(token) = token {
            write!(request, "Authorization: Bearer {token}\r\n").expect("a string takes all");
        }
        if let Some(Stand { epoch, offset }) = reader.shown {
            write!(request, "Last-Event-ID: {epoch}-{offset}\r\n").expect("a string takes all");
        }
        request + "\r\n"
    }

    /// A reader does its next thing: it stays, or goes.
    pub(super) fn read_on(&mut self, socket: u32) {
        let habits = self.habits();
        if self.is_leaving() || (self.is_troubled() && self.in_thousand(habits.close)) {
            self.hang_up(socket);
        } else if self.is_troubled() && self.in_thousand(habits.vanish) {
            self.vanish(socket);
        }
    }

    /// One event, once all of it is there. Answers how long it was.
    pub(super) fn read_event(&mut self, socket: u32, bytes: &[u8], position: u64) -> Option<usize> {
        let end = bytes.windows(2).position(|two| two == b"\n\n")? + 2;
        let written = self.written_at(socket, position);
        let written = Stamp {
            step: written.step,
            at: written.at,
        };
        let known = self.sockets[at(socket)].as_ref()?;
        let (client, stage) = (known.client, known.stage);
        if stage == Stage::Closing {
            let what = "an event after the last";
            self.see(&Line::Broken { socket, what });
        }
        let room = self.clients[at(client)].speech.room()?;
        if let Some(event) = told(&bytes[..end]) {
            self.hear_event((socket, client, room), &event, written);
        } else {
            let what = "an event that is none";
            self.see(&Line::Broken { socket, what });
        }
        Some(end)
    }

    fn hear_event(
        &mut self,
        (socket, client, room): (u32, u32, u32),
        event: &Told,
        written: Stamp,
    ) {
        let data = event.data.as_slice();
        match event.name.as_str() {
            "message" => self.hear_message((socket, client), (Kind::Text, data), event.id, written),
            "binary" => {
                if let Some(data) = decoded(data) {
                    self.hear_message((socket, client), (Kind::Binary, &data), event.id, written);
                } else {
                    let what = "base64 that is none";
                    self.see(&Line::Broken { socket, what });
                }
            }
            "recovered" => self.hear_recovered((socket, client, room), data, written),
            "epoch" => self.hear_epoch((socket, client, room), event.id, written),
            "" => match event.id {
                Some(stand) => self.hear_place((socket, client, room), stand, written),
                None => self.see(&Line::Other { socket, written }),
            },
            "gap" => {
                let dropped = field(data, "dropped").unwrap_or(0);
                let dropped = u32::try_from(dropped).unwrap_or(0);
                self.see(&Line::Gap {
                    socket,
                    room,
                    dropped,
                });
            }
            "closed" => {
                let code = field(data, "code").and_then(|code| u16::try_from(code).ok());
                let code = code.unwrap_or(1005);
                let known = self.sockets[at(socket)].as_mut().expect("being read");
                known.stage = Stage::Closing;
                self.turned_away(client, code);
                self.see(&Line::Closed {
                    socket,
                    code,
                    written,
                });
            }
            _ => {
                let what = "an event that no reader knows";
                self.see(&Line::Broken { socket, what });
            }
        }
    }

    fn hear_message(
        &mut self,
        (socket, client): (u32, u32),
        (kind, payload): (Kind, &[u8]),
        id: Option<Stand>,
        written: Stamp,
    ) {
        let reader = self.clients[at(client)].reader;
        let past = !reader.placed;
        let planted = self.is_planted(Plant::StreamLosesOne) && past && reader.goes_on;
        if planted && self.chance.one_in(4) {
            return;
        }
        let room = self.clients[at(client)].speech.room().expect("a reader");
        if let Some(stand) = id {
            let is_first = past && !reader.goes_on;
            if reader.last.is_none_or(|last| last.epoch != stand.epoch) || is_first {
                // It is not told yet how far the room is, but in which life it is.
                let stand = Stand { offset: 0, ..stand };
                self.see(&Line::Epoch {
                    socket,
                    room,
                    stand,
                    written,
                });
            }
            self.clients[at(client)].reader.last = id;
        }
        let place = id.map(|stand| Place {
            offset: stand.offset,
            past,
        });
        self.see(&Line::Delivered {
            socket,
            room: None,
            from: None,
            message: number(payload),
            body: body(kind, payload),
            place,
            written,
        });
    }

    /// It is told whether it goes on from where it was.
    fn hear_recovered(
        &mut self,
        (socket, client, room): (u32, u32, u32),
        data: &[u8],
        written: Stamp,
    ) {
        let reader = &mut self.clients[at(client)].reader;
        let goes_on = data == br#"{"recovered":true}"#;
        (reader.placed, reader.goes_on) = (false, goes_on);
        let from = reader.shown.take().filter(|_| goes_on);
        if goes_on {
            self.returns.count(None);
        }
        if goes_on && from.is_none() {
            let what = "recovered from nowhere";
            self.see(&Line::Broken { socket, what });
        }
        self.see(&Line::Recovers {
            socket,
            room,
            from,
            written,
        });
    }

    /// It is told that the room begins anew.
    fn hear_epoch(
        &mut self,
        (socket, client, room): (u32, u32, u32),
        id: Option<Stand>,
        written: Stamp,
    ) {
        let Some(stand) = id else {
            let what = "an epoch that says nothing";
            return self.see(&Line::Broken { socket, what });
        };
        self.is_placed(client, stand);
        self.see(&Line::Epoch {
            socket,
            room,
            stand,
            written,
        });
    }

    /// It is told how far the room is.
    fn hear_place(
        &mut self,
        (socket, client, room): (u32, u32, u32),
        stand: Stand,
        written: Stamp,
    ) {
        if self.clients[at(client)].reader.placed {
            let what = "a place where it is known";
            self.see(&Line::Broken { socket, what });
        }
        self.is_placed(client, stand);
        self.see(&Line::Stands {
            socket,
            room,
            stand,
            written,
        });
    }

    fn is_placed(&mut self, client: u32, stand: Stand) {
        let reader = &mut self.clients[at(client)].reader;
        (reader.placed, reader.goes_on, reader.last) = (true, false, Some(stand));
    }
}

/// The lines of an event (section 9.2.6).
fn told(block: &[u8]) -> Option<Told> {
    let mut told = Told::default();
    for line in block.split(|byte| *byte == b'\n') {
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = match colon {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"id" => told.id = Some(stand(value)?),
            b"event" => std::str::from_utf8(value).ok()?.clone_into(&mut told.name),
            b"data" => {
                if told.has_data {
                    told.data.push(b'\n');
                }
                told.data.extend_from_slice(value);
                told.has_data = true;
            }
            b"" | b"retry" => {}
            _ => return None,
        }
    }
    std::str::from_utf8(&told.data).ok()?;
    Some(told)
}

fn stand(id: &[u8]) -> Option<Stand> {
    let (epoch, offset) = std::str::from_utf8(id).ok()?.split_once('-')?;
    Some(Stand {
        epoch: epoch.parse().ok()?,
        offset: offset.parse().ok()?,
    })
}

/// A number in JSON.
fn field(json: &[u8], name: &str) -> Option<u64> {
    let json: serde_json::Value = serde_json::from_slice(json).ok()?;
    json.get(name)?.as_u64()
}

/// Base64 (RFC 4648, section 4).
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (fours, rest) = text.as_chunks::<4>();
    for four in fours {
        let mut bits = 0_u32;
        let pads = four.iter().rev().take_while(|byte| **byte == b'=');
        let pads = pads.count();
        for byte in four {
            let six = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                b'=' => 0,
                _ => return None,
            };
            bits = bits << 6 | u32::from(six);
        }
        out.extend_from_slice(&bits.to_be_bytes()[1..4 - pads.min(2)]);
    }
    rest.is_empty().then_some(out)
}

fn at(number: u32) -> usize {
    usize::try_from(number).expect("an index")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_as_it_is_written() {
        for (text, bytes) in [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo")] {
            assert_eq!(decoded(text.as_bytes()), Some(bytes.as_bytes().to_vec()));
        }
        assert_eq!(decoded(b"Zg="), None);
    }

    #[test]
    fn an_event_is_its_lines() {
        let event = told(b"id: 7-41\nevent: message\ndata: a\ndata:\ndata: b\n\n").expect("one");
        let stand = Stand {
            epoch: 7,
            offset: 41,
        };
        assert_eq!((event.id, event.data), (Some(stand), b"a\n\nb".to_vec()));
        assert!(told(b"fly: x\n\n").is_none());
    }
}
