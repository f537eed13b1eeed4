//! Thousands of sockets are cut without a close while people talk, and come back
//! by their tokens, on whichever puddle the kernel gives them: what each has heard
//! has no hole, nothing twice and nothing out of order, or it is told that
//! something is missing (P11).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use porthouse_api::control::v1::{DeliveryRules, Order, RoomRules};
use porthouse_e2e::house::Ground;
use porthouse_e2e::multiplexed::{Multiplexed, Told};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::sync::{Barrier, Semaphore};
use tokio_tungstenite::tungstenite::Message;

use crate::shapes::{keeping_last, with_rules};

/// Sockets that hear, in all rooms.
const RECEIVERS: usize = 2_000;
const ROOMS: usize = 8;
/// Who speaks in each room.
const SENDERS: usize = 2;
/// What each says.
const SAID: u64 = 30;
/// The last offset of a room.
const LAST: u64 = SENDERS as u64 * SAID;
/// How often each receiver is cut at the most.
const CUTS_MAX: u64 = 2;
/// Handshakes at once: each has its time, which a loaded machine makes short.
const KNOCKING_MAX: usize = 16;
/// Descriptors of this process, and of the one it starts.
pub(crate) const FILES: u64 = 4_096;

/// What everybody shares.
struct Shared {
    ws: SocketAddr,
    /// Everybody is inside, and they begin to speak.
    all_here: Barrier,
    knocking: Semaphore,
    /// What was heard at which offset, by whoever heard it first.
    heard: [Mutex<BTreeMap<u64, String>>; ROOMS],
}

/// How one receiver fared.
#[derive(Default)]
struct Tally {
    recovered: u64,
    not_recovered: u64,
    missed: u64,
}

/// A receiver.
struct Receiver {
    shared: Arc<Shared>,
    room: usize,
    session: Option<String>,
    /// After which offsets it is cut, the last first.
    cuts: Vec<u64>,
    tally: Tally,
}

/// Numbers that look drawn, and are the same in each run (xorshift).
struct Drawn(u64);

impl Drawn {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn name(room: usize) -> String {
    format!("ledger-{room}")
}

fn number(line: &Value, field: &str) -> u64 {
    line[field]
        .as_u64()
        .unwrap_or_else(|| panic!("no {field} in {line}"))
}

impl Receiver {
    async fn listen(mut self) -> Tally {
        let (mut socket, admitted) = self.enter(None).await;
        let mut token = admitted["resume"].clone();
        let mut last = number(&admitted, "offset");
        self.shared.all_here.wait().await;
        while last < LAST {
            let Told::Line { header, payload } = socket.next().await else {
                panic!("closed after {last}");
            };
            assert_eq!(header["op"], "message", "{header}");
            assert_eq!(number(&header, "offset"), last + 1, "{header}");
            last += 1;
            self.same(last, payload);
            if self.cuts.last() == Some(&last) {
                self.cuts.pop();
                // No close frame: the connection ends, with what was not read of it.
                drop(socket);
                let (next, admitted) = self.enter(Some((&token, last))).await;
                socket = next;
                token = admitted["resume"].clone();
                last = self.goes_on(last, &admitted);
            }
        }
        self.tally
    }

    /// Enters, or comes back.
    async fn enter(&self, back: Option<(&Value, u64)>) -> (Multiplexed, Value) {
        let _turn = self.shared.knocking.acquire().await.expect("it is open");
        let session = self.session.as_deref();
        let mut socket = Multiplexed::open(self.shared.ws, session).await;
        if session.is_some() {
            socket.event("authenticated").await;
        }
        let mut join = json!({ "room": name(self.room) });
        if let Some((token, last)) = back {
            join["resume"] = token.clone();
            join["offset"] = json!(last);
        }
        let admitted = socket.ask("join", join).await;
        assert_eq!(admitted["op"], "admitted", "{admitted}");
        (socket, admitted)
    }

    /// The offset it goes on after.
    fn goes_on(&mut self, last: u64, admitted: &Value) -> u64 {
        let offset = number(admitted, "offset");
        if admitted["recovered"] == true {
            assert_eq!(offset, last, "{admitted}");
            self.tally.recovered += 1;
            return last;
        }
        assert_eq!(admitted["recovered"], false, "{admitted}");
        // An anonymous client is another each time: cut again before it has heard
        // what it missed, it is told that this comes only once.
        assert_eq!(self.session, None, "all is kept: {admitted}");
        assert!(offset >= last, "{admitted}");
        self.tally.not_recovered += 1;
        self.tally.missed += offset - last;
        offset
    }

    /// Everybody hears the same at an offset.
    fn same(&self, offset: u64, payload: Message) {
        let text = payload.into_text().expect("text").to_string();
        let mut heard = self.shared.heard[self.room].lock().expect("no panic");
        let first = heard.entry(offset).or_insert_with(|| text.clone());
        assert_eq!(*first, text, "at {offset}");
    }
}

async fn speak(shared: Arc<Shared>, room: usize, sender: usize) {
    let mut socket = Multiplexed::open(shared.ws, None).await;
    let room = name(room);
    socket.join(&room).await;
    shared.all_here.wait().await;
    for number in 0..SAID {
        let send = json!({ "room": room });
        let text = Message::text(format!("{sender} {number}"));
        let receipt = socket.ask_with("send", send, text).await;
        assert_eq!(receipt["op"], "receipt", "{receipt}");
    }
}

fn kept() -> RoomRules {
    RoomRules {
        delivery: Some(DeliveryRules {
            order: Order::Ordered.into(),
            ..Default::default()
        }),
        history: Some(keeping_last(10_000)),
        ..Default::default()
    }
}

/// As many sockets as this takes are allowed to few processes by default: answers
/// how many files may be open, as many as are wanted or as the hard limit allows.
pub(crate) fn raise_file_limit(wanted: u64) -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    assert!(
        wanted >= FILES,
        "raise the hard limit of files (ulimit -Hn) to {FILES}"
    );
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(wanted);
        setrlimit(Resource::Nofile, limit).expect("up to the hard limit it may be raised");
    }
    wanted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_sockets_that_are_cut_off_come_back_without_a_gap_or_are_told() {
    raise_file_limit(FILES);
    // Nobody answers pings before all are here, which takes a loaded machine long.
    let ground = Ground::new(None);
    let house = ground.house_with(&["--silence-ms-max", "600000"]).await;
    let backend = house.backend();
    let mut revision = 0;
    for room in 0..ROOMS {
        revision = backend.make_room(&name(room), with_rules(kept())).await;
    }
    backend.applied(revision).await;
    let mut sessions = Vec::new();
    for user in ["ada", "bob", "cai"] {
        sessions.push(backend.signed_in_user(user).await.token);
    }
    let shared = Arc::new(Shared {
        ws: house.ws(),
        all_here: Barrier::new(RECEIVERS + ROOMS * SENDERS),
        knocking: Semaphore::new(KNOCKING_MAX),
        heard: Default::default(),
    });
    let mut drawn = Drawn(0x9e37_79b9_7f4a_7c15);
    let receivers = (0..RECEIVERS).map(|receiver| {
        let cuts = 1 + drawn.below(CUTS_MAX);
        let mut cuts: Vec<u64> = (0..cuts).map(|_| 1 + drawn.below(LAST - 1)).collect();
        cuts.sort_unstable_by(|one, other| other.cmp(one));
        cuts.dedup();
        let receiver = Receiver {
            shared: Arc::clone(&shared),
            room: receiver % ROOMS,
            // One in four is nobody in particular.
            session: sessions.get(receiver / ROOMS % 4).cloned(),
            cuts,
            tally: Tally::default(),
        };
        tokio::spawn(receiver.listen())
    });
    let receivers: Vec<_> = receivers.collect();
    let senders = (0..ROOMS).flat_map(|room| (0..SENDERS).map(move |sender| (room, sender)));
    let senders =
        senders.map(|(room, sender)| tokio::spawn(speak(Arc::clone(&shared), room, sender)));
    for sender in senders.collect::<Vec<_>>() {
        sender.await.expect("what it says is taken");
    }
    let mut all = Tally::default();
    for receiver in receivers {
        let tally = receiver.await.expect("it hears everything in order");
        all.recovered += tally.recovered;
        all.not_recovered += tally.not_recovered;
        all.missed += tally.missed;
    }
    println!(
        "{} came back without a gap, {} were told of one, over {} messages",
        all.recovered, all.not_recovered, all.missed
    );
    assert!(all.recovered >= RECEIVERS as u64 / 2, "most come back");
    for heard in &shared.heard {
        let heard = heard.lock().expect("no panic");
        assert_eq!(heard.len() as u64, LAST, "every offset was heard");
        let mut next = [0; SENDERS];
        for text in heard.values() {
            let (sender, number) = text.split_once(' ').expect("both");
            let next: &mut u64 = &mut next[sender.parse::<usize>().expect("a sender")];
            assert_eq!(number.parse(), Ok(*next), "in the order of who said it");
            *next += 1;
        }
    }
    house.close().await;
}
