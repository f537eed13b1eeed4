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
        validate_only: false,
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
async fn what_only_a_room_of_its_own_has_is_refused_with_what_to_do() {
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
        let status = made.expect_err("a secret");
        assert_eq!(field(&status), "room_template.rules.entry.steps[1]");
        assert!(status.message().contains("CreateRoom"), "{status}");
    }
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
    assert_eq!(
        field(&made.expect_err("a role")),
        "room_template.rules.connection.roles_allowed"
    );
    templates
        .create_room_template(create("chat:*", asking(&[approval])))
        .await
        .expect("anybody may wait");
    let update = wire::UpdateRoomTemplateRequest {
        update_mask: Some(mask(&["rules.entry"])),
        ..update("chat:*", asking(&[password]), "")
    };
    let changed = templates.update_room_template(update).await;
    assert_eq!(
        field(&changed.expect_err("a secret")),
        "room_template.rules.entry.steps[0]"
    );
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
