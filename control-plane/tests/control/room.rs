//! Rooms over gRPC: rules, passwords, names. Opens no socket.

use porthouse_api::control::v1 as wire;
use tonic::Code;

use crate::world::{World, field, mask, reason};

fn update(room: wire::Room, paths: &[&str]) -> wire::UpdateRoomRequest {
    wire::UpdateRoomRequest {
        room: Some(room),
        update_mask: Some(mask(paths)),
        validate_only: false,
    }
}

fn bytes_max(bytes: u32) -> wire::Room {
    let messages = wire::MessageRules {
        bytes_max: Some(bytes),
        ..Default::default()
    };
    wire::Room {
        name: "rooms/lobby".into(),
        rules: Some(wire::RoomRules {
            messages: Some(messages),
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_room_has_every_rule_with_its_default() {
    let world = World::start().await;
    let room = world.room("lobby").await.room.expect("a room");
    assert_eq!(room.visibility(), wire::Visibility::Public);
    let rules = room.rules.expect("rules");
    let messages = rules.messages.expect("messages");
    assert_eq!(
        (messages.text, messages.binary, messages.bytes_max),
        (Some(true), Some(true), Some(65_536))
    );
    let broadcast = rules.broadcast.expect("broadcast");
    assert_eq!(
        (broadcast.echo, broadcast.receivers_named),
        (Some(false), Some(true))
    );
    let staleness = rules.staleness.expect("staleness");
    assert_eq!(staleness.admit_max.expect("a limit").seconds, 900);
    assert_eq!(staleness.deliver_max, None);
    assert_eq!(rules.entry, Some(wire::EntryRules::default()));
    let format = messages.format.and_then(|format| format.kind);
    assert_eq!(
        format,
        Some(wire::message_format::Kind::Any(wire::AnyFormat {}))
    );
    let capabilities = rules.capabilities.expect("capabilities");
    assert_eq!(capabilities.preset(), wire::Preset::Open);
    let anonymous = capabilities.anonymous.expect("a line");
    assert_eq!(anonymous.acts.len(), 5);
    let delivery = rules.delivery.expect("delivery");
    assert_eq!(
        (delivery.order(), delivery.slow_consumer()),
        (wire::Order::Live, wire::SlowConsumer::Close)
    );
    let history = rules.history.expect("history");
    assert_eq!((history.durable, history.waiting), (Some(false), None));
    let presence = rules.presence.expect("presence");
    assert_eq!(presence.shown(), wire::Shown::Off);
    assert_eq!(presence.grace.expect("a span").seconds, 5);
}

#[tokio::test]
async fn an_update_changes_what_its_mask_names_and_nothing_else() {
    let world = World::start().await;
    world.room("lobby").await;
    let mut rooms = world.admin().rooms();
    let mut room = bytes_max(10);
    room.visibility = wire::Visibility::Private.into();
    let request = update(room, &["rules.messages.bytes_max"]);
    let new = rooms
        .update_room(request)
        .await
        .expect("there")
        .into_inner()
        .room
        .expect("a room");
    assert_eq!(new.visibility(), wire::Visibility::Public);
    let messages = new.rules.expect("rules").messages.expect("messages");
    assert_eq!((messages.text, messages.bytes_max), (Some(true), Some(10)));
}

#[tokio::test]
async fn a_change_to_what_is_there_answers_the_present_revision() {
    let world = World::start().await;
    let made = world.room("lobby").await;
    let mut rooms = world.admin().rooms();
    let mut send = async |bytes| {
        let request = update(bytes_max(bytes), &["rules.messages"]);
        rooms
            .update_room(request)
            .await
            .expect("there")
            .into_inner()
    };
    let same = send(65_536).await;
    assert_eq!(same.revision, made.revision);
    assert_eq!(
        same.room.expect("a room").etag,
        made.room.expect("a room").etag
    );
    assert_eq!(send(65_537).await.revision, made.revision + 1);
}

#[tokio::test]
async fn rules_nobody_could_satisfy_are_refused_with_their_field() {
    let world = World::start().await;
    world.room("lobby").await;
    let mut rooms = world.admin().rooms();
    let cases = [
        (
            update(bytes_max(0), &["rules"]),
            "room.rules.messages.bytes_max",
        ),
        (
            update(bytes_max(1 << 25), &["rules"]),
            "room.rules.messages.bytes_max",
        ),
        (
            update(
                wire::Room {
                    visibility: 9,
                    ..bytes_max(1)
                },
                &["visibility"],
            ),
            "room.visibility",
        ),
        (
            update(
                wire::Room {
                    owner: "users/nobody".into(),
                    ..bytes_max(1)
                },
                &["owner"],
            ),
            "room.owner",
        ),
        (
            update(bytes_max(1), &["rules.entry.password_required"]),
            "update_mask",
        ),
        (update(bytes_max(1), &[]), "update_mask"),
    ];
    for (request, named) in cases {
        let status = rooms.update_room(request).await.expect_err(named);
        assert_eq!(
            (status.code(), field(&status).as_str()),
            (Code::InvalidArgument, named)
        );
    }
    for (text, binary, fits) in [(false, true, true), (false, false, false)] {
        let mut room = bytes_max(1);
        room.rules = Some(wire::RoomRules {
            messages: Some(wire::MessageRules {
                text: Some(text),
                binary: Some(binary),
                ..Default::default()
            }),
            ..Default::default()
        });
        assert_eq!(
            rooms.update_room(update(room, &["rules"])).await.is_ok(),
            fits
        );
    }
}

#[tokio::test]
async fn a_rooms_password_is_set_replaced_and_cleared_by_revisions() {
    let world = World::start().await;
    let made = world.room("lobby").await;
    let mut rooms = world.admin().rooms();
    let name = || "rooms/lobby".to_owned();
    let set = |password: &str| wire::SetRoomPasswordRequest {
        name: name(),
        password: password.into(),
        etag: String::new(),
        ..Default::default()
    };
    let clear = || wire::ClearRoomPasswordRequest {
        name: name(),
        etag: String::new(),
    };
    let required = |room: Option<wire::Room>| {
        room.and_then(|room| room.rules?.entry)
            .expect("entry")
            .password_required
    };
    let first = rooms
        .set_room_password(set("open sesame"))
        .await
        .expect("there")
        .into_inner();
    assert!(required(first.room));
    let second = rooms
        .set_room_password(set("open sesame"))
        .await
        .expect("there")
        .into_inner();
    let cleared = rooms
        .clear_room_password(clear())
        .await
        .expect("there")
        .into_inner();
    assert!(!required(cleared.room));
    let again = rooms
        .clear_room_password(clear())
        .await
        .expect("there")
        .into_inner();
    let revisions = [
        first.revision,
        second.revision,
        cleared.revision,
        again.revision,
    ];
    assert_eq!(
        revisions.map(|revision| revision - made.revision),
        [1, 2, 3, 3]
    );
    let status = rooms
        .set_room_password(set("short"))
        .await
        .expect_err("too short");
    assert_eq!(field(&status), "password");
}

#[tokio::test]
async fn names_out_of_grammar_never_reach_the_database() {
    let world = World::start().await;
    let mut rooms = world.admin().rooms();
    for room_id in [
        "",
        "..",
        "a/b",
        "%2f",
        "a..b",
        "*",
        ">",
        "a b",
        "é",
        "\u{202e}",
        &"r".repeat(10_240),
    ] {
        let request = wire::CreateRoomRequest {
            room_id: room_id.into(),
            ..Default::default()
        };
        let status = rooms.create_room(request).await.expect_err("no name");
        assert_eq!(
            (status.code(), field(&status).as_str()),
            (Code::InvalidArgument, "room_id")
        );
        let get = wire::GetRoomRequest {
            name: format!("rooms/{room_id}"),
        };
        let status = rooms.get_room(get).await.expect_err("no name");
        assert_eq!(
            (status.code(), field(&status).as_str()),
            (Code::InvalidArgument, "name")
        );
    }
    for prefix in ["a\0", "'; --\n"] {
        let list = wire::ListRoomsRequest {
            room_id_prefix: prefix.into(),
            ..Default::default()
        };
        let status = rooms.list_rooms(list).await.expect_err("no prefix");
        assert_eq!(field(&status), "room_id_prefix");
    }
    let list = wire::ListRoomsRequest {
        room_id_prefix: "%_'".into(),
        ..Default::default()
    };
    assert!(
        rooms
            .list_rooms(list)
            .await
            .expect("a page")
            .into_inner()
            .rooms
            .is_empty()
    );
}

#[tokio::test]
async fn a_room_made_again_is_another_one_and_its_owners_end_leaves_it() {
    let world = World::start().await;
    world.user("sana", "").await;
    let (mut rooms, mut users) = (world.admin().rooms(), world.admin().users());
    let create = || wire::CreateRoomRequest {
        room_id: "lobby".into(),
        room: Some(wire::Room {
            owner: "users/Sana".into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let old = rooms
        .create_room(create())
        .await
        .expect("new")
        .into_inner()
        .room
        .expect("a room");
    assert_eq!(old.owner, "users/sana");
    let status = rooms.create_room(create()).await.expect_err("taken");
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::AlreadyExists, "ALREADY_EXISTS")
    );
    let delete = wire::DeleteRoomRequest {
        name: old.name.clone(),
        etag: old.etag.clone(),
        ..Default::default()
    };
    rooms.delete_room(delete.clone()).await.expect("there");
    assert_eq!(
        rooms.delete_room(delete).await.expect_err("gone").code(),
        Code::NotFound
    );
    let new = rooms
        .create_room(create())
        .await
        .expect("new")
        .into_inner()
        .room
        .expect("a room");
    assert_ne!(new.uid, old.uid);

    let delete = wire::DeleteUserRequest {
        name: "users/sana".into(),
        ..Default::default()
    };
    users.delete_user(delete).await.expect("there");
    let get = wire::GetRoomRequest {
        name: "rooms/lobby".into(),
    };
    let left = rooms
        .get_room(get)
        .await
        .expect("there")
        .into_inner()
        .room
        .expect("a room");
    assert_eq!(left.owner, "");
}
