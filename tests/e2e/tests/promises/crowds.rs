//! Crowds at the door: handshakes by the thousand that are begun and not ended,
//! and thousands of wrong passwords. Both are bounded, and honest sockets come,
//! talk and are answered meanwhile.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use porthouse_api::control::v1::{GetRoomRequest, Room};
use porthouse_e2e::backend::Backend;
use porthouse_e2e::honest::{Honest, connect_from};
use porthouse_e2e::house::House;
use porthouse_e2e::multiplexed::Multiplexed;
use porthouse_e2e::raw::Raw;
use porthouse_e2e::wait::within;
use porthouse_e2e::wire::Wire;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio_tungstenite::tungstenite::Message;

use crate::returning::{FILES, raise_file_limit};

/// Connections that never become sockets, where so many files are allowed.
const HALF_OPEN_MAX: u64 = 50_000;
/// Files of a process that are not connections of these tests.
const OTHER_FILES: u64 = 2_000;
/// Connections of an address, which may have 4,096 that shake hands.
const OF_ADDRESS: usize = 2_000;
/// What the house may hold more beside them.
const GROWN_KIB_MAX: u64 = 256 * 1024;
/// Joins with a wrong password, and the sockets that make them.
const JOINS: usize = 20_000;
const GUESSERS: usize = 100;
/// Sockets that answer at one time, each from an address of its own.
const AT_ONCE: usize = 1_000;
const PASSWORD: &str = "the right one, said once";

/// So many connections, every other of which has sent half a request.
async fn half_open(ws: SocketAddr, connections: usize) -> Vec<Wire> {
    let mut wires = Vec::new();
    for number in 0..connections {
        let place = u8::try_from(number / OF_ADDRESS).expect("few");
        let mut wire = Wire::over(connect_from([127, 0, 2, 2 + place], ws).await);
        if number % 2 == 0 {
            wire.send(b"GET /hall HTTP/1.1\r\nHost: x\r\nUpgrade: web")
                .await;
        }
        wires.push(wire);
    }
    wires
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_by_the_thousand_that_never_end_keep_nobody_out() {
    let files = raise_file_limit(HALF_OPEN_MAX + OTHER_FILES);
    let connections = usize::try_from(files - OTHER_FILES).expect("few");
    let mut house = House::start().await;
    let ws = house.ws();
    let honest = Honest::talk(&mut house, "hall").await;
    let wires = half_open(ws, connections).await;
    for number in 0..50 {
        let mut client = Multiplexed::open(ws, None).await;
        client.join("yard").await;
        let mut raw = Raw::enter(ws, "yard", None).await;
        raw.say(Message::text(number.to_string())).await;
        let heard = client.message("yard").await;
        assert_eq!(heard, Message::text(number.to_string()));
    }
    let mut told = 0;
    for wire in wires {
        let mut wire = wire;
        let rest = wire.rest().await;
        let rest = String::from_utf8_lossy(&rest).into_owned();
        assert!(
            rest.is_empty() || rest.starts_with("HTTP/1.1 408 "),
            "{rest}"
        );
        told += usize::from(!rest.is_empty());
    }
    assert!(told >= connections / 2, "{told} were told why");
    let beside = format!("{connections} handshakes that never end");
    let grown = honest.stop(&beside).await;
    assert!(grown < GROWN_KIB_MAX, "{grown} KiB more");
    house.close().await;
}

/// Sends a byte a second of a request, until the node has enough.
async fn dribbled(ws: SocketAddr) -> String {
    let stream = TcpStream::connect(ws).await.expect("the node listens");
    let (mut reads, mut writes) = stream.into_split();
    let dribbles = tokio::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_secs(1));
        for byte in b"GET /hall HTTP/1.1\r\nHost: x\r\nX: ".iter().cycle() {
            pace.tick().await;
            if writes.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
    });
    let mut answer = Vec::new();
    let _ = within("an answer", reads.read_to_end(&mut answer)).await;
    dribbles.abort();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_comes_a_byte_a_second_is_told_that_it_took_too_long() {
    let mut house = House::start().await;
    let ws = house.ws();
    let honest = Honest::talk(&mut house, "hall").await;
    let slow: Vec<_> = (0..20).map(|_| tokio::spawn(dribbled(ws))).collect();
    for slow in slow {
        let answer = slow.await.expect("it is answered");
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains("handshake_time_max"), "{answer}");
    }
    honest.stop("requests a byte a second").await;
    house.close().await;
}

/// A house whose room `cave` has a password, and that.
async fn house_with_a_cave() -> (House, String) {
    let house = House::start().await;
    house.backend().make_room("cave", Room::default()).await;
    let password = house.secrets().keep("a room's password", PASSWORD);
    let revision = house.backend().set_room_password("cave", &password).await;
    house.backend().applied(revision).await;
    (house, password)
}

/// Comes into the cave by its password.
async fn comes_in(client: &mut Multiplexed, password: &str) {
    client.ask("join", json!({"room": "cave"})).await;
    let answer = json!({"room": "cave", "password": password});
    let admitted = client.ask("answer", answer).await;
    assert_eq!(admitted["op"], "admitted", "{admitted}");
}

/// Tries wrong passwords; answers how often which came of it.
async fn guesses(ws: SocketAddr, guesser: usize) -> BTreeMap<String, usize> {
    let mut outcomes = BTreeMap::new();
    let mut client = Multiplexed::open(ws, None).await;
    for number in 0..JOINS / GUESSERS {
        let mut told = client.ask("join", json!({"room": "cave"})).await;
        if told["op"] == "challenge" {
            let wrong = format!("guess {guesser} {number}");
            let answer = json!({"room": "cave", "password": wrong});
            told = client.ask("answer", answer).await;
        }
        if told["op"] == "challenge" {
            let left = client.ask("leave", json!({"room": "cave"})).await;
            assert_eq!(left["op"], "left", "{left}");
        }
        let (op, code) = (&told["op"], &told["code"]);
        let outcome = if code.is_null() {
            op.to_string()
        } else {
            format!("{op} {code}")
        };
        *outcomes.entry(outcome).or_default() += 1;
    }
    outcomes
}

/// Asks the control plane again and again; answers how often, and the longest it
/// took.
async fn ask_meanwhile(backend: &Backend, over: &AtomicBool) -> (usize, Duration) {
    let (mut asked, mut longest) = (0, Duration::ZERO);
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        let name = "rooms/cave".to_owned();
        let request = GetRoomRequest { name };
        let answer = within("an answer", backend.rooms().get_room(request)).await;
        answer.expect("the control plane answers");
        asked += 1;
        longest = longest.max(began.elapsed());
    }
    (asked, longest)
}

/// Comes from an address of its own and is asked; answers when all are.
async fn guesses_with_all(ws: SocketAddr, number: usize, all: Arc<Barrier>) -> String {
    let [high, low] = u16::try_from(number).expect("few").to_be_bytes();
    let stream = connect_from([127, 1, high, low], ws).await;
    let mut client = Multiplexed::open_over(ws, stream).await;
    let asked = client.ask("join", json!({"room": "cave"})).await;
    assert_eq!(asked["op"], "challenge", "{asked}");
    all.wait().await;
    let answer = json!({"room": "cave", "password": format!("guess {number}")});
    let told = client.ask("answer", answer).await;
    format!("{} {}", told["op"], told["code"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_addresses_that_guess_at_once_wait_their_turn_or_are_told_to_wait() {
    raise_file_limit(FILES);
    let (mut house, password) = house_with_a_cave().await;
    let ws = house.ws();
    let honest = Honest::talk(&mut house, "hall").await;
    let over = AtomicBool::new(false);
    let barrier = Arc::new(Barrier::new(AT_ONCE));
    let crowd = async {
        let guessers: Vec<_> = (0..AT_ONCE)
            .map(|number| tokio::spawn(guesses_with_all(ws, number, Arc::clone(&barrier))))
            .collect();
        let mut all: BTreeMap<String, usize> = BTreeMap::new();
        for guesser in guessers {
            let outcome = guesser.await.expect("each has its reply");
            *all.entry(outcome).or_default() += 1;
        }
        over.store(true, Ordering::Relaxed);
        all
    };
    let (all, (asked, longest)) = tokio::join!(crowd, ask_meanwhile(house.backend(), &over));
    println!("{all:?}; {asked} calls, {longest:?} at most");
    for outcome in all.keys() {
        let known = ["\"challenge\" null", "\"refused\" 4208"];
        assert!(known.contains(&&**outcome), "{all:?}");
    }
    let mut client = Multiplexed::open(ws, None).await;
    comes_in(&mut client, &password).await;
    let grown = honest.stop("a thousand guesses at once").await;
    assert!(grown < GROWN_KIB_MAX, "{grown} KiB more");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_wrong_passwords_let_nobody_in_and_hold_nobody_up() {
    let (mut house, password) = house_with_a_cave().await;
    let ws = house.ws();
    let honest = Honest::talk(&mut house, "hall").await;
    let over = AtomicBool::new(false);
    let began = Instant::now();
    let crowd = async {
        let guessers = (0..GUESSERS).map(|guesser| tokio::spawn(guesses(ws, guesser)));
        let mut all: BTreeMap<String, usize> = BTreeMap::new();
        for guesser in guessers.collect::<Vec<_>>() {
            for (outcome, times) in guesser.await.expect("each has its reply") {
                *all.entry(outcome).or_default() += times;
            }
        }
        over.store(true, Ordering::Relaxed);
        all
    };
    let (all, (asked, longest)) = tokio::join!(crowd, ask_meanwhile(house.backend(), &over));
    println!(
        "{all:?} in {:?}; {asked} calls, {longest:?} at most",
        began.elapsed()
    );
    assert_eq!(all.values().sum::<usize>(), JOINS, "each has one outcome");
    assert!(!all.contains_key("\"admitted\""), "{all:?}");
    let locked = all.get("\"refused\" 4208").copied().unwrap_or_default();
    assert!(locked > JOINS / 2, "after a few, time must pass: {all:?}");
    // Who guesses keeps their own network waiting, and nobody else's.
    let elsewhere = connect_from([127, 0, 9, 9], ws).await;
    let mut client = Multiplexed::open_over(ws, elsewhere).await;
    comes_in(&mut client, &password).await;
    let grown = honest.stop("20,000 wrong passwords").await;
    assert!(grown < GROWN_KIB_MAX, "{grown} KiB more");
    drop(client);
    house.close().await;
}
