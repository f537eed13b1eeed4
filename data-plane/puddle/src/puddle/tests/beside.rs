//! A sibling goes where its raw socket goes: it hears what the room announces,
//! renews the session of both, and comes by the same address.

use core::time::Duration;

use porthouse_model::{
    ChangeItem, Endpoint, EndpointAccess, EndpointId, MessageKind, SessionId, UnixTime,
};

use super::sibling::{PLACES, SIBLING, paired, showing, sibling};
use super::world::{Client, HOUR, World, close_frame, hash, password_rules, token};
use crate::wire::frame::{Opcode, client};

impl World {
    /// Time passes in which these answer pings.
    fn keep_alive(&mut self, clients: &[Client], span: Duration) {
        let step = Duration::from_secs(30);
        let mut left = span;
        while left > Duration::ZERO {
            self.wait(step.min(left));
            left = left.saturating_sub(step);
            for one in clients {
                self.bytes(*one, client::frame(true, Opcode::Pong, b""));
            }
        }
    }
}

#[test]
fn a_sibling_is_told_of_owners_and_rules_and_epochs_as_porthouse_v1_is() {
    for at in PLACES {
        let mut world = World::new(2);
        let (owner, owners_raw) = paired(&mut world, at, "den", &[]);
        let (ada, raw) = paired(&mut world, (at.1, at.0), "den", &[]);
        let line = "{\"op\":\"rules\",\"room\":\"den\",\"id\":5}\n{\"bytes_max\":9}";
        world.line(owner, line);
        let told = world.take_text(ada);
        assert!(
            told.contains(r#"{"op":"rules","room":"den","epoch":"#),
            "{told}"
        );
        world.line(owner, r#"{"op":"leave","room":"den","id":6}"#);
        let told = world.take_text(ada);
        assert!(
            told.contains(r#"{"op":"owner","room":"den","owner":"#),
            "{told}"
        );
        assert_eq!(world.take(raw), b"", "the raw pipe has none of it");
        world.take(owners_raw);
    }
    let mut world = World::new(2);
    world.room("ledger", porthouse_model::RoomRules::default());
    let (ada, raw) = paired(&mut world, (0, 1), "ledger", &[]);
    world.rule("ledger", super::homes::ordered());
    let told = world.take_text(ada);
    assert!(
        told.contains(r#"{"op":"epoch","room":"ledger","epoch":"#),
        "{told}"
    );
    assert_eq!(world.take(raw), b"");
}

#[test]
fn a_sibling_renews_the_session_of_both() {
    for at in PLACES {
        let mut world = World::new(2);
        world.session(7);
        let session = world.sessions.get_mut(&hash(7)).expect("a session");
        session.expires = UnixTime::from_millis(HOUR + 90_000);
        let mut longer = session.clone();
        longer.id = SessionId::from_bytes([8; 16]);
        longer.expires = UnixTime::from_millis(HOUR + 900_000);
        world.sessions.insert(hash(8), longer);
        world.session(9);
        world.room("a", porthouse_model::RoomRules::default());
        let bearer = format!("Authorization: Bearer {}", token(7));
        let (ada, raw) = paired(&mut world, at, "a", &[&bearer]);
        let renew = |number| format!(r#"{{"op":"renew","id":2,"token":"{}"}}"#, token(number));
        for wrong in [9, 5] {
            world.line(ada, &renew(wrong));
            let told = world.take_text(ada);
            assert!(told.contains(r#""op":"refused","id":2"#), "{told}");
        }
        world.line(ada, &renew(8));
        let told = world.take_text(ada);
        let renewed = format!(
            r#"{{"op":"renewed","id":2,"expires_ms":{}}}"#,
            HOUR + 900_000
        );
        assert!(told.contains(&renewed), "{told}");
        // The one before ends, by its time and by itself.
        let old = SessionId::from_bytes([7; 16]);
        world.change(vec![ChangeItem::SessionGone(old)]);
        world.keep_alive(&[ada, raw], Duration::from_mins(2));
        assert!(!world.take_text(ada).contains("closed"));
        world.say(raw, MessageKind::Text, b"still here");
        assert_eq!(world.take(raw), b"");
        let new = SessionId::from_bytes([8; 16]);
        world.change(vec![ChangeItem::SessionGone(new)]);
        assert_eq!(close_frame(&world.take(raw)).0, 4101);
        assert_eq!(close_frame(&world.take(ada)).0, 4101);
    }
}

#[test]
fn a_sibling_that_has_no_raw_socket_yet_renews_its_own_session() {
    let mut world = World::new(2);
    world.session(7);
    let mut other = world.sessions[&hash(7)].clone();
    other.id = SessionId::from_bytes([8; 16]);
    world.sessions.insert(hash(8), other);
    let bearer = |number| format!("Authorization: Bearer {}", token(number));
    let (ada, shown) = sibling(&mut world, 0, "/", &[&bearer(7)]);
    let line = format!(r#"{{"op":"renew","id":2,"token":"{}"}}"#, token(8));
    world.line(ada, &line);
    assert!(world.take_text(ada).contains(r#""op":"renewed","id":2"#));
    let raw = showing(&mut world, 1, "a", &shown, &[&bearer(8)]);
    world.line(raw, r#"{"op":"start"}"#);
    assert!(world.take_text(raw).ends_with(r#"{"op":"started"}"#));
}

#[test]
fn a_sibling_comes_by_an_address_as_its_raw_socket_does() {
    let front = |rooms: &[&str]| Endpoint {
        id: EndpointId::from_bytes([3; 16]),
        address: "@front".parse().expect("an address"),
        owner: None,
        rooms: rooms
            .iter()
            .map(|room| room.parse().expect("a name"))
            .collect(),
        access: EndpointAccess::Anyone,
    };
    for at in PLACES {
        let mut world = World::new(2);
        world.room("vault", password_rules(1));
        world.endpoint(front(&["vault"]));
        let (ada, shown) = sibling(&mut world, at.0, "/@front", &[]);
        let offer = format!("Sec-WebSocket-Protocol: porthouse.raw.v1, porthouse.bind.{shown}");
        let raw = world.upgrade(at.1, "/@front", &[&offer]);
        let told = world.take_text(ada);
        assert!(told.contains(r#"{"op":"bound","room":"vault"}"#), "{told}");
        assert!(told.contains(r#""step":"password""#), "{told}");
        let line = r#"{"op":"answer","room":"vault","password":"open sesame","id":2}"#;
        world.line(ada, line);
        world.line(raw, r#"{"op":"start"}"#);
        assert!(world.take_text(raw).ends_with(r#"{"op":"started"}"#));
        world.take(ada);
        let other = front(&["elsewhere"]);
        world.endpoint(other.clone());
        world.change(vec![ChangeItem::Endpoint(other)]);
        assert_eq!(close_frame(&world.take(raw)).0, 4016);
        assert_eq!(close_frame(&world.take(ada)).0, 4016);
    }
    let mut world = World::new(1);
    world.endpoint(front(&["a", "b"]));
    let several = world.upgrade(0, "/@front", &[SIBLING]);
    let answer = world.take_text(several);
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("several rooms"), "{answer}");
}
