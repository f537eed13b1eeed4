//! API keys: made, used, revoked.

use std::time::Duration;

use porthouse_api::control::v1 as wire;
use tonic::Code;

use crate::world::{World, field, from_now, reason};

#[tokio::test]
async fn a_revoked_key_is_refused_at_once() {
    let world = World::start().await;
    let made = world.key(&["rooms"]).await;
    let mut rooms = world.with_key(&made.secret).rooms();
    rooms
        .list_rooms(wire::ListRoomsRequest::default())
        .await
        .expect("the scope");
    let name = made.api_key.expect("a key").name;
    let delete = wire::DeleteApiKeyRequest { name };
    let gone = world
        .admin()
        .keys()
        .delete_api_key(delete)
        .await
        .expect("there")
        .into_inner();
    assert_eq!(gone.revision, made.revision + 1);
    let status = rooms
        .list_rooms(wire::ListRoomsRequest::default())
        .await
        .expect_err("revoked");
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Unauthenticated, "API_KEY_UNKNOWN")
    );
}

#[tokio::test]
async fn a_key_that_expired_is_refused() {
    let world = World::start().await;
    let soon = from_now(Duration::from_secs(3));
    let request = wire::CreateApiKeyRequest {
        api_key: Some(wire::ApiKey {
            scopes: vec!["rooms".into()],
            expire_time: Some(soon),
            ..Default::default()
        }),
        ..Default::default()
    };
    let made = world
        .admin()
        .keys()
        .create_api_key(request)
        .await
        .expect("new")
        .into_inner();
    let mut rooms = world.with_key(&made.secret).rooms();
    tokio::time::timeout(Duration::from_secs(10), async {
        while rooms
            .list_rooms(wire::ListRoomsRequest::default())
            .await
            .is_ok()
        {}
    })
    .await
    .expect("it expires");
    let status = rooms
        .list_rooms(wire::ListRoomsRequest::default())
        .await
        .expect_err("expired");
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn the_last_key_that_can_make_others_stays() {
    let world = World::start().await;
    let mut keys = world.admin().keys();
    let all = keys
        .list_api_keys(wire::ListApiKeysRequest::default())
        .await
        .expect("a page");
    let first = all.into_inner().api_keys.remove(0).name;
    let delete = || wire::DeleteApiKeyRequest {
        name: first.clone(),
    };
    let status = keys.delete_api_key(delete()).await.expect_err("the last");
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::FailedPrecondition, "LAST_ADMIN_KEY")
    );
    let other = world.key(&["admin"]).await;
    let mut others = world.with_key(&other.secret).keys();
    others.delete_api_key(delete()).await.expect("not the last");
}

#[tokio::test]
async fn two_last_keys_cannot_delete_each_other() {
    let world = World::start().await;
    let all = world
        .admin()
        .keys()
        .list_api_keys(wire::ListApiKeysRequest::default())
        .await;
    let first = all.expect("a page").into_inner().api_keys.remove(0).name;
    let other = world.key(&["admin"]).await;
    let (mut one, mut two) = (world.admin().keys(), world.with_key(&other.secret).keys());
    let second = other.api_key.expect("a key").name;
    let (one, two) = tokio::join!(
        one.delete_api_key(wire::DeleteApiKeyRequest { name: second }),
        two.delete_api_key(wire::DeleteApiKeyRequest { name: first }),
    );
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
}

#[tokio::test]
async fn a_scope_that_is_none_is_refused_with_the_list() {
    let world = World::start().await;
    for scopes in [vec![], vec!["root".to_owned()]] {
        let request = wire::CreateApiKeyRequest {
            api_key: Some(wire::ApiKey {
                scopes,
                ..Default::default()
            }),
            ..Default::default()
        };
        let status = world
            .admin()
            .keys()
            .create_api_key(request)
            .await
            .expect_err("no scope");
        assert_eq!(field(&status), "api_key.scopes");
        assert!(
            status
                .message()
                .contains("admin, users, sessions, impersonate, rooms, live, node")
        );
    }
}

#[tokio::test]
async fn a_rotated_key_takes_both_secrets_until_the_overlap_is_over() {
    let world = World::start().await;
    let made = world.key(&["rooms"]).await;
    let name = made.api_key.expect("a key").name;
    let list = async |secret: &str| {
        let request = wire::ListRoomsRequest::default();
        world.with_key(secret).rooms().list_rooms(request).await
    };
    let rotate = async |overlap| {
        let request = wire::RotateApiKeyRequest {
            name: name.clone(),
            overlap,
            certificate: String::new(),
        };
        let rotated = world.admin().keys().rotate_api_key(request).await;
        rotated.expect("there").into_inner()
    };
    let second = rotate(None).await;
    assert!(second.revision > made.revision, "nodes are told");
    let stands = second.api_key.expect("a key");
    assert!(stands.rotate_time.is_some() && stands.previous_expire_time.is_some());
    list(&made.secret).await.expect("the old one, for a day");
    list(&second.secret).await.expect("the new one");
    let third = rotate(Some(prost_types::Duration::default())).await;
    for gone in [&made.secret, &second.secret] {
        let status = list(gone).await.expect_err("taken no more");
        assert_eq!(status.code(), Code::Unauthenticated);
    }
    list(&third.secret).await.expect("the last one");
    assert!(third.api_key.expect("a key").previous_expire_time.is_none());
}

/// A certificate as far as it is read here: what TLS makes of it is tried end to end.
fn certificate(byte: u8) -> String {
    let body = data_encoding::BASE64.encode(&[0x30, 3, 2, 1, byte]);
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}

#[tokio::test]
async fn a_key_is_a_certificate_until_it_is_given_a_secret() {
    let world = World::start().await;
    let mut keys = world.admin().keys();
    let create = |scope: &str, certificate: String| wire::CreateApiKeyRequest {
        api_key: Some(wire::ApiKey {
            scopes: vec![scope.to_owned()],
            ..Default::default()
        }),
        certificate,
    };
    let made = keys.create_api_key(create("node", certificate(1))).await;
    let made = made.expect("a key").into_inner();
    assert_eq!(made.secret, "");
    let key = made.api_key.expect("a key");
    assert_eq!(key.certificate_sha256.len(), 64);

    let again = keys.create_api_key(create("node", certificate(1))).await;
    assert_eq!(again.expect_err("it is one").code(), Code::AlreadyExists);
    let private = certificate(2).replace("CERTIFICATE", "PRIVATE KEY");
    for wrong in [private, certificate(2) + &certificate(3), "none".into()] {
        let refused = keys.create_api_key(create("node", wrong)).await;
        assert_eq!(field(&refused.expect_err("no certificate")), "certificate");
    }
    // It would open nothing wherever TLS is not spoken.
    let refused = keys.create_api_key(create("admin", certificate(4))).await;
    assert_eq!(field(&refused.expect_err("an admin")), "certificate");

    let rotate = |certificate: String| wire::RotateApiKeyRequest {
        name: key.name.clone(),
        overlap: None,
        certificate,
    };
    let secret = keys.rotate_api_key(rotate(String::new())).await;
    let secret = secret.expect("there").into_inner();
    assert!(secret.secret.starts_with("phk_"));
    assert_eq!(secret.api_key.expect("a key").certificate_sha256, "");
    let back = keys.rotate_api_key(rotate(certificate(5))).await;
    let back = back.expect("there").into_inner();
    assert_eq!(back.secret, "");
    assert_ne!(back.api_key.expect("a key").certificate_sha256, "");
    let admin = keys
        .list_api_keys(wire::ListApiKeysRequest::default())
        .await;
    let mut admin = admin.expect("a page").into_inner().api_keys.into_iter();
    let admin = admin
        .find(|key| key.scopes == ["admin"])
        .expect("the first");
    let rotate = wire::RotateApiKeyRequest {
        name: admin.name,
        overlap: None,
        certificate: certificate(6),
    };
    let refused = keys.rotate_api_key(rotate).await.expect_err("an admin");
    assert_eq!(field(&refused), "certificate");
}

#[tokio::test]
async fn the_use_of_a_key_is_noted() {
    let world = World::start().await;
    let made = world.key(&["rooms"]).await;
    let key = made.api_key.expect("a key");
    assert!(key.last_used_time.is_none());
    let mut rooms = world.with_key(&made.secret).rooms();
    let list = wire::ListRoomsRequest::default();
    rooms.list_rooms(list).await.expect("the scope");
    let noted = async {
        loop {
            let get = wire::GetApiKeyRequest {
                name: key.name.clone(),
            };
            let found = world.admin().keys().get_api_key(get).await.expect("there");
            if found
                .into_inner()
                .api_key
                .expect("a key")
                .last_used_time
                .is_some()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), noted)
        .await
        .expect("noted");
}

#[tokio::test]
async fn of_64_calls_with_one_cold_key_none_is_told_to_ask_again() {
    let world = World::start().await;
    let key = world.key(&["rooms"]).await;
    let calls = (0..64).map(|_| {
        let mut rooms = world.with_key(&key.secret).rooms();
        async move { rooms.list_rooms(wire::ListRoomsRequest::default()).await }
    });
    let answers = futures_util::future::join_all(calls).await;
    let refused: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
    assert!(refused.is_empty(), "{refused:?}");
}
