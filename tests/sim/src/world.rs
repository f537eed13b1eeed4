//! The world of one seed: real puddles and a real switchboard, a model of the control plane, and
//! clients on links that cut, delay and break. One queue of events, one source of chance: a seed
//! is a course of events, always the same.

mod node;
mod socket;
mod turn;
mod keeping;
mod anew;
mod network;
mod watch;
mod calls;
mod deciding;
mod seeing;
mod admin;
mod phase;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;

use porthouse_model::{Revision, Time, UnixTime};
use porthouse_puddle::{BlackBox, End, Input, Puddle, Seed, Seeds, Switchboard};

use crate::Options;
use crate::chance::Chance;
use crate::checker::hash::Fold;
use crate::checker::line::Line;
use crate::checker::violation::Violation;
use crate::checker::{Bounds, Checker};
use crate::client::payload::Payloads;
use crate::client::{Client, Ticket};
use crate::control::{Commit, Control, Lives, Numbering, TICKET_NANOS, TransactionId};
use crate::link::Written;
use crate::plan::{Broken, Plan};
use crate::plant::Plant;
use crate::queue::{Nanos, Queue, SECONDS};
use crate::returns::Returns;
use crate::store::Store;
use calls::Calls;
use node::{Node, Worker, at};
pub(crate) use phase::Phase;
use seeing::Seen;
pub(crate) use socket::{Socket, Stage};
use watch::Watch;

/// Tells the store's course from the world's.
const STORE: u64 = 0x6a65_7473;

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    /// A puddle's turn ends.
    Settle(u8),
    /// A puddle takes what another has told it.
    Hop { from: u8, to: u8 },
    /// A puddle takes what the switchboard has told it.
    Told(u8),
    /// The switchboard takes what a puddle has said.
    Said(u8),
    /// The switchboard's turn ends.
    Board,
    /// A connection arrives at the node.
    Accept(u32),
    /// Bytes arrive at the node.
    Up(u32),
    /// Bytes arrive at the client.
    Down(u32),
    /// The node hears that a socket takes more.
    Writable(u32),
    /// The node hears that a connection is broken.
    Lost(u32),
    /// A client connects.
    Connect(u32),
    /// A client does something.
    Act(u32),
    /// A client answers a room's question.
    Answer { socket: u32, room: u32 },
    /// The wall clock has gone on by a second.
    Wall,
    /// The tailer reads the log.
    Tail,
    /// The control plane says that it read the log.
    Progress,
    /// A frame of the watch arrives.
    Frame,
    /// A watch that was asked for is open, or is not.
    Opened(u64),
    /// The control plane reads what was asked.
    Read(u32),
    /// Its answer arrives.
    Found(u32),
    /// An administrator does something.
    Admin,
    /// A transaction wants its revision.
    Number(u32),
    /// A transaction commits.
    Commit(u32),
    /// Something breaks, or works again.
    Fault { what: Broken, begins: bool },
    /// An administrator hears that everything up to here is applied.
    Waited(u64),
    /// The node says whose sessions have sockets.
    Say,
    /// The control plane hears it.
    Seen,
    /// And looks for sessions that nobody has seen for too long.
    Idle,
    /// Something that a puddle asked comes to the store of durable rooms.
    Stores(u32),
    /// Its answer comes to the puddle.
    Stored(u32),
    /// The puddle does not wait for it any more.
    GivenUp(u32),
}

/// How a run failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A promise of safety was broken, or the core reported a bug of its own.
    Correctness(String),
    /// What should have happened after the faults healed did not.
    Liveness(String),
}

/// The world.
pub(crate) struct World {
    plan: Plan,
    pub(crate) plant: Option<Plant>,
    tracing: bool,
    queue: Queue<Event>,
    pub(crate) chance: Chance,
    step: u64,
    writes: u64,
    inputs: u64,
    lines: u64,
    hash: Fold,
    checker: Checker,
    failure: Option<Failure>,
    phase: Phase,
    node: Node,
    pub(crate) sockets: Vec<Option<Box<Socket>>>,
    pub(crate) clients: Vec<Client>,
    pub(crate) payloads: Payloads,
    /// Messages said so far.
    said: u32,
    /// By room, the last offset that somebody was told, where backends purge.
    pub(crate) offsets: BTreeMap<u32, u64>,
    /// Client ids that are known to somebody.
    known: Vec<u128>,
    /// In the order in which they were made.
    pub(crate) tickets: Vec<Ticket>,
    /// Who waits to be let in, as far as a backend knows.
    pub(crate) waiting: Vec<(u32, u128)>,
    control: Control,
    store: Store,
    commit: Commit,
    watch: Watch,
    calls: Calls,
    seen: Seen,
    pub(crate) scratch: Vec<u8>,
    /// Those who came back to go on.
    pub(crate) returns: Returns,
}

impl World {
    /// The world of a seed, nothing having happened yet.
    pub(crate) fn new(seed: u64, options: Options) -> Self {
        let Options {
            plant,
            tracing,
            coming_and_going,
            black_box_bytes,
        } = options;
        let mut chance = Chance::new(seed);
        let plan = plan(seed, (plant, coming_and_going), &mut chance);
        let node = node(&plan, &mut chance.fork(), black_box_bytes);
        let control = control(&plan, chance.fork(), plant);
        let nanos = |span: core::time::Duration| u64::try_from(span.as_nanos()).expect("short");
        let checker = Checker::new(Bounds {
            entry_nanos_max: nanos(plan.settings.entry_time_max),
            handshake_nanos_max: nanos(plan.settings.handshake_time_max),
            key_nanos_max: nanos(plan.settings.key_time_max),
            presence_entries_max: plan.settings.presence_entries_max,
            idle_nanos_max: plan.reach.idle,
            history_bytes_max: plan.settings.room_history_bytes_max,
            ticket_nanos_max: TICKET_NANOS,
        });
        let mut world = Self {
            payloads: Payloads::new(&mut chance.fork()),
            plant,
            tracing,
            queue: Queue::new(),
            step: 0,
            writes: 0,
            inputs: 0,
            lines: 0,
            hash: Fold::default(),
            checker,
            failure: None,
            phase: Phase::Troubled,
            node,
            sockets: Vec::new(),
            clients: Vec::new(),
            said: 0,
            offsets: BTreeMap::new(),
            known: Vec::new(),
            tickets: Vec::new(),
            waiting: Vec::new(),
            control,
            store: store(seed, plant),
            commit: Commit::default(),
            watch: Watch::default(),
            calls: Calls::default(),
            seen: Seen::default(),
            scratch: Vec::new(),
            returns: Returns::default(),
            plan,
            chance,
        };
        world.begin();
        world
    }

    /// What happened so far, as one number.
    pub(crate) const fn hash(&self) -> u64 {
        self.hash.value()
    }

    /// What one part told another so far: inputs to the node's parts, writes to sockets, and what
    /// clients and administrators saw.
    pub(crate) const fn events(&self) -> u64 {
        self.inputs + self.writes + self.lines
    }

    /// What the puddles' black boxes hold.
    pub(crate) fn boxes(&self) -> Vec<Vec<u8>> {
        let workers = self.node.workers.iter();
        workers
            .filter_map(|worker| worker.black_box.dump(&End::Asked))
            .collect()
    }

    /// Those who came back to go on.
    pub(crate) const fn returns(&self) -> Returns {
        self.returns
    }

    /// The last revision that the node has acknowledged.
    pub(crate) fn applied(&self) -> u64 {
        self.checker.applied()
    }

    /// The last revision that mattered to whether this user may enter.
    pub(crate) fn last_word(&self, room: u32, user: Option<u32>) -> u64 {
        self.checker.last_word(room, user)
    }

    /// Lets everything happen up to a moment, unless a promise is broken before.
    fn run_until(&mut self, until: Nanos) {
        while self.failure.is_none()
            && let Some(event) = self.queue.take(until)
        {
            self.step += 1;
            self.control.tell_time(self.queue.now());
            self.hash.fold(self.queue.now());
            event.hash(&mut self.hash);
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Settle(puddle) => self.settle(puddle),
            Event::Hop { from, to } => self.hop(from, to),
            Event::Told(puddle) => self.told(puddle),
            Event::Said(puddle) => self.said_by(puddle),
            Event::Board => self.settle_board(),
            Event::Accept(socket) => self.accept(socket),
            Event::Up(socket) => self.arrive_up(socket),
            Event::Down(socket) => self.arrive_down(socket),
            Event::Writable(socket) => self.writable(socket),
            Event::Lost(socket) => self.lost(socket),
            Event::Connect(client) => self.connect(client),
            Event::Act(client) => self.act(client),
            Event::Answer { socket, room } => self.answer(socket, room),
            Event::Wall => self.tick(),
            Event::Tail => self.tail(),
            Event::Progress => self.progress(),
            Event::Frame => self.frame(),
            Event::Say => self.say_seen(),
            Event::Seen => self.seen(),
            Event::Idle => self.end_idle(),
            Event::Stores(number) => self.stores(number),
            Event::Stored(number) => self.stored(number),
            Event::GivenUp(number) => self.given_up(number),
            Event::Waited(revision) => self.see(&Line::Waited { revision }),
            Event::Opened(watch) => self.watch_opened(watch),
            Event::Read(call) => self.read(call),
            Event::Found(call) => self.found(call),
            Event::Admin => self.administer(),
            Event::Number(transaction) => self.number(TransactionId(transaction)),
            Event::Commit(transaction) => self.commit(TransactionId(transaction)),
            Event::Fault { what, begins } => self.fault(what, begins),
        }
    }

    /// The moment it is.
    pub(crate) const fn now(&self) -> Nanos {
        self.queue.now()
    }

    fn time(&self) -> Time {
        Time::from_nanos(self.now())
    }

    const fn stamp(&self) -> Written {
        Written {
            step: self.step,
            at: self.now(),
        }
    }

    /// Something a client or an administrator saw.
    pub(crate) fn see(&mut self, line: &Line<'_>) {
        self.lines += 1;
        if self.tracing {
            let json = serde_json::to_string(line).expect("a line is JSON");
            println!("{:>12} {json}", self.now());
        }
        let read = self.checker.read(self.step, self.now(), line);
        if let Err(violation) = read {
            self.fail(&violation);
        }
    }

    fn fail(&mut self, violation: &Violation) {
        let told = violation.to_string();
        let failure = match violation.promise {
            "P15" | "P16" => Failure::Liveness(told),
            _ => Failure::Correctness(told),
        };
        self.failure.get_or_insert(failure);
    }

    /// Something happens after about this long.
    fn after(&mut self, mean: Nanos, event: Event) {
        let delay = self.chance.below(2 * mean);
        self.queue.after(delay, event);
    }

    /// A second has passed.
    fn tick(&mut self) {
        self.queue.after(SECONDS, Event::Wall);
        let wall = wall(self.now());
        for puddle in 0..self.plan.puddles {
            self.input(puddle, Input::Wall(wall));
        }
        if self.plant == Some(Plant::SilenceUnnoticed) && self.watch.is_silent() {
            let revision = Revision(self.applied());
            for puddle in 0..self.plan.puddles {
                self.input(puddle, Input::Fresh { revision });
            }
        }
        self.tell_board(porthouse_puddle::Event::Wall(wall));
    }

    pub(crate) const fn phase(&self) -> Phase {
        self.phase
    }

    pub(crate) const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether this bug is planted.
    pub(crate) fn is_planted(&self, plant: Plant) -> bool {
        self.plant == Some(plant)
    }

    pub(crate) const fn control(&self) -> &Control {
        &self.control
    }

    /// Something happens after this long.
    pub(crate) fn schedule(&mut self, delay: Nanos, event: Event) {
        self.queue.after(delay, event);
    }

    fn socket(&self, number: u32) -> Option<&Socket> {
        self.sockets[at(number)].as_deref()
    }
}

/// What the wall clock shows at a moment: a minute ends after 8 seconds.
pub(crate) const fn wall(now: Nanos) -> UnixTime {
    UnixTime::from_millis(1_700_000_032_000 + now / 1_000_000)
}

/// What a seed draws. Where a planted bug is about rooms that keep, all of them do.
fn plan(seed: u64, (plant, coming_and_going): (Option<Plant>, bool), chance: &mut Chance) -> Plan {
    let mut plan = Plan::draw(&mut chance.fork());
    match plant {
        None => {
            plan.keep(seed);
            plan.reach_out(seed);
            plan.rule(seed);
            if !coming_and_going {
                plan.panic(seed);
                plan.narrow(seed);
                plan.voice(seed);
                plan.lead(seed);
                plan.store(seed);
                plan.drain(seed);
            }
        }
        Some(plant) => plan.suit(plant, chance),
    }
    if coming_and_going {
        plan.come_and_go(seed);
    }
    plan
}

fn control(plan: &Plan, chance: Chance, plant: Option<Plant>) -> Control {
    let numbering = match plant {
        Some(Plant::NumberWithoutLock) => Numbering::Unlocked,
        Some(_) | None => Numbering::Locked,
    };
    let mut control = Control::new(chance, (plan.users, plan.rooms), numbering);
    control.plant(plant);
    if plan.doors.roles {
        control.give_roles();
    }
    control.let_live(Lives {
        longest: plan.reach.lives,
        before: plan.heal_at,
    });
    if plant == Some(Plant::CodeTwice) {
        control.take_late(SECONDS);
    }
    control
}

/// From a generator of its own, so that worlds without durable rooms are the same as before.
fn store(seed: u64, plant: Option<Plant>) -> Store {
    let mut store = Store::new(Chance::new(seed ^ STORE));
    store.says_so_early = plant == Some(Plant::ReceiptBeforeStored);
    store
}

fn node(plan: &Plan, chance: &mut Chance, black_box_bytes: usize) -> Node {
    let now = Time::ZERO;
    let worker = |puddle| {
        let settings = plan.puddle(puddle);
        let seeds = Seeds::repeatable(Seed(chance.next()));
        let mut black_box = BlackBox::new(black_box_bytes);
        black_box.begin(&settings, &seeds, now);
        let puddle = Puddle::new(settings, seeds, now);
        Worker::new(puddle, black_box, plan.puddles)
    };
    Node {
        workers: (0..plan.puddles).map(worker).collect(),
        board: Switchboard::new(plan.board.clone(), now),
        board_settles_at: None,
        board_looks: BTreeSet::new(),
    }
}
