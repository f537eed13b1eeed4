//! The world of these tests: puddles, their rings, a table of what the control
//! plane knows, and clients at the end of links that can stall.

mod rules;
mod turns;
mod sign_in;
mod store;
mod wire;

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use std::collections::BTreeMap;
use std::io::IoSlice;
use std::sync::Arc;

use porthouse_model::{
    Address, Block, Change, ChangeItem, CodeVersion, Endpoint, HookVersion, Member, MessageKind,
    NamePrefix, PolicyKey, Revision, Room, RoomBlocks, RoomId, RoomName, RoomRules, Session,
    SessionId, Template, Time, TokenHash, UnixTime, UserId,
};

use crate::puddle::Puddle;
use crate::wire::frame::client;
use crate::{
    Answer, Changed, Command, Hop, Input, Known, OrderId, Output, Pass, Proof, PuddleId, Question,
    RESUME_KEY_BYTES, Reply, ResumeKeys, RoomPolicy, Seed, Seeds, Settings, Shell, SocketId,
    TransientMakers, Verdict, Verification, Wrote,
};

pub(super) use rules::{asking, members_only, password_rules, taking};
use store::Store;
pub(super) use wire::{close_frame, frame, upgrade_request};

pub(super) const HOUR: u64 = 3_600_000;

/// The far end of every socket of one puddle.
#[derive(Default)]
pub(super) struct Links {
    pub(super) received: BTreeMap<SocketId, Vec<u8>>,
    /// How much more each stalled link takes.
    pub(super) takes: BTreeMap<SocketId, usize>,
    pub(super) ended: Vec<SocketId>,
    pub(super) paused: Vec<SocketId>,
    pub(super) writes: Vec<SocketId>,
    outputs: Vec<Output>,
}

impl Links {
    /// How many orders were replied to, and not taken.
    pub(super) fn replies(&self) -> usize {
        let is_reply = |output: &&Output| matches!(output, Output::Reply { .. });
        self.outputs.iter().filter(is_reply).count()
    }
}

impl Shell for Links {
    fn write(&mut self, socket: SocketId, bytes: &[IoSlice<'_>]) -> Wrote {
        self.writes.push(socket);
        let offered: Vec<u8> = bytes.iter().flat_map(|slice| slice.to_vec()).collect();
        let room = self.takes.get_mut(&socket);
        let taken = room
            .as_ref()
            .map_or(offered.len(), |room| offered.len().min(**room));
        if let Some(room) = room {
            *room -= taken;
        }
        self.received
            .entry(socket)
            .or_default()
            .extend_from_slice(&offered[..taken]);
        if taken == offered.len() {
            Wrote::All
        } else {
            Wrote::Part(taken)
        }
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Close { socket } => self.ended.push(socket),
            Output::Pause { socket } => self.paused.push(socket),
            Output::Resume { socket } => self.paused.retain(|paused| *paused != socket),
            other @ (Output::HandOver { .. }
            | Output::Bridge { .. }
            | Output::Hop { .. }
            | Output::Ask { .. }
            | Output::Applied { .. }
            | Output::Seen { .. }
            | Output::Followed { .. }
            | Output::KeepOut(_)
            | Output::Reply { .. }) => self.outputs.push(other),
        }
    }
}

/// A client: a puddle and a socket there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Client {
    pub(super) puddle: usize,
    pub(super) socket: SocketId,
}

pub(super) struct World {
    pub(super) puddles: Vec<Puddle>,
    pub(super) links: Vec<Links>,
    pub(super) now: Time,
    pub(super) rooms: BTreeMap<RoomName, Room>,
    pub(super) sessions: BTreeMap<TokenHash, Session>,
    pub(super) members: Vec<Member>,
    pub(super) endpoints: BTreeMap<Address, Endpoint>,
    pub(super) blocks: Vec<Block>,
    pub(super) templates: BTreeMap<NamePrefix, Template>,
    pub(super) password: &'static str,
    /// The code that is right, of second factors and rooms alike.
    pub(super) code: &'static str,
    /// Page, path and user of each ticket.
    pub(super) tickets: BTreeMap<TokenHash, (Option<&'static str>, &'static str, u8)>,
    /// Users have a second factor.
    pub(super) enrolled: bool,
    /// So long whoever shows something is to wait.
    pub(super) busy: Option<Duration>,
    /// What the owner's backend says.
    pub(super) hook: Verdict,
    pub(super) revision: u64,
    /// Nothing is answered while it is away.
    pub(super) away: bool,
    /// Hops are kept while it is set.
    pub(super) hops_stand: bool,
    /// Hops to this puddle are kept while it is set.
    pub(super) hops_stand_to: Option<usize>,
    standing: Vec<(usize, PuddleId, Hop)>,
    /// What keeps durable rooms.
    pub(super) store: Store,
    pub(super) applied: Vec<u64>,
    pub(super) replies: Vec<Reply>,
    /// Whose sessions had sockets, each time that was told.
    pub(super) seen: Vec<Vec<SessionId>>,
    /// What was given of rooms that are followed.
    pub(super) followed: Vec<super::followed::Given>,
    /// Who is to be kept out on all nodes.
    pub(super) kept_out: Vec<crate::KeptOut>,
    slots: Vec<u32>,
}

impl World {
    pub(super) fn new(puddles: u8) -> Self {
        Self::with(puddles, |_| {})
    }

    pub(super) fn with(puddles: u8, change: impl Fn(&mut Settings)) -> Self {
        let puddle = |number| {
            let mut settings = Settings::new(PuddleId(number), puddles);
            settings.transient_makers = TransientMakers::Anyone;
            settings.resume_keys = ResumeKeys::new(&[[7; RESUME_KEY_BYTES]]);
            change(&mut settings);
            let mut puddle = Puddle::new(
                settings,
                Seeds::repeatable(Seed(u64::from(number))),
                Time::ZERO,
            );
            puddle.handle(Time::ZERO, Input::Wall(UnixTime::from_millis(HOUR)));
            puddle.handle(
                Time::ZERO,
                Input::Resync {
                    revision: Revision(0),
                },
            );
            puddle.handle(
                Time::ZERO,
                Input::Fresh {
                    revision: Revision(0),
                },
            );
            puddle
        };
        Self {
            puddles: (0..puddles).map(puddle).collect(),
            links: (0..puddles).map(|_| Links::default()).collect(),
            now: Time::ZERO,
            rooms: BTreeMap::new(),
            sessions: BTreeMap::new(),
            members: Vec::new(),
            endpoints: BTreeMap::new(),
            blocks: Vec::new(),
            templates: BTreeMap::new(),
            password: "open sesame",
            code: "123456",
            tickets: BTreeMap::new(),
            enrolled: false,
            busy: None,
            hook: Verdict::Right(Pass::Hook(HookVersion(1))),
            revision: 0,
            away: false,
            hops_stand: false,
            hops_stand_to: None,
            standing: Vec::new(),
            store: Store::default(),
            applied: vec![0; usize::from(puddles)],
            replies: Vec::new(),
            seen: Vec::new(),
            followed: Vec::new(),
            kept_out: Vec::new(),
            slots: vec![0; usize::from(puddles)],
        }
    }

    /// A persistent room, known to the control plane from here on.
    pub(super) fn room(&mut self, name: &str, rules: RoomRules) -> RoomId {
        let id = RoomId::from_bytes([u8::try_from(self.rooms.len()).expect("few"); 16]);
        let room = Room {
            id,
            name: name.parse().expect("a name"),
            rules: Box::new(rules),
            owner: None,
            blocks: RoomBlocks::default(),
        };
        self.rooms.insert(room.name.clone(), room);
        id
    }

    /// A user's session, by a byte; its token is in [`token`].
    pub(super) fn session(&mut self, user: u8) -> UserId {
        let id = UserId::from_bytes([user; 16]);
        let session = Session {
            id: SessionId::from_bytes([user; 16]),
            user: id,
            username: format!("user{user}").parse().expect("a name"),
            expires: UnixTime::from_millis(HOUR * 2),
            second_factor: None,
            device: None,
        };
        self.sessions.insert(hash(user), session);
        id
    }

    /// What is at an address, known to the control plane from here on.
    pub(super) fn endpoint(&mut self, endpoint: Endpoint) {
        self.endpoints.insert(endpoint.address.clone(), endpoint);
    }

    /// One revision.
    pub(super) fn change(&mut self, items: Vec<ChangeItem>) {
        self.change_only(items);
        self.run();
    }

    /// Changes a room's rules.
    pub(super) fn rule(&mut self, name: &str, rules: RoomRules) {
        let room = self.rooms.get_mut(name).expect("a room that was made");
        *room.rules = rules;
        let room = room.clone();
        self.change(vec![ChangeItem::Room(room)]);
    }

    /// The wall clock jumps.
    pub(super) fn wall(&mut self, millis: u64) {
        for puddle in &mut self.puddles {
            puddle.handle(self.now, Input::Wall(UnixTime::from_millis(millis)));
        }
    }

    pub(super) fn connect(&mut self, puddle: usize) -> Client {
        let slot = self.slots[puddle];
        self.slots[puddle] += 1;
        let socket = SocketId {
            slot,
            generation: 0,
        };
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        self.puddles[puddle].handle(self.now, Input::Connected { socket, address });
        Client { puddle, socket }
    }

    /// Asks for an upgrade with these further header lines, and runs.
    pub(super) fn upgrade(&mut self, puddle: usize, path: &str, lines: &[&str]) -> Client {
        let client = self.connect(puddle);
        self.upgrade_on(client, path, lines);
        client
    }

    /// The same on a connection that is there.
    pub(super) fn upgrade_on(&mut self, client: Client, path: &str, lines: &[&str]) {
        self.bytes(client, upgrade_request(path, lines));
    }

    /// A raw socket that is in a room, its 101 read.
    pub(super) fn raw(&mut self, puddle: usize, room: &str) -> Client {
        let client = self.upgrade(puddle, &format!("/{room}"), &[]);
        let head = self.take(client);
        assert!(
            head.starts_with(b"HTTP/1.1 101"),
            "{}",
            String::from_utf8_lossy(&head)
        );
        client
    }

    /// A `porthouse.v1` socket in the lobby.
    pub(super) fn lobby(&mut self, puddle: usize) -> Client {
        let client = self.upgrade(puddle, "/", &["Sec-WebSocket-Protocol: porthouse.v1"]);
        assert!(self.take(client).starts_with(b"HTTP/1.1 101"));
        client
    }

    /// One signed in by [`Self::session`].
    pub(super) fn lobby_of(&mut self, puddle: usize, user: u8) -> Client {
        let bearer = format!("Authorization: Bearer {}", token(user));
        let lines = ["Sec-WebSocket-Protocol: porthouse.v1", &bearer];
        let client = self.upgrade(puddle, "/", &lines);
        assert!(self.take_text(client).contains(r#""op":"authenticated""#));
        client
    }

    /// One that is in these rooms.
    pub(super) fn joined(&mut self, puddle: usize, rooms: &[&str]) -> Client {
        let client = self.lobby(puddle);
        for room in rooms {
            self.line(
                client,
                &format!(r#"{{"op":"join","room":"{room}","id":1}}"#),
            );
            let told = self.take_text(client);
            assert!(told.contains(r#""op":"admitted""#), "{told}");
        }
        client
    }

    pub(super) fn bytes(&mut self, client: Client, bytes: Vec<u8>) {
        self.bytes_unanswered(client, bytes);
        self.run();
    }

    /// Bytes that are heard; nothing else happens yet.
    pub(super) fn bytes_unanswered(&mut self, client: Client, mut bytes: Vec<u8>) {
        let input = Input::Received {
            socket: client.socket,
            bytes: &mut bytes,
        };
        self.puddles[client.puddle].handle(self.now, input);
    }

    pub(super) fn say(&mut self, client: Client, kind: MessageKind, payload: &[u8]) {
        let opcode = match kind {
            MessageKind::Text => client::TEXT,
            MessageKind::Binary => client::BINARY,
        };
        self.bytes(client, client::frame(true, opcode, payload));
    }

    /// A `porthouse.v1` line, in a text frame.
    pub(super) fn line(&mut self, client: Client, line: &str) {
        self.say(client, MessageKind::Text, line.as_bytes());
    }

    /// One puddle's turn, whose outputs nobody does.
    pub(super) fn settle_only(&mut self, at: usize) -> Vec<Output> {
        self.puddles[at].settle(self.now, &mut self.links[at]);
        self.puddles[at].check();
        std::mem::take(&mut self.links[at].outputs)
    }

    /// A line that is heard; nothing else happens yet.
    pub(super) fn line_unanswered(&mut self, client: Client, line: &str) {
        self.bytes_unanswered(client, client::frame(true, client::TEXT, line.as_bytes()));
    }

    /// One revision that is heard; nothing else happens yet.
    pub(super) fn change_only(&mut self, items: Vec<ChangeItem>) {
        self.revision += 1;
        let revision = Revision(self.revision);
        let changed = Arc::new(Changed::compile(Change { revision, items }));
        for puddle in &mut self.puddles {
            puddle.handle(self.now, Input::Changed(Arc::clone(&changed)));
            puddle.handle(self.now, Input::Fresh { revision });
        }
    }

    /// All that came to a client since it was last asked.
    pub(super) fn take(&mut self, client: Client) -> Vec<u8> {
        self.links[client.puddle]
            .received
            .remove(&client.socket)
            .unwrap_or_default()
    }

    pub(super) fn take_text(&mut self, client: Client) -> String {
        String::from_utf8_lossy(&self.take(client)).into_owned()
    }

    pub(super) fn order(&mut self, command: &Command) -> Vec<Reply> {
        for puddle in &mut self.puddles {
            let command = command.clone();
            puddle.handle(
                self.now,
                Input::Ordered {
                    order: OrderId(1),
                    command,
                },
            );
        }
        self.run();
        self.order_replies()
    }

    /// What was replied to orders.
    pub(super) fn order_replies(&mut self) -> Vec<Reply> {
        std::mem::take(&mut self.replies)
    }

    /// Its link takes so many more bytes, and then none.
    pub(super) fn stall(&mut self, client: Client, bytes: usize) {
        self.links[client.puddle].takes.insert(client.socket, bytes);
    }

    /// Its link takes everything again.
    pub(super) fn unstall(&mut self, client: Client) {
        self.links[client.puddle].takes.remove(&client.socket);
        let input = Input::Writable {
            socket: client.socket,
        };
        self.puddles[client.puddle].handle(self.now, input);
        self.run();
    }

    pub(super) fn wait(&mut self, span: Duration) {
        self.now = self.now + span;
        self.run();
    }

    pub(super) fn is_ended(&self, client: Client) -> bool {
        self.links[client.puddle].ended.contains(&client.socket)
    }

    /// Settles every puddle, carries every hop and answers every question, until
    /// nothing happens any more.
    pub(super) fn run(&mut self) {
        loop {
            let mut quiet = true;
            for at in 0..self.puddles.len() {
                let deadline = self.puddles[at].settle(self.now, &mut self.links[at]);
                self.puddles[at].check();
                let more = ["sockets to write to", "sockets to judge"];
                if let Some(deadline) = deadline.filter(|due| more.contains(&due.reason)) {
                    self.now = self.now.max(deadline.at);
                    quiet = false;
                }
                for output in std::mem::take(&mut self.links[at].outputs) {
                    quiet = false;
                    self.output(at, output);
                }
            }
            if quiet {
                return;
            }
        }
    }

    /// Lets the hops that stand go, and runs.
    pub(super) fn release_hops(&mut self) {
        self.hops_stand = false;
        for (at, to, hop) in std::mem::take(&mut self.standing) {
            self.hop(at, to, hop);
        }
        self.run();
    }

    /// The hops that stand to and from a puddle are lost: it begins anew.
    pub(super) fn lose_hops_of(&mut self, puddle: usize) {
        self.standing
            .retain(|(at, to, _)| *at != puddle && usize::from(to.0) != puddle);
    }

    /// The hops that stand are lost, as when a puddle begins anew.
    pub(super) fn lose_hops(&mut self) {
        self.standing.clear();
    }

    fn output(&mut self, at: usize, output: Output) {
        match output {
            Output::Hop { to, hop }
                if self.hops_stand || self.hops_stand_to == Some(usize::from(to.0)) =>
            {
                self.standing.push((at, to, hop));
            }
            Output::Hop { to, hop } => self.hop(at, to, hop),
            Output::Ask { question, what, .. } => {
                let answer = if self.away {
                    Answer::Unavailable
                } else {
                    self.answer(what)
                };
                self.puddles[at].handle(self.now, Input::Answered { question, answer });
            }
            Output::Applied { revision } => self.applied[at] = revision.0,
            Output::Reply { reply, .. } => self.replies.push(reply),
            Output::Seen { sessions } => self.seen.push(sessions),
            Output::Followed { message, place } => self.followed.push((message, place)),
            Output::KeepOut(kicked) => self.kept_out.push(*kicked),
            Output::Bridge {
                request,
                room,
                what,
            } => self.ask_store((at, request, room, what)),
            Output::HandOver { .. } => {}
            Output::Close { .. } | Output::Pause { .. } | Output::Resume { .. } => {
                unreachable!("the links keep these")
            }
        }
    }

    fn hop(&mut self, at: usize, to: PuddleId, hop: Hop) {
        let from = PuddleId(u8::try_from(at).expect("few puddles"));
        self.puddles[usize::from(to.0)].handle(self.now, Input::Hopped { from, hop });
    }

    /// What the control plane says now.
    pub(super) fn answer(&self, question: Question) -> Answer {
        let revision = Revision(self.revision);
        match question {
            Question::Resolve { key, .. } => Answer::Resolved {
                revision,
                known: self.resolve(&key),
            },
            Question::Verify(what) => Answer::Verified(self.verdict(&what)),
            Question::SignIn { by, .. } => Answer::SignIn(self.signed_in(by)),
        }
    }

    fn verdict(&self, what: &Verification) -> Verdict {
        if let Some(delay) = self.busy {
            return Verdict::Later(delay);
        }
        let rooms = self.rooms.values().map(|room| (room.id, &room.rules));
        let templates = self.templates.values();
        let mut all = rooms.chain(templates.map(|template| (template.id, &template.rules)));
        let known = all.find(|(id, _)| *id == what.room);
        let password = known.and_then(|(_, rules)| rules.entry.password());
        match (&what.proof, password) {
            (Proof::Password(_), None) => Verdict::Gone,
            (Proof::Password(password), Some(version)) if password.expose() == self.password => {
                Verdict::Right(Pass::Password(version))
            }
            (Proof::SecondFactor(code), _) if code.expose() == self.code => {
                Verdict::Right(Pass::SecondFactor)
            }
            (Proof::RoomCode(code), _) if code.expose() == self.code => {
                Verdict::Right(Pass::RoomCode(CodeVersion(1)))
            }
            (Proof::Password(_), Some(_)) | (Proof::SecondFactor(_) | Proof::RoomCode(_), _) => {
                Verdict::Wrong
            }
            (Proof::Hook { .. }, _) => self.hook,
        }
    }

    fn resolve(&self, key: &PolicyKey) -> Known {
        let known = match key {
            PolicyKey::Room(name) => self
                .rooms
                .get(name)
                .map(|room| Known::Room(Arc::new(RoomPolicy::compile(room.clone()))))
                .or_else(|| self.templated(name)),
            PolicyKey::Session(token) => self
                .sessions
                .get(token)
                .map(|known| Known::Session(Arc::new(known.clone()))),
            PolicyKey::Member(room, user) => {
                let is = |member: &&Member| (member.room, member.user) == (*room, *user);
                self.members
                    .iter()
                    .find(is)
                    .map(|member| Known::Member(*member))
            }
            PolicyKey::Block(room, user) => self.block_of(*room, *user),
            PolicyKey::ApiKey(_) => None,
            PolicyKey::Endpoint(address) => self
                .endpoints
                .get(address)
                .map(|endpoint| Known::Endpoint(Arc::new(endpoint.clone()))),
        };
        known.unwrap_or(Known::Absent)
    }
}

fn credential(user: u8) -> porthouse_model::Credential {
    porthouse_model::Credential::new(porthouse_model::CredentialKind::Session, [user; 32])
}

pub(super) fn hash(user: u8) -> TokenHash {
    credential(user).hash()
}

pub(super) fn token(user: u8) -> String {
    credential(user).reveal()
}
