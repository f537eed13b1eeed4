//! What a backend must not call, and what it may without a key: each refusal by
//! status, with details that programs read and a message that says what to do.

use porthouse_api::control::v1 as control;
use porthouse_api::live::v1 as live;
use porthouse_e2e::house::House;
use porthouse_e2e::planes::Planes;
use tokio_stream::StreamExt as _;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::{v1, v1alpha};
use tonic_types::StatusExt as _;

#[tokio::test]
async fn a_call_without_a_fitting_key_is_refused_and_told_what_fits() {
    let house = House::start().await;
    let backend = house.backend();
    let unknown = house
        .secrets()
        .keep("no key at all", "phk_nobody ever made this one");
    for key in [None, Some(unknown.as_str())] {
        let stranger = backend.with_key(key);
        let rooms = stranger
            .rooms()
            .list_rooms(control::ListRoomsRequest::default())
            .await;
        assert_eq!(refusal(rooms).code(), Code::Unauthenticated);
        let live = stranger
            .live()
            .list_rooms(live::ListRoomsRequest::default())
            .await;
        assert_eq!(refusal(live).code(), Code::Unauthenticated);
    }

    let for_rooms = backend.make_key(&["rooms"]).await;
    let for_rooms = backend.with_key(Some(&for_rooms));
    let rooms = for_rooms
        .rooms()
        .list_rooms(control::ListRoomsRequest::default())
        .await;
    rooms.expect("it has the scope");
    let users = for_rooms
        .users()
        .list_users(control::ListUsersRequest::default())
        .await;
    let status = refusal(users);
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(status.message().contains("users"), "{status:?}");
    let info = status
        .get_details_error_info()
        .expect("it is for programs too");
    assert_eq!(info.reason, "SCOPE_MISSING");
    let live = for_rooms
        .live()
        .list_rooms(live::ListRoomsRequest::default())
        .await;
    let status = refusal(live);
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(status.message().contains("live"), "{status:?}");
    house.close().await;
}

#[tokio::test]
async fn a_bad_request_names_its_field() {
    let house = House::start().await;
    let backend = house.backend();
    for room_id in [
        "",
        "no room",
        "a..b",
        "-",
        "../etc",
        "%2f",
        "a>",
        &"x".repeat(10_240),
    ] {
        let request = control::CreateRoomRequest {
            room_id: room_id.to_owned(),
            ..Default::default()
        };
        let status = refusal(backend.rooms().create_room(request).await);
        assert_eq!(names_field(&status), "room_id", "{room_id:?}");
    }
    let request = control::CreateUserRequest {
        user_id: "ada".to_owned(),
        password: house.secrets().keep("too short a password", "a/b+c=d!")[..7].to_owned(),
        ..Default::default()
    };
    let status = refusal(backend.users().create_user(request).await);
    assert_eq!(names_field(&status), "password");
    let silent = control::Room {
        name: "rooms/hall".to_owned(),
        rules: Some(control::RoomRules {
            messages: Some(control::MessageRules {
                text: Some(false),
                binary: Some(false),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    };
    let request = control::CreateRoomRequest {
        room_id: "hall".to_owned(),
        room: Some(silent),
        ..Default::default()
    };
    let status = refusal(backend.rooms().create_room(request).await);
    assert!(names_field(&status).contains("messages"), "{status:?}");
    // A revision that was never given cannot be waited for.
    let request = control::WaitAppliedRequest {
        revision: 1 << 40,
        timeout: None,
    };
    let status = refusal(backend.policy().wait_applied(request).await);
    assert_eq!(status.code(), Code::InvalidArgument);

    let request = control::GetRoomRequest {
        name: "rooms/nowhere".to_owned(),
    };
    let status = refusal(backend.rooms().get_room(request).await);
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("rooms/nowhere"), "{status:?}");
    backend.make_room("hall", control::Room::default()).await;
    let request = control::CreateRoomRequest {
        room_id: "hall".to_owned(),
        ..Default::default()
    };
    let status = refusal(backend.rooms().create_room(request).await);
    assert_eq!(status.code(), Code::AlreadyExists);
    house.close().await;
}

#[tokio::test]
async fn reflection_and_health_answer_without_a_key() {
    let house = House::start().await;
    let channel = house.backend().channel();
    let expected = [
        "porthouse.control.v1.RoomService",
        "porthouse.control.v1.PolicyService",
        "porthouse.live.v1.LiveService",
    ];

    let ask = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let answers = client
        .server_reflection_info(tokio_stream::iter([ask]))
        .await;
    let mut answers = answers.expect("v1 answers").into_inner();
    let answer = answers
        .next()
        .await
        .expect("one answer")
        .expect("a good one");
    let Some(v1::server_reflection_response::MessageResponse::ListServicesResponse(listed)) =
        answer.message_response
    else {
        panic!("no list of services");
    };
    let listed: Vec<String> = listed
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    for service in expected {
        assert!(
            listed.iter().any(|name| name == service),
            "{service}: {listed:?}"
        );
    }

    let ask = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(
                expected[0].to_owned(),
            ),
        ),
    };
    let mut client =
        v1alpha::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let answers = client
        .server_reflection_info(tokio_stream::iter([ask]))
        .await;
    let mut answers = answers.expect("v1alpha answers").into_inner();
    let answer = answers
        .next()
        .await
        .expect("one answer")
        .expect("a good one");
    assert!(matches!(
        answer.message_response,
        Some(v1alpha::server_reflection_response::MessageResponse::FileDescriptorResponse(_))
    ));

    let mut health = HealthClient::new(channel);
    let answer = health.check(HealthCheckRequest::default()).await;
    let status = answer.expect("health answers").into_inner().status;
    assert_eq!(status, i32::from(ServingStatus::Serving));
    house.close().await;
}

fn refusal<T>(answer: Result<tonic::Response<T>, Status>) -> Status {
    match answer {
        Ok(_) => panic!("it is not refused"),
        Err(status) => status,
    }
}

/// The one field that an `INVALID_ARGUMENT` names.
fn names_field(status: &Status) -> String {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let details = status
        .get_details_bad_request()
        .expect("it names the field");
    let [violation] = &details.field_violations[..] else {
        panic!("not one violation: {details:?}");
    };
    assert!(!violation.description.is_empty(), "it says what to do");
    violation.field.clone()
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_with_the_limit() {
    let planes = Planes::found().await;
    let replica = planes.replica(None).await;
    let node = planes.node("n", &replica, &[]).await;
    // A message of a room may be of 16 MiB.
    let long = "x".repeat(17 << 20);
    let request = control::GetRoomRequest { name: long.clone() };
    let status = planes.backend(&replica).rooms().get_room(request).await;
    let status = status.expect_err("it is too long");
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    let request = live::PurgeRequest {
        room: long,
        through: 0,
    };
    let status = planes.backend_at(node.grpc).live().purge(request).await;
    let status = status.expect_err("it is too long");
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    planes.close(node, vec![replica], Vec::new()).await;
}
