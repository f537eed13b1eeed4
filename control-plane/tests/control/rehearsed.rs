//! Calls that put sockets out or ask them again can be rehearsed: everything is
//! checked, nothing is written, and where there is no node nobody would leave.

use porthouse_api::control::v1 as wire;
use tonic::Code;

use crate::world::World;

/// Whether this is the answer to a rehearsal, where no node is.
fn rehearsed((revision, impact): (i64, Option<wire::Impact>)) {
    assert_eq!((revision, impact), (0, Some(wire::Impact::default())));
}

#[tokio::test]
async fn what_a_rooms_door_asks_is_rehearsed_and_not_written() {
    let world = World::start().await;
    world.room("lobby").await;
    let admin = world.admin();
    let create = wire::CreateRoomTemplateRequest {
        room_template_id: "chat:*".into(),
        ..Default::default()
    };
    let made = admin.room_templates().create_room_template(create).await;
    made.expect("new");

    let mut set = wire::SetRoomPasswordRequest {
        name: "rooms/lobby".into(),
        password: "open sesame".into(),
        validate_only: true,
        ..Default::default()
    };
    let answer = admin.rooms().set_room_password(set.clone()).await;
    let answer = answer.expect("valid").into_inner();
    rehearsed((answer.revision, answer.impact));
    set.password = "short".into();
    let refused = admin.rooms().set_room_password(set).await;
    assert_eq!(refused.expect_err("short").code(), Code::InvalidArgument);
    let set = wire::SetRoomTemplatePasswordRequest {
        name: "roomTemplates/chat:*".into(),
        password: "open sesame".into(),
        validate_only: true,
        ..Default::default()
    };
    let answer = admin.room_templates().set_room_template_password(set).await;
    let answer = answer.expect("valid").into_inner();
    rehearsed((answer.revision, answer.impact));

    for room in ["rooms/lobby", "roomTemplates/chat:*"] {
        let code = wire::SetRoomCodeRequest {
            room: room.into(),
            validate_only: true,
            ..Default::default()
        };
        let answer = admin.doors().set_room_code(code).await;
        let answer = answer.expect("valid").into_inner();
        rehearsed((answer.revision, answer.impact));
        assert!(answer.door.expect("as it would stand").code_set);
        assert_eq!((answer.secret, answer.otpauth_uri), Default::default());
        assert!(answer.qr_png.is_empty(), "nothing opens by it");
        let hook = wire::SetRoomHookRequest {
            room: room.into(),
            url: "https://example.com".into(),
            validate_only: true,
            ..Default::default()
        };
        let answer = admin.doors().set_room_hook(hook).await;
        let answer = answer.expect("valid").into_inner();
        rehearsed((answer.revision, answer.impact));
        let get = wire::GetRoomDoorRequest { room: room.into() };
        let door = admin.doors().get_room_door(get).await.expect("there");
        let door = door.into_inner().door.expect("a door");
        assert_eq!((door.code_set, door.hook_url.as_str()), (false, ""));
    }
    let get = wire::GetRoomRequest {
        name: "rooms/lobby".into(),
    };
    let room = admin.rooms().get_room(get).await.expect("there");
    let rules = room.into_inner().room.expect("a room").rules;
    let entry = rules.expect("rules").entry.expect("all groups");
    assert!(!entry.password_required && entry.steps.is_empty());
}

#[tokio::test]
async fn who_would_be_put_out_is_rehearsed_and_nothing_is_gone() {
    let world = World::start().await;
    world.user("sana", "").await;
    world.room("lobby").await;
    let admin = world.admin();
    let create = wire::CreateMemberRequest {
        parent: "rooms/lobby".into(),
        user_id: "sana".into(),
        ..Default::default()
    };
    admin.members().create_member(create).await.expect("new");
    let create = wire::CreateRoomTemplateRequest {
        room_template_id: "chat:*".into(),
        ..Default::default()
    };
    let made = admin.room_templates().create_room_template(create).await;
    made.expect("new");

    let block = wire::CreateBlockRequest {
        parent: "rooms/lobby".into(),
        block: Some(wire::Block {
            subject: Some(wire::block::Subject::User("users/sana".into())),
            ..Default::default()
        }),
        validate_only: true,
    };
    // Twice: it has written none.
    for _ in 0..2 {
        let answer = admin.blocks().create_block(block.clone()).await;
        let answer = answer.expect("valid").into_inner();
        rehearsed((answer.revision, answer.impact));
        let delete = wire::DeleteMemberRequest {
            name: "rooms/lobby/members/sana".into(),
            validate_only: true,
        };
        let answer = admin.members().delete_member(delete).await;
        let answer = answer.expect("valid").into_inner();
        rehearsed((answer.revision, answer.impact));
        let delete = wire::DeleteRoomRequest {
            name: "rooms/lobby".into(),
            validate_only: true,
            ..Default::default()
        };
        let answer = admin.rooms().delete_room(delete).await;
        let answer = answer.expect("valid").into_inner();
        rehearsed((answer.revision, answer.impact));
        let delete = wire::DeleteRoomTemplateRequest {
            name: "roomTemplates/chat:*".into(),
            validate_only: true,
            ..Default::default()
        };
        let answer = admin.room_templates().delete_room_template(delete).await;
        let answer = answer.expect("valid").into_inner();
        rehearsed((answer.revision, answer.impact));
    }
    let absent = wire::DeleteRoomRequest {
        name: "rooms/nowhere".into(),
        validate_only: true,
        ..Default::default()
    };
    let refused = admin.rooms().delete_room(absent).await;
    assert_eq!(refused.expect_err("absent").code(), Code::NotFound);
}
