//! Rows of docs/ways.md on a real node: of each group of rules, by every way in,
//! what the document says. That the core does all of it, the core's own tests
//! show.

mod rows;

use std::net::SocketAddr;

use porthouse_api::control::v1::{DeleteRoomRequest, Room};
use porthouse_e2e::backend::SignedIn;
use porthouse_e2e::house::House;
use porthouse_e2e::multiplexed::{Multiplexed, Told};
use porthouse_e2e::raw::{Closed, Raw};
use porthouse_e2e::wire::{Answer, CLOSE, Wire};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::shapes::for_users;

const DOCUMENT: &str = include_str!("../../../../docs/ways.md");
const PING: u8 = 0x89;
const PONG: u8 = 0xa;
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;

/// The ways that are tried, and the columns of each; `porthouse.raw.v1` has its
/// vectors in docs/vectors.
const WAYS: [(Way, &str); 5] = [
    (Way::Raw, "raw"),
    (Way::Page, "raw, of a page"),
    (Way::Lines, "`porthouse.v1`"),
    (Way::Post, "POST"),
    (Way::Stream, "event stream"),
];
const HEADING: [&str; 2] = ["rule of the room", "tried"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Raw,
    Page,
    Lines,
    Post,
    Stream,
}

/// What is tried.
#[derive(Clone, Copy)]
enum Try {
    Come,
    Answer(&'static str),
    Say(u8, &'static [u8], usize),
    HearOwn,
    /// Is inside while this happens.
    Stay(Happens),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Happens {
    Deleted,
    Revoked,
    UsersAlone,
}

/// Somebody who came.
enum Party {
    Socket(Wire),
    Lines(Box<Multiplexed>),
    Stream(Wire),
    Post(Wire),
}

/// A row that is tried: its first two cells, the room, who comes, and what they do.
struct Row {
    cells: [&'static str; 2],
    room: Room,
    signed_in: bool,
    tried: Try,
}

/// What came of it, and the rule that was named.
type Came = (String, Option<String>);

fn plainly(said: &str) -> Came {
    (said.to_owned(), None)
}

fn refused(how: impl std::fmt::Display, told: &Value) -> Came {
    let rule = told["rule"].as_str().map(str::to_owned);
    (format!("{how} {}", told["code"]), rule)
}

fn answered(answer: &Answer) -> Came {
    refused(answer.status, &answer.json())
}

fn closed(how: &str, closed: &Closed) -> Came {
    let rule = closed.reason.split([';', ':']).next().map(str::to_owned);
    (format!("{how} {}", closed.code), rule)
}

/// A house with a room, and who comes there.
struct Scene<'a> {
    house: &'a House,
    room: String,
    session: Option<SignedIn>,
}

impl Scene<'_> {
    fn ws(&self) -> SocketAddr {
        self.house.ws()
    }

    fn headers(&self, way: Way) -> Vec<String> {
        let token = self.session.as_ref().map(|session| &session.token);
        let bearer = token.map(|token| format!("Authorization: Bearer {token}"));
        let mut headers: Vec<String> = bearer.into_iter().collect();
        if way == Way::Page {
            headers.push("Origin: https://app.example".to_owned());
            headers.push("Sec-WebSocket-Protocol: porthouse.plain".to_owned());
        }
        headers
    }

    /// Comes; or is refused, and how.
    async fn come(&self, way: Way) -> Result<Party, Came> {
        let headers = self.headers(way);
        let lines: Vec<&str> = headers.iter().map(String::as_str).collect();
        let path = format!("/{}", self.room);
        match way {
            Way::Raw | Way::Page => {
                let (mut wire, answer) = Wire::upgrade(self.ws(), &path, &lines).await;
                if answer.status != 101 {
                    return Err(answered(&answer));
                }
                inside(&mut wire).await?;
                Ok(Party::Socket(wire))
            }
            Way::Lines => {
                let token = self.session.as_ref().map(|session| session.token.as_str());
                let mut client = Multiplexed::open(self.ws(), token).await;
                if token.is_some() {
                    client.event("authenticated").await;
                }
                let told = client.ask("join", json!({"room": self.room})).await;
                match told["op"].as_str() {
                    Some("admitted") => Ok(Party::Lines(Box::new(client))),
                    Some("challenge") => Err(plainly("asked")),
                    other => Err(refused(other.expect("an op"), &told)),
                }
            }
            Way::Post => Ok(Party::Post(self.post(TEXT, b"hello", 2).await)),
            Way::Stream => {
                let mut wire = Wire::connect(self.ws()).await;
                let more = headers.concat();
                let end = if more.is_empty() { "" } else { "\r\n" };
                let request = format!(
                    "GET {path} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n{more}{end}\r\n"
                );
                wire.send(request.as_bytes()).await;
                let answer = wire.answer().await;
                if answer.status == 200 {
                    Ok(Party::Stream(wire))
                } else {
                    Err(answered(&answer))
                }
            }
        }
    }

    /// A message of which so much is posted.
    async fn post(&self, kind: u8, payload: &[u8], now: usize) -> Wire {
        let mut wire = Wire::connect(self.ws()).await;
        let kind = if kind == TEXT {
            "text/plain"
        } else {
            "application/octet-stream"
        };
        let headers = self.headers(Way::Post);
        let more: String = headers
            .iter()
            .flat_map(|line| [line.as_str(), "\r\n"])
            .collect();
        let head = format!(
            "POST /{} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{more}\r\n",
            self.room,
            payload.len()
        );
        wire.send(&[head.as_bytes(), &payload[..now]].concat())
            .await;
        wire
    }
}

/// A socket is inside: it is answered, and not closed.
async fn inside(wire: &mut Wire) -> Result<(), Came> {
    if !wire.try_send(&[PING, 0x80, 0, 0, 0, 0]).await {
        return Err(closed("closed", &wire.closed().await));
    }
    loop {
        let frame = wire.frame().await;
        match frame.opcode {
            PONG => return Ok(()),
            CLOSE => {
                let code = u16::from_be_bytes([frame.payload[0], frame.payload[1]]);
                let reason = String::from_utf8_lossy(&frame.payload[2..]).into_owned();
                return Err(closed("closed", &Closed { code, reason }));
            }
            _ => {}
        }
    }
}

/// What comes of a message that was half posted.
async fn finished(wire: &mut Wire) -> Came {
    wire.try_send(b"llo").await;
    let answer = wire.answer().await;
    match answer.status {
        202 => plainly("202"),
        _ => answered(&answer),
    }
}

/// Says it, and answers what came of it; `witness` hears what is said.
async fn say(
    scene: &Scene<'_>,
    party: &mut Party,
    witness: &mut Raw,
    kind: u8,
    payload: &[u8],
) -> Came {
    let came = match party {
        Party::Socket(wire) => {
            wire.send_frame(kind, payload).await;
            match inside(wire).await {
                Ok(()) => plainly("said"),
                Err(came) => return came,
            }
        }
        Party::Lines(client) => {
            let message = match kind {
                TEXT => Message::text(String::from_utf8_lossy(payload).into_owned()),
                _ => Message::binary(payload.to_vec()),
            };
            let send = json!({"room": scene.room});
            let told = client.ask_with("send", send, message).await;
            if told["op"] != "receipt" {
                return refused(told["op"].as_str().expect("an op"), &told);
            }
            plainly("said")
        }
        Party::Post(_) => {
            let mut wire = scene.post(kind, payload, payload.len()).await;
            let answer = wire.answer().await;
            if answer.status != 202 {
                return answered(&answer);
            }
            plainly("202")
        }
        Party::Stream(_) => return plainly("(says nothing)"),
    };
    assert_eq!(witness.next().await.into_data(), payload, "it is heard");
    came
}

/// What somebody inside is told next.
async fn told(party: &mut Party) -> Came {
    match party {
        Party::Socket(wire) => closed("closed", &wire.closed().await),
        Party::Lines(client) => match client.next().await {
            Told::Closed(how) => closed("socket closed", &how),
            Told::Line { header, .. } => refused(header["op"].as_str().expect("an op"), &header),
        },
        Party::Post(wire) => finished(wire).await,
        Party::Stream(wire) => loop {
            let line = wire.line().await;
            if let Some(told) = line.strip_prefix("data: {\"code\"") {
                let told = format!("{{\"code\"{told}");
                return refused("closed", &serde_json::from_str(&told).expect("JSON"));
            }
        },
    }
}

/// Tries a row by one way, in a room of its own.
async fn try_one(house: &House, row: &Row, way: Way, number: usize) -> Came {
    let room = format!("room-{number}-{way:?}").to_lowercase();
    let backend = house.backend();
    let revision = backend.make_room(&room, Room::default()).await;
    backend.applied(revision).await;
    let session = if row.signed_in {
        let user = format!("u{number}{way:?}").to_lowercase();
        Some(backend.signed_in_user(&user).await)
    } else {
        None
    };
    let scene = Scene {
        house,
        room,
        session,
    };
    let mut witness = Raw::enter(house.ws(), &scene.room, None).await;
    let rules = [
        "connection",
        "capabilities",
        "messages",
        "broadcast",
        "history",
    ];
    let paths: Vec<String> = rules.iter().map(|group| format!("rules.{group}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let mut revision = backend
        .change_room(&scene.room, row.room.clone(), &paths)
        .await;
    if row.cells[0] == "step: password" {
        revision = backend.set_room_password(&scene.room, "open sesame").await;
    }
    backend.applied(revision).await;
    if way == Way::Stream && matches!(row.tried, Try::Say(..) | Try::HearOwn) {
        return plainly("(says nothing)");
    }
    let mut party = match (row.tried, way, scene.come(way).await) {
        (Try::Answer(_), Way::Raw | Way::Page | Way::Post | Way::Stream, _) => {
            return plainly("(cannot be asked)");
        }
        (Try::Answer(password), Way::Lines, _) => return answer(&scene, password).await,
        (_, _, Err(came)) => return came,
        (_, _, Ok(party)) => party,
    };
    match (row.tried, &mut party) {
        (Try::Come, Party::Post(wire)) => finished(wire).await,
        (Try::Come | Try::Answer(_), _) => plainly("in"),
        (Try::Say(kind, payload, times), _) => {
            for _ in 1..times {
                say(&scene, &mut party, &mut witness, kind, payload).await;
            }
            say(&scene, &mut party, &mut witness, kind, payload).await
        }
        (Try::HearOwn, _) => hear_own(&scene, &mut party).await,
        (Try::Stay(happens), _) => {
            happen(&scene, happens).await;
            told(&mut party).await
        }
    }
}

async fn answer(scene: &Scene<'_>, password: &str) -> Came {
    let mut client = Multiplexed::open(scene.ws(), None).await;
    client.ask("join", json!({"room": scene.room})).await;
    let answer = json!({"room": scene.room, "password": password});
    let told = client.ask("answer", answer).await;
    assert_eq!(told["op"], "admitted", "{told}");
    plainly("in")
}

/// Whether who speaks hears itself, before what it is told next.
async fn hear_own(scene: &Scene<'_>, party: &mut Party) -> Came {
    let hears = match party {
        Party::Socket(wire) => {
            wire.send_frame(TEXT, b"a word").await;
            wire.send_frame(PING, b"").await;
            wire.frame().await.payload == b"a word"
        }
        Party::Lines(client) => {
            let send = json!({"op": "send", "room": scene.room});
            client.say_line(&send, Message::text("a word")).await;
            client
                .say_line(&json!({"op": "ping", "id": "p"}), Message::text(""))
                .await;
            match client.next().await {
                Told::Line { header, .. } => header["op"] == "message",
                Told::Closed(closed) => panic!("{closed:?}"),
            }
        }
        Party::Post(_) => return plainly("(hears nothing)"),
        Party::Stream(_) => return plainly("(says nothing)"),
    };
    plainly(if hears { "hears" } else { "hears nothing" })
}

async fn happen(scene: &Scene<'_>, happens: Happens) {
    let backend = scene.house.backend();
    let revision = match happens {
        Happens::Deleted => {
            let request = DeleteRoomRequest {
                name: format!("rooms/{}", scene.room),
                ..Default::default()
            };
            let gone = backend.rooms().delete_room(request).await;
            gone.expect("it is deleted").into_inner().revision
        }
        Happens::Revoked => {
            let session = scene.session.as_ref().expect("somebody is signed in");
            backend.revoke(&session.session).await
        }
        Happens::UsersAlone => {
            let paths = ["rules.connection.user_required"];
            backend.change_room(&scene.room, for_users(), &paths).await
        }
    };
    backend.applied(revision).await;
}

/// A row's cells as documented, from the rule that is told.
fn documented(cells: [&str; 2]) -> Vec<&'static str> {
    let begins = format!("| {} | {} |", cells[0], cells[1]);
    let line = DOCUMENT.lines().find(|line| line.starts_with(&begins));
    let line = line.unwrap_or_else(|| panic!("there is no row {begins}"));
    let rest = &line[begins.len()..];
    rest.trim_end_matches('|')
        .split('|')
        .map(str::trim)
        .collect()
}

#[tokio::test]
async fn a_real_node_does_what_is_documented_of_each_group_of_rules_by_every_way_in() {
    let house = House::start().await;
    let rows = [
        rows::doors(),
        rows::stays(),
        rows::said(),
        rows::formed(),
        rows::heard(),
    ];
    let rows = rows.into_iter().flatten();
    for (number, row) in rows.enumerate() {
        let [rule, cells @ ..] = &documented(row.cells)[..] else {
            panic!("no cells: {:?}", row.cells);
        };
        for (way, column) in WAYS {
            let [_, columns @ ..] = &documented(HEADING)[..] else {
                panic!("no columns");
            };
            let at = columns.iter().position(|known| *known == column);
            let cell = cells[at.expect(column)];
            let (came, told) = try_one(&house, &row, way, number).await;
            assert_eq!(came, cell, "{:?} by {way:?}", row.cells);
            if let Some(told) = told {
                assert_eq!(format!("`{told}`"), *rule, "{:?} by {way:?}", row.cells);
            }
        }
    }
    house.close().await;
}
