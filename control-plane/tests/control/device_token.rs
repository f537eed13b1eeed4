//! Device tokens: made, changed and ended by revisions, their secrets answered
//! once. Opens no socket.

use std::time::Duration;

use porthouse_api::control::v1 as wire;
use porthouse_model::{Credential, CredentialKind};
use tonic::Code;

use crate::world::{World, field, from_now, mask, reason};

fn create(owner: &str, rooms: &[&str]) -> wire::CreateDeviceTokenRequest {
    wire::CreateDeviceTokenRequest {
        device_token: Some(wire::DeviceToken {
            owner: owner.into(),
            display_name: "Thermometer".into(),
            rooms: rooms.iter().map(|&room| room.to_owned()).collect(),
            ..Default::default()
        }),
        validate_only: false,
    }
}

#[tokio::test]
async fn a_device_token_is_made_and_changed_by_revisions() {
    let world = World::start().await;
    let sana = world.user("sana", "").await;
    let mut tokens = world.admin().device_tokens();
    let rehearsal = wire::CreateDeviceTokenRequest {
        validate_only: true,
        ..create("users/sana", &["rooms/lobby"])
    };
    let rehearsed = tokens.create_device_token(rehearsal).await.expect("valid");
    let rehearsed = rehearsed.into_inner();
    assert_eq!((rehearsed.revision, rehearsed.secret.as_str()), (0, ""));

    let made = tokens
        .create_device_token(create("users/Sana", &["rooms/lobby", "rooms/@sana"]))
        .await
        .expect("new")
        .into_inner();
    Credential::parse(CredentialKind::DeviceToken, &made.secret).expect("a device token");
    let token = made.device_token.expect("a token");
    assert_eq!(token.owner, "users/sana");
    assert_eq!(token.rooms, ["rooms/lobby", "rooms/@sana"]);
    assert_eq!(
        token.capabilities.as_ref().map(|acts| acts.acts.len()),
        Some(8)
    );
    assert_eq!(
        made.revision, sana.revision,
        "nobody can have heard of it before"
    );
    let expires = token.expire_time.expect("it ends").seconds;
    let year = 365 * 86_400;
    let made_at = token.create_time.expect("a time").seconds;
    assert!((year - 60..=year + 60).contains(&(expires - made_at)));

    let update = |etag: &str, rooms: &[&str]| wire::UpdateDeviceTokenRequest {
        device_token: Some(wire::DeviceToken {
            name: token.name.clone(),
            etag: etag.into(),
            capabilities: Some(wire::Acts {
                acts: vec![wire::Act::See.into(), wire::Act::Join.into()],
            }),
            rooms: rooms.iter().map(|&room| room.to_owned()).collect(),
            ..Default::default()
        }),
        update_mask: Some(mask(&["rooms", "capabilities"])),
        validate_only: false,
    };
    let changed = tokens
        .update_device_token(update(&token.etag, &["rooms/yard"]))
        .await
        .expect("there")
        .into_inner();
    let now = changed.device_token.expect("a token");
    assert_eq!(now.rooms, ["rooms/yard"]);
    assert_eq!(now.display_name, "Thermometer");
    assert_eq!(now.expire_time, token.expire_time);
    let same = tokens
        .update_device_token(update("", &["rooms/yard"]))
        .await;
    let same = same.expect("there").into_inner().revision;
    let status = tokens
        .update_device_token(update(&token.etag, &[]))
        .await
        .expect_err("stale");
    assert_eq!(status.code(), Code::Aborted);

    let get = wire::GetDeviceTokenRequest { name: token.name };
    let got = tokens.get_device_token(get).await.expect("there");
    assert_eq!(got.into_inner().device_token, Some(now));
    assert_eq!(
        [changed.revision, same].map(|revision| revision - made.revision),
        [1, 1]
    );
}

#[tokio::test]
async fn a_device_token_is_ended_by_a_revision() {
    let world = World::start().await;
    world.user("sana", "").await;
    let mut tokens = world.admin().device_tokens();
    let made = tokens.create_device_token(create("users/sana", &[])).await;
    let made = made.expect("new").into_inner();
    let name = made.device_token.expect("a token").name;
    let delete = wire::DeleteDeviceTokenRequest {
        name: name.clone(),
        etag: String::new(),
    };
    let gone = tokens.delete_device_token(delete).await.expect("there");
    assert_eq!(gone.into_inner().revision, made.revision + 1);
    let get = wire::GetDeviceTokenRequest { name };
    let status = tokens.get_device_token(get).await.expect_err("gone");
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn what_a_device_token_may_not_be_is_refused_by_its_field() {
    let world = World::start().await;
    world.user("sana", "").await;
    let mut tokens = world.admin().device_tokens();
    let many: Vec<String> = (0..33).map(|room| format!("rooms/r{room}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let with = |change: fn(&mut wire::DeviceToken)| {
        let mut request = create("users/sana", &[]);
        change(request.device_token.as_mut().expect("a token"));
        request
    };
    for (request, wrong) in [
        (create("", &[]), "device_token.owner"),
        (create("sana", &[]), "device_token.owner"),
        (create("users/sana", &["lobby"]), "device_token.rooms"),
        (
            create("users/sana", &["rooms/a", "rooms/a"]),
            "device_token.rooms",
        ),
        (create("users/sana", &many), "device_token.rooms"),
        (
            with(|token| token.display_name = "n".repeat(129)),
            "device_token.display_name",
        ),
        (
            with(|token| token.capabilities = Some(wire::Acts { acts: vec![0] })),
            "device_token.capabilities.acts",
        ),
        (
            with(|token| token.expire_time = Some(prost_types::Timestamp::default())),
            "device_token.expire_time",
        ),
        (
            with(|token| token.expire_time = Some(from_now(Duration::from_hours(24 * 4_000)))),
            "device_token.expire_time",
        ),
    ] {
        let status = tokens.create_device_token(request).await.expect_err(wrong);
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert_eq!(field(&status), wrong);
    }
    let nobodys = create("users/nobody", &[]);
    let status = tokens
        .create_device_token(nobodys)
        .await
        .expect_err("nobody's");
    assert_eq!(status.code(), Code::NotFound);
    let update = wire::UpdateDeviceTokenRequest {
        device_token: Some(wire::DeviceToken {
            name: "deviceTokens/x".into(),
            ..Default::default()
        }),
        update_mask: Some(mask(&["owner"])),
        validate_only: false,
    };
    let status = tokens
        .update_device_token(update)
        .await
        .expect_err("never changes");
    assert_eq!(field(&status), "update_mask");
}

#[tokio::test]
async fn a_user_has_so_many_device_tokens_and_takes_them_along() {
    let world = World::start().await;
    world.user("sana", "").await;
    world.user("ben", "").await;
    let mut tokens = world.admin().device_tokens();
    for _ in 0..256 {
        let made = tokens.create_device_token(create("users/sana", &[])).await;
        made.expect("one more");
    }
    let status = tokens
        .create_device_token(create("users/sana", &[]))
        .await
        .expect_err("too many");
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(reason(&status), "DEVICE_TOKENS_TOO_MANY");
    let bens = tokens.create_device_token(create("users/ben", &[])).await;
    bens.expect("another's");

    let list = |page_token: String| wire::ListDeviceTokensRequest {
        page_size: 200,
        page_token,
        owner: "users/sana".into(),
    };
    let first = tokens.list_device_tokens(list(String::new())).await;
    let first = first.expect("a page").into_inner();
    let rest = tokens.list_device_tokens(list(first.next_page_token)).await;
    let rest = rest.expect("a page").into_inner();
    assert_eq!(
        (first.device_tokens.len(), rest.device_tokens.len()),
        (200, 56)
    );
    let delete = wire::DeleteUserRequest {
        name: "users/sana".into(),
        ..Default::default()
    };
    world
        .admin()
        .users()
        .delete_user(delete)
        .await
        .expect("there");
    let all = wire::ListDeviceTokensRequest::default();
    let all = tokens
        .list_device_tokens(all)
        .await
        .expect("a page")
        .into_inner();
    let owners: Vec<_> = all
        .device_tokens
        .iter()
        .map(|token| &*token.owner)
        .collect();
    assert_eq!(owners, ["users/ben"]);
}

#[tokio::test]
async fn a_key_for_rooms_makes_no_device_token() {
    let world = World::start().await;
    world.user("sana", "").await;
    let key = world.key(&["rooms", "live"]).await;
    let mut tokens = world.with_key(&key.secret).device_tokens();
    let status = tokens
        .create_device_token(create("users/sana", &[]))
        .await
        .expect_err("not its scope");
    assert_eq!(status.code(), Code::PermissionDenied);
    let key = world.key(&["sessions"]).await;
    let mut tokens = world.with_key(&key.secret).device_tokens();
    let made = tokens.create_device_token(create("users/sana", &[])).await;
    made.expect("as it opens sessions");
}
