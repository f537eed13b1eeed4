//! Endpoints: handed out, changed and withdrawn by revisions. Opens no socket.

use porthouse_api::control::v1 as wire;
use tonic::Code;
use wire::EndpointAccess::{Private, Public, Users};

use crate::world::{World, field, mask};

fn create(address: &str, owner: &str, rooms: &[&str]) -> wire::CreateEndpointRequest {
    wire::CreateEndpointRequest {
        endpoint_id: address.into(),
        endpoint: Some(wire::Endpoint {
            owner: owner.into(),
            rooms: rooms.iter().map(|&room| room.to_owned()).collect(),
            ..Default::default()
        }),
        validate_only: false,
    }
}

#[tokio::test]
async fn an_endpoint_is_made_changed_and_withdrawn_by_revisions() {
    let world = World::start().await;
    world.user("sana", "").await;
    let room = world.room("lobby").await;
    let mut endpoints = world.admin().endpoints();
    let rehearsal = wire::CreateEndpointRequest {
        validate_only: true,
        ..create("@Desk", "users/sana", &["rooms/lobby"])
    };
    let rehearsed = endpoints.create_endpoint(rehearsal).await.expect("valid");
    assert_eq!(rehearsed.into_inner().revision, 0);
    let made = endpoints
        .create_endpoint(create(
            "@Desk",
            "users/sana",
            &["rooms/lobby", "rooms/news"],
        ))
        .await
        .expect("new")
        .into_inner();
    let endpoint = made.endpoint.expect("an endpoint");
    assert_eq!(endpoint.name, "endpoints/@desk");
    assert_eq!(endpoint.access(), Public);
    assert_eq!(endpoint.rooms, ["rooms/lobby", "rooms/news"]);
    let taken = create("@desk", "", &["rooms/lobby"]);
    let status = endpoints.create_endpoint(taken).await.expect_err("taken");
    assert_eq!(status.code(), Code::AlreadyExists);

    let update = |etag: &str| wire::UpdateEndpointRequest {
        endpoint: Some(wire::Endpoint {
            name: "endpoints/@desk".into(),
            access: Users.into(),
            etag: etag.into(),
            ..Default::default()
        }),
        update_mask: Some(mask(&["access"])),
        validate_only: false,
    };
    let changed = endpoints
        .update_endpoint(update(&endpoint.etag))
        .await
        .expect("there")
        .into_inner();
    let now = changed.endpoint.expect("an endpoint");
    assert_eq!((now.access(), now.owner.as_str()), (Users, "users/sana"));
    let same = endpoints.update_endpoint(update("")).await.expect("there");
    let status = endpoints
        .update_endpoint(update(&endpoint.etag))
        .await
        .expect_err("stale");
    assert_eq!(status.code(), Code::Aborted);

    let delete = wire::DeleteEndpointRequest {
        name: "endpoints/@desk".into(),
        etag: now.etag,
    };
    let gone = endpoints.delete_endpoint(delete).await.expect("there");
    let revisions = [
        made.revision,
        changed.revision,
        same.into_inner().revision,
        gone.into_inner().revision,
    ];
    assert_eq!(
        revisions.map(|revision| revision - room.revision),
        [1, 2, 2, 3]
    );
    let get = wire::GetEndpointRequest {
        name: "endpoints/@desk".into(),
    };
    let status = endpoints.get_endpoint(get).await.expect_err("gone");
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn an_endpoint_that_is_given_no_address_gets_one_nobody_guesses() {
    let world = World::start().await;
    let mut endpoints = world.admin().endpoints();
    let mut names = Vec::new();
    for _ in 0..2 {
        let made = endpoints.create_endpoint(create("", "", &["rooms/lobby"]));
        let endpoint = made.await.expect("new").into_inner().endpoint;
        names.push(endpoint.expect("an endpoint").name);
    }
    assert_ne!(names[0], names[1]);
    assert!(
        names
            .iter()
            .all(|name| name.len() == "endpoints/@".len() + 32)
    );
}

#[tokio::test]
async fn a_users_freeport_is_taken_by_nobody_else_and_never_made() {
    let world = World::start().await;
    world.user("ada", "").await;
    world.user("ben", "").await;
    let mut endpoints = world.admin().endpoints();
    for (request, wrong) in [
        (
            create("@ada", "users/ben", &["rooms/lobby"]),
            "endpoint.owner",
        ),
        (create("@ada", "", &["rooms/lobby"]), "endpoint.owner"),
        (create("@desk", "users/ada", &[]), "endpoint.rooms"),
        (
            create("alice.example.com", "users/ada", &[]),
            "endpoint.rooms",
        ),
        (create("desk", "", &["rooms/lobby"]), "endpoint_id"),
        (
            create("@desk", "users/nobody", &["rooms/lobby"]),
            "endpoint.owner",
        ),
        (create("@desk", "", &["lobby"]), "endpoint.rooms"),
        (
            create("@desk", "", &["rooms/a", "rooms/a"]),
            "endpoint.rooms",
        ),
    ] {
        let status = endpoints.create_endpoint(request).await.expect_err(wrong);
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(field(&status), wrong);
    }
    let mut private = create("@desk", "", &["rooms/lobby"]);
    private.endpoint.as_mut().expect("an endpoint").access = Private.into();
    let status = endpoints
        .create_endpoint(private)
        .await
        .expect_err("nobody's");
    assert_eq!(field(&status), "endpoint.owner");
    endpoints
        .create_endpoint(create("@ada", "users/ada", &[]))
        .await
        .expect("her own");

    let room = wire::CreateRoomRequest {
        room_id: "@ben".into(),
        ..Default::default()
    };
    let status = world.admin().rooms().create_room(room).await;
    assert_eq!(field(&status.expect_err("no room")), "room_id");
}

#[tokio::test]
async fn endpoints_are_listed_by_page_and_owner_and_go_with_it() {
    let world = World::start().await;
    world.user("ada", "").await;
    let mut endpoints = world.admin().endpoints();
    for (address, owner) in [
        ("@b", "users/ada"),
        ("@a", "users/ada"),
        ("@c", ""),
        ("alice.example.com", "users/ada"),
    ] {
        let request = create(address, owner, &["rooms/lobby"]);
        endpoints.create_endpoint(request).await.expect("new");
    }
    let list = |owner: &str, page_token: String| wire::ListEndpointsRequest {
        page_size: 2,
        page_token,
        owner: owner.into(),
    };
    let listed = |page: &wire::ListEndpointsResponse| -> Vec<String> {
        page.endpoints.iter().map(|one| one.name.clone()).collect()
    };
    let request = list("users/ada", String::new());
    let first = endpoints.list_endpoints(request).await.expect("a page");
    let first = first.into_inner();
    assert_eq!(listed(&first), ["endpoints/@a", "endpoints/@b"]);
    let request = list("users/ada", first.next_page_token.clone());
    let second = endpoints.list_endpoints(request).await.expect("a page");
    assert_eq!(
        listed(&second.into_inner()),
        ["endpoints/alice.example.com"]
    );
    let forged = list("", first.next_page_token);
    let status = endpoints.list_endpoints(forged).await.expect_err("another");
    assert_eq!(status.code(), Code::InvalidArgument);

    let delete = wire::DeleteUserRequest {
        name: "users/ada".into(),
        ..Default::default()
    };
    world
        .admin()
        .users()
        .delete_user(delete)
        .await
        .expect("there");
    let all = endpoints.list_endpoints(list("", String::new())).await;
    assert_eq!(listed(&all.expect("a page").into_inner()), ["endpoints/@c"]);
}

#[tokio::test]
async fn endpoints_are_kept_by_whoever_keeps_rooms() {
    let world = World::start().await;
    let key = world.key(&["users"]).await;
    let mut endpoints = world.with_key(&key.secret).endpoints();
    let request = create("@desk", "", &["rooms/lobby"]);
    let status = endpoints.create_endpoint(request).await.expect_err("scope");
    assert_eq!(status.code(), Code::PermissionDenied);
}
