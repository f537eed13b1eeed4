//! `Resolve` and the answers that only the control plane can verify.

use std::collections::BTreeMap;
use std::time::Duration;

use porthouse_api::control::v1 as control;
use porthouse_api::control::v1::api_key_service_client::ApiKeyServiceClient;
use porthouse_api::node::v1::policy_feed_service_client::PolicyFeedServiceClient;
use porthouse_api::node::v1::resolve_key::Key;
use porthouse_api::node::v1::resolved::Found;
use porthouse_api::node::v1::{
    OpenSessionRequest, ResolveKey, ResolveRequest, ResolveResponse, Room, Verdict,
    VerifyRoomPasswordRequest,
};
use porthouse_model::{Credential, CredentialKind};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

use crate::plane::{Plane, SOON, settings};

fn by_name(name: &str) -> ResolveKey {
    ResolveKey {
        key: Some(Key::RoomName(name.to_owned())),
    }
}

async fn room(plane: &Plane, min_revision: i64) -> (i64, Option<Room>) {
    let request = ResolveRequest {
        rules_known: porthouse_api::node::RULES_KNOWN,
        min_revision,
        keys: vec![by_name("lobby")],
    };
    let answer = plane
        .feed()
        .resolve(request)
        .await
        .expect("an answer")
        .into_inner();
    let found = answer
        .resolved
        .into_iter()
        .next()
        .and_then(|resolved| resolved.found);
    let room = found.map(|found| {
        let Found::Room(room) = found else {
            panic!("not a room: {found:?}");
        };
        room
    });
    (answer.revision, room)
}

async fn set_bytes_max(plane: &Plane, bytes_max: u32) -> i64 {
    let request = control::UpdateRoomRequest {
        room: Some(control::Room {
            name: "rooms/lobby".to_owned(),
            rules: Some(control::RoomRules {
                messages: Some(control::MessageRules {
                    bytes_max: Some(bytes_max),
                    ..control::MessageRules::default()
                }),
                ..control::RoomRules::default()
            }),
            ..control::Room::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["rules.messages.bytes_max".to_owned()],
        }),
        ..control::UpdateRoomRequest::default()
    };
    plane
        .rooms()
        .update_room(request)
        .await
        .expect("updated")
        .into_inner()
        .revision
}

#[tokio::test]
async fn resolve_and_revision_are_one_snapshot() {
    let plane = Plane::start().await;
    let first = plane.create_room("lobby").await;
    let writes = async {
        let mut written = BTreeMap::from([(first, 65_536)]);
        for bytes_max in 1..=100 {
            written.insert(set_bytes_max(&plane, bytes_max).await, bytes_max);
        }
        written
    };
    let reads = async {
        let mut read = Vec::new();
        for _ in 0..300 {
            let (revision, room) = room(&plane, 0).await;
            let rules = room
                .and_then(|room| room.rules)
                .expect("the room has rules");
            read.push((revision, rules.message_bytes_max));
        }
        read
    };
    let (written, read) = tokio::join!(writes, reads);
    for (revision, bytes_max) in read {
        assert_eq!(
            written.get(&revision),
            Some(&bytes_max),
            "at revision {revision}"
        );
    }
}

#[tokio::test]
async fn a_revision_that_is_not_reached_is_waited_for_and_then_refused() {
    let plane = Plane::start().await;
    let made = plane.create_room("lobby").await;
    let (revision, found) = room(&plane, made).await;
    assert!(revision >= made && found.is_some());

    let (waited, revision) = tokio::join!(room(&plane, made + 1), set_bytes_max(&plane, 5));
    assert!(waited.0 >= revision);

    let request = ResolveRequest {
        rules_known: porthouse_api::node::RULES_KNOWN,
        min_revision: made + 99,
        keys: vec![by_name("lobby")],
    };
    let refused = plane.feed().resolve(request).await.expect_err("refused");
    assert_eq!(refused.code(), Code::Unavailable);
    let retry = refused.get_error_details().retry_info().cloned();
    assert!(retry.expect("when to ask again").retry_delay.is_some());
}

#[tokio::test]
async fn who_waits_for_a_revision_holds_up_nobody() {
    let mut plane = Plane::start().await;
    let mut only_one = settings(plane.cluster.url());
    only_one.feed.resolves_max = 1;
    only_one.feed.resolve_wait_max = SOON;
    let address = plane.add_replica_with(only_one).await;
    let resolve = |min_revision| {
        let mut feed = plane.feed_at(address);
        let keys = vec![by_name("lobby")];
        let request = ResolveRequest {
            min_revision,
            keys,
            rules_known: porthouse_api::node::RULES_KNOWN,
        };
        async move { feed.resolve(request).await }
    };
    let mut feed = plane.feed_at(address);
    // It reads once before it waits, and for that it may have to come again.
    let waiting = tokio::spawn(async move {
        loop {
            let keys = vec![by_name("lobby")];
            let request = ResolveRequest {
                rules_known: porthouse_api::node::RULES_KNOWN,
                min_revision: 1 << 40,
                keys,
            };
            match feed.resolve(request).await {
                Err(status) if status.code() == Code::ResourceExhausted => {}
                ended => return ended,
            }
        }
    });
    let began = Instant::now();
    let mut last = resolve(0).await;
    while began.elapsed() < Duration::from_secs(1) || last.is_err() {
        assert!(began.elapsed() < SOON / 2, "{last:?}");
        last = resolve(0).await;
    }
    assert!(!waiting.is_finished());
    waiting.abort();
}

#[tokio::test]
async fn what_is_asked_for_wrongly_is_refused_and_what_is_not_there_is_absent() {
    let plane = Plane::start().await;
    let keys = vec![
        by_name("nowhere"),
        ResolveKey {
            key: Some(Key::ApiKeySha256(vec![0; 32])),
        },
    ];
    let request = ResolveRequest {
        rules_known: porthouse_api::node::RULES_KNOWN,
        min_revision: 0,
        keys,
    };
    let answer = plane
        .feed()
        .resolve(request)
        .await
        .expect("an answer")
        .into_inner();
    assert!(answer.resolved.len() == 2 && answer.resolved.iter().all(|r| r.found.is_none()));

    let too_many = vec![by_name("lobby"); 257];
    let bad = [
        too_many,
        vec![by_name("no room")],
        vec![ResolveKey { key: None }],
    ];
    for keys in bad {
        let request = ResolveRequest {
            rules_known: porthouse_api::node::RULES_KNOWN,
            min_revision: 0,
            keys,
        };
        let refused = plane.feed().resolve(request).await.expect_err("refused");
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn a_rooms_password_is_verified_by_version() {
    let plane = Plane::start().await;
    let request = control::CreateRoomRequest {
        room_id: "lobby".to_owned(),
        password: "correct horse".to_owned(),
        ..control::CreateRoomRequest::default()
    };
    plane.rooms().create_room(request).await.expect("a room");
    let (_, found) = room(&plane, 0).await;
    let found = found.expect("the room");
    let version = found.rules.expect("rules").password_version;
    assert!(version > 0);

    let verify = async |password: &str, room_id: Vec<u8>| {
        let request = VerifyRoomPasswordRequest {
            room_id,
            password: password.to_owned(),
            client_id: vec![3; 16],
            address: "127.0.0.1".to_owned(),
        };
        plane
            .feed()
            .verify_room_password(request)
            .await
            .expect("a verdict")
            .into_inner()
    };
    let right = verify("correct horse", found.id.clone()).await;
    assert_eq!(
        (right.verdict(), right.password_version),
        (Verdict::Right, version)
    );
    assert_eq!(
        verify("wrong horse", found.id.clone()).await.verdict(),
        Verdict::Wrong
    );
    assert_eq!(
        verify("correct horse", vec![9; 16]).await.verdict(),
        Verdict::Gone
    );
    for _ in 0..9 {
        verify("wrong horse", found.id.clone()).await;
    }
    let later = verify("correct horse", found.id).await;
    assert_eq!(later.verdict(), Verdict::Later);
    assert!(later.retry_delay.is_some());
}

#[tokio::test]
async fn a_session_that_was_opened_resolves_until_its_user_is_disabled() {
    let plane = Plane::start().await;
    let user = control::CreateUserRequest {
        user_id: "sana".to_owned(),
        password: "correct horse".to_owned(),
        ..control::CreateUserRequest::default()
    };
    plane.users().create_user(user).await.expect("a user");
    let request = OpenSessionRequest {
        username: "sana".to_owned(),
        password: "correct horse".to_owned(),
        address: "127.0.0.1".to_owned(),
        ..OpenSessionRequest::default()
    };
    let opened = plane
        .feed()
        .open_session(request.clone())
        .await
        .expect("a verdict")
        .into_inner();
    assert_eq!(opened.verdict(), Verdict::Right);
    let hash = opened.session_token_sha256;
    let resolve = async |min_revision| {
        let key = Key::SessionTokenSha256(hash.clone());
        let request = ResolveRequest {
            rules_known: porthouse_api::node::RULES_KNOWN,
            min_revision,
            keys: vec![ResolveKey { key: Some(key) }],
        };
        let answer = plane
            .feed()
            .resolve(request)
            .await
            .expect("an answer")
            .into_inner();
        answer
            .resolved
            .into_iter()
            .next()
            .and_then(|resolved| resolved.found)
    };
    assert_eq!(resolve(0).await, opened.session.map(Found::Session));

    let disable = control::DisableUserRequest {
        name: "users/sana".to_owned(),
        ..Default::default()
    };
    let disabled = plane
        .users()
        .disable_user(disable)
        .await
        .expect("disabled")
        .into_inner();
    assert_eq!(resolve(disabled.revision).await, None);
    let refused = plane
        .feed()
        .open_session(request)
        .await
        .expect("a verdict")
        .into_inner();
    assert_eq!(refused.verdict(), Verdict::Wrong);
}

#[tokio::test]
async fn no_more_resolves_wait_than_may_and_the_others_hear_when_to_ask_again() {
    let mut plane = Plane::start().await;
    let mut nobody = settings(plane.cluster.url());
    nobody.feed.resolves_waiting_max = 0;
    let address = plane.add_replica_with(nobody).await;
    let request = ResolveRequest {
        rules_known: porthouse_api::node::RULES_KNOWN,
        min_revision: 1 << 40,
        keys: Vec::new(),
    };
    let refused = plane.feed_at(address).resolve(request).await;
    let refused = refused.expect_err("refused");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let retry = refused.get_error_details().retry_info().cloned();
    assert!(retry.expect("when to ask again").retry_delay.is_some());
}

/// Rooms with rules of 60,000 bytes each, more than fit into what a client takes.
async fn long_rooms(plane: &Plane) -> Vec<String> {
    let schema = format!(r#"{{"description":"{}"}}"#, "x".repeat(60_000));
    let format = control::MessageFormat {
        kind: Some(control::message_format::Kind::JsonSchema(schema)),
    };
    let mut names: Vec<String> = (100..180).map(|number| format!("long-{number}")).collect();
    for name in &names {
        let rules = control::RoomRules {
            messages: Some(control::MessageRules {
                format: Some(format.clone()),
                ..Default::default()
            }),
            ..Default::default()
        };
        let request = control::CreateRoomRequest {
            room_id: name.clone(),
            room: Some(control::Room {
                rules: Some(rules),
                ..Default::default()
            }),
            ..Default::default()
        };
        plane.rooms().create_room(request).await.expect("a room");
    }
    names.sort();
    names
}

#[tokio::test]
async fn no_answer_is_longer_than_a_client_takes_and_the_rest_is_asked_for_again() {
    let plane = Plane::start().await;
    let names = long_rooms(&plane).await;
    let (mut resolved, mut answers) = (Vec::new(), 0);
    while resolved.len() < names.len() {
        let rest = &names[resolved.len()..];
        let request = ResolveRequest {
            rules_known: porthouse_api::node::RULES_KNOWN,
            min_revision: 0,
            keys: rest.iter().map(|name| by_name(name)).collect(),
        };
        let answer = plane.feed().resolve(request).await.expect("it is taken");
        let found = answer.into_inner().resolved;
        assert!(!found.is_empty(), "one at least");
        resolved.extend(found.into_iter().filter_map(|one| match one.found {
            Some(Found::Room(room)) => Some(room.name),
            Some(_) | None => None,
        }));
        answers += 1;
    }
    assert_eq!((resolved, answers > 1), (names.clone(), true));

    let (mut listed, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = control::ListRoomsRequest {
            page_size: 1_000,
            page_token,
            ..Default::default()
        };
        let page = plane.rooms().list_rooms(request).await;
        let page = page.expect("it is taken").into_inner();
        assert!(page.rooms.len() < names.len());
        listed.extend(page.rooms.into_iter().map(|room| room.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let names = names.iter().map(|name| format!("rooms/{name}"));
    assert_eq!(listed, names.collect::<Vec<_>>());
}

#[tokio::test]
async fn that_a_node_was_shown_an_api_key_is_noted() {
    let plane = Plane::start().await;
    let mut keys = ApiKeyServiceClient::new(plane.admin_channel());
    let create = control::CreateApiKeyRequest {
        api_key: Some(control::ApiKey {
            scopes: vec!["live".to_owned()],
            ..control::ApiKey::default()
        }),
        ..control::CreateApiKeyRequest::default()
    };
    let made = keys
        .create_api_key(create)
        .await
        .expect("a key")
        .into_inner();
    let secret = Credential::parse(CredentialKind::ApiKey, &made.secret).expect("a key");
    let name = made.api_key.expect("it").name;
    let request = ResolveRequest {
        rules_known: porthouse_api::node::RULES_KNOWN,
        min_revision: 0,
        keys: vec![ResolveKey {
            key: Some(Key::ApiKeySha256(secret.hash().as_bytes().to_vec())),
        }],
    };
    plane.feed().resolve(request).await.expect("an answer");
    let noted = async {
        let mut again = tokio::time::interval(Duration::from_millis(20));
        loop {
            again.tick().await;
            let get = control::GetApiKeyRequest { name: name.clone() };
            let found = keys.get_api_key(get).await.expect("there").into_inner();
            if found.api_key.expect("a key").last_used_time.is_some() {
                return;
            }
        }
    };
    tokio::time::timeout(SOON, noted)
        .await
        .expect("it is noted");
}

#[tokio::test]
async fn a_node_that_resolves_without_end_leaves_another_its_places() {
    // Fewer than come by one connection.
    let plane = Plane::start_with(|settings| settings.feed.resolves_queued_max = 64).await;
    plane.create_room("lobby").await;
    let request = || ResolveRequest {
        rules_known: porthouse_api::node::RULES_KNOWN,
        min_revision: 0,
        keys: vec![by_name("lobby")],
    };
    let greedy = PolicyFeedServiceClient::new(plane.keyed(&["node"]).await);
    let mut under_way = JoinSet::new();
    for _ in 0..10_000 {
        let mut greedy = greedy.clone();
        under_way.spawn(async move { greedy.resolve(request()).await });
    }
    let mut other = plane.feed();
    let (mut answered, mut refused) = (0, 0);
    while under_way.len() > 5_000 || answered < 50 {
        let resolved = other.resolve(request()).await;
        assert_eq!(resolved.expect("its own place").get_ref().resolved.len(), 1);
        answered += 1;
        while let Some(one) = under_way.try_join_next() {
            refused += usize::from(is_told_when(one.expect("no panic")));
        }
    }
    while let Some(one) = under_way.join_next().await {
        refused += usize::from(is_told_when(one.expect("no panic")));
    }
    assert!(refused > 0, "the greedy one was never told to come back");
}

/// Whether it was told when to ask again, if it was not answered.
fn is_told_when(resolved: Result<Response<ResolveResponse>, Status>) -> bool {
    let Err(refused) = resolved else {
        return false;
    };
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    let retry = refused.get_error_details().retry_info().cloned();
    assert!(retry.expect("when to ask again").retry_delay.is_some());
    true
}
