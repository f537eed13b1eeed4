//! What is at an address, as nodes are told: endpoints, and the freeports of
//! users, which are there without having been made.

use porthouse_api::control::v1 as control;
use porthouse_api::node::v1::change_item::Item;
use porthouse_api::node::v1::resolve_key::Key;
use porthouse_api::node::v1::resolved::Found;
use porthouse_api::node::v1::{
    Audience, ChangePayload, Endpoint, EndpointAccess, ResolveKey, ResolveRequest, Room,
};
use prost::Message as _;

use crate::plane::{Node, Plane};

/// What is at an address, and the room of that name, in one snapshot.
async fn resolved(plane: &Plane, address: &str) -> (Option<Endpoint>, Option<Room>) {
    let mut keys = vec![Key::EndpointAddress(address.to_owned())];
    if address.starts_with('@') {
        keys.push(Key::RoomName(address.to_owned()));
    }
    let key = |key| ResolveKey { key: Some(key) };
    let request = ResolveRequest {
        rules_known: porthouse_api::node::RULES_KNOWN,
        min_revision: 0,
        keys: keys.into_iter().map(key).collect(),
    };
    let answer = plane.feed().resolve(request).await.expect("an answer");
    let (mut endpoint, mut room) = (None, None);
    for resolved in answer.into_inner().resolved {
        match resolved.found {
            Some(Found::Endpoint(found)) => endpoint = Some(found),
            Some(Found::Room(found)) => room = Some(found),
            None => {}
            other => panic!("not asked for: {other:?}"),
        }
    }
    (endpoint, room)
}

async fn user(plane: &Plane, name: &str) -> Vec<u8> {
    let request = control::CreateUserRequest {
        user_id: name.to_owned(),
        ..control::CreateUserRequest::default()
    };
    let made = plane.users().create_user(request).await.expect("a user");
    let user = made.into_inner().user.expect("a user");
    let id: porthouse_model::UserId = user.uid.parse().expect("a UUID");
    id.as_bytes().to_vec()
}

async fn open(plane: &Plane, address: &str, owner: &str, rooms: &[&str]) {
    let request = control::CreateEndpointRequest {
        endpoint_id: address.to_owned(),
        endpoint: Some(control::Endpoint {
            owner: owner.to_owned(),
            rooms: rooms.iter().map(|&room| room.to_owned()).collect(),
            ..control::Endpoint::default()
        }),
        validate_only: false,
    };
    let made = plane.endpoints().create_endpoint(request).await;
    made.expect("an endpoint");
}

async fn withdraw(plane: &Plane, address: &str) {
    let request = control::DeleteEndpointRequest {
        name: format!("endpoints/{address}"),
        etag: String::new(),
    };
    let gone = plane.endpoints().delete_endpoint(request).await;
    gone.expect("it was there");
}

/// What the next revision changed.
async fn changed(node: &mut Node) -> Vec<Item> {
    let change = node.change().await.expect("a change");
    let payload = ChangePayload::decode(change.payload).expect("a payload");
    let items = payload.items.into_iter();
    items.map(|item| item.item.expect("an item")).collect()
}

fn audience(room: &Room) -> Audience {
    room.rules.as_ref().expect("rules").audience()
}

#[tokio::test]
async fn a_user_has_a_freeport_that_is_theirs_alone() {
    let plane = Plane::start().await;
    assert_eq!(resolved(&plane, "@ada").await, (None, None));
    let ada = user(&plane, "ada").await;
    let (endpoint, room) = resolved(&plane, "@ada").await;
    let endpoint = endpoint.expect("a freeport");
    assert_eq!(endpoint.access(), EndpointAccess::Owner);
    assert_eq!((&endpoint.owner_id, &endpoint.id), (&ada, &ada));
    assert_eq!(endpoint.room_names, ["@ada"]);
    let room = room.expect("a freeport");
    assert_eq!((&room.owner_id, &room.id), (&ada, &ada));
    assert_eq!(audience(&room), Audience::Members);
}

#[tokio::test]
async fn an_endpoint_opens_a_freeport_or_stands_before_it() {
    let plane = Plane::start().await;
    user(&plane, "ada").await;
    let mut node = Node::watch(&plane, "a").await;
    open(&plane, "@ada", "users/ada", &[]).await;
    let (endpoint, room) = resolved(&plane, "@ada").await;
    let (endpoint, room) = (endpoint.expect("there"), room.expect("there"));
    assert_eq!(endpoint.access(), EndpointAccess::Anyone);
    assert_eq!(endpoint.room_names, ["@ada"]);
    assert_eq!(audience(&room), Audience::Anyone);
    let told = changed(&mut node).await;
    assert_eq!(told, [Item::Endpoint(endpoint), Item::Room(room)]);

    withdraw(&plane, "@ada").await;
    let told = changed(&mut node).await;
    let [Item::Endpoint(endpoint), Item::Room(room)] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(endpoint.access(), EndpointAccess::Owner);
    assert_eq!(audience(room), Audience::Members);

    open(&plane, "@ada", "users/ada", &["rooms/lobby"]).await;
    let (endpoint, room) = resolved(&plane, "@ada").await;
    assert_eq!(endpoint.expect("there").room_names, ["lobby"]);
    let room = room.expect("there");
    assert_eq!(audience(&room), Audience::Members, "it leads elsewhere");
}

#[tokio::test]
async fn an_endpoint_of_no_user_is_told_made_and_withdrawn() {
    let plane = Plane::start().await;
    let mut node = Node::watch(&plane, "a").await;
    let address = "alice.example.com";
    open(&plane, address, "", &["rooms/lobby", "rooms/news"]).await;
    let (endpoint, _) = resolved(&plane, address).await;
    let endpoint = endpoint.expect("an endpoint");
    assert_eq!(endpoint.room_names, ["lobby", "news"]);
    assert_eq!(changed(&mut node).await, [Item::Endpoint(endpoint)]);
    withdraw(&plane, address).await;
    let told = changed(&mut node).await;
    let [Item::EndpointGone(gone)] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(gone.address, address);
    assert_eq!(resolved(&plane, address).await.0, None);
}

#[tokio::test]
async fn a_freeport_and_its_endpoint_go_with_their_user() {
    let plane = Plane::start().await;
    let ada = user(&plane, "ada").await;
    open(&plane, "@ada", "users/ada", &[]).await;
    let mut node = Node::watch(&plane, "a").await;
    let request = control::DeleteUserRequest {
        name: "users/ada".to_owned(),
        ..control::DeleteUserRequest::default()
    };
    plane.users().delete_user(request).await.expect("there");
    let told = changed(&mut node).await;
    let user = |item: &Item| matches!(item, Item::UserGone(gone) if gone.id == ada);
    let at = |item: &Item| matches!(item, Item::EndpointGone(gone) if gone.address == "@ada");
    let room = |item: &Item| matches!(item, Item::RoomGone(gone) if gone.id == ada);
    for gone in [
        told.iter().any(user),
        told.iter().any(at),
        told.iter().any(room),
    ] {
        assert!(gone, "{told:?}");
    }
    assert_eq!(resolved(&plane, "@ada").await, (None, None));
}
