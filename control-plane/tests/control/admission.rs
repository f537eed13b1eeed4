//! Who may call what, and what a call may be.

use porthouse_api::control::v1 as wire;
use porthouse_api::node::v1 as node;
use tonic::{Code, Request};
use wire::user_service_client::UserServiceClient;

use crate::world::{World, details, reason};

#[tokio::test]
async fn a_call_without_a_key_is_unauthenticated_and_says_how() {
    let world = World::start().await;
    let mut users = UserServiceClient::new(world.channel.clone());
    let status = users
        .list_users(wire::ListUsersRequest::default())
        .await
        .expect_err("no key");
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Unauthenticated, "API_KEY_MISSING")
    );
    assert!(
        status.message().contains("authorization: Bearer"),
        "{}",
        status.message()
    );
    let mistyped = world.with_key("phk_AAAA").users();
    let unknown = world.with_key(&format!("phk_{}", "A".repeat(48))).users();
    for mut users in [mistyped, unknown] {
        let status = users
            .list_users(wire::ListUsersRequest::default())
            .await
            .expect_err("no key");
        assert_eq!(reason(&status), "API_KEY_UNKNOWN");
    }
}

#[tokio::test]
async fn a_key_without_the_scope_is_refused_by_name() {
    let world = World::start().await;
    let made = world.key(&["rooms"]).await;
    let caller = world.with_key(&made.secret);
    caller
        .rooms()
        .list_rooms(wire::ListRoomsRequest::default())
        .await
        .expect("the scope");
    let status = caller
        .users()
        .list_users(wire::ListUsersRequest::default())
        .await
        .expect_err("not the scope");
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::PermissionDenied, "SCOPE_MISSING")
    );
    assert!(
        status.message().ends_with("users or admin"),
        "{}",
        status.message()
    );
    let named = details(&status).error_info().expect("a reason").metadata["scope"].clone();
    assert_eq!(named, "users or admin");
}

#[tokio::test]
async fn a_nodes_key_opens_nothing_of_backends_and_theirs_nothing_of_nodes() {
    let world = World::start().await;
    let made = world.key(&["node"]).await;
    let caller = world.with_key(&made.secret);
    let status = caller
        .policy()
        .get_revision(wire::GetRevisionRequest {})
        .await
        .expect_err("not for nodes");
    assert_eq!(status.code(), Code::PermissionDenied);
    let mut feed = node::policy_feed_service_client::PolicyFeedServiceClient::with_interceptor(
        world.channel.clone(),
        |request: Request<()>| Ok(request),
    );
    let status = feed
        .resolve(node::ResolveRequest::default())
        .await
        .expect_err("no key");
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn health_and_reflection_ask_for_no_key() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    use tonic_reflection::pb::{v1, v1alpha};

    let world = World::start().await;
    let mut health = HealthClient::new(world.channel.clone());
    let check = HealthCheckRequest {
        service: String::new(),
    };
    assert_eq!(
        health.check(check).await.expect("open").into_inner().status,
        1
    );

    let ask = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            v1::server_reflection_request::MessageRequest::FileContainingSymbol(
                "porthouse.control.v1.RoomService".into(),
            ),
        ),
    };
    let mut reflection =
        v1::server_reflection_client::ServerReflectionClient::new(world.channel.clone());
    let mut answers = reflection
        .server_reflection_info(tokio_stream::iter([ask]))
        .await
        .expect("open")
        .into_inner();
    let answer = answers
        .message()
        .await
        .expect("an answer")
        .expect("an answer");
    assert!(matches!(
        answer.message_response,
        Some(v1::server_reflection_response::MessageResponse::FileDescriptorResponse(_))
    ));

    let ask = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::ListServices(String::new()),
        ),
    };
    let mut reflection =
        v1alpha::server_reflection_client::ServerReflectionClient::new(world.channel.clone());
    reflection
        .server_reflection_info(tokio_stream::iter([ask]))
        .await
        .expect("open");
}

#[tokio::test]
async fn a_request_past_the_limit_is_resource_exhausted() {
    let world = World::start().await;
    let request = wire::CreateUserRequest {
        user_id: "u".repeat(300 * 1024),
        ..wire::CreateUserRequest::default()
    };
    let status = world
        .admin()
        .users()
        .create_user(request)
        .await
        .expect_err("too long");
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::ResourceExhausted, "REQUEST_TOO_LARGE")
    );
}
