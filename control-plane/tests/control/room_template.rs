//! Templates of rooms: made, changed and deleted by revisions. Opens no socket.

use porthouse_api::control::v1 as wire;
use tonic::Code;
use wire::entry_step::Kind;

use crate::world::{World, field, mask};

fn create(prefix: &str, rules: wire::RoomRules) -> wire::CreateRoomTemplateRequest {
    wire::CreateRoomTemplateRequest {
        room_template_id: prefix.into(),
        room_template: Some(wire::RoomTemplate {
            rules: Some(rules),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn update(prefix: &str, rules: wire::RoomRules, etag: &str) -> wire::UpdateRoomTemplateRequest {
    wire::UpdateRoomTemplateRequest {
        room_template: Some(wire::RoomTemplate {
            name: format!("roomTemplates/{prefix}"),
            rules: Some(rules),
            etag: etag.into(),
            ..Default::default()
        }),
        update_mask: Some(mask(&["rules.messages.bytes_max"])),
        validate_only: false,
    }
}

fn bytes_max(bytes_max: u32) -> wire::RoomRules {
    wire::RoomRules {
        messages: Some(wire::MessageRules {
            bytes_max: Some(bytes_max),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn asking(kinds: &[Kind]) -> wire::RoomRules {
    let step = |kind: &Kind| wire::EntryStep { kind: Some(*kind) };
    wire::RoomRules {
        entry: Some(wire::EntryRules {
            steps: kinds.iter().map(step).collect(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_template_is_made_changed_and_deleted_by_revisions() {
    let world = World::start().await;
    let before = world.room("lobby").await.revision;
    let mut templates = world.admin().room_templates();
    let rehearsal = wire::CreateRoomTemplateRequest {
        validate_only: true,
        ..create("chat:*", bytes_max(10))
    };
    let rehearsed = templates.create_room_template(rehearsal).await;
    assert_eq!(rehearsed.expect("valid").into_inner().revision, 0);
    let made = templates
        .create_room_template(create("chat:*", bytes_max(10)))
        .await
        .expect("new")
        .into_inner();
    let template = made.room_template.expect("a template");
    assert_eq!(template.name, "roomTemplates/chat:*");
    let rules = template.rules.expect("rules");
    assert_eq!(rules.messages.expect("all groups").bytes_max, Some(10));
    let taken = templates.create_room_template(create("chat:*", bytes_max(10)));
    assert_eq!(taken.await.expect_err("taken").code(), Code::AlreadyExists);

    let changed = templates
        .update_room_template(update("chat:*", bytes_max(20), &template.etag))
        .await
        .expect("there")
        .into_inner();
    let same = templates.update_room_template(update("chat:*", bytes_max(20), ""));
    let same = same.await.expect("there").into_inner();
    let stale = templates.update_room_template(update("chat:*", bytes_max(30), &template.etag));
    assert_eq!(stale.await.expect_err("stale").code(), Code::Aborted);
    let get = wire::GetRoomTemplateRequest {
        name: "roomTemplates/chat:*".into(),
    };
    let found = templates.get_room_template(get.clone()).await;
    let found = found.expect("there").into_inner().room_template;
    assert_eq!(found, changed.room_template);

    let delete = wire::DeleteRoomTemplateRequest {
        name: "roomTemplates/chat:*".into(),
        etag: found.expect("a template").etag,
        ..Default::default()
    };
    let gone = templates.delete_room_template(delete).await.expect("there");
    let revisions = [
        made.revision,
        changed.revision,
        same.revision,
        gone.into_inner().revision,
    ];
    assert_eq!(revisions.map(|revision| revision - before), [1, 2, 2, 3]);
    let status = templates.get_room_template(get).await.expect_err("gone");
    assert_eq!(
        (status.code(), status.message()),
        (Code::NotFound, "there is no roomTemplates/chat:*")
    );
}

#[tokio::test]
async fn a_prefix_that_is_none_and_a_freeports_are_refused() {
    let world = World::start().await;
    let mut templates = world.admin().room_templates();
    for prefix in ["", "*", "chat:", "a*b*", "@a*", "@*", "-a*"] {
        let made = templates.create_room_template(create(prefix, bytes_max(1)));
        let status = made.await.expect_err(prefix);
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(field(&status), "room_template_id", "{prefix}");
    }
}

#[tokio::test]
async fn roles_are_refused_where_nobody_is_a_member() {
    let world = World::start().await;
    let mut templates = world.admin().room_templates();
    let roles = wire::RoomRules {
        connection: Some(wire::ConnectionRules {
            roles_allowed: vec!["speaker".into()],
            ..Default::default()
        }),
        ..Default::default()
    };
    let made = templates
        .create_room_template(create("chat:*", roles))
        .await;
    let status = made.expect_err("a role");
    let wrong = "room_template.rules.connection.roles_allowed";
    assert_eq!(field(&status), wrong);
    assert!(status.message().contains("no members"), "{status}");
}

#[tokio::test]
async fn a_step_is_named_once_its_secret_is_set() {
    let world = World::start().await;
    let mut templates = world.admin().room_templates();
    let password = Kind::Password(wire::PasswordStep {});
    let approval = Kind::Approval(wire::ApprovalStep {});
    for kind in [
        password,
        Kind::RoomCode(wire::RoomCodeStep {}),
        Kind::Hook(wire::HookStep {}),
    ] {
        let steps = asking(&[approval, kind]);
        let made = templates
            .create_room_template(create("chat:*", steps))
            .await;
        let status = made.expect_err("no secret");
        assert_eq!(field(&status), "room_template.rules.entry.steps[1]");
        assert!(status.message().contains("first set"), "{status}");
    }
    let with_password = wire::CreateRoomTemplateRequest {
        password: "open sesame".into(),
        ..create("chat:*", asking(&[approval, password]))
    };
    let made = templates.create_room_template(with_password).await;
    let made = made.expect("it has a password").into_inner();
    let shown = made.room_template.expect("a template").rules;
    let entry = shown.expect("rules").entry.expect("entry");
    assert!(entry.password_required);
    assert_eq!(
        entry.steps,
        asking(&[approval, password]).entry.expect("entry").steps
    );
}

#[tokio::test]
async fn a_templates_door_is_set_by_revisions() {
    let world = World::start().await;
    door_set(&world).await;
}

/// Sets all that a template's rooms can ask; answers the revision of the last.
async fn door_set(world: &World) -> i64 {
    let before = world.room("lobby").await.revision;
    let mut templates = world.admin().room_templates();
    let made = templates.create_room_template(create("chat:*", bytes_max(10)));
    let made = made.await.expect("new").into_inner();
    let name = || "roomTemplates/chat:*".to_owned();
    let set = wire::SetRoomTemplatePasswordRequest {
        name: name(),
        password: "open sesame".into(),
        ..Default::default()
    };
    let set = templates.set_room_template_password(set).await;
    let set = set.expect("it is set").into_inner();
    let mut doors = world.admin().doors();
    let code = wire::SetRoomCodeRequest {
        room: name(),
        ..Default::default()
    };
    let code = doors.set_room_code(code).await;
    let code = code.expect("a code").into_inner();
    assert!(code.otpauth_uri.contains("chat"), "{}", code.otpauth_uri);
    let hook = wire::SetRoomHookRequest {
        room: name(),
        url: "https://example.com".into(),
        secret: "s3cret".into(),
        ..Default::default()
    };
    let hook = doors.set_room_hook(hook).await;
    let hook = hook.expect("a hook").into_inner();
    let door = hook.door.expect("the door");
    assert!(door.code_set && door.hook_secret_set);
    assert_eq!(
        (door.room, door.hook_url),
        (name(), "https://example.com:443".into())
    );
    let get = wire::GetRoomTemplateRequest { name: name() };
    let found = templates.get_room_template(get).await.expect("there");
    let rules = found.into_inner().room_template.expect("a template").rules;
    let steps = rules.expect("rules").entry.expect("entry").steps;
    assert_eq!(steps.len(), 3, "{steps:?}");
    let revisions = [made.revision, set.revision, code.revision, hook.revision];
    let counted = revisions.map(|revision| revision - before);
    assert_eq!(counted, [1, 2, 3, 4]);
    hook.revision
}

#[tokio::test]
async fn a_templates_door_is_cleared_by_revisions() {
    let world = World::start().await;
    let before = door_set(&world).await;
    let mut templates = world.admin().room_templates();
    let mut doors = world.admin().doors();
    let name = || "roomTemplates/chat:*".to_owned();
    let clear = wire::ClearRoomTemplatePasswordRequest {
        name: name(),
        ..Default::default()
    };
    let no_password = templates.clear_room_template_password(clear.clone()).await;
    let no_password = no_password.expect("it is cleared").into_inner().revision;
    let same = templates.clear_room_template_password(clear).await;
    let same = same.expect("it is cleared").into_inner().revision;
    let no_code = doors.clear_room_code(wire::ClearRoomCodeRequest {
        room: name(),
        ..Default::default()
    });
    let no_code = no_code.await.expect("it is cleared").into_inner().revision;
    let no_hook = doors.clear_room_hook(wire::ClearRoomHookRequest {
        room: name(),
        ..Default::default()
    });
    let no_hook = no_hook.await.expect("it is cleared").into_inner();
    let revisions = [no_password, same, no_code, no_hook.revision];
    let counted = revisions.map(|revision| revision - before);
    assert_eq!(counted, [1, 1, 2, 3]);
    let missing = doors.get_room_door(wire::GetRoomDoorRequest {
        room: "roomTemplates/none:*".into(),
    });
    assert_eq!(missing.await.expect_err("none").code(), Code::NotFound);
    let neither = doors.get_room_door(wire::GetRoomDoorRequest {
        room: "chat:*".into(),
    });
    assert_eq!(field(&neither.await.expect_err("no name")), "room");
}

#[tokio::test]
async fn templates_are_listed_by_page_in_the_order_of_their_prefixes() {
    let world = World::start().await;
    let mut templates = world.admin().room_templates();
    for prefix in ["b*", "a:*", "a*"] {
        let made = templates.create_room_template(create(prefix, bytes_max(1)));
        made.await.expect("new");
    }
    let mut listed = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = wire::ListRoomTemplatesRequest {
            page_size: 2,
            page_token,
        };
        let page = templates.list_room_templates(request).await;
        let page = page.expect("a page").into_inner();
        listed.extend(page.room_templates.into_iter().map(|one| one.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(
        listed,
        ["roomTemplates/a*", "roomTemplates/a:*", "roomTemplates/b*"]
    );
}

#[tokio::test]
async fn templates_are_kept_by_whoever_keeps_rooms() {
    let world = World::start().await;
    let users = world.key(&["users"]).await;
    let mut templates = world.with_key(&users.secret).room_templates();
    let made = templates.create_room_template(create("a*", bytes_max(1)));
    assert_eq!(
        made.await.expect_err("scope").code(),
        Code::PermissionDenied
    );
    let rooms = world.key(&["rooms"]).await;
    let mut templates = world.with_key(&rooms.secret).room_templates();
    let made = templates.create_room_template(create("a*", bytes_max(1)));
    made.await.expect("its scope");
}
