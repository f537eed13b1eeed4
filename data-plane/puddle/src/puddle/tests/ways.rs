//! Every rule of docs/rules.md by every way in: docs/ways.md is what came of it,
//! drawn from here and held to it. Owns the ways in and how their answers are
//! read; what is tried stands in the files below.

mod doors;
mod inside;
mod posting;
mod said;

use core::time::Duration;
use std::fmt::Write as _;

use porthouse_model::{Member, MessageKind, Role, RoomRules};

use super::world::{Client, World, close_frame, token};
use crate::Input;

/// What is documented.
const DOCUMENT: &str = include_str!("../../../../../docs/ways.md");
/// The head of its table.
const HEADING: &str = "| rule of the room | tried | told as | raw | raw, of a page | `porthouse.raw.v1` | `porthouse.v1` | POST | event stream |";

/// A way to come to a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Raw,
    Page,
    /// Raw, behind questions and answers.
    Handshake,
    Lines,
    Post,
    Stream,
}

const WAYS: [Way; 6] = [
    Way::Raw,
    Way::Page,
    Way::Handshake,
    Way::Lines,
    Way::Post,
    Way::Stream,
];

/// Who comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Stranger,
    User,
    Member,
    Guest,
}

/// What they do, and what is looked at.
#[derive(Clone, Copy)]
enum Act {
    /// They come: are they let in? The first happens before, the second after.
    Enter(fn(&mut World), fn(&mut World)),
    /// They are asked, and answer so.
    Answer(&'static [&'static str]),
    /// They say this so often: is it heard, and what are they told at last?
    Say(MessageKind, &'static [u8], usize),
    /// They are inside, and this happens: what are they told?
    Stay(fn(&mut World)),
    /// They are inside, and this is asked over their own socket.
    Ask(&'static str),
    /// They are inside and somebody speaks, to all or to others: do they hear it?
    Hear,
    HearOthers,
    /// Somebody spoke before they came, once they had been here: do they hear it?
    HearKept,
    /// They speak: do they hear it themselves?
    HearOwn,
}

/// One row: a rule, and what is tried under it.
struct Row {
    rule: &'static str,
    tried: &'static str,
    rules: fn(&mut RoomRules),
    who: Who,
    act: Act,
}

const fn row(
    rule: &'static str,
    tried: &'static str,
    rules: fn(&mut RoomRules),
    who: Who,
    act: Act,
) -> Row {
    Row {
        rule,
        tried,
        rules,
        who,
        act,
    }
}

/// A message to a client that is not there.
const TO_SOMEBODY_ELSE: &str = "{\"op\":\"send\",\"room\":\"room\",\"id\":2,\
    \"to\":[\"018f3c5e-0000-7000-8000-000000000000\"]}\na word";

/// Nothing happens.
const fn nothing(_: &mut World) {}

const ENTER: Act = Act::Enter(nothing, nothing);

/// What came of one cell: what was told, and the rule that it named.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    said: String,
    rule: Option<String>,
}

impl Told {
    fn plainly(said: &str) -> Self {
        Self {
            said: said.to_owned(),
            rule: None,
        }
    }
}

/// Somebody who came, and what has come of it so far.
struct Party {
    way: Way,
    client: Client,
}

fn headers(way: Way, who: Who) -> Vec<String> {
    let mut headers = Vec::new();
    if who != Who::Stranger {
        headers.push(format!("Authorization: Bearer {}", token(1)));
    }
    if way == Way::Page {
        headers.push("Origin: https://app.example".to_owned());
        headers.push("Sec-WebSocket-Protocol: porthouse.plain".to_owned());
    }
    if way == Way::Handshake {
        headers.push("Sec-WebSocket-Protocol: porthouse.raw.v1".to_owned());
    }
    headers
}

/// Sends a request of plain HTTP.
fn request(world: &mut World, line: &str, headers: &[String], body: &[u8]) -> Client {
    let client = world.connect(0);
    let head = format!(
        "{line} HTTP/1.1\r\nHost: x\r\n{}\r\n\r\n",
        headers.join("\r\n")
    );
    world.bytes(client, [head.as_bytes(), body].concat());
    client
}

/// Posts a message, of which so much comes at once.
fn post(world: &mut World, who: Who, kind: MessageKind, payload: &[u8], now: usize) -> Client {
    let content = match kind {
        MessageKind::Text => "text/plain",
        MessageKind::Binary => "application/octet-stream",
    };
    let mut headers = headers(Way::Post, who);
    headers.push(format!("Content-Type: {content}"));
    headers.push(format!("Content-Length: {}", payload.len()));
    request(world, "POST /room", &headers, &payload[..now])
}

/// Comes to the room; a message that is posted is half there.
fn come(world: &mut World, way: Way, who: Who) -> Party {
    let headers = headers(way, who);
    let lines: Vec<&str> = headers.iter().map(String::as_str).collect();
    let client = match way {
        Way::Raw | Way::Page | Way::Handshake => world.upgrade(0, "/room", &lines),
        Way::Post => post(world, who, MessageKind::Text, b"hello", 2),
        Way::Stream => {
            let accept = [headers, vec!["Accept: text/event-stream".to_owned()]].concat();
            request(world, "GET /room", &accept, b"")
        }
        Way::Lines => {
            let spoken = [lines, vec!["Sec-WebSocket-Protocol: porthouse.v1"]].concat();
            let client = world.upgrade(0, "/", &spoken);
            world.take(client);
            world.line(client, r#"{"op":"join","room":"room","id":1}"#);
            client
        }
    };
    Party { way, client }
}

/// The last value of a field of the JSON in some text.
fn field(text: &str, name: &str) -> Option<String> {
    let (_, value) = text.rsplit_once(&format!("\"{name}\":"))?;
    let value = value.trim_start_matches('"');
    let end = value.find([',', '"', '}']).unwrap_or(value.len());
    Some(value[..end].to_owned())
}

fn refused(how: &str, text: &str) -> Told {
    let code = field(text, "code").unwrap_or_default();
    Told {
        said: format!("{how} {code}").trim_end().to_owned(),
        rule: field(text, "rule"),
    }
}

/// What a party has been told since it was last looked at.
fn told(world: &mut World, party: &Party) -> Told {
    let bytes = world.take(party.client);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.strip_prefix("HTTP/1.1 ").map(|rest| &rest[..3]);
    match (party.way, status) {
        (
            _,
            Some(
                status @ ("400" | "401" | "403" | "404" | "408" | "409" | "410" | "413" | "415"
                | "422" | "429" | "503"),
            ),
        ) => refused(status, &text),
        (Way::Post, Some(status)) => Told::plainly(status),
        (Way::Raw | Way::Page, _) => told_by_frames(&bytes, status),
        (Way::Handshake, _) => closed(&bytes, status).unwrap_or_else(|| told_by_line(&text)),
        (Way::Stream, _) if text.contains("event: closed") => refused("closed", &text),
        (Way::Stream, Some(_)) => Told::plainly("in"),
        (Way::Stream, None) if text.contains("event: gap") => Told::plainly("gap"),
        (Way::Post | Way::Stream, None) => Told::plainly("nothing"),
        (Way::Lines, _) => closed(&bytes, status).map_or_else(
            || told_by_line(&text),
            |closed| Told {
                said: format!("socket {}", closed.said),
                ..closed
            },
        ),
    }
}

/// What is on a raw socket after its head.
fn told_by_frames(bytes: &[u8], status: Option<&str>) -> Told {
    closed(bytes, status)
        .unwrap_or_else(|| Told::plainly(if status.is_some() { "in" } else { "nothing" }))
}

/// The close frame, if there is one, after the head, if there is one.
fn closed(bytes: &[u8], status: Option<&str>) -> Option<Told> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let mut frames = &bytes[status.and(end).map_or(0, |end| end + 4)..];
    while let [first, short, rest @ ..] = frames {
        let long = usize::from(*short == 126) * 2;
        let bytes = match *short {
            126 => usize::from(rest[0]) << 8 | usize::from(rest[1]),
            short => usize::from(short),
        };
        if *first == 0x88 {
            let (code, reason) = close_frame(frames);
            return Some(Told {
                said: format!("closed {code}"),
                rule: reason.split([';', ':']).next().map(str::to_owned),
            });
        }
        frames = rest.get(long + bytes..).unwrap_or_default();
    }
    None
}

/// What the last line of a `porthouse.v1` socket says; that something will expire
/// refuses nothing.
fn told_by_line(text: &str) -> Told {
    if let Some((before, _)) = text.split_once(r#"{"op":"expiring""#) {
        return told_by_line(before);
    }
    match field(text, "op").as_deref() {
        None => Told::plainly("nothing"),
        Some("admitted") => Told::plainly("in"),
        Some("challenge") => Told::plainly("asked"),
        Some(how @ ("refused" | "closed" | "error")) => refused(how, text),
        Some("receipt") => Told::plainly("said"),
        Some(other) => Told::plainly(other),
    }
}

/// Comes, and must be let in.
fn inside(world: &mut World, way: Way, who: Who) -> Party {
    let party = come(world, way, who);
    let first = told(world, &party);
    let right = if way == Way::Post { "nothing" } else { "in" };
    assert_eq!(first.said, right, "{way:?} as {who:?}: {first:?}");
    if way == Way::Handshake {
        let started = start(world, &party);
        assert_eq!(started.said, "in", "{way:?} as {who:?}: {started:?}");
    }
    party
}

/// The rest of a message that was half posted, or of a handshake.
fn finish(world: &mut World, party: &Party) -> Told {
    let early = told(world, party);
    match (party.way, early.said.as_str()) {
        (Way::Post, "nothing") => {
            world.bytes(party.client, b"llo".to_vec());
            told(world, party)
        }
        (Way::Handshake, "in") => start(world, party),
        (Way::Raw | Way::Page | Way::Handshake | Way::Lines | Way::Post | Way::Stream, _) => early,
    }
}

/// Starts what was admitted, for frames to be the room's.
fn start(world: &mut World, party: &Party) -> Told {
    world.line(party.client, r#"{"op":"start"}"#);
    let told = told(world, party);
    match told.said.as_str() {
        "started" => Told::plainly("in"),
        _ => told,
    }
}

/// Says one message; a party to posts makes a new one each time.
fn say(world: &mut World, party: &mut Party, who: Who, kind: MessageKind, payload: &[u8]) {
    match party.way {
        Way::Raw | Way::Page | Way::Handshake | Way::Stream => {
            world.say(party.client, kind, payload);
        }
        Way::Lines => {
            let line = br#"{"op":"send","room":"room","id":7}"#;
            world.say(party.client, kind, &[line, &b"\n"[..], payload].concat());
        }
        Way::Post => party.client = post(world, who, kind, payload, payload.len()),
    }
}

/// A world with the room, and a listener in it who came before its rules did.
fn world(row: &Row) -> (World, Client) {
    let mut world = World::with(2, |settings| {
        settings.socket_backlog_bytes_max = 4_000;
        settings.silence_time_max = Duration::from_hours(1);
    });
    let room = world.room("room", RoomRules::default());
    let user = world.session(1);
    let role = match row.who {
        Who::Stranger | Who::User => None,
        Who::Member => Some(Role::MEMBER),
        Who::Guest => Some("guest".parse().expect("a role")),
    };
    world.members.extend(role.map(|role| Member {
        room,
        user,
        role,
        expires: None,
        then: None,
    }));
    let listener = match row.act {
        Act::Say(..) | Act::Hear | Act::HearOthers | Act::HearKept | Act::HearOwn => {
            world.raw(1, "room")
        }
        Act::Enter(..) | Act::Answer(_) | Act::Stay(_) | Act::Ask(_) => world.lobby(1),
    };
    let mut rules = RoomRules::default();
    (row.rules)(&mut rules);
    world.rule("room", rules);
    (world, listener)
}

/// Why a cell makes no sense.
fn senseless(act: Act, way: Way) -> Option<&'static str> {
    match (act, way) {
        (Act::Say(..) | Act::HearOwn, Way::Stream) => Some("(says nothing)"),
        (Act::Hear | Act::HearOthers | Act::HearOwn | Act::HearKept, Way::Post) => {
            Some("(hears nothing)")
        }
        (Act::Answer(_), Way::Raw | Way::Page | Way::Post | Way::Stream) => {
            Some("(cannot be asked)")
        }
        (Act::Ask(_), Way::Raw | Way::Page | Way::Handshake | Way::Post | Way::Stream) => {
            Some("(has no requests)")
        }
        (Act::Enter(..) | Act::Stay(_), _)
        | (
            Act::Say(..) | Act::HearOwn,
            Way::Raw | Way::Page | Way::Handshake | Way::Lines | Way::Post,
        )
        | (
            Act::Hear | Act::HearOthers | Act::HearKept,
            Way::Raw | Way::Page | Way::Handshake | Way::Lines | Way::Stream,
        )
        | (Act::Answer(_), Way::Handshake | Way::Lines)
        | (Act::Ask(_), Way::Lines) => None,
    }
}

/// Tries a row by one way.
fn try_one(row: &Row, way: Way) -> Told {
    if let Some(why) = senseless(row.act, way) {
        return Told::plainly(why);
    }
    let (mut world, listener) = world(row);
    let who = row.who;
    match row.act {
        Act::Enter(before, after) => {
            before(&mut world);
            let party = come(&mut world, way, who);
            after(&mut world);
            finish(&mut world, &party)
        }
        Act::Answer(answers) => {
            let party = come(&mut world, way, who);
            // Over raw.v1 there is one room to answer for.
            let room = match way {
                Way::Handshake => "",
                Way::Raw | Way::Page | Way::Lines | Way::Post | Way::Stream => {
                    r#""id":7,"room":"room","#
                }
            };
            for answer in answers {
                assert_eq!(told(&mut world, &party).said, "asked");
                let line = format!(r#"{{"op":"answer",{room}{answer}}}"#);
                world.line(party.client, &line);
            }
            finish(&mut world, &party)
        }
        Act::Say(kind, payload, times) => {
            let mut party = match way {
                Way::Post => Party {
                    way,
                    client: world.connect(0),
                },
                Way::Raw | Way::Page | Way::Handshake | Way::Lines | Way::Stream => {
                    inside(&mut world, way, who)
                }
            };
            for _ in 1..times {
                say(&mut world, &mut party, who, kind, payload);
                world.take(party.client);
            }
            world.take(listener);
            say(&mut world, &mut party, who, kind, payload);
            let heard = !world.take(listener).is_empty();
            judged(told(&mut world, &party), heard)
        }
        Act::Stay(happens) => {
            let party = inside(&mut world, way, who);
            happens(&mut world);
            let told = finish(&mut world, &party);
            match told.said.as_str() {
                "nothing" => Told::plainly("stays"),
                _ => told,
            }
        }
        Act::Ask(line) => {
            let party = inside(&mut world, way, who);
            world.line(party.client, line);
            told(&mut world, &party)
        }
        Act::HearKept => kept_for(&mut world, way, row, listener),
        Act::Hear | Act::HearOthers | Act::HearOwn => heard_by(&mut world, way, row, listener),
    }
}

/// What is refused nobody hears; what is not is heard.
fn judged(told: Told, heard: bool) -> Told {
    assert_eq!(told.rule.is_none(), heard, "{told:?}");
    match told.said.as_str() {
        "nothing" => Told::plainly("said"),
        _ => told,
    }
}

fn heard_by(world: &mut World, way: Way, row: &Row, speaker: Client) -> Told {
    let mut party = inside(world, way, row.who);
    match row.act {
        Act::HearOwn => say(world, &mut party, row.who, MessageKind::Text, b"a word"),
        Act::HearOthers => {
            let other = world.joined(1, &["room"]);
            world.line(other, TO_SOMEBODY_ELSE);
        }
        Act::Hear
        | Act::HearKept
        | Act::Enter(..)
        | Act::Answer(_)
        | Act::Say(..)
        | Act::Stay(_)
        | Act::Ask(_) => {
            world.say(speaker, MessageKind::Text, b"a word");
        }
    }
    hearing(&world.take_text(party.client))
}

/// Was inside and has gone when somebody speaks, and comes back.
fn kept_for(world: &mut World, way: Way, row: &Row, speaker: Client) -> Told {
    let before = inside(world, way, row.who);
    let Client { puddle, socket } = before.client;
    world.puddles[puddle].handle(world.now, Input::Lost { socket });
    world.run();
    world.say(speaker, MessageKind::Text, b"a word");
    let party = come(world, way, row.who);
    if way == Way::Handshake {
        world.line(party.client, r#"{"op":"start"}"#);
    }
    hearing(&world.take_text(party.client))
}

fn hearing(text: &str) -> Told {
    Told::plainly(if text.contains("a word") {
        "hears"
    } else {
        "hears nothing"
    })
}

/// The table's line of a row.
fn line(row: &Row) -> String {
    let told = WAYS.map(|way| try_one(row, way));
    let rule = told.iter().find_map(|told| told.rule.clone());
    let mut line = format!("| {} | {} | ", row.rule, row.tried);
    if let Some(rule) = &rule {
        let _ = write!(line, "`{rule}` ");
    }
    for told in told {
        let _ = write!(line, "| {} ", told.said);
        if told.rule.is_some() && told.rule != rule {
            let _ = write!(line, "(`{}`) ", told.rule.unwrap_or_default());
        }
    }
    line.push('|');
    line
}

#[test]
fn every_rule_by_every_way_in_does_what_is_documented() {
    let rows = doors::rows()
        .into_iter()
        .chain(said::rows())
        .chain(inside::rows());
    let drawn: Vec<String> = rows.map(|row| line(&row)).collect();
    let (_, table) = DOCUMENT
        .split_once(HEADING)
        .expect("the table has its heading");
    let lines = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let documented: Vec<&str> = lines.collect();
    assert_eq!(
        documented,
        drawn,
        "the table of docs/ways.md should be:\n{}",
        drawn.join("\n")
    );
}
