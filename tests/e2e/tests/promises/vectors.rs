//! The conformance vectors of docs/vectors hold: each is replayed, line by line,
//! against running processes. Knows how a case's users and rooms are made, and
//! nothing of what is expected.

use std::collections::BTreeMap;
use std::path::Path;

use porthouse_api::control::v1::history_rules::Keep;
use porthouse_api::control::v1::{
    BroadcastRules, ConnectionRules, DeleteRoomRequest, KeepLast, MessageRules, Order, Rate, Room,
    RoomRules, Shown, Visibility,
};
use porthouse_api::live::v1::{KickRequest, PublishRequest, publish_request};
use porthouse_e2e::house::House;
use porthouse_e2e::raw::{self, Raw};
use porthouse_e2e::vector::{Case, Message as Said, Names, Request, Step, read};
use tokio_tungstenite::tungstenite::Message;

/// How long messages are kept in these rooms.
const HOUR: prost_types::Duration = prost_types::Duration {
    seconds: 3_600,
    nanos: 0,
};

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

/// A case being replayed.
struct Replay<'a> {
    house: &'a House,
    /// Stands before this case's users and rooms, which are nobody else's.
    prefix: String,
    names: Names,
    rooms: Vec<String>,
    sessions: BTreeMap<String, String>,
    sockets: BTreeMap<String, Raw>,
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
            Step::Room(name, rules) => self.room(place, name, rules).await,
            Step::Member(room, user) => {
                let (room, user) = (self.own(room), self.own(user));
                backend
                    .applied(backend.make_member(&room, &user).await)
                    .await;
            }
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
            Step::Close(name) => drop(self.sockets.remove(name)),
            Step::Publish(room, text) => {
                let request = PublishRequest {
                    room: format!("rooms/{}", self.own(room)),
                    message: Some(publish_request::Message::Text(text.clone())),
                    ..Default::default()
                };
                backend.live().publish(request).await.expect(place);
            }
            Step::Kick(name, room) => {
                let request = KickRequest {
                    client: self.names.fill(&format!("${name}")),
                    room: format!("rooms/{}", self.own(room)),
                    ..Default::default()
                };
                backend.live().kick(request).await.expect(place);
            }
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

    async fn room(&mut self, place: &str, name: &str, rules: &[String]) {
        let own = self.own(name);
        let backend = self.house.backend();
        let mut room = Room {
            rules: Some(RoomRules {
                connection: Some(ConnectionRules::default()),
                messages: Some(MessageRules::default()),
                broadcast: Some(BroadcastRules::default()),
                ..Default::default()
            }),
            ..Default::default()
        };
        let mut password = None;
        for rule in rules {
            match rule.strip_prefix("password=") {
                Some(word) => password = Some(word),
                None => set(&mut room, rule).unwrap_or_else(|| panic!("{place}: {rule}")),
            }
        }
        let mut revision = backend.make_room(&own, room).await;
        if let Some(password) = password {
            revision = backend.set_room_password(&own, password).await;
        }
        backend.applied(revision).await;
        self.rooms.push(name.to_owned());
    }

    async fn get(&mut self, place: &str, name: &str, said: &Said) {
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

    fn socket(&mut self, name: &str) -> &mut Raw {
        self.sockets.get_mut(name).expect("it was opened")
    }

    fn own(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn own_path(&self, path: &str) -> String {
        match path.strip_prefix('/') {
            Some(room) if !room.is_empty() => format!("/{}", self.own(room)),
            _ => path.to_owned(),
        }
    }

    /// Rooms by their names in this replay.
    fn in_own_rooms(&self, text: &str) -> String {
        self.rooms.iter().fold(text.to_owned(), |text, room| {
            let own = self.own(room);
            text.replace(
                &format!("\"room\":\"{room}\""),
                &format!("\"room\":\"{own}\""),
            )
        })
    }
}

/// Sets one rule of a room, as the vectors call it.
fn set(room: &mut Room, rule: &str) -> Option<()> {
    let rules = room.rules.as_mut()?;
    let (connection, messages) = (rules.connection.as_mut()?, rules.messages.as_mut()?);
    let broadcast = rules.broadcast.as_mut()?;
    match rule.split_once('=').unwrap_or((rule, "")) {
        ("private", _) => room.visibility = Visibility::Private.into(),
        ("users", _) => connection.user_required = Some(true),
        ("text", _) => messages.binary = Some(false),
        ("binary", _) => messages.text = Some(false),
        ("bytes_max", bytes) => messages.bytes_max = Some(bytes.parse().ok()?),
        ("echo", _) => broadcast.echo = Some(true),
        ("no_receivers", _) => broadcast.receivers_named = Some(false),
        ("ordered", _) => {
            rules.delivery.get_or_insert_default().order = Order::Ordered.into();
        }
        ("keep", messages_max) => {
            let last = KeepLast {
                messages_max: messages_max.parse().ok()?,
                age_max: Some(HOUR),
            };
            rules.history.get_or_insert_default().keep = Some(Keep::Last(last));
        }
        ("presence", shown) => {
            rules.presence.get_or_insert_default().shown = match shown {
                "counts" => Shown::Counts,
                "identities" => Shown::Identities,
                _ => return None,
            }
            .into();
        }
        ("per_socket", rate) => {
            let number = rate.parse().ok()?;
            messages.rates.get_or_insert_default().per_socket = Some(Rate {
                per_second: number,
                burst: Some(number),
            });
        }
        _ => return None,
    }
    Some(())
}

fn parted(frame: &str) -> (&str, &str) {
    frame.split_once('\n').unwrap_or((frame, ""))
}
