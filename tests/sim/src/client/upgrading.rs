//! A client's opening handshake (RFC 6455, section 4.1), and what it makes of the answer.

use tungstenite::handshake::derive_accept_key;

use super::led::address;
use super::ticketing::ORIGIN;
use super::{Credentials, Speech};
use crate::checker::line::{Line, Stamp};
use crate::world::{Stage, World};

/// What a client shows at the door.
struct Shown {
    token: Option<String>,
    ticket: Option<u32>,
    session: Option<u32>,
    bogus: bool,
}

impl World {
    /// A client connects.
    pub(crate) fn connect(&mut self, number: u32) {
        let place = usize::try_from(number).expect("an index");
        if self.clients[place].socket.is_some() || self.is_leaving() {
            return;
        }
        self.renew_session(number);
        // Who is nobody comes back as somebody else, whose keys are others.
        if self.clients[place].user.is_none() {
            self.clients[place].keyed.clear();
        }
        let client = self.clients[place].clone();
        let shown = self.show(&client);
        let socket = self.dial(number);
        self.clients[place].socket = Some(socket);
        if let Some(open) = self.sockets[usize::try_from(socket).expect("an index")].as_mut() {
            open.session = shown.session;
            open.authenticated = shown.session.is_some();
            open.by_ticket = shown.ticket.is_some();
        }
        let room = client.speech.room();
        self.see(&Line::Connect {
            socket,
            room,
            way: client.speech.way(),
            session: shown.session,
            bogus: shown.bogus,
            page: client.sends_an_origin(),
            network: self.network_of(socket),
        });
        self.comes_by(socket, &client);
        if let Some(ticket) = shown.ticket {
            self.shows_ticket(socket, &client, ticket);
        }
        let is_hostile = self.is_troubled() && self.in_thousand(self.habits().hostile);
        let request = match client.speech {
            _ if is_hostile => "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            Speech::Post { .. } => {
                if !self.post_again(number, socket) {
                    self.post_request(number, socket, shown.token.as_deref());
                }
                return;
            }
            Speech::Stream { .. } => {
                let path = address(&client, socket);
                self.event_request(number, &path, shown.token.as_deref())
            }
            Speech::Raw { .. } | Speech::Handshake { .. } | Speech::Multiplexed => {
                let ticket = shown.ticket.and_then(|ticket| self.tickets.get(at(ticket)));
                let mut path = address(&client, socket);
                if let Some(ticket) = ticket {
                    path = format!("{path}?ticket={}", ticket.text);
                }
                request(&client, (&path, socket), shown.token.as_deref())
            }
        };
        self.send_up(socket, request.as_bytes());
    }

    /// At the upgrade: a session's token, nothing, or a token of nobody.
    fn show(&mut self, client: &super::Client) -> Shown {
        let is_early = matches!(
            client.credentials,
            Credentials::Bearer | Credentials::Subprotocol | Credentials::Ticket
        );
        if self.is_troubled() && is_early && self.in_thousand(self.habits().hostile) {
            return Shown {
                token: Some(self.token_of_nobody()),
                ticket: None,
                session: None,
                bogus: true,
            };
        }
        let session = client.session.filter(|_| is_early);
        let ticket = if client.credentials == Credentials::Ticket {
            self.ticket_of(client)
        } else {
            None
        };
        let token = session.filter(|_| ticket.is_none());
        Shown {
            token: token.map(|session| self.token(session)),
            ticket,
            session,
            bogus: false,
        }
    }

    /// The answer to an upgrade: how many bytes it had, once it is whole.
    pub(super) fn read_answer(&mut self, number: u32, bytes: &[u8], read: u64) -> Option<usize> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let status = head
            .get(9..12)
            .and_then(|status| status.parse().ok())
            .unwrap_or(0);
        let written = self.written_at(number, read);
        let written = Stamp {
            step: written.step,
            at: written.at,
        };
        let place = usize::try_from(number).expect("an index");
        let known = self.sockets[place].as_ref()?;
        let (owner, by_ticket) = (known.client, known.by_ticket);
        let client = &self.clients[usize::try_from(owner).expect("an index")];
        let (speech, browser) = (client.speech, client.browser);
        let expected = match speech {
            Speech::Post { .. } => 202,
            Speech::Stream { .. } => 200,
            Speech::Raw { .. } | Speech::Handshake { .. } | Speech::Multiplexed => 101,
        };
        if status != expected {
            if status == 401 && by_ticket {
                // Why is said behind the head.
                let text = String::from_utf8_lossy(bytes);
                if !text.ends_with("}\n") {
                    return None;
                }
                if text.contains(r#""rule":"ticket""#) {
                    self.ticket_is_refused(number);
                }
            }
            self.turned_away(owner, status);
            self.see(&Line::Rejected {
                socket: number,
                status,
            });
            return Some(bytes.len());
        }
        if matches!(speech, Speech::Post { .. }) {
            self.see(&Line::Posted { socket: number });
            return Some(bytes.len());
        }
        if (!speech.is_stream() && !head.contains(&derive_accept_key(key(number).as_bytes())))
            || head.contains("bearer")
        {
            let what = "an upgrade that no client can accept";
            self.see(&Line::Broken {
                socket: number,
                what,
            });
        }
        if let Some(socket) = self.sockets[place].as_mut() {
            socket.stage = Stage::Open;
            if let Some(room) = speech.room().filter(|_| !speech.shakes_hands()) {
                socket.inside.push(room);
            }
        }
        self.see(&Line::Upgraded {
            socket: number,
            admits: speech.room().is_some() && !browser && !speech.shakes_hands(),
            written,
        });
        self.act_soon(owner);
        Some(end)
    }
}

/// The key of a socket's upgrade: 16 bytes in base64, and no other socket's.
fn key(socket: u32) -> String {
    format!("{socket:021}A==")
}

fn request(client: &super::Client, (path, socket): (&str, u32), token: Option<&str>) -> String {
    let key = key(socket);
    let mut request = format!(
        "GET {path} HTTP/1.1\r\nHost: sim.example\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
    );
    if client.sends_an_origin() {
        request.push_str("Origin: ");
        request.push_str(ORIGIN);
        request.push_str("\r\n");
    }
    let mut offers = Vec::new();
    match client.speech {
        Speech::Multiplexed => offers.push("porthouse.v1".to_owned()),
        Speech::Handshake { .. } => offers.push("porthouse.raw.v1".to_owned()),
        Speech::Raw { .. } | Speech::Stream { .. } | Speech::Post { .. } => {}
    }
    match (token, client.credentials) {
        (Some(token), Credentials::Subprotocol) => {
            if client.speech.room().is_some() && !client.speech.shakes_hands() {
                offers.push("porthouse.plain".to_owned());
            }
            offers.push(format!("porthouse.bearer.{token}"));
        }
        (Some(token), _) => {
            request.push_str("Authorization: Bearer ");
            request.push_str(token);
            request.push_str("\r\n");
        }
        (None, _) => {}
    }
    if !offers.is_empty() {
        request.push_str("Sec-WebSocket-Protocol: ");
        request.push_str(&offers.join(", "));
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    request
}

fn at(number: u32) -> usize {
    usize::try_from(number).expect("an index")
}
