//! The rules of rooms over gRPC: kept whole, changed by field, refused by path.
//! Opens no socket.

use porthouse_api::control::v1 as wire;
use tonic::Code;
use wire::entry_step::Kind;

use crate::world::{World, field, mask};

fn with(rules: wire::RoomRules) -> wire::Room {
    wire::Room {
        name: "rooms/lobby".into(),
        rules: Some(rules),
        ..Default::default()
    }
}

fn entry(kinds: &[Kind]) -> wire::RoomRules {
    let step = |kind: &Kind| wire::EntryStep { kind: Some(*kind) };
    let steps = kinds.iter().map(step).collect();
    wire::RoomRules {
        entry: Some(wire::EntryRules {
            steps,
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn allowed(users: &[&str]) -> wire::RoomRules {
    wire::RoomRules {
        connection: Some(wire::ConnectionRules {
            users_allowed: users.iter().map(|&user| user.to_owned()).collect(),
            roles_denied: vec!["guest".into()],
            ..Default::default()
        }),
        ..Default::default()
    }
}

async fn update(
    world: &World,
    room: wire::Room,
    paths: &[&str],
) -> Result<wire::UpdateRoomResponse, tonic::Status> {
    let request = wire::UpdateRoomRequest {
        room: Some(room),
        update_mask: Some(mask(paths)),
        validate_only: false,
    };
    let answer = world.admin().rooms().update_room(request).await?;
    Ok(answer.into_inner())
}

async fn rules(world: &World) -> wire::RoomRules {
    let request = wire::GetRoomRequest {
        name: "rooms/lobby".into(),
    };
    let got = world.admin().rooms().get_room(request).await;
    let room = got.expect("there").into_inner().room.expect("a room");
    room.rules.expect("rules")
}

#[tokio::test]
async fn what_a_room_answers_can_be_written_back_and_changes_nothing() {
    let world = World::start().await;
    world.room("lobby").await;
    let custom = wire::RoomRules {
        capabilities: Some(wire::CapabilityRules {
            preset: wire::Preset::AnnounceOnly.into(),
            user: Some(wire::Acts {
                acts: vec![wire::Act::See.into(), wire::Act::Join.into()],
            }),
            ..Default::default()
        }),
        history: Some(wire::HistoryRules {
            keep: Some(wire::history_rules::Keep::Latest(wire::KeepLatest {})),
            ..Default::default()
        }),
        ..Default::default()
    };
    let written = update(&world, with(custom), &["rules"])
        .await
        .expect("kept");
    let answered = rules(&world).await;
    let capabilities = answered.capabilities.clone().expect("capabilities");
    assert_eq!(capabilities.preset(), wire::Preset::Custom);
    assert_eq!(capabilities.roles[0].role, "moderator");

    let again = update(&world, with(answered.clone()), &["rules"])
        .await
        .expect("kept");
    assert_eq!(again.revision, written.revision);
    assert_eq!(rules(&world).await, answered);
}

#[tokio::test]
async fn a_mask_names_a_field_of_any_group() {
    let world = World::start().await;
    world.user("sana", "").await;
    world.room("lobby").await;
    let given = || with(allowed(&["users/Sana"]));
    update(&world, given(), &["rules.connection.roles_denied"])
        .await
        .expect("kept");
    let connection = rules(&world).await.connection.expect("connection");
    assert_eq!(connection.roles_denied, ["guest"]);
    assert!(connection.users_allowed.is_empty());

    update(&world, given(), &["rules.connection"])
        .await
        .expect("kept");
    let connection = rules(&world).await.connection.expect("connection");
    assert_eq!(connection.users_allowed, ["users/sana"]);

    for path in [
        "rules.connection.",
        "rules.conn",
        "rules.entry.password_required",
    ] {
        let status = update(&world, given(), &[path]).await.expect_err(path);
        assert_eq!(
            (status.code(), field(&status).as_str()),
            (Code::InvalidArgument, "update_mask")
        );
    }
}

#[tokio::test]
async fn a_deleted_user_leaves_its_place_in_a_list_to_nobody() {
    let world = World::start().await;
    world.user("sana", "").await;
    world.room("lobby").await;
    let paths = ["rules.connection.users_allowed"];
    update(&world, with(allowed(&["users/sana"])), &paths)
        .await
        .expect("kept");
    let delete = wire::DeleteUserRequest {
        name: "users/sana".into(),
        ..Default::default()
    };
    let mut users = world.admin().users();
    users.delete_user(delete).await.expect("there");
    world.user("sana", "").await;

    let answered = rules(&world).await;
    let listed = answered
        .connection
        .clone()
        .expect("connection")
        .users_allowed;
    assert!(listed[0].starts_with("deletedUsers/"), "{listed:?}");
    update(&world, with(answered.clone()), &["rules"])
        .await
        .expect("as it was");
    assert_eq!(rules(&world).await, answered);
}

#[tokio::test]
async fn rules_that_cannot_be_kept_are_refused_by_their_full_path() {
    let world = World::start().await;
    world.room("lobby").await;
    let rule = |bytes_max| wire::RoomRules {
        messages: Some(wire::MessageRules {
            bytes_max: Some(bytes_max),
            ..Default::default()
        }),
        ..Default::default()
    };
    let cases = [
        (rule(0), "room.rules.messages.bytes_max"),
        (
            allowed(&["users/nobody"]),
            "room.rules.connection.users_allowed[0]",
        ),
        (
            entry(&[
                Kind::Approval(wire::ApprovalStep {}),
                Kind::Password(wire::PasswordStep {}),
            ]),
            "room.rules.entry.steps[1]",
        ),
        (
            entry(&[Kind::RoomCode(wire::RoomCodeStep {})]),
            "room.rules.entry.steps[0]",
        ),
        (
            entry(&[Kind::Hook(wire::HookStep {})]),
            "room.rules.entry.steps[0]",
        ),
    ];
    for (rules, path) in cases {
        let create = wire::CreateRoomRequest {
            room_id: "hall".into(),
            room: Some(with(rules.clone())),
            validate_only: true,
            ..Default::default()
        };
        let status = world.admin().rooms().create_room(create).await;
        assert_eq!(field(&status.expect_err(path)), path);
        let status = update(&world, with(rules), &["rules"]).await;
        let status = status.expect_err(path);
        assert_eq!(
            (status.code(), field(&status).as_str()),
            (Code::InvalidArgument, path)
        );
    }
}

#[tokio::test]
async fn rules_are_checked_and_not_written_when_that_is_asked() {
    let world = World::start().await;
    let made = world.room("lobby").await;
    let request = wire::UpdateRoomRequest {
        room: Some(with(allowed(&[]))),
        update_mask: Some(mask(&["rules"])),
        validate_only: true,
    };
    let answer = world.admin().rooms().update_room(request).await;
    let answer = answer.expect("valid").into_inner();
    let connection = answer.room.and_then(|room| room.rules?.connection);
    assert_eq!(connection.expect("connection").roles_denied, ["guest"]);
    assert_eq!(answer.revision, 0);
    assert_eq!(Some(rules(&world).await), made.room.expect("a room").rules);
}

#[tokio::test]
async fn the_owner_chooses_when_the_password_is_asked_for() {
    let world = World::start().await;
    world.room("lobby").await;
    let approval = Kind::Approval(wire::ApprovalStep {});
    let password = Kind::Password(wire::PasswordStep {});
    update(&world, with(entry(&[approval])), &["rules.entry"])
        .await
        .expect("kept");
    let set = wire::SetRoomPasswordRequest {
        name: "rooms/lobby".into(),
        password: "open sesame".into(),
        etag: String::new(),
        ..Default::default()
    };
    let mut rooms = world.admin().rooms();
    rooms.set_room_password(set).await.expect("set");
    let asked = async || {
        let entry = rules(&world).await.entry.expect("entry");
        let steps = entry
            .steps
            .into_iter()
            .map(|step| step.kind.expect("a step"));
        (entry.password_required, steps.collect::<Vec<_>>())
    };
    let first = (true, vec![password, approval]);
    assert_eq!(asked().await, first);

    let last = [approval, password];
    update(&world, with(entry(&last)), &["rules.entry.steps"])
        .await
        .expect("kept");
    assert_eq!(asked().await, (true, last.to_vec()));

    let clear = wire::ClearRoomPasswordRequest {
        name: "rooms/lobby".into(),
        etag: String::new(),
    };
    rooms.clear_room_password(clear).await.expect("cleared");
    assert_eq!(asked().await, (false, vec![approval]));
}

#[tokio::test]
async fn rules_have_a_greatest_size() {
    let world = World::start().await;
    world.room("lobby").await;
    let schema = format!(r#"{{"title":"{}"}}"#, "x".repeat(70_000));
    let rules = wire::RoomRules {
        messages: Some(wire::MessageRules {
            format: Some(wire::MessageFormat {
                kind: Some(wire::message_format::Kind::JsonSchema(schema)),
            }),
            ..Default::default()
        }),
        ..Default::default()
    };
    let status = update(&world, with(rules), &["rules"]).await;
    let status = status.expect_err("too large");
    assert_eq!(
        (status.code(), field(&status)),
        (
            Code::InvalidArgument,
            "room.rules.messages.format".to_owned()
        )
    );
}

#[tokio::test]
async fn what_is_in_a_nodes_memory_alone_is_not_promised_to_survive_it() {
    let world = World::start().await;
    world.room("lobby").await;
    let durable = |keep| {
        with(wire::RoomRules {
            history: Some(wire::HistoryRules {
                keep,
                durable: Some(true),
                waiting: Some(wire::Waiting {
                    messages_max: 10,
                    age_max: Some(prost_types::Duration {
                        seconds: 60,
                        nanos: 0,
                    }),
                }),
                ..Default::default()
            }),
            ..Default::default()
        })
    };
    let refused = update(&world, durable(None), &["rules"]).await;
    let refused = refused.expect_err("nothing that is kept survives");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(field(&refused).ends_with("history.durable"), "{refused}");
    let latest = wire::history_rules::Keep::Latest(wire::KeepLatest {});
    update(&world, durable(Some(latest)), &["rules"])
        .await
        .expect("the latest message does");
    let none = with(wire::RoomRules::default());
    let refused = update(&world, none, &["rules.history.none"]).await;
    assert!(refused.is_err(), "not by one field either");
}
