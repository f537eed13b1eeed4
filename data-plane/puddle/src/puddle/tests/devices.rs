//! Device tokens: a client without a login is in its rooms once it has connected,
//! and in no others, whatever its token is changed to meanwhile.

use porthouse_model::{
    Act, Acts, Audience, Capabilities, ChangeItem, ConnectionRules, Credential, CredentialKind,
    Device, DeviceBlock, Member, MessageKind, RoomRules, Session, SessionId, UnixTime, UserId,
};

use super::resuming;
use super::world::{Client, HOUR, World, close_frame, frame, members_only, token};

use MessageKind::Text;

pub(super) fn credential(device: u8) -> Credential {
    Credential::new(CredentialKind::DeviceToken, [device; 32])
}

pub(super) fn bearer(device: u8) -> String {
    format!("Authorization: Bearer {}", credential(device).reveal())
}

impl World {
    /// A device of a user's, which may do this in these rooms; answers what nodes
    /// are told of it.
    pub(super) fn device(
        &mut self,
        device: u8,
        user: u8,
        acts: Acts,
        rooms: &[&str],
    ) -> ChangeItem {
        let rooms = rooms.iter().map(|room| room.parse().expect("a name"));
        let session = Session {
            id: SessionId::from_bytes([device; 16]),
            user: UserId::from_bytes([user; 16]),
            username: format!("user{user}").parse().expect("a name"),
            expires: UnixTime::from_millis(HOUR * 2),
            second_factor: None,
            device: Some(Box::new(Device {
                display_name: "Thermometer".to_owned(),
                acts,
                rooms: rooms.collect(),
                blocks: Vec::new(),
            })),
        };
        let token = credential(device).hash();
        self.sessions.insert(token, session.clone());
        ChangeItem::DeviceToken(token, session)
    }

    /// Keeps a device out of a room; answers what nodes are told of it.
    pub(super) fn block_device(
        &mut self,
        device: u8,
        room: &str,
        expires: Option<u64>,
    ) -> ChangeItem {
        let token = credential(device).hash();
        let session = self.sessions.get_mut(&token).expect("a device");
        let known = session.device.as_mut().expect("a device");
        known.blocks = vec![DeviceBlock {
            room: room.parse().expect("a name"),
            expires: expires.map(UnixTime::from_millis),
        }];
        ChangeItem::DeviceToken(token, session.clone())
    }

    pub(super) fn device_lobby(&mut self, device: u8) -> Client {
        let lines = [
            "Sec-WebSocket-Protocol: porthouse.v1".to_owned(),
            bearer(device),
        ];
        self.upgrade(0, "/", &[&lines[0], &lines[1]])
    }

    fn device_raw(&mut self, device: u8, room: &str) -> Client {
        self.upgrade(0, &format!("/{room}"), &[&bearer(device)])
    }
}

fn two_rooms(world: &mut World) {
    world.room("lobby", RoomRules::default());
    world.room("yard", RoomRules::default());
}

#[test]
fn a_device_is_in_its_rooms_once_it_has_connected() {
    let mut world = World::new(2);
    two_rooms(&mut world);
    world.device(9, 1, Acts::ALL, &["lobby", "yard"]);
    let device = world.device_lobby(9);
    let told = world.take_text(device);
    let id = "09090909-0909-0909-0909-090909090909";
    assert!(
        told.contains(&format!(
            r#""client":"{id}","username":"user1","device":"Thermometer""#
        )),
        "{told}"
    );
    for room in ["lobby", "yard"] {
        let admitted = format!(r#"{{"op":"admitted","room":"{room}","client":"{id}""#);
        assert!(told.contains(&admitted), "{told}");
    }
    let ben = world.raw(1, "yard");
    world.line(device, "{\"op\":\"send\",\"room\":\"yard\"}\n21 degrees");
    assert!(world.take_text(ben).contains("21 degrees"));
}

#[test]
fn a_token_given_later_brings_a_device_to_its_rooms_too() {
    let mut world = World::new(1);
    two_rooms(&mut world);
    world.device(9, 1, Acts::ALL, &["lobby"]);
    let device = world.lobby(0);
    let text = credential(9).reveal();
    world.line(
        device,
        &format!(r#"{{"op":"auth","id":1,"token":"{text}"}}"#),
    );
    let told = world.take_text(device);
    assert!(told.contains(r#""op":"authenticated","id":1"#), "{told}");
    assert!(told.contains(r#""op":"admitted","room":"lobby""#), "{told}");
}

#[test]
fn a_device_enters_no_room_that_its_token_does_not_name() {
    let mut world = World::new(1);
    two_rooms(&mut world);
    world.device(9, 1, Acts::ALL, &["lobby"]);
    let device = world.device_lobby(9);
    world.take(device);
    world.line(device, r#"{"op":"join","room":"yard","id":1}"#);
    let told = world.take_text(device);
    assert!(told.contains("device_token.rooms"), "{told}");
    let raw = world.device_raw(9, "yard");
    assert!(world.take_text(raw).starts_with("HTTP/1.1 403"));
    let raw = world.device_raw(9, "lobby");
    assert!(world.take_text(raw).starts_with("HTTP/1.1 101"));
}

#[test]
fn a_room_that_is_given_or_taken_is_entered_or_left_at_once() {
    let mut world = World::new(1);
    two_rooms(&mut world);
    world.device(9, 1, Acts::ALL, &["lobby"]);
    let (device, raw) = (world.device_lobby(9), world.device_raw(9, "lobby"));
    world.take(device);
    world.take(raw);
    world.stall(device, 0);
    let ben = world.raw(0, "lobby");
    world.say(ben, Text, b"unsaid");
    let moved = world.device(9, 1, Acts::ALL, &["yard"]);
    world.change(vec![moved]);
    world.unstall(device);
    let told = world.take_text(device);
    assert!(
        told.contains(r#""op":"closed","room":"lobby""#) && told.contains("device_token.rooms"),
        "{told}"
    );
    assert!(!told.contains("unsaid"), "its backlog is dropped: {told}");
    assert!(told.contains(r#""op":"admitted","room":"yard""#), "{told}");
    assert_eq!(
        close_frame(&world.take(raw)[frame(Text, b"unsaid").len()..]).0,
        4019
    );
}

#[test]
fn a_deleted_token_closes_its_sockets() {
    let mut world = World::new(1);
    two_rooms(&mut world);
    world.device(9, 1, Acts::ALL, &["lobby"]);
    let (device, raw) = (world.device_lobby(9), world.device_raw(9, "lobby"));
    world.take(device);
    world.take(raw);
    world.sessions.clear();
    world.change(vec![ChangeItem::SessionGone(SessionId::from_bytes(
        [9; 16],
    ))]);
    for socket in [device, raw] {
        assert_eq!(close_frame(&world.take(socket)).0, 4101);
    }
    let again = world.device_raw(9, "lobby");
    assert!(world.take_text(again).starts_with("HTTP/1.1 401"));
}

#[test]
fn a_device_goes_with_its_owner_and_not_with_its_owners_sessions() {
    let mut world = World::new(1);
    two_rooms(&mut world);
    let ada = world.session(1);
    let device = world.device(9, 1, Acts::ALL, &["lobby"]);
    let raw = world.device_raw(9, "lobby");
    let own = world.upgrade(
        0,
        "/lobby",
        &[&format!("Authorization: Bearer {}", token(1))],
    );
    world.take(raw);
    world.take(own);
    world.change(vec![ChangeItem::UserGone(ada), device]);
    assert_eq!(
        close_frame(&world.take(own)).0,
        4101,
        "all sessions revoked"
    );
    assert_eq!(world.take(raw), b"", "the device is not one of them");
    world.sessions.clear();
    world.change(vec![ChangeItem::UserGone(ada)]);
    assert_eq!(
        close_frame(&world.take(raw)).0,
        4101,
        "the owner is disabled"
    );
}

#[test]
fn a_device_does_no_more_than_the_room_and_the_token_let_it() {
    let mut world = World::new(1);
    world.room("lobby", RoomRules::default());
    world.device(9, 1, Acts::LISTEN, &["lobby"]);
    let device = world.device_lobby(9);
    world.take(device);
    world.line(device, "{\"op\":\"send\",\"room\":\"lobby\",\"id\":1}\nno");
    assert!(world.take_text(device).contains("capabilities.send"));

    let talks = world.device(9, 1, Acts::TALK, &["lobby"]);
    world.change(vec![talks]);
    world.line(device, "{\"op\":\"send\",\"room\":\"lobby\",\"id\":2}\nyes");
    assert!(world.take_text(device).contains("receipt"), "at once");

    let mut capabilities = Capabilities::open();
    capabilities.device = Acts::NONE.with(Act::See);
    let rules = RoomRules {
        capabilities,
        ..RoomRules::default()
    };
    world.rule("lobby", rules);
    let told = world.take_text(device);
    assert!(told.contains("capabilities.join"), "put out: {told}");
}

#[test]
fn a_device_is_inside_only_where_its_owner_may_be() {
    let mut world = World::new(1);
    let room = world.room("private", members_only());
    let user = world.session(1);
    world.device(9, 1, Acts::ALL, &["private"]);
    let outside = world.device_raw(9, "private");
    assert!(world.take_text(outside).starts_with("HTTP/1.1 403"));
    let member = Member {
        room,
        user,
        role: porthouse_model::Role::MEMBER,
        expires: None,
        then: None,
    };
    world.members.push(member);
    world.change(vec![ChangeItem::Member(member)]);
    let raw = world.device_raw(9, "private");
    assert!(world.take_text(raw).starts_with("HTTP/1.1 101"));
    world.members.clear();
    world.change(vec![ChangeItem::MemberGone { room, user }]);
    assert_eq!(close_frame(&world.take(raw)).0, 4003);

    let denied = RoomRules {
        connection: ConnectionRules {
            audience: Audience::Anyone,
            users_denied: [user].into(),
            ..ConnectionRules::default()
        },
        ..RoomRules::default()
    };
    world.rule("private", denied);
    let denied = world.device_raw(9, "private");
    assert!(world.take_text(denied).starts_with("HTTP/1.1 403"));
}

#[test]
fn a_device_that_is_blocked_is_put_out_and_its_owner_stays() {
    let mut world = World::new(1);
    two_rooms(&mut world);
    world.session(1);
    world.wall(HOUR);
    world.device(9, 1, Acts::ALL, &["lobby", "yard"]);
    let (device, raw) = (world.device_lobby(9), world.device_raw(9, "lobby"));
    let bearer = format!("Authorization: Bearer {}", token(1));
    let own = world.upgrade(0, "/lobby", &[&bearer]);
    for socket in [device, raw, own] {
        world.take(socket);
    }
    let blocked = world.block_device(9, "lobby", Some(HOUR + 60_000));
    world.change(vec![blocked]);
    let told = world.take_text(device);
    assert!(told.contains(r#""op":"closed","room":"lobby""#), "{told}");
    assert!(!told.contains("yard"), "it stays in the other room: {told}");
    assert_eq!(close_frame(&world.take(raw)).0, 4012);
    assert_eq!(world.take(own), b"");
    let again = world.device_raw(9, "lobby");
    assert!(world.take_text(again).starts_with("HTTP/1.1 403"));
    world.wait(core::time::Duration::from_secs(61));
    let again = world.device_raw(9, "lobby");
    assert!(
        world.take_text(again).starts_with("HTTP/1.1 101"),
        "it has ended"
    );
}

#[test]
fn a_device_that_comes_back_reads_on_for_it_is_inside_before_it_could_show_a_token() {
    let mut world = resuming::house(RoomRules::default());
    world.device(9, 1, Acts::ALL, &["news"]);
    let device = world.device_lobby(9);
    let token = resuming::token(&world.take_text(device));
    let (speaker, _) = resuming::enter(&mut world, 1, Some(2), "");
    resuming::say(&mut world, speaker, "", "heard");
    assert!(world.take_text(device).ends_with("\nheard"));
    resuming::cut(&mut world, device);
    resuming::say(&mut world, speaker, "", "missed");
    let again = world.device_lobby(9);
    let told = world.take_text(again);
    assert!(told.contains(r#""op":"admitted""#), "{told}");
    assert!(!told.contains("missed"), "{told}");
    let join = r#"{"op":"join","room":"news","id":1"#;
    world.line(again, &format!("{join}{}}}", resuming::shows(&token, 1)));
    let told = world.take_text(again);
    assert!(
        told.contains(r#""op":"error","id":1,"rule":"join""#),
        "{told}"
    );
    world.line(again, r#"{"op":"history","room":"news","id":2,"since":1}"#);
    let told = world.take_text(again);
    assert_eq!(resuming::messages(&told), ["2"]);
    assert!(told.contains("missed"), "{told}");
}
