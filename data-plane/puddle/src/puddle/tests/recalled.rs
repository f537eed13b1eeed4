//! Every refusal has an id by which it can be explained for a while, however it
//! was told.

use porthouse_model::{Acts, Capabilities, RefusalId, Refused, RoomRules, SessionId};
use porthouse_rules::Standing;

use super::plain::{post, request, stream};
use super::world::{Client, World, close_frame, members_only, token};
use crate::recall::REFUSALS_KEPT_MAX;
use crate::{By, Cause, Command, Recalled, Reply};

/// What is kept of a refusal, asked of every puddle.
pub(super) fn recalled(world: &mut World, id: &str) -> Option<Recalled> {
    let id = RefusalId(u64::from_str_radix(id, 16).expect("hexadecimal"));
    let replies = world.order(&Command::Recall(id));
    let mut found = replies.into_iter().filter_map(|reply| {
        let Reply::Recalled(recalled) = reply else {
            panic!("{reply:?} is no reply to that");
        };
        recalled
    });
    let first = found.next().map(|recalled| *recalled);
    assert_eq!(found.next(), None, "one puddle refused it");
    first
}

/// The id in JSON.
pub(super) fn id_in(told: &str) -> String {
    let (_, rest) = told.split_once(r#""refusal_id":""#).expect("an id");
    rest[..16].to_owned()
}

/// The id at the end of a close frame's reason.
fn id_closed(world: &mut World, client: Client) -> String {
    let (_, reason) = close_frame(&world.take(client));
    let (_, id) = reason.rsplit_once("; ").expect("an id");
    id.to_owned()
}

#[test]
fn a_refused_upgrade_an_event_and_a_close_frame_are_all_recalled() {
    let mut world = World::new(2);
    let user = world.session(1);
    world.room("private", members_only());
    let bearer = format!("Authorization: Bearer {}", token(1));

    let plain = world.upgrade(0, "/private", &[&bearer]);
    let told = world.take_text(plain);
    let refused = recalled(&mut world, &id_in(&told)).expect("it is kept");
    assert_eq!(refused.cause, Cause::Refused(Refused::MembersOnly));
    assert_eq!(refused.room, Some("private".parse().expect("a name")));
    assert_eq!(
        (refused.user, refused.sight.standing),
        (Some(user), Some(Standing::User))
    );

    let page = world.upgrade(1, "/private", &[&bearer, "Origin: https://app.example"]);
    let id = id_closed(&mut world, page);
    let refused = recalled(&mut world, &id).expect("it is kept");
    assert_eq!(refused.sight.origin.as_deref(), Some("https://app.example"));

    let lobby = world.lobby(1);
    world.line(lobby, r#"{"op":"join","room":"private","id":1}"#);
    let told = world.take_text(lobby);
    let refused = recalled(&mut world, &id_in(&told)).expect("it is kept");
    assert_eq!(refused.cause, Cause::Refused(Refused::UserRequired));
    assert_eq!(refused.sight.standing, Some(Standing::Anonymous));
}

#[test]
fn who_is_put_out_is_told_an_id_and_so_is_who_may_not_do_something_inside() {
    let mut world = World::new(1);
    let listen = RoomRules {
        capabilities: Capabilities {
            anonymous: Acts::LISTEN,
            ..Capabilities::open()
        },
        ..RoomRules::default()
    };
    world.room("news", listen);
    let lobby = world.joined(0, &["news"]);
    world.line(lobby, "{\"op\":\"send\",\"room\":\"news\",\"id\":2}\nhi");
    let told = world.take_text(lobby);
    let refused = recalled(&mut world, &id_in(&told)).expect("it is kept");
    assert_eq!(refused.cause, Cause::Refused(Refused::SendRefused));
    assert!(refused.found().contains("not signed in"));

    let raw = world.raw(0, "news");
    world.rule("news", members_only());
    let id = id_closed(&mut world, raw);
    let refused = recalled(&mut world, &id).expect("it is kept");
    assert_eq!(refused.cause, Cause::Refused(Refused::UserRequired));
    let told = world.take_text(lobby);
    assert!(told.contains(r#""op":"closed""#), "{told}");
    let refused = recalled(&mut world, &id_in(&told)).expect("it is kept");
    assert_eq!(refused.room, Some("news".parse().expect("a name")));
}

#[test]
fn what_is_refused_over_plain_http_is_recalled() {
    let mut world = World::new(1);
    world.room("private", members_only());
    let told = post(&mut world, 0, "/private", &[], "hello");
    let refused = recalled(&mut world, &id_in(&told)).expect("it is kept");
    assert_eq!(refused.cause, Cause::Refused(Refused::UserRequired));
    assert_eq!(refused.room, Some("private".parse().expect("a name")));

    let events = ["Accept: text/event-stream"];
    let client = request(&mut world, 0, "GET /private", &events, b"");
    let told = world.take_text(client);
    let refused = recalled(&mut world, &id_in(&told)).expect("it is kept");
    assert_eq!(refused.cause, Cause::Refused(Refused::UserRequired));

    world.room("news", RoomRules::default());
    let reader = stream(&mut world, 0, "/news", &[]);
    world.rule("news", members_only());
    let told = world.take_text(reader);
    assert!(told.starts_with("event: closed"), "{told}");
    let refused = recalled(&mut world, &id_in(&told)).expect("it is kept");
    assert_eq!(refused.room, Some("news".parse().expect("a name")));
}

#[test]
fn a_request_that_cannot_be_read_is_recalled_without_what_it_held() {
    let mut world = World::new(1);
    let secret = token(1);
    for (line, headers, rule) in [
        ("GET /lobby", vec![], "http.upgrade"),
        (
            "POST /lobby?token=x",
            vec!["Content-Length: 0"],
            "credential.in_url",
        ),
    ] {
        let bearer = format!("Authorization: Bearer {secret}");
        let headers = [headers, vec![&bearer]].concat();
        let client = request(&mut world, 0, line, &headers, b"");
        let told = world.take_text(client);
        let refused = recalled(&mut world, &id_in(&told)).expect("it is kept");
        assert_eq!((refused.cause.rule(), refused.cause.code()), (rule, None));
        let kept = format!("{refused:?} {}", refused.found());
        assert!(!kept.contains(&secret) && kept.contains(rule), "{kept}");
    }
    let page = [
        "Origin: https://app.example",
        "Sec-WebSocket-Protocol: porthouse.plain",
    ];
    let client = world.upgrade(0, "/lobby?token=x", &page);
    let id = id_closed(&mut world, client);
    let refused = recalled(&mut world, &id).expect("it is kept");
    assert_eq!(refused.cause.rule(), "credential.in_url");
}

#[test]
fn a_device_is_recalled_by_its_token_and_a_user_by_a_session() {
    let mut world = World::new(1);
    world.room("lobby", RoomRules::default());
    let user = world.session(1);
    world.device(9, 1, Acts::LISTEN, &["lobby"]);
    let device = world.device_lobby(9);
    world.take(device);
    world.line(device, "{\"op\":\"send\",\"room\":\"lobby\",\"id\":2}\nhi");
    let told = world.take_text(device);
    let refused = recalled(&mut world, &id_in(&told)).expect("it is kept");
    assert_eq!(refused.cause, Cause::Refused(Refused::SendRefused));
    let token = SessionId::from_bytes([9; 16]);
    assert_eq!(
        (refused.user, refused.by),
        (Some(user), Some(By::DeviceToken(token)))
    );
    assert!(
        refused.found().contains("a device, by its token"),
        "{}",
        refused.found()
    );

    let lobby = world.lobby_of(0, 1);
    world.room("private", members_only());
    world.line(lobby, r#"{"op":"join","room":"private","id":1}"#);
    let told = world.take_text(lobby);
    let refused = recalled(&mut world, &id_in(&told)).expect("it is kept");
    assert!(
        matches!(refused.by, Some(By::Session(_))),
        "{:?}",
        refused.by
    );
}

#[test]
fn a_refusal_is_forgotten_after_enough_others_and_one_that_never_was_is_not_found() {
    let mut world = World::new(1);
    world.room("private", members_only());
    let mut ids = Vec::new();
    for _ in 0..=REFUSALS_KEPT_MAX {
        let client = world.upgrade(0, "/private", &[]);
        let told = world.take_text(client);
        ids.push(id_in(&told));
    }
    assert_eq!(recalled(&mut world, &ids[0]), None);
    assert!(recalled(&mut world, &ids[1]).is_some());
    assert!(recalled(&mut world, &ids[REFUSALS_KEPT_MAX]).is_some());
    assert_eq!(recalled(&mut world, "0000000000000000"), None);
    assert_ne!(ids[1], ids[2]);
}
