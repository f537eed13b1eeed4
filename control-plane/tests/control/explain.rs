//! `Explain`: what would come of it, why, and what to change. Opens no socket.

use porthouse_api::control::v1 as wire;
use tonic::{Code, Status};
use wire::case::Who;
use wire::entry_step::Kind;
use wire::{Act, Decision};

use crate::world::{World, field, reason};

fn user(name: &str) -> Who {
    Who::User(format!("users/{name}"))
}

fn case(who: Option<Who>, room: &str, act: Act) -> wire::Case {
    wire::Case {
        who,
        room: format!("rooms/{room}"),
        act: act.into(),
        ..wire::Case::default()
    }
}

async fn explain(world: &World, case: wire::Case) -> Result<wire::ExplainResponse, Status> {
    let request = wire::ExplainRequest {
        about: Some(wire::explain_request::About::Case(case)),
    };
    let answer = world.admin().policy().explain(request).await?;
    Ok(answer.into_inner())
}

async fn decided(world: &World, case: wire::Case) -> (Decision, String) {
    let answer = explain(world, case).await.expect("a case");
    (answer.decision(), answer.rule)
}

async fn private(world: &World) -> i64 {
    let request = wire::CreateRoomRequest {
        room_id: "board".into(),
        room: Some(wire::Room {
            visibility: wire::Visibility::Private.into(),
            ..wire::Room::default()
        }),
        ..wire::CreateRoomRequest::default()
    };
    let made = world.admin().rooms().create_room(request).await;
    made.expect("a room").into_inner().revision
}

async fn member(world: &World, name: &str) {
    let request = wire::CreateMemberRequest {
        parent: "rooms/board".into(),
        user_id: name.into(),
        ..wire::CreateMemberRequest::default()
    };
    let made = world.admin().members().create_member(request).await;
    made.expect("a member");
}

#[tokio::test]
async fn a_refusal_says_rule_need_finding_and_remedy() {
    let world = World::start().await;
    world.user("ada", "").await;
    let revision = private(&world).await;
    let answer = explain(&world, case(Some(user("ada")), "board", Act::Join)).await;
    let answer = answer.expect("a case");
    assert_eq!(answer.decision(), Decision::Refused);
    assert_eq!(
        (answer.rule.as_str(), answer.code),
        ("visibility.private", 4003)
    );
    assert_eq!(answer.needed, "membership of the room");
    assert!(
        answer.found.contains("a signed-in user"),
        "{}",
        answer.found
    );
    assert!(answer.remedy.contains("CreateMember"), "{}", answer.remedy);
    assert_eq!(answer.revision, revision);
    member(&world, "ada").await;
    let allowed = explain(&world, case(Some(user("ada")), "board", Act::Send)).await;
    let allowed = allowed.expect("a case");
    assert_eq!(allowed.decision(), Decision::Allowed);
    assert!(allowed.found.contains("member"), "{}", allowed.found);
    assert_eq!(allowed.revision, revision + 1);
    let anonymous = decided(&world, case(None, "board", Act::Join)).await;
    let needed = "connection.user_required".to_owned();
    assert_eq!(anonymous, (Decision::Refused, needed));
}

#[tokio::test]
async fn a_session_that_ended_and_a_user_who_is_disabled_come_nowhere() {
    let world = World::start().await;
    world.user("ada", "a password").await;
    world.room("lobby").await;
    let session = world.sign_in("ada", "a password").await.expect("a session");
    let name = session.session.expect("a session").name;
    let by = |name: &str| Who::Session(name.to_owned());
    let live = decided(&world, case(Some(by(&name)), "lobby", Act::Join)).await;
    assert_eq!(live.0, Decision::Allowed);
    let disable = wire::DisableUserRequest {
        name: "users/ada".into(),
        ..wire::DisableUserRequest::default()
    };
    let disabled = world.admin().users().disable_user(disable).await;
    disabled.expect("disabled");
    for who in [by(&name), user("ada")] {
        let ended = decided(&world, case(Some(who), "lobby", Act::Join)).await;
        assert_eq!(ended, (Decision::Refused, "session".to_owned()));
    }
}

#[tokio::test]
async fn steps_are_answered_in_their_order_and_nodes_decide_about_rooms_nobody_made() {
    let world = World::start().await;
    let approval = wire::EntryStep {
        kind: Some(Kind::Approval(wire::ApprovalStep {})),
    };
    let rules = wire::RoomRules {
        entry: Some(wire::EntryRules {
            steps: vec![approval],
            ..wire::EntryRules::default()
        }),
        ..wire::RoomRules::default()
    };
    let request = wire::CreateRoomTemplateRequest {
        room_template_id: "chat:*".into(),
        room_template: Some(wire::RoomTemplate {
            rules: Some(rules),
            ..wire::RoomTemplate::default()
        }),
        ..Default::default()
    };
    let made = world
        .admin()
        .room_templates()
        .create_room_template(request)
        .await;
    made.expect("a template");
    let asked = explain(&world, case(None, "chat:a", Act::Join)).await;
    let asked = asked.expect("a case");
    assert_eq!(asked.decision(), Decision::Asked);
    assert_eq!(asked.steps, [approval]);
    assert!(asked.needed.contains("approval"), "{}", asked.needed);
    let kick = decided(&world, case(None, "chat:a", Act::Kick)).await;
    assert_eq!(kick, (Decision::Refused, "capabilities.kick".to_owned()));
    let nobody = decided(&world, case(None, "den", Act::Join)).await;
    assert_eq!(nobody, (Decision::ByNode, "transient.makers".to_owned()));
}

#[tokio::test]
async fn a_device_does_what_its_token_and_its_room_let_it_do() {
    let world = World::start().await;
    world.user("ada", "").await;
    private(&world).await;
    member(&world, "ada").await;
    world.room("lobby").await;
    let device_token = wire::DeviceToken {
        owner: "users/ada".into(),
        display_name: "Thermometer".into(),
        rooms: vec!["rooms/board".into()],
        capabilities: Some(wire::Acts {
            acts: vec![Act::See.into(), Act::Join.into()],
        }),
        ..wire::DeviceToken::default()
    };
    let request = wire::CreateDeviceTokenRequest {
        device_token: Some(device_token),
        validate_only: false,
    };
    let mut tokens = world.admin().device_tokens();
    let made = tokens.create_device_token(request).await;
    let made = made.expect("new").into_inner();
    let name = made.device_token.expect("a token").name;
    let by = || Some(Who::DeviceToken(name.clone()));
    let join = decided(&world, case(by(), "board", Act::Join)).await;
    assert_eq!(join.0, Decision::Allowed);
    let send = explain(&world, case(by(), "board", Act::Send)).await;
    let send = send.expect("a case");
    assert_eq!(
        (send.decision(), send.rule.as_str()),
        (Decision::Refused, "capabilities.send")
    );
    assert!(send.found.contains("a device"), "{}", send.found);
    let elsewhere = decided(&world, case(by(), "lobby", Act::Join)).await;
    assert_eq!(elsewhere.0, Decision::Refused);
    let delete = wire::DeleteDeviceTokenRequest {
        name: name.clone(),
        etag: String::new(),
    };
    tokens.delete_device_token(delete).await.expect("deleted");
    let ended = decided(&world, case(by(), "board", Act::Join)).await;
    assert_eq!(ended, (Decision::Refused, "session".to_owned()));
}

/// Nobody keeps it: not of another deployment, not forged, not forgotten.
#[tokio::test]
async fn a_refusal_that_no_node_keeps_is_told_from_one_that_is_none() {
    let world = World::start().await;
    let about = |id: &str| wire::ExplainRequest {
        about: Some(wire::explain_request::About::RefusalId(id.to_owned())),
    };
    let mut policy = world.admin().policy();
    let unknown = policy.explain(about("00f3a1c4d2e5b697")).await;
    let unknown = unknown.expect_err("nobody keeps it");
    assert_eq!(unknown.code(), Code::NotFound);
    assert_eq!(reason(&unknown), "REFUSAL_NOT_KEPT");
    assert!(unknown.message().contains("last ones"), "{unknown:?}");
    for none in [
        "",
        "f3a1c4d2e5b697",
        "00f3a1c4d2e5b6970",
        "+0f3a1c4d2e5b697",
        "00f3a1c4d2e5b69g",
        "00f3a1c4d2e5b6\u{e9}",
        "0x00f3a1c4d2e5b6",
    ] {
        let refused = policy.explain(about(none)).await.expect_err("no id");
        assert_eq!(
            (refused.code(), field(&refused).as_str()),
            (Code::InvalidArgument, "refusal_id"),
            "{none}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_by_its_field() {
    let world = World::start().await;
    world.room("lobby").await;
    let good = || case(None, "lobby", Act::Join);
    let bad = |field: &'static str, case: wire::Case| (field, case);
    for (named, case) in [
        bad("case.room", case(None, "a..b", Act::Join)),
        bad(
            "case.user",
            case(Some(user("not a name")), "lobby", Act::Join),
        ),
        bad(
            "case.device_token",
            case(Some(Who::DeviceToken("ada".into())), "lobby", Act::Join),
        ),
        bad("case.act", wire::Case { act: 99, ..good() }),
        bad(
            "case.address",
            wire::Case {
                address: "1.2.3".into(),
                ..good()
            },
        ),
        bad(
            "case.origin",
            wire::Case {
                origin: "a b".into(),
                ..good()
            },
        ),
        bad(
            "case.time",
            wire::Case {
                time: Some(prost_types::Timestamp::default()),
                ..good()
            },
        ),
    ] {
        let refused = explain(&world, case).await.expect_err("refused");
        assert_eq!(
            (refused.code(), field(&refused).as_str()),
            (Code::InvalidArgument, named)
        );
    }
    let refused = explain(&world, case(Some(user("nobody")), "lobby", Act::Join)).await;
    assert_eq!(refused.expect_err("no such user").code(), Code::NotFound);
    let empty = world
        .admin()
        .policy()
        .explain(wire::ExplainRequest::default())
        .await;
    assert_eq!(
        empty.expect_err("about nothing").code(),
        Code::InvalidArgument
    );
}
