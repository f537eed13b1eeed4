//! Endpoints and freeports: an address leads where it leads now, and nobody
//! stays by one that no longer does.

use porthouse_model::{
    Address, Audience, ChangeItem, ConnectionRules, Endpoint, EndpointAccess, EndpointId,
    MessageKind, Room, RoomId, RoomName, RoomRules, UserId,
};

use super::live_permission::held;
use super::world::{Client, World, close_frame, frame, members_only, token, upgrade_request};
use crate::Input;

use EndpointAccess::{Anyone, Owner, Users};
use MessageKind::Text;

const V1: &str = "Sec-WebSocket-Protocol: porthouse.v1";

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

fn endpoint(at: &str, access: EndpointAccess, rooms: &[&str]) -> Endpoint {
    Endpoint {
        id: EndpointId::from_bytes([9; 16]),
        address: address(at),
        owner: Some(UserId::from_bytes([1; 16])),
        rooms: rooms
            .iter()
            .map(|room| room.parse().expect("a name"))
            .collect(),
        access,
    }
}

fn bearer(user: u8) -> String {
    format!("Authorization: Bearer {}", token(user))
}

/// What a request is answered with that is refused at once.
fn refused(world: &mut World, path: &str, lines: &[&str]) -> String {
    let client = world.upgrade(0, path, lines);
    let answer = world.take_text(client);
    assert!(world.is_ended(client), "{answer}");
    answer
}

/// A raw socket that came in by an address.
fn raw(world: &mut World, path: &str, lines: &[&str]) -> Client {
    let client = world.upgrade(0, path, lines);
    let head = world.take_text(client);
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    client
}

/// A user with a freeport, as the control plane tells of one.
fn freeport(world: &mut World, user: u8) {
    let id = world.session(user);
    let name: RoomName = format!("@user{user}").parse().expect("a freeport");
    world.endpoint(Endpoint {
        id: id.into(),
        owner: Some(id),
        ..endpoint(name.as_str(), Anyone, &[name.as_str()])
    });
    let rules = RoomRules {
        connection: ConnectionRules {
            audience: Audience::Members,
            ..ConnectionRules::default()
        },
        ..RoomRules::default()
    };
    let room = Room {
        id: RoomId::from(id),
        name: name.clone(),
        rules: Box::new(rules),
        owner: Some(id),
        blocks: porthouse_model::RoomBlocks::default(),
    };
    world.rooms.insert(name, room);
}

#[test]
fn all_sockets_of_a_user_meet_in_their_freeport_and_nobody_else_comes_in() {
    let mut world = World::new(1);
    freeport(&mut world, 1);
    world.session(2);
    let [phone, desk] = [(); 2].map(|()| raw(&mut world, "/@user1", &[&bearer(1)]));
    world.say(phone, Text, b"to myself");
    assert_eq!(world.take(desk), frame(Text, b"to myself"));
    // By the lobby it is the same room.
    let lobby = world.lobby_of(0, 1);
    world.line(lobby, r#"{"op":"join","room":"@user1","id":1}"#);
    assert!(world.take_text(lobby).contains(r#""op":"admitted""#));
    world.say(desk, Text, b"again");
    assert!(world.take_text(lobby).ends_with("\nagain"));

    let stranger = refused(&mut world, "/@user1", &[&bearer(2)]);
    assert!(
        stranger.contains("\"rule\":\"visibility.private\""),
        "{stranger}"
    );
    let nobody = refused(&mut world, "/@user1", &[]);
    assert!(nobody.starts_with("HTTP/1.1 401 "), "{nobody}");
}

#[test]
fn an_address_that_nobody_has_leads_nowhere() {
    let mut world = World::new(1);
    for lines in [&[][..], &[V1], &["Accept: text/event-stream"]] {
        let answer = refused(&mut world, "/@nobody", lines);
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        assert!(answer.contains("\"rule\":\"endpoint\""));
    }
    let page = world.upgrade(0, "/@nobody", &["Origin: https://a.example"]);
    assert_eq!(close_frame(&world.take(page)).0, 4017);
    // No transient room is made of a freeport's name.
    let lobby = world.lobby(0);
    world.line(lobby, r#"{"op":"join","room":"@nobody","id":1}"#);
    let told = world.take_text(lobby);
    assert!(told.contains(r#""code":4017,"rule":"endpoint""#), "{told}");
}

#[test]
fn an_endpoint_of_one_room_speaks_every_wire_form() {
    let mut world = World::new(1);
    world.endpoint(endpoint("@desk", Anyone, &["lobby"]));
    let ada = world.raw(0, "lobby");
    let ben = raw(&mut world, "/@Desk", &[]);
    world.say(ada, Text, b"hello");
    assert_eq!(world.take(ben), frame(Text, b"hello"));
    let cleo = world.upgrade(0, "/@desk", &[V1]);
    let told = world.take_text(cleo);
    assert!(
        told.contains(r#"{"op":"admitted","room":"lobby""#),
        "{told}"
    );
    let mut post = b"POST /@desk HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi".to_vec();
    let dora = world.connect(0);
    world.bytes(dora, std::mem::take(&mut post));
    let answer = world.take_text(dora);
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    assert_eq!(world.take(ben), frame(MessageKind::Binary, b"hi"));
}

#[test]
fn an_endpoint_of_several_rooms_admits_to_each_over_v1_alone() {
    let mut world = World::new(1);
    world.room("club", members_only());
    world.endpoint(endpoint("@desk", Anyone, &["lobby", "news", "club"]));
    let ada = world.upgrade(0, "/@desk", &[V1]);
    let told = world.take_text(ada);
    assert!(
        told.contains(r#"{"op":"admitted","room":"lobby""#),
        "{told}"
    );
    assert!(told.contains(r#"{"op":"admitted","room":"news""#), "{told}");
    assert!(told.contains(r#"{"op":"refused","room":"club""#), "{told}");
    let raw = refused(&mut world, "/@desk", &[]);
    assert!(raw.starts_with("HTTP/1.1 400 "), "{raw}");
    assert!(raw.contains("\"rule\":\"subprotocol\"") && raw.contains("several rooms"));
    let page = world.upgrade(0, "/@desk", &["Origin: https://a.example"]);
    assert_eq!(close_frame(&world.take(page)).0, 1008);
}

#[test]
fn a_private_endpoint_is_its_owners() {
    let mut world = World::new(1);
    world.session(1);
    world.session(2);
    world.endpoint(endpoint("@mine", Owner, &["lobby"]));
    world.endpoint(endpoint("@ours", Users, &["lobby"]));
    raw(&mut world, "/@mine", &[&bearer(1)]);
    raw(&mut world, "/@ours", &[&bearer(2)]);
    let other = refused(&mut world, "/@mine", &[&bearer(2)]);
    assert!(other.starts_with("HTTP/1.1 403 "), "{other}");
    assert!(other.contains("\"rule\":\"endpoint.access\""));
    for path in ["/@mine", "/@ours"] {
        let nobody = refused(&mut world, path, &[]);
        assert!(
            nobody.contains("\"rule\":\"connection.user_required\""),
            "{nobody}"
        );
        let unknown = refused(&mut world, path, &[&bearer(3)]);
        assert!(unknown.contains("\"rule\":\"credential\""), "{unknown}");
    }
}

#[test]
fn a_withdrawn_endpoint_puts_out_who_came_by_it_and_nobody_else() {
    let mut world = World::new(1);
    world.endpoint(endpoint("@alias", Anyone, &["lobby"]));
    let direct = world.raw(0, "lobby");
    let ada = raw(&mut world, "/@alias", &[]);
    let ben = world.upgrade(0, "/@alias", &[V1]);
    world.take(ben);
    world.endpoints.clear();
    world.change(vec![ChangeItem::EndpointGone(address("@alias"))]);
    for client in [ada, ben] {
        let (code, reason) = close_frame(&world.take(client));
        assert_eq!(code, 4017);
        assert!(reason.starts_with("endpoint; retry never; "), "{reason}");
    }
    assert_eq!(world.take(direct), b"");
    let late = refused(&mut world, "/@alias", &[]);
    assert!(late.starts_with("HTTP/1.1 404 "), "{late}");
}

#[test]
fn an_endpoint_that_closes_to_others_keeps_its_owner() {
    let mut world = World::new(1);
    world.session(1);
    world.session(2);
    world.endpoint(endpoint("@desk", Users, &["lobby"]));
    let owner = raw(&mut world, "/@desk", &[&bearer(1)]);
    let other = raw(&mut world, "/@desk", &[&bearer(2)]);
    world.change(vec![ChangeItem::Endpoint(endpoint(
        "@desk",
        Owner,
        &["lobby"],
    ))]);
    assert_eq!(close_frame(&world.take(other)).0, 4016);
    assert_eq!(world.take(owner), b"");
}

#[test]
fn an_endpoint_that_leads_elsewhere_takes_its_sockets_along() {
    let mut world = World::new(1);
    world.endpoint(endpoint("@desk", Anyone, &["lobby", "news"]));
    let ada = world.upgrade(0, "/@desk", &[V1]);
    world.take(ada);
    world.line(ada, r#"{"op":"join","room":"own","id":1}"#);
    world.take(ada);
    world.change(vec![ChangeItem::Endpoint(endpoint(
        "@desk",
        Anyone,
        &["news", "desk"],
    ))]);
    let told = world.take_text(ada);
    assert!(
        told.contains(r#"{"op":"closed","room":"lobby","code":4016"#),
        "{told}"
    );
    assert!(told.contains(r#"{"op":"admitted","room":"desk""#), "{told}");
    assert!(!told.contains(r#""room":"news""#) && !told.contains(r#""room":"own""#));

    world.endpoint(endpoint("@desk", Anyone, &["news"]));
    world.change(vec![ChangeItem::Endpoint(endpoint(
        "@desk",
        Anyone,
        &["news"],
    ))]);
    let ben = raw(&mut world, "/@desk", &[]);
    world.change(vec![ChangeItem::Endpoint(endpoint(
        "@desk",
        Anyone,
        &["lobby"],
    ))]);
    assert_eq!(close_frame(&world.take(ben)).0, 4016);
}

#[test]
fn who_asks_what_is_there_while_nobody_knows_is_refused_retryably() {
    let mut world = World::new(1);
    world.away = true;
    let answer = refused(&mut world, "/@desk", &[]);
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("\"rule\":\"control_plane\""));
}

#[test]
fn a_host_leads_to_its_endpoint() {
    let mut world = World::with(1, |settings| {
        settings.hosts.endpoint_suffix = Some(".example.com".into());
    });
    world.endpoint(endpoint("alice.example.com", Anyone, &["lobby"]));
    let ada = world.raw(0, "lobby");
    let client = world.connect(0);
    let post = "POST / HTTP/1.1\r\nHost: Alice.Example.com:4000\r\nContent-Type: text/plain\r\n\
                Content-Length: 2\r\n\r\nhi";
    world.bytes(client, post.as_bytes().to_vec());
    assert!(world.take_text(client).starts_with("HTTP/1.1 202 "));
    assert_eq!(world.take(ada), frame(Text, b"hi"));
}

#[test]
fn what_is_sent_before_an_address_is_known_comes_after_it() {
    let mut world = World::new(1);
    world.endpoint(endpoint("@desk", Anyone, &["lobby"]));
    let ada = world.raw(0, "lobby");
    let client = world.connect(0);
    let mut bytes = b"GET /@desk HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        .to_vec();
    bytes.extend_from_slice(&crate::wire::frame::client::frame(
        true,
        crate::wire::frame::client::TEXT,
        b"early",
    ));
    world.bytes(client, bytes);
    assert_eq!(world.take(ada), frame(Text, b"early"));
}

#[test]
fn an_address_that_closes_while_it_is_asked_who_comes_lets_nobody_stay() {
    for (is_closed, lines) in [(false, &[][..]), (true, &[]), (false, &[V1]), (true, &[V1])] {
        let mut world = World::new(1);
        world.session(1);
        world.session(2);
        world.endpoint(endpoint("@alias", Anyone, &["lobby"]));
        raw(&mut world, "/@alias", &[]);
        let bearer = bearer(2);
        let lines = [lines, &[&bearer]].concat();
        let ben = world.connect(0);
        world.bytes_unanswered(ben, upgrade_request("/@alias", &lines));
        // Who it is, is under way for long.
        let (question, answer) = held(&mut world, 0);
        if is_closed {
            let owners = endpoint("@alias", Owner, &["lobby"]);
            world.change(vec![ChangeItem::Endpoint(owners)]);
        }
        world.puddles[0].handle(world.now, Input::Answered { question, answer });
        world.run();
        let told = world.take_text(ben);
        assert_eq!(told.contains("endpoint.access"), is_closed, "{told}");
        let cleo = world.raw(0, "lobby");
        world.say(cleo, Text, b"for those inside");
        assert_eq!(world.take(ben).is_empty(), is_closed, "{told}");
    }
}
