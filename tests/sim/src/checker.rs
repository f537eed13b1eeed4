//! Reads what clients and administrators could see, a line at a time, and says which promise was
//! broken, if one was. Linear in the lines; uses nothing of ours, and treats what it cannot know
//! as allowed.
//!
//! P6 and P7 are judged by the moment a frame's first byte was written: from the step at which the
//! node acknowledged the revision that shuts somebody out, no frame may begin for them.

pub(crate) mod hash;
pub(crate) mod line;
mod arriving;
mod coded;
mod ticketed;
mod entry;
mod lasting;
mod led;
mod message;
mod ordered;
mod keyed;
mod past;
mod present;
mod delivery;
mod finish;
mod door;
mod drained;
mod recovered;
pub(crate) mod stored;
mod policy;
mod grouped;
mod hearing;
mod joining;
mod request;
mod kicked;
pub(crate) mod narrow;
mod approving;
pub(crate) mod violation;

pub(crate) use message::TAG_BYTES;
pub(crate) use request::Bounds;

use std::collections::BTreeSet;

use approving::{By, Decisions};
use coded::Codes;
use drained::Drain;
use entry::Entry;
use hash::Table;
use joining::Joins;
use keyed::Keys;
use kicked::Kicks;
use led::Led;
use line::{Ask, Line, Stand, Way};
use message::{Messages, Moment};
use narrow::Crowds;
use ordered::Orders;
use past::{PageEnd, Past};
use policy::{Policy, Session, Since};
use present::{Batch, Page, Views};
use recovered::Recovered;
use request::Requests;
use stored::Stored;
use ticketed::{Show, Tickets};
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
    way: Way,
    session: Option<u32>,
    user: Option<u32>,
    bogus: bool,
    page: bool,
    /// The network it comes from.
    network: u32,
    client: Option<u128>,
    begun: u64,
    begun_step: u64,
    upgraded: bool,
    /// The node has taken it for somebody: its session, or a room's.
    recognised: bool,
    over: bool,
    entries: Vec<(u32, u32)>,
    /// Versions of rooms' passwords it gave.
    passed: Vec<(u32, Vec<u64>)>,
    /// The ticket it showed, until it is seen whether that let it in.
    ticket: Option<Show>,
    /// Rooms before whose doors it was put back, from which step the node said that it is out, and
    /// when it knew.
    put_back: Vec<(u32, u64, u64)>,
    /// When its session ends by itself.
    until: Option<u64>,
    /// When it was written to first and last, as somebody's.
    heard: Option<(u64, u64)>,
    out: Out,
    led: Led,
    requests: Requests,
}

impl Socket {
    /// Whether it is told what it misses.
    const fn is_told(&self) -> bool {
        self.raw_room.is_none() || matches!(self.way, Way::Events)
    }
}

/// Since when somebody must be out, and from which step the node said so.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Out {
    pub(crate) since: Option<Since>,
    pub(crate) cut: Option<u64>,
    /// From which step an administrator who waited was told so.
    pub(crate) waited: Option<u64>,
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
    keys: Keys,
    past: Past,
    views: Views,
    /// When somebody came into a room, or left it.
    stirred: Table<u32, u64>,
    recovered: Recovered,
    stored: Stored,
    kicks: Kicks,
    crowds: Crowds,
    joins: Joins,
    decisions: Decisions,
    codes: Codes,
    tickets: Tickets,
    drain: Option<Drain>,
    healed: Option<u64>,
    /// Rooms that an administrator has made.
    identities: BTreeSet<u64>,
    bounds: Bounds,
    settled: Option<(usize, u64)>,
    step: u64,
    at: u64,
}

impl Checker {
    /// One that knows nothing yet, but within what everything must be.
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            policy: Policy::default(),
            sockets: Vec::new(),
            entries: Vec::new(),
            messages: Messages::default(),
            orders: Orders::default(),
            keys: Keys::new(bounds.key_nanos_max),
            past: Past::default(),
            views: Views::default(),
            stirred: Table::default(),
            recovered: Recovered::default(),
            stored: Stored::new(bounds.history_bytes_max),
            kicks: Kicks::default(),
            crowds: Crowds::default(),
            joins: Joins::default(),
            decisions: Decisions::default(),
            codes: Codes::default(),
            tickets: Tickets::default(),
            drain: None,
            healed: None,
            identities: BTreeSet::new(),
            bounds,
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
                self.messages.note_rules(edits);
                self.note_hearing(edits);
                return self.were_idle(edits);
            }
            Line::SignedIn {
                session,
                user,
                client,
                until,
                issuer,
                rooms,
            } => {
                let ended = None;
                let rooms = rooms.map(|rooms| (rooms, Since::default()));
                let opened = Session {
                    user,
                    client,
                    opened: at,
                    until,
                    issuer,
                    rooms,
                    ended,
                };
                return self.policy.sign_in(session, opened);
            }
            Line::Trusted { issuer } => self.policy.trust(issuer),
            Line::Acknowledged { revision } => {
                self.policy.acknowledge(revision, step);
                self.cut();
            }
            Line::Connect {
                socket,
                room,
                way,
                session,
                bogus,
                page,
                network,
            } => {
                self.connect((socket, network), (room, way), session, bogus);
                self.socket(socket).page = page;
            }
            Line::Ticket {
                ticket,
                session,
                bound,
            } => self.ticket(ticket, session, bound),
            Line::Shows {
                socket,
                ticket,
                bound,
            } => self.shows_ticket(socket, ticket, bound),
            Line::By { socket, port } => self.comes_by(socket, port),
            Line::Unopened { socket } => return self.unopened(socket),
            Line::Upgraded {
                socket,
                admits,
                written,
            } => return self.upgraded(socket, admits, written),
            Line::Answered {
                socket,
                room,
                shown,
            } => {
                if let Some(shown) = shown {
                    self.shows(socket, room, shown);
                }
            }
            Line::Posted { socket } => return self.posted(socket),
            Line::Decided {
                socket,
                room,
                version,
                allowed,
            } => {
                if allowed {
                    self.decided(socket, room, version);
                }
            }
            Line::Admits {
                socket,
                id,
                room,
                client,
                allowed,
            } => {
                if allowed {
                    self.lets_in(By::Socket(socket, id), room, client);
                }
            }
            Line::LetsIn {
                call,
                room,
                client,
                allowed,
            } => {
                if allowed {
                    self.lets_in(By::Backend(call), room, client);
                }
            }
            Line::WasLetIn { call } => self.is_made(By::Backend(call)),
            Line::Started { socket, written } => return self.started(socket, written),
            Line::Rejected { socket, .. } | Line::Ended { socket } => self.ended(socket),
            Line::Request {
                socket,
                id,
                ask,
                room,
                shown,
                resumes,
            } => {
                if let (Some(room), Ask::Join) = (room, ask) {
                    self.waits_anew(socket, room);
                    self.asks_in(socket, room);
                }
                if let (Some(room), Some(resumes)) = (room, resumes) {
                    self.goes_on(socket, room, resumes);
                }
                if let (Some(room), Some(shown)) = (room, shown) {
                    self.shows(socket, room, shown);
                }
                if let (Some(room), Ask::Join | Ask::Answer) = (room, ask) {
                    self.may_be_back(socket, room);
                }
                let requests = &mut self.socket(socket).requests;
                requests.ask(id, ask, room, Moment { step, at });
            }
            Line::Reply { socket, id } => {
                self.is_made(By::Socket(socket, id));
                let answered = self.socket(socket).requests.reply(socket, id)?;
                if let Some(room) = answered {
                    self.past.answered(socket, room, id);
                }
            }
            Line::Authenticated { socket, session } => self.authenticated(socket, session),
            Line::Challenged { socket, room } => self.challenged(socket, room),
            Line::Admitted {
                socket,
                room,
                client,
                stand,
                recovered,
                written,
            } => return self.admitted(socket, (room, stand, recovered), client, written),
            Line::Epoch {
                socket,
                room,
                stand,
                written,
            } => {
                let applied = self.policy.applied_at(written.step);
                self.stands(socket, room, Some(stand), applied);
            }
            Line::Recovers {
                socket,
                room,
                from,
                written,
            } => self.recovers(socket, room, from, written),
            Line::Stands {
                socket,
                room,
                stand,
                written,
            } => return self.is_placed((socket, room), stand, written),
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
                id,
                keyed,
                level,
                named,
            } => {
                let moment = self.moment();
                self.keys.send((socket, id), (message, level), moment);
                if keyed {
                    self.keys.keyed(message, moment);
                }
                self.sent(socket, room, message, body, named.unwrap_or_default());
            }
            Line::Again {
                socket,
                room,
                message,
                id,
            } => self.sent_again(socket, room, message, id),
            Line::Receipt {
                socket,
                room,
                id,
                level,
                offset,
            } => return self.taken(socket, room, id, (level, offset)),
            Line::Unsaid { socket, id, rule } => {
                if rule == "key_window" {
                    return self.keys.expired(socket, id, at);
                }
            }
            Line::Reads {
                socket,
                room,
                id,
                range,
            } => self.past.ask(socket, room, (id, step), range),
            Line::Read {
                socket,
                room,
                id,
                count,
                through,
                complete,
            } => {
                let end = PageEnd {
                    id,
                    count,
                    through,
                    complete,
                };
                self.page(socket, room, end);
            }
            Line::Looks { socket, id, after } => self.views.ask(socket, id, after),
            Line::There {
                socket,
                room,
                id,
                seq,
                count,
                present,
                more,
            } => {
                let page = Page {
                    id,
                    seq,
                    count,
                    present,
                    more,
                };
                return self.views.page((socket, room), page);
            }
            Line::Changed {
                socket,
                room,
                seq,
                count,
                joined,
                left,
                updated,
            } => {
                let batch = Batch {
                    seq,
                    count,
                    joined,
                    left,
                    updated,
                };
                return self.views.change((socket, room), batch);
            }
            Line::Unseen { socket, room } => self.views.end(socket, room),
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
                return self.delivered(found, (message, from, body), (place, written));
            }
            Line::Gap {
                socket,
                room,
                dropped,
            } => return self.gap(socket, room, dropped),
            Line::Other { socket, written } => return self.other(socket, written),
            Line::Closed {
                socket,
                code,
                written,
            } => {
                self.is_sent_away(socket, code, written)?;
                self.close(socket);
                return self.not_cut_short(socket, code, written);
            }
            Line::Broken { socket, what } => {
                return broken("P1", format!("socket {socket} got {what}"));
            }
            Line::Closes { .. } => {}
            Line::Healed => self.healed = Some(step),
            Line::Panicked { all, .. } => self.panicked(all),
            Line::Waited { revision } => self.waited(revision),
            Line::Kicks {
                call,
                client,
                room,
                block,
            } => self.kick(call, client, (room, block)),
            Line::Kicked { call } => self.kicked(call),
            Line::Purges {
                call,
                room,
                through,
            } => {
                let gone = self.orders.up_to(room, through);
                self.stored.purge(call, (room, through), gone);
            }
            Line::Purged { call } => self.stored.purged(call, step),
            Line::Moved { socket, from, to } => self.is_moved(socket, (from, to)),
            Line::Outside {
                client,
                socket,
                room,
            } => {
                // What it asks is read behind what it said.
                if socket.is_some_and(|socket| self.socket(socket).requests.are_held_up(at)) {
                    return Ok(());
                }
                return broken(
                    "P16",
                    format!("client {client} ({socket:?}) is kept out of {room}"),
                );
            }
            Line::Settled => {
                self.settled = Some((self.messages.len(), at));
                self.all_sure();
                return self.are_closed();
            }
            Line::Finished => return self.finished(),
            Line::Drains { until } => self.drains(until),
            Line::Drained => return self.has_drained(),
        }
        Ok(())
    }

    /// The last revision that was acknowledged.
    pub(crate) fn applied(&self) -> u64 {
        self.policy.applied()
    }

    /// The last revision that mattered to whether this user may enter.
    pub(crate) fn last_word(&self, room: u32, user: Option<u32>) -> u64 {
        self.policy.last_word(room, user)
    }

    fn socket(&mut self, socket: u32) -> &mut Socket {
        &mut self.sockets[index(socket)]
    }

    /// Somebody is told how far a room is that they are in, by a node that had applied
    /// this revision for certain.
    fn stands(&mut self, socket: u32, room: u32, stand: Option<Stand>, applied: u64) {
        if let (Some(entry), Some(stand)) = (self.entry(socket, room), stand) {
            // Whoever let them in may not have heard yet of rules that are on their way.
            let rules = self.policy.rules_of(room).min(applied);
            self.orders.stand(entry, room, stand, rules);
        }
    }

    const fn moment(&self) -> Moment {
        Moment {
            step: self.step,
            at: self.at,
        }
    }
}

pub(crate) fn index(number: u32) -> usize {
    usize::try_from(number).expect("an index")
}

#[cfg(test)]
mod tests;
