//! What administrators and backends do, until the faults heal: rooms made, changed and deleted,
//! members, passwords, sessions and users; messages and kicks. Knows no node.

use core::time::Duration;

use porthouse_model::{Audience, ClientId, MessageKind};
use porthouse_puddle::{Call, Publish};

use super::{Event, Phase, World};
use crate::checker::line::{Edit, Kind, Line, Named};
use crate::client::{Client, Speech};
use crate::control::{ISSUERS, Intent, LABELS, PREFIXES, TransactionId, room_name, user_client};
use crate::plan::{deliver_max, rules, slow_consumer};
use crate::plant::Plant;
use crate::ports::Ports;
use crate::queue::{MILLIS, SECONDS};

impl World {
    /// How the world is when it begins.
    pub(super) fn draw_policy(&mut self) {
        for room in 0..self.plan.rooms {
            if self.chance.one_in(4) {
                continue;
            }
            let intent = self.put_room(room);
            self.write_at_once(&intent);
            for user in 0..self.plan.users {
                if self.chance.one_in(2) {
                    self.write_at_once(&Intent::AddMember { room, user });
                }
            }
        }
        self.draw_ports();
    }

    /// Addresses that lead somewhere from the beginning.
    fn draw_ports(&mut self) {
        for port in self.plan.ports.all() {
            if !self.chance.one_in(4) {
                let intent = Ports::put(&mut self.chance, (port, &self.plan));
                self.write_at_once(&intent);
            }
        }
    }

    pub(super) fn draw_clients(&mut self) {
        for number in 0..self.plan.clients {
            let client = Client::draw(&self.plan, &mut self.chance);
            let mut client = client.or_reads(&self.plan, &mut self.chance);
            let ports = self.plan.ports;
            ports.lead(&mut client, &mut self.chance, self.plan.rooms);
            client.session = client.user.map(|user| self.sign_in(user, client.device));
            self.clients.push(client);
            let delay = self.chance.below(2 * SECONDS);
            self.queue.after(delay, Event::Connect(number));
        }
    }

    /// A new session of a user; often it is one that others of the user's clients use too.
    pub(crate) fn sign_in(&mut self, user: u32, device: bool) -> u32 {
        if device {
            return self.give_token(user);
        }
        let shared = self
            .clients
            .iter()
            .filter(|client| client.user == Some(user) && !client.device);
        let shared = shared.filter_map(|client| client.session).next_back();
        if let Some(session) = shared
            && !self.control.is_over(self.control.session(session))
            && self.chance.one_in(2)
        {
            return session;
        }
        let session = self.control.open_session(user);
        self.signed_in(session);
        session
    }

    /// Somebody is told that they are signed in, and until when.
    pub(super) fn signed_in(&mut self, session: u32) {
        let row = self.control.session(session);
        let (user, until, issuer) = (row.user, row.until, row.issuer);
        self.see(&Line::SignedIn {
            session,
            user,
            client: user_client(user),
            until,
            issuer,
            rooms: None,
        });
    }

    /// A user gives a device a token of its own, for some rooms.
    fn give_token(&mut self, user: u32) -> u32 {
        let rooms = self.some_rooms();
        let session = self.control.open_device(user, rooms);
        let client = self.control.session(session).session.client();
        self.see(&Line::SignedIn {
            session,
            user,
            client: u128::from_be_bytes(*client.as_bytes()),
            until: None,
            issuer: None,
            rooms: Some(rooms),
        });
        session
    }

    /// Some rooms, each by a bit.
    fn some_rooms(&mut self) -> u32 {
        let all = (1_u64 << self.plan.rooms) - 1;
        let some = self.chance.next() | self.chance.next();
        u32::try_from(some & all).expect("few rooms")
    }

    /// A device is given other rooms.
    fn device_rooms(&mut self) -> Option<Intent> {
        let number = self.chance.index(self.clients.len());
        let client = &self.clients[number];
        let session = client.session.filter(|_| client.device)?;
        let rooms = self.some_rooms();
        Some(Intent::DeviceRooms { session, rooms })
    }

    fn write_at_once(&mut self, intent: &Intent) {
        let revision = self.control.head().revision.0 + 1;
        if let Some((revision, edits)) = self.control.apply(revision, intent) {
            self.committed(revision, &edits);
        }
    }

    fn committed(&mut self, revision: u64, edits: &[Edit]) {
        for edit in edits {
            if let Edit::Room { room, door } = edit
                && self.control.is_first(*room, door.identity)
            {
                self.watch.makes_a_room(revision);
            }
        }
        self.see(&Line::Committed { revision, edits });
        let waits = self.plan.reach.waits;
        if waits > 0 && self.chance.percent(waits) {
            self.watch.wait(revision);
        }
        // A notification may be lost: the tailer polls too.
        if !self.chance.one_in(8) {
            self.queue.after(MILLIS, Event::Tail);
        }
    }

    pub(super) fn administer(&mut self) {
        if self.phase != Phase::Troubled {
            return;
        }
        if self.chance.one_in(4) {
            self.backend();
        } else {
            let intent = self.intent();
            let transaction = self.commit.begin(intent);
            let delay = self.chance.below(20 * MILLIS);
            self.queue.after(delay, Event::Number(transaction.0));
        }
        // Bursts make transactions meet.
        let gap = if self.chance.one_in(2) {
            MILLIS
        } else {
            self.plan.admin_gap
        };
        self.after(gap, Event::Admin);
    }

    pub(super) fn number(&mut self, transaction: TransactionId) {
        if self.commit.number(transaction, &self.control) {
            self.commit_soon(transaction);
        }
    }

    fn commit_soon(&mut self, transaction: TransactionId) {
        // Without the lock a node that sees a hole asks again: only what commits later is lost.
        let longest = match self.plant {
            Some(Plant::NumberWithoutLock) => SECONDS,
            Some(_) | None => 50 * MILLIS,
        };
        let most = if self.chance.one_in(2) {
            longest
        } else {
            MILLIS
        };
        let delay = self.chance.below(most);
        self.queue.after(delay, Event::Commit(transaction.0));
    }

    pub(super) fn commit(&mut self, transaction: TransactionId) {
        let (done, next) = self.commit.commit(transaction, &mut self.control);
        if let Some((revision, edits)) = done {
            self.committed(revision, &edits);
        }
        if let Some(next) = next {
            self.commit_soon(next);
        }
    }

    fn put_room(&mut self, room: u32) -> Intent {
        let mut rules = rules(&mut self.chance, self.plan.message_bytes_max);
        rules.staleness.deliver_max = deliver_max(room);
        // Who is let in is to be told from who is not put out.
        if self.is_planted(Plant::SilenceUnnoticed) {
            rules.staleness.deliver_max = None;
        }
        if let Some(admit_max) = self.plan.reach.admit_max(room) {
            rules.staleness.admit_max = admit_max;
        }
        self.plan.keeping.rule(room, &mut rules);
        self.plan.storing.rule(room, &mut rules);
        if let Some(entry) = self.plan.ruling.steps(&mut self.chance) {
            rules.entry = entry;
        }
        rules.capabilities = self.plan.ruling.capabilities(&mut self.chance);
        let whose = (room, self.plan.users);
        self.plan.doors.rule(&mut self.chance, whose, &mut rules);
        self.plan.voices.rule(room, &mut rules);
        rules.delivery.slow_consumer = slow_consumer(room);
        Intent::PutRoom {
            room,
            rules: Box::new(rules),
        }
    }

    /// A template that rules the names of rooms that nobody made, or does no more.
    fn rule_names(&mut self) -> Intent {
        let prefix = self.chance.index_u32(PREFIXES);
        if self.chance.one_in(3) {
            return Intent::DeleteTemplate { prefix };
        }
        let mut rules = rules(&mut self.chance, self.plan.message_bytes_max);
        // Nobody is a member of what it covers.
        if rules.connection.audience == Audience::Members {
            rules.connection.audience = Audience::Anyone;
        }
        if let Some(entry) = self.plan.ruling.steps(&mut self.chance) {
            rules.entry = entry;
        }
        Intent::PutTemplate {
            prefix,
            rules: Box::new(rules),
        }
    }

    fn intent(&mut self) -> Intent {
        if self.plan.ports.are_changed(&mut self.chance) {
            return self.plan.ports.change(&mut self.chance, &self.plan);
        }
        if self.plan.reach.devices > 0
            && self.chance.one_in(3)
            && let Some(intent) = self.device_rooms()
        {
            return intent;
        }
        let room = self.chance.index_u32(self.plan.rooms);
        let user = self.chance.index_u32(self.plan.users);
        let blocks = self.plan.ruling.blocks;
        if blocks > 0 && self.chance.percent(blocks) {
            let blocked = self.control.blocked();
            return if blocked.is_empty() || self.chance.one_in(2) {
                Intent::Block { room, user }
            } else {
                let &(room, user) = self.chance.pick(&blocked);
                Intent::Unblock { room, user }
            };
        }
        if self.plan.ruling.issuers > 0 && self.chance.one_in(8) {
            return self.trust_or_not();
        }
        let labels = self.plan.ruling.labels;
        if labels > 0 && self.chance.percent(labels) {
            return self.label_or_group((room, user));
        }
        let templates = self.plan.ruling.templates;
        if templates > 0 && self.chance.percent(templates) {
            return self.rule_names();
        }
        match self.chance.below(16) {
            0..=2 => self.put_room(room),
            3 => Intent::DeleteRoom { room },
            4 | 5 => Intent::Password {
                room,
                some: !self.chance.one_in(4),
            },
            6..=8 => Intent::AddMember { room, user },
            9..=11 => Intent::RemoveMember { room, user },
            12 | 13 => match self.clients[self.chance.index(self.clients.len())].session {
                Some(session) => Intent::EndSession { session },
                None => Intent::EndUser { user },
            },
            _ => Intent::EndUser { user },
        }
    }

    /// A user is given a label or loses it, or a room a group.
    fn label_or_group(&mut self, (room, user): (u32, u32)) -> Intent {
        let label = self.chance.index_u32(LABELS);
        let some = self.chance.one_in(2);
        if self.chance.one_in(3) {
            Intent::Group { room, label, some }
        } else {
            Intent::Label { user, label, some }
        }
    }

    /// An issuer is withdrawn; one that was is trusted again first.
    fn trust_or_not(&mut self) -> Intent {
        let issuer = self.chance.index_u32(ISSUERS);
        if self.control.trust(issuer) {
            self.see(&Line::Trusted { issuer });
        }
        Intent::Withdraw {
            issuer: self.chance.index_u32(ISSUERS),
        }
    }

    /// A backend says something to a room, or puts somebody out.
    fn backend(&mut self) {
        if self.plan.doors.approves() && self.chance.one_in(2) && self.backend_decides() {
            return;
        }
        let room = self.chance.index_u32(self.plan.rooms);
        if self.chance.one_in(4) && !self.known.is_empty() {
            let client = *self.chance.pick(&self.known);
            let room = (!self.chance.one_in(3)).then_some(room);
            return self.kick(client, room);
        }
        let moves = self.plan.reach.moves;
        if moves > 0 && self.chance.percent(moves) {
            return self.move_somebody(room);
        }
        let purges = self.plan.storing.purges;
        if purges > 0 && self.chance.percent(purges) && self.purge(room) {
            return;
        }
        let kind = if self.chance.one_in(2) {
            Kind::Text
        } else {
            Kind::Binary
        };
        let len = 8 + self.chance.index(100);
        let (to, except) = self.name_some();
        let mut payload = Vec::new();
        let message = self.next_message();
        let body = self
            .payloads
            .fill(&mut payload, (kind, len), message, &mut self.chance);
        let named = Named {
            to: &to,
            except: &except,
        };
        self.see(&Line::Published {
            room,
            message,
            body,
            named,
        });
        let ids = |clients: &[u128]| {
            let ids = clients
                .iter()
                .map(|client| ClientId::from_bytes(client.to_be_bytes()));
            ids.collect::<Vec<_>>()
        };
        self.publish(Publish {
            room: room_name(room),
            kind: match kind {
                Kind::Text => MessageKind::Text,
                Kind::Binary => MessageKind::Binary,
            },
            payload: payload.into(),
            to: ids(&to),
            except: ids(&except),
        });
    }

    /// A backend puts a client out of a room, or off the node.
    fn kick(&mut self, client: u128, room: Option<u32>) {
        let longest = self.plan.reach.block_max;
        let block = if longest > 0 && room.is_some() {
            self.chance.below(longest)
        } else {
            0
        };
        let call = self.next_call();
        self.see(&Line::Kicks {
            call,
            client,
            room,
            block,
        });
        let lasts = if self.is_planted(Plant::KickForgotten) {
            0
        } else {
            block
        };
        self.backend_calls(Call::Kick {
            client: ClientId::from_bytes(client.to_be_bytes()),
            room: room.map(room_name),
            block: Some(Duration::from_nanos(lasts)),
        });
    }

    /// A backend has forgotten what was said up to an offset that it has heard of, if it has.
    fn purge(&mut self, room: u32) -> bool {
        let last = self.offsets.get(&room).copied().unwrap_or_default();
        if last == 0 {
            return false;
        }
        let through = last - self.chance.skewed(0, last - 1);
        let call = self.next_call();
        self.see(&Line::Purges {
            call,
            room,
            through,
        });
        let forgotten = self.is_planted(Plant::PurgeForgotten);
        self.backend_calls(Call::Purge {
            room: room_name(room),
            through: if forgotten { 0 } else { through },
        });
        true
    }

    /// A backend moves somebody to a room. At a room's own address nobody can be told so.
    fn move_somebody(&mut self, to: u32) {
        let number = self.chance.index(self.clients.len());
        let client = &self.clients[number];
        let is_raw =
            |other: &Client| other.user == client.user && other.speech != Speech::Multiplexed;
        let may_be = !client.device && !self.clients.iter().any(is_raw);
        let Some(user) = client.user.filter(|_| may_be) else {
            return;
        };
        let known = client.socket.and_then(|socket| self.socket(socket));
        let inside = known.map_or(&[][..], |socket| &socket.inside);
        if let Some(&from) = inside.iter().find(|from| **from != to) {
            self.backend_calls(Call::Move {
                client: ClientId::from_bytes(user_client(user).to_be_bytes()),
                from: room_name(from),
                to: room_name(to),
            });
        }
    }

    /// Some clients to send to, or not to; often nobody.
    pub(crate) fn name_some(&mut self) -> (Vec<u128>, Vec<u128>) {
        if self.known.is_empty() || self.chance.below(1_000) >= self.plan.habits.named {
            return (Vec::new(), Vec::new());
        }
        let some = 1 + self.chance.index(3);
        let mut named: Vec<u128> = (0..some).map(|_| *self.chance.pick(&self.known)).collect();
        named.dedup();
        match self.chance.below(3) {
            0 => (named, Vec::new()),
            1 => (Vec::new(), named),
            _ => {
                let except = named.split_off(named.len() / 2);
                (named, except)
            }
        }
    }

    /// Somebody's client id becomes known.
    pub(crate) fn learn(&mut self, client: u128) {
        if self.known.last() != Some(&client) && self.known.len() < 512 {
            self.known.push(client);
        }
    }

    /// The number of the next message.
    pub(crate) const fn next_message(&mut self) -> u32 {
        self.said += 1;
        self.said - 1
    }
}
