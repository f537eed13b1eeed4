//! Reads what clients and administrators could see, a line at a time, and says which promise was
//! broken, if one was. Linear in the lines; uses nothing of ours, and treats what it cannot know
//! as allowed.
//!
//! P6 and P7 are judged by the moment a frame's first byte was written: from the step at which the
//! node acknowledged the revision that shuts somebody out, no frame may begin for them.

pub(crate) mod hash;
pub(crate) mod line;
mod entry;
mod message;
mod ordered;
mod policy;
mod request;
pub(crate) mod violation;

pub(crate) use message::TAG_BYTES;

use std::collections::BTreeSet;

use entry::Entry;
use line::{Body, Line, Named, Place, Stamp, Stand};
use message::{Messages, Moment, Receiver, Standing};
use ordered::{Orders, Said};
use policy::{Policy, Since, Visitor};
use request::{Bounds, Requests};
use violation::{Violation, broken};

/// How much longer than a room's `deliver_max` its word may take: the beat of progress, its way,
/// and the turn it is seen in.
const STALENESS_SLACK: u64 = 2_500_000_000;

/// One socket, as its client sees it.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "what was seen of it, each by itself"
)]
struct Socket {
    raw_room: Option<u32>,
    session: Option<u32>,
    user: Option<u32>,
    bogus: bool,
    client: Option<u128>,
    begun: u64,
    upgraded: bool,
    /// The node has taken it for somebody: its session, or a room's.
    recognised: bool,
    over: bool,
    entries: Vec<(u32, u32)>,
    /// Versions of rooms' passwords it gave.
    passed: Vec<(u32, Vec<u64>)>,
    out: Out,
    requests: Requests,
}

/// Since when somebody must be out, and from which step the node said so.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Out {
    pub(crate) since: Option<Since>,
    pub(crate) cut: Option<u64>,
    /// From and until which steps they were out before.
    pub(crate) before: Option<(u64, u64)>,
}

/// The checker.
#[derive(Debug)]
pub(crate) struct Checker {
    policy: Policy,
    sockets: Vec<Socket>,
    entries: Vec<Entry>,
    messages: Messages,
    orders: Orders,
    /// Rooms that an administrator has made.
    identities: BTreeSet<u64>,
    bounds: Bounds,
    settled: Option<(usize, u64)>,
    step: u64,
    at: u64,
}

impl Checker {
    /// One that knows nothing yet, and the longest an entry may take.
    pub(crate) fn new(entry_nanos_max: u64, handshake_nanos_max: u64) -> Self {
        Self {
            policy: Policy::default(),
            sockets: Vec::new(),
            entries: Vec::new(),
            messages: Messages::default(),
            orders: Orders::default(),
            identities: BTreeSet::new(),
            bounds: Bounds {
                entry_nanos_max,
                handshake_nanos_max,
            },
            settled: None,
            step: 0,
            at: 0,
        }
    }

    /// Reads a line.
    #[expect(clippy::too_many_lines, reason = "one arm a kind of line")]
    pub(crate) fn read(&mut self, step: u64, at: u64, line: &Line<'_>) -> Result<(), Violation> {
        (self.step, self.at) = (step, at);
        match *line {
            Line::Committed { revision, edits } => {
                self.policy.commit(revision, at, edits);
                self.shut_doors(edits);
            }
            Line::SignedIn {
                session,
                user,
                client,
            } => self.policy.sign_in(session, user, client),
            Line::Acknowledged { revision } => {
                self.policy.acknowledge(revision, step);
                self.cut();
            }
            Line::Connect {
                socket,
                room,
                session,
                bogus,
            } => self.connect(socket, room, session, bogus),
            Line::Upgraded {
                socket,
                admits,
                written,
            } => return self.upgraded(socket, admits, written),
            Line::Rejected { socket, .. } | Line::Ended { socket } => self.ended(socket),
            Line::Request {
                socket,
                id,
                ask,
                room,
                password,
            } => {
                let known = self.socket(socket);
                if let (Some(room), Some(version)) = (room, password) {
                    entry::pass(&mut known.passed, room, version);
                }
                known.requests.ask(id, ask, room, Moment { step, at });
            }
            Line::Reply { socket, id } => return self.socket(socket).requests.reply(socket, id),
            Line::Authenticated { socket, session } => self.authenticated(socket, session),
            Line::Challenged { socket, room } => self.challenged(socket, room),
            Line::Admitted {
                socket,
                room,
                client,
                stand,
                written,
            } => return self.admitted(socket, (room, stand), client, written),
            Line::Epoch {
                socket,
                room,
                stand,
            } => self.stands(socket, room, Some(stand)),
            Line::Refused {
                socket,
                room,
                rule,
                id,
            } => return self.refused(socket, room, rule, id),
            Line::Left { socket, room } => self.leave(socket, room),
            Line::Sent {
                socket,
                room,
                message,
                body,
                named,
                ..
            } => self.sent(socket, room, message, body, named.unwrap_or_default()),
            Line::Published {
                room,
                message,
                body,
                named,
            } => self.published(room, message, body, named),
            Line::Delivered {
                socket,
                room,
                from,
                message,
                body,
                place,
                written,
            } => {
                let found = self.receiver(socket, room, (body, written))?;
                return self.delivered(found, (message, from, body), place);
            }
            Line::Other { socket, written } => return self.other(socket, written),
            Line::Closed { socket, .. } => self.close(socket),
            Line::Broken { socket, what } => {
                return broken("P1", format!("socket {socket} got {what}"));
            }
            Line::Receipt { .. } | Line::Closes { .. } | Line::Healed => {}
            Line::Outside {
                client,
                socket,
                room,
            } => {
                return broken(
                    "P16",
                    format!("client {client} ({socket:?}) is kept out of {room}"),
                );
            }
            Line::Settled => {
                self.settled = Some((self.messages.len(), at));
                self.all_sure();
            }
            Line::Finished => return self.finished(),
        }
        Ok(())
    }

    fn socket(&mut self, socket: u32) -> &mut Socket {
        &mut self.sockets[index(socket)]
    }

    fn connect(&mut self, socket: u32, room: Option<u32>, session: Option<u32>, bogus: bool) {
        assert_eq!(
            self.sockets.len(),
            index(socket),
            "sockets are numbered in order"
        );
        let user = session.and_then(|session| self.policy.user(session));
        let out = self.policy.out_by(session);
        self.sockets.push(Socket {
            raw_room: room,
            session,
            user,
            bogus,
            client: session.and_then(|session| self.policy.client(session)),
            begun: self.at,
            out,
            ..Socket::default()
        });
    }

    fn upgraded(&mut self, socket: u32, admits: bool, written: Stamp) -> Result<(), Violation> {
        let known = self.socket(socket);
        known.upgraded = true;
        let Some(room) = known.raw_room else {
            return Ok(());
        };
        if admits && known.bogus {
            return broken(
                "P6",
                format!("socket {socket} entered by a token of nobody"),
            );
        }
        if admits {
            return self.enter(socket, room, written);
        }
        self.insert(socket, room);
        Ok(())
    }

    fn authenticated(&mut self, socket: u32, session: Option<u32>) {
        self.socket(socket).session = session;
        let user = session.and_then(|session| self.policy.user(session));
        let out = self.policy.out_by(session);
        let client = session.and_then(|session| self.policy.client(session));
        let known = self.socket(socket);
        known.recognised = true;
        (known.user, known.out, known.client) = (user, out, client);
    }

    fn admitted(
        &mut self,
        socket: u32,
        (room, stand): (u32, Option<Stand>),
        client: u128,
        written: Stamp,
    ) -> Result<(), Violation> {
        let known = self.socket(socket);
        if known.client.is_some_and(|known| known != client) {
            return broken("P14", format!("socket {socket} was told two client ids"));
        }
        known.client = Some(client);
        known.requests.admit(room);
        self.enter(socket, room, written)?;
        self.stands(socket, room, stand);
        Ok(())
    }

    /// Somebody is told how far a room is that they are in.
    fn stands(&mut self, socket: u32, room: u32, stand: Option<Stand>) {
        if let (Some(entry), Some(stand)) = (self.entry(socket, room), stand) {
            let rules = self.policy.rules_of(room);
            self.orders.stand(entry, room, stand, rules);
        }
    }

    fn refused(
        &mut self,
        socket: u32,
        room: u32,
        rule: &str,
        id: Option<u64>,
    ) -> Result<(), Violation> {
        let asked = id.and_then(|id| self.socket(socket).requests.asked_at(id));
        self.socket(socket).requests.refuse(room);
        self.leave(socket, room);
        match asked {
            Some(asked) => self.refusal_holds(socket, room, rule, asked),
            None => Ok(()),
        }
    }

    fn close(&mut self, socket: u32) {
        let entries = std::mem::take(&mut self.socket(socket).entries);
        for (_, entry) in entries {
            self.entries[index(entry)].open = false;
        }
    }

    fn ended(&mut self, socket: u32) {
        self.close(socket);
        let known = self.socket(socket);
        known.over = true;
        known.requests.clear();
    }

    fn sent(&mut self, socket: u32, room: u32, message: u32, body: Body, named: Named<'_>) {
        assert_eq!(
            index(message),
            self.messages.len(),
            "messages are numbered in order"
        );
        let standing = Standing {
            breaks: self.policy.breaks(room, body, named),
            forbidden: self.may_not_speak(socket, room),
        };
        let sent = self.moment();
        self.messages
            .say((Some(socket), room), (body, named), sent, standing);
    }

    fn published(&mut self, room: u32, message: u32, body: Body, named: Named<'_>) {
        assert_eq!(
            index(message),
            self.messages.len(),
            "messages are numbered in order"
        );
        let standing = Standing {
            breaks: None,
            forbidden: false,
        };
        let sent = self.moment();
        self.messages
            .say((None, room), (body, named), sent, standing);
    }

    /// Whoever gets something is inside, and may be.
    fn receiver(
        &mut self,
        socket: u32,
        room: Option<u32>,
        (body, written): (Body, Stamp),
    ) -> Result<Receiver, Violation> {
        let known = &self.sockets[index(socket)];
        let room = room.or(known.raw_room);
        let found = known.entries.iter().find(|(of, _)| Some(*of) == room);
        let (Some(room), Some(&(_, number))) = (room, found) else {
            return broken(
                "P6",
                format!("socket {socket} got {body:?} and is not in {room:?}"),
            );
        };
        if known.bogus {
            return broken(
                "P6",
                format!("socket {socket} got something by a token of nobody"),
            );
        }
        let client = known.client;
        self.make_sure(number, written);
        let entry = &self.entries[index(number)];
        let (inside, out) = match entry.unsure {
            Some(_) => (u64::MAX, entry.out),
            None => (entry.inside, entry.out),
        };
        self.still_in(socket, room, out, written)?;
        self.other(socket, written)?;
        Ok(Receiver {
            entry: number,
            socket,
            client,
            room,
            inside,
            rules: self.policy.rules_of(room),
        })
    }

    fn delivered(
        &mut self,
        to: Receiver,
        (message, from, body): (Option<u32>, Option<u128>, Body),
        place: Option<Place>,
    ) -> Result<(), Violation> {
        let said = Said::new(message, body, from);
        match (place, message) {
            (Some(Place { past: true, .. }), Some(message)) => {
                self.messages.receive_past(to, message, body)?;
            }
            (Some(Place { past: true, .. }), None) => self.messages.receive_small_past(to, body)?,
            (_, Some(message)) => self.messages.receive(to, message, body)?,
            (_, None) => self.messages.receive_small(to, body)?,
        }
        match place {
            Some(Place { offset, past: true }) => {
                self.orders.past(to, said, offset, &self.messages)?;
            }
            Some(Place {
                offset,
                past: false,
            }) => {
                self.orders.live(to, said, offset, &self.messages)?;
            }
            None => self.orders.untold(to, message)?,
        }
        message.map_or(Ok(()), |message| self.comes_from(message, from))
    }

    /// The sender is who the message says it is.
    fn comes_from(&mut self, message: u32, from: Option<u128>) -> Result<(), Violation> {
        let (Some(from), Some(sender)) = (from, self.messages.sender(message)) else {
            return Ok(());
        };
        let known = self.socket(sender);
        match known.client {
            Some(client) if client != from => broken(
                "P1",
                format!("message {message} says it is from another client"),
            ),
            Some(_) => Ok(()),
            None => {
                known.client = Some(from);
                Ok(())
            }
        }
    }

    fn other(&self, socket: u32, written: Stamp) -> Result<(), Violation> {
        let known = &self.sockets[index(socket)];
        match known.out.cut.filter(|_| known.recognised) {
            Some(cut) if written.step > cut => broken(
                "P7",
                format!("socket {socket} was written to at {written:?}, out since step {cut}"),
            ),
            Some(_) | None => Ok(()),
        }
    }

    fn finished(&self) -> Result<(), Violation> {
        if self.policy.applied() < self.policy.head {
            let (applied, head) = (self.policy.applied(), self.policy.head);
            return broken("P16", format!("revision {applied} is applied of {head}"));
        }
        for (socket, known) in self.sockets.iter().enumerate() {
            if !known.over {
                self.bounds
                    .upgrade(socket, known.upgraded, known.begun, self.at)?;
                known.requests.overdue(socket, self.bounds, self.at)?;
            }
        }
        self.orders.finish()?;
        self.everybody_heard()
    }

    /// What was said since everybody was inside has reached everybody it was for.
    fn everybody_heard(&self) -> Result<(), Violation> {
        let Some((first, settled)) = self.settled else {
            return Ok(());
        };
        let until = self.at.saturating_sub(5_000_000_000);
        for (number, entry) in self.entries.iter().enumerate() {
            if !entry.open
                || entry.unsure.is_some()
                || entry.at > settled
                || self.sockets[index(entry.socket)].over
            {
                continue;
            }
            let receiver = Receiver {
                entry: u32::try_from(number).expect("an entry's number"),
                socket: entry.socket,
                client: self.sockets[index(entry.socket)].client,
                room: entry.room,
                inside: entry.inside,
                rules: 0,
            };
            let is_inside = |socket| self.was_inside(socket, entry.room, settled);
            let lacking = self.messages.lacking(receiver, first, until, is_inside);
            if let Some(message) = lacking {
                return broken("P16", format!("{receiver:?} never got {message}"));
            }
        }
        Ok(())
    }

    /// In this room since then, and until now.
    fn was_inside(&self, socket: u32, room: u32, since: u64) -> bool {
        let known = &self.sockets[index(socket)];
        let entry = known.entries.iter().find(|(of, _)| *of == room);
        !known.over && entry.is_some_and(|&(_, entry)| self.entries[index(entry)].at <= since)
    }

    const fn moment(&self) -> Moment {
        Moment {
            step: self.step,
            at: self.at,
        }
    }

    /// What a socket may know of its visitor at a room's door.
    fn visitor(socket: &Socket, room: u32) -> Visitor<'_> {
        let passed = socket.passed.iter().find(|(of, _)| *of == room);
        Visitor {
            user: socket.user,
            passed: passed.map_or(&[][..], |(_, versions)| versions),
        }
    }
}

pub(crate) fn index(number: u32) -> usize {
    usize::try_from(number).expect("an index")
}
