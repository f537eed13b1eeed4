//! The conformance vectors of docs/vectors hold: each is replayed, line by line,
//! against running processes. Knows how a case's users and rooms are made, and
//! nothing of what is expected; what the rules' words mean stands in rules.rs.

mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use porthouse_api::control::v1::{
    CreateEndpointRequest, DeleteEndpointRequest, DeleteRoomRequest, Endpoint, SetRoomCodeRequest,
};
use porthouse_api::live::v1::{
    DecideWaitingRequest, KickRequest, MoveRequest, PublishRequest, WaitingDecision,
    publish_request,
};
use porthouse_e2e::events::Events;
use porthouse_e2e::house::House;
use porthouse_e2e::raw::{self, Raw};
use porthouse_e2e::vector::{Case, Keyed, Message as Said, Names, Request, Step, read, same_event};
use porthouse_e2e::wire::Wire;
use tokio_tungstenite::tungstenite::Message;

use crate::blocked::from_now;
use crate::codes::App;
use crate::two_factors::code_now;

#[tokio::test]
async fn every_vector_is_answered_as_written() {
    let house = House::start().await;
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/vectors");
    let mut cases = 0;
    for entry in std::fs::read_dir(vectors).expect("docs/vectors is there") {
        let path = entry.expect("it can be listed").path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let file = std::fs::read_to_string(&path).expect("it can be read");
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        for case in read(&file).unwrap_or_else(|error| panic!("{name}: {error}")) {
            cases += 1;
            let mut replay = Replay::new(&house, format!("c{cases}-"));
            replay.play(&name, &case).await;
        }
    }
    assert!(cases >= 10, "{cases} cases are few");
    println!("{cases} cases replayed");
    house.close().await;
}

/// Ops that no vector can have, and why.
const UNSHOWN: [(&str, &str); 3] = [
    ("epoch", "comes when a room's offsets begin anew"),
    ("gap", "comes to who reads too slowly by a MiB"),
    ("draining", "comes when the node goes away"),
];

/// The ops of the lines in a part of the protocol's document.
fn ops(part: &str) -> BTreeSet<&str> {
    let lines = part.lines().filter(|line| line.starts_with("| `{"));
    let ops = lines.filter_map(|line| Some(line.split_once("\"op\":\"")?.1.split_once('"')?.0));
    ops.collect()
}

fn op(said: &Said) -> Option<String> {
    let Said::Text(text) = said else {
        return None;
    };
    let (_, rest) = text.split_once("\"op\":\"")?;
    Some(rest.split_once('"')?.0.to_owned())
}

#[test]
fn every_line_that_is_documented_has_a_vector() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let protocol = std::fs::read_to_string(docs.join("protocol.md")).expect("it is there");
    let (_, rest) = protocol
        .split_once("### What a client asks")
        .expect("a part");
    let (asked, rest) = rest
        .split_once("### What a client is told")
        .expect("a part");
    let (told, _) = rest.split_once("### Presence").expect("a part");
    let mut shown = [BTreeSet::new(), BTreeSet::new()];
    for entry in std::fs::read_dir(docs.join("vectors")).expect("they are there") {
        let path = entry.expect("it can be listed").path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            let file = std::fs::read_to_string(path).expect("it can be read");
            for (_, step) in read(&file)
                .expect("cases")
                .into_iter()
                .flat_map(|case| case.steps)
            {
                if let Step::Send(_, said) = &step {
                    shown[0].extend(op(said));
                } else if let Step::Get(_, said) = &step {
                    shown[1].extend(op(said));
                }
            }
        }
    }
    for (part, shown) in [asked, told].into_iter().zip(&shown) {
        let ops = ops(part);
        assert!(ops.len() >= 15, "{ops:?}");
        for op in ops {
            let unshown = UNSHOWN.iter().any(|(unshown, _)| *unshown == op);
            assert_ne!(
                shown.contains(op),
                unshown,
                "{op} is shown, or said not to be"
            );
        }
    }
}

/// A case being replayed.
struct Replay<'a> {
    house: &'a House,
    /// Stands before this case's users and rooms, which are nobody else's.
    prefix: String,
    names: Names,
    rooms: Vec<String>,
    sessions: BTreeMap<String, String>,
    sockets: BTreeMap<String, Raw>,
    streams: BTreeMap<String, Events>,
}

impl<'a> Replay<'a> {
    fn new(house: &'a House, prefix: String) -> Self {
        Self {
            house,
            prefix,
            names: Names::default(),
            rooms: Vec::new(),
            sessions: BTreeMap::new(),
            sockets: BTreeMap::new(),
            streams: BTreeMap::new(),
        }
    }

    async fn play(&mut self, file: &str, case: &Case) {
        for (line, step) in &case.steps {
            let place = format!("{file}:{line}, {}", case.title);
            self.step(&place, step).await;
        }
    }

    async fn step(&mut self, place: &str, step: &Step) {
        let backend = self.house.backend();
        match step {
            Step::User(name) => self.user(name).await,
            Step::Factor(name) => self.factor(name).await,
            Step::Session(name, user) => self.session(name, user).await,
            Step::Room(name, rules) => self.room(place, name, rules).await,
            Step::Member(room, user, seconds) => self.member(room, user, *seconds).await,
            Step::Endpoint(name, rooms) => {
                let own = format!("endpoints/@{}", self.own(name));
                self.endpoint(name, Some(own), rooms).await;
            }
            Step::Alias(name, rooms) => self.endpoint(name, None, rooms).await,
            Step::Withdraw(name) => self.withdraw(place, name).await,
            Step::Listen(name, request) => self.listen(place, name, request).await,
            Step::Post(path, status, text) => {
                self.post(place, (path, *status), "", text).await;
            }
            Step::Keyed(keyed) => self.keyed(place, keyed).await,
            Step::Open(name, request) => {
                let opened = Raw::ask(self.house.ws(), self.request(request)).await;
                let socket = opened.unwrap_or_else(|refused| panic!("{place}: {refused:?}"));
                self.sockets.insert(name.clone(), socket);
            }
            Step::Refused(request, status, rule) => {
                let answer = Raw::ask(self.house.ws(), self.request(request)).await;
                let refused = answer.map(|_| ()).expect_err(place);
                assert_eq!(refused.status, *status, "{place}: {}", refused.body);
                assert_eq!(refused.body["rule"], **rule, "{place}");
            }
            Step::Send(name, said) => {
                let message = match said {
                    Said::Text(text) => Message::text(self.names.fill(&self.in_own_rooms(text))),
                    Said::Binary(bytes) => Message::binary(bytes.clone()),
                };
                self.socket(name).say(message).await;
            }
            Step::Get(name, said) => self.get(place, name, said).await,
            Step::Closed(name, code, rule) => {
                let closed = self.socket(name).closed().await;
                assert_eq!(closed.code, *code, "{place}: {}", closed.reason);
                assert!(
                    closed.reason.starts_with(&**rule),
                    "{place}: {}",
                    closed.reason
                );
            }
            Step::Close(name) => {
                drop(self.sockets.remove(name));
                drop(self.streams.remove(name));
            }
            Step::Publish(room, text) => self.publish(place, room, text).await,
            Step::Kick(name, room) => self.kick(place, name, room).await,
            Step::Decide(name, room, admit) => self.decide(place, name, room, *admit).await,
            Step::Move(name, room, target) => self.moves(place, name, room, target).await,
            Step::Revoke(name) => {
                backend.revoke(&self.sessions[name]).await;
            }
            Step::Delete(room) => {
                let request = DeleteRoomRequest {
                    name: format!("rooms/{}", self.own(room)),
                    ..Default::default()
                };
                backend.rooms().delete_room(request).await.expect(place);
            }
        }
    }

    /// Makes an endpoint; its name stands for its path from here on.
    async fn endpoint(&mut self, name: &str, own: Option<String>, rooms: &[String]) {
        let backend = self.house.backend();
        let rooms = rooms.iter().map(|room| format!("rooms/{}", self.own(room)));
        let request = CreateEndpointRequest {
            endpoint_id: own.map_or_else(String::new, |own| own["endpoints/".len()..].to_owned()),
            endpoint: Some(Endpoint {
                rooms: rooms.collect(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let made = backend.endpoints().create_endpoint(request).await;
        let made = made.expect("an endpoint").into_inner();
        backend.applied(made.revision).await;
        let made = made.endpoint.expect("it is answered").name;
        let path = made.strip_prefix("endpoints").expect("an endpoint's name");
        self.names.set(name, path);
    }

    async fn withdraw(&self, place: &str, name: &str) {
        let path = self.names.fill(&format!("${name}"));
        let request = DeleteEndpointRequest {
            name: format!("endpoints{path}"),
            ..Default::default()
        };
        let backend = self.house.backend();
        let gone = backend.endpoints().delete_endpoint(request).await;
        let revision = gone.expect(place).into_inner().revision;
        backend.applied(revision).await;
    }

    async fn listen(&mut self, place: &str, name: &str, request: &Request) {
        let (path, headers) = (self.own_path(&request.path), self.headers(request));
        let opened = Events::open(self.house.ws(), &path, &headers).await;
        let stream = opened.unwrap_or_else(|refused| panic!("{place}: {refused:?}"));
        self.streams.insert(name.to_owned(), stream);
    }

    async fn keyed(&self, place: &str, keyed: &Keyed) {
        let (token, key) = (self.names.fill(&keyed.token), &keyed.key);
        let lines = format!("Authorization: Bearer {token}\r\nIdempotency-Key: {key}\r\n");
        let at = (&keyed.path[..], keyed.status);
        self.post(place, at, &lines, &keyed.text).await;
    }

    async fn post(&self, place: &str, (path, status): (&str, u16), lines: &str, text: &str) {
        let (ws, path, bytes) = (self.house.ws(), self.own_path(path), text.len());
        let mut wire = Wire::connect(ws).await;
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {ws}\r\nContent-Type: text/plain\r\n\
             {lines}Content-Length: {bytes}\r\n\r\n{text}",
        );
        wire.send(request.as_bytes()).await;
        let answer = wire.answer().await;
        assert_eq!(answer.status, status, "{place}: {}", answer.body);
    }

    async fn publish(&self, place: &str, room: &str, text: &str) {
        let request = PublishRequest {
            room: format!("rooms/{}", self.own(room)),
            message: Some(publish_request::Message::Text(text.to_owned())),
            ..Default::default()
        };
        let published = self.house.backend().live().publish(request).await;
        published.expect(place);
    }

    async fn kick(&self, place: &str, name: &str, room: &str) {
        let request = KickRequest {
            client: self.names.fill(&format!("${name}")),
            room: format!("rooms/{}", self.own(room)),
            ..Default::default()
        };
        let kicked = self.house.backend().live().kick(request).await;
        kicked.expect(place);
    }

    async fn decide(&self, place: &str, name: &str, room: &str, admit: bool) {
        let decision = if admit {
            WaitingDecision::Admit
        } else {
            WaitingDecision::Refuse
        };
        let request = DecideWaitingRequest {
            client: self.names.fill(&format!("${name}")),
            room: format!("rooms/{}", self.own(room)),
            decision: decision.into(),
        };
        let decided = self.house.backend().live().decide_waiting(request).await;
        decided.expect(place);
    }

    async fn moves(&self, place: &str, name: &str, room: &str, target: &str) {
        let request = MoveRequest {
            client: self.names.fill(&format!("${name}")),
            room: format!("rooms/{}", self.own(room)),
            target_room: format!("rooms/{}", self.own(target)),
        };
        let moved = self.house.backend().live().r#move(request).await;
        moved.expect(place);
    }

    async fn member(&self, room: &str, user: &str, seconds: Option<u32>) {
        let (room, user) = (self.own(room), self.own(user));
        let backend = self.house.backend();
        let ends = seconds.map(|seconds| from_now(Duration::from_secs(seconds.into())));
        let revision = backend.make_member_until(&room, &user, ends).await;
        backend.applied(revision).await;
    }

    async fn user(&mut self, name: &str) {
        let own = self.own(name);
        let backend = self.house.backend();
        let signed_in = backend.signed_in_user(&own).await;
        self.names.set(name, &own);
        self.names.set(&format!("{name}.token"), &signed_in.token);
        self.names.set(
            &format!("{name}.password"),
            &format!("the password of {own}"),
        );
        self.sessions.insert(name.to_owned(), signed_in.session);
    }

    async fn session(&mut self, name: &str, user: &str) {
        let own = self.own(user);
        let password = format!("the password of {own}");
        let signed_in = self.house.backend().sign_in(&own, &password).await;
        self.names.set(&format!("{name}.token"), &signed_in.token);
    }

    async fn factor(&mut self, name: &str) {
        let own = self.own(name);
        let enrolled = self.house.backend().enrol(&own, code_now).await;
        let code = format!("{name}.code");
        self.names.set(&code, &enrolled.recovery_codes[0]);
    }

    async fn room(&mut self, place: &str, name: &str, rules: &[String]) {
        let own = self.own(name);
        let backend = self.house.backend();
        let mut room = rules::plain();
        let (mut password, mut code) = (None, false);
        for rule in rules {
            match rule.split_once('=') {
                Some(("password", word)) => password = Some(word),
                None if rule == "code" => code = true,
                _ => rules::set(&mut room, rule).unwrap_or_else(|| panic!("{place}: {rule}")),
            }
        }
        let mut revision = backend.make_room(&own, room).await;
        if let Some(password) = password {
            revision = backend.set_room_password(&own, password).await;
        }
        if code {
            let request = SetRoomCodeRequest {
                room: format!("rooms/{own}"),
                ..Default::default()
            };
            let set = backend.doors().set_room_code(request).await;
            let set = set.expect(place).into_inner();
            let app = App::new(self.house, "a room's code secret", &set.secret);
            self.names.set(&format!("{name}.code"), &app.shows(0));
            revision = set.revision;
        }
        backend.applied(revision).await;
        self.rooms.push(name.to_owned());
    }

    async fn get(&mut self, place: &str, name: &str, said: &Said) {
        if let (Some(stream), Said::Text(expected)) = (self.streams.get_mut(name), said) {
            let event = stream.next().await;
            let same = same_event(&mut self.names, expected, &event);
            return same.unwrap_or_else(|error| panic!("{place}: {error} in {event:?}"));
        }
        let found = self.socket(name).next().await;
        match (said, found) {
            (Said::Binary(expected), Message::Binary(found)) => {
                assert_eq!(*expected, *found, "{place}");
            }
            (Said::Text(expected), Message::Text(found)) => {
                let expected = self.in_own_rooms(expected);
                if !expected.starts_with('{') || *expected == *found {
                    return assert_eq!(*expected, *found, "{place}");
                }
                let (expected, payload) = parted(&expected);
                let (line, found_payload) = parted(&found);
                assert_eq!(payload, found_payload, "{place}: {found}");
                let json = |text: &str| serde_json::from_str(text).expect(place);
                let same = self.names.same(&json(expected), &json(line));
                same.unwrap_or_else(|error| panic!("{place}: {error} in {found}"));
            }
            (_, found) => panic!("{place}: got {found:?}"),
        }
    }

    fn request(
        &self,
        request: &Request,
    ) -> tokio_tungstenite::tungstenite::handshake::client::Request {
        let path = self.own_path(&request.path);
        let mut offered = Vec::new();
        let (mut origin, mut bearer) = (None, None);
        for word in request.words.iter().map(|word| self.names.fill(word)) {
            match word.split_once('=') {
                Some(("origin", value)) => origin = Some(value.to_owned()),
                Some(("bearer", value)) => bearer = Some(value.to_owned()),
                _ => offered.push(word),
            }
        }
        let mut asked = raw::request(self.house.ws(), &path, bearer.as_deref());
        if !offered.is_empty() {
            asked = raw::with_header(asked, "sec-websocket-protocol", &offered.join(", "));
        }
        match origin {
            Some(origin) => raw::with_header(asked, "origin", &origin),
            None => asked,
        }
    }

    /// The header lines of a request that opens no socket.
    fn headers(&self, request: &Request) -> Vec<String> {
        let words = request.words.iter().map(|word| self.names.fill(word));
        let headers = words.map(|word| match word.split_once('=') {
            Some(("last", id)) => format!("Last-Event-ID: {id}"),
            Some(("bearer", token)) => format!("Authorization: Bearer {token}"),
            _ => panic!("a stream offers no {word}"),
        });
        headers.collect()
    }

    fn socket(&mut self, name: &str) -> &mut Raw {
        self.sockets.get_mut(name).expect("it was opened")
    }

    fn own(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn own_path(&self, path: &str) -> String {
        match (path.strip_prefix("/@"), path.strip_prefix('/')) {
            (Some(user), _) => format!("/@{}", self.own(user)),
            (None, Some(room)) if !room.is_empty() => format!("/{}", self.own(room)),
            // A name of an address stands for its path.
            (None, _) => self.names.fill(path),
        }
    }

    /// Rooms by their names in this replay.
    fn in_own_rooms(&self, text: &str) -> String {
        self.rooms.iter().fold(text.to_owned(), |text, room| {
            let own = self.own(room);
            // `to` of `moved` is a room; in a `send` it is a list of clients.
            ["room", "to"].iter().fold(text, |text, field| {
                text.replace(
                    &format!("\"{field}\":\"{room}\""),
                    &format!("\"{field}\":\"{own}\""),
                )
            })
        })
    }
}

fn parted(frame: &str) -> (&str, &str) {
    frame.split_once('\n').unwrap_or((frame, ""))
}
