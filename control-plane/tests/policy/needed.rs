//! A node that does not know a room's rules: the room is shut there, and its feed
//! goes on.

use porthouse_api::control::v1 as control;
use porthouse_api::control::v1::audit_service_client::AuditServiceClient;
use porthouse_api::control::v1::node_service_client::NodeServiceClient;
use porthouse_api::node::RULES_KNOWN;
use porthouse_api::node::v1::resolve_key::Key;
use porthouse_api::node::v1::resolved::Found;
use porthouse_api::node::v1::{Audience, ResolveKey, ResolveRequest, WatchStart};
use tonic::Code;

use crate::plane::{Node, Plane, start};

/// A room, or a template, that keeps its latest message.
fn keeping() -> control::RoomRules {
    let history = control::HistoryRules {
        keep: Some(control::history_rules::Keep::Latest(control::KeepLatest {})),
        ..control::HistoryRules::default()
    };
    control::RoomRules {
        history: Some(history),
        ..control::RoomRules::default()
    }
}

async fn keep_latest(plane: &Plane, room: &str) -> i64 {
    let request = control::UpdateRoomRequest {
        room: Some(control::Room {
            name: format!("rooms/{room}"),
            rules: Some(keeping()),
            ..control::Room::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["rules.history".to_owned()],
        }),
        ..control::UpdateRoomRequest::default()
    };
    let updated = plane.rooms().update_room(request).await.expect("updated");
    updated.into_inner().revision
}

/// Who may enter a room of this name, as a node is told that knows this much.
async fn audience(plane: &Plane, name: &str, rules_known: u32) -> Audience {
    let request = ResolveRequest {
        min_revision: 0,
        keys: vec![ResolveKey {
            key: Some(Key::RoomName(name.to_owned())),
        }],
        rules_known,
    };
    let answer = plane.feed().resolve(request).await.expect("an answer");
    let resolved = answer.into_inner().resolved.remove(0);
    let rules = match resolved.found {
        Some(Found::Room(room)) => room.rules,
        Some(Found::Template(template)) => template.rules,
        other => panic!("neither a room nor a template: {other:?}"),
    };
    rules.expect("it has rules").audience()
}

fn old(name: &str) -> WatchStart {
    WatchStart {
        rules_known: RULES_KNOWN - 1,
        ..start(name, 1, None)
    }
}

#[tokio::test]
async fn a_room_is_shut_on_a_node_that_does_not_know_its_rules() {
    let plane = Plane::start().await;
    plane.create_room("lobby").await;
    assert_eq!(audience(&plane, "lobby", 0).await, Audience::Anyone);
    keep_latest(&plane, "lobby").await;
    assert_eq!(audience(&plane, "lobby", 0).await, Audience::Nobody);
    assert_eq!(
        audience(&plane, "lobby", RULES_KNOWN).await,
        Audience::Anyone
    );

    let request = control::CreateRoomTemplateRequest {
        room_template_id: "chat:*".to_owned(),
        room_template: Some(control::RoomTemplate {
            rules: Some(keeping()),
            ..control::RoomTemplate::default()
        }),
        ..control::CreateRoomTemplateRequest::default()
    };
    let made = plane.room_templates().create_room_template(request).await;
    made.expect("a template is made");
    assert_eq!(audience(&plane, "chat:a", 0).await, Audience::Nobody);
    assert_eq!(
        audience(&plane, "chat:a", RULES_KNOWN).await,
        Audience::Anyone
    );
}

#[tokio::test]
async fn an_administrator_sees_that_a_node_is_too_old() {
    let plane = Plane::start().await;
    let new = Node::watch(&plane, "new").await;
    let opened = Node::open(plane.feed(), old("old")).await;
    let mut node = opened.expect("the watch opens");
    let list = control::ListNodesRequest::default();
    let mut nodes = NodeServiceClient::new(plane.admin_channel());
    let listed = nodes.list_nodes(list).await.expect("nodes").into_inner();
    let seen = listed.nodes.iter();
    let seen: Vec<_> = seen
        .map(|node| (node.name.as_str(), node.is_outdated))
        .collect();
    assert_eq!(seen, [("nodes/new", false), ("nodes/old", true)]);

    // Once a process, however often it comes.
    plane.create_room("lobby").await;
    keep_latest(&plane, "lobby").await;
    assert_eq!(node.end().await, Code::OutOfRange);
    let again = Node::open(plane.feed(), old("old")).await;
    let _again = again.expect("the watch opens");
    let list = control::ListAuditEventsRequest {
        filter: r#"action = "PolicyFeedService.Watch""#.to_owned(),
        ..control::ListAuditEventsRequest::default()
    };
    let mut audit = AuditServiceClient::new(plane.admin_channel());
    let events = audit.list_audit_events(list).await.expect("events");
    let events = events.into_inner().audit_events;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0].outcome, "NODE_OUTDATED");
    assert!(events[0].target.starts_with("node=nodes/old "));
    assert!(events[0].actor.starts_with("apiKeys/"));
    drop(new);
}

#[tokio::test]
async fn a_node_that_does_not_know_a_rooms_rules_resolves_it_anew_and_its_feed_goes_on() {
    let plane = Plane::start().await;
    plane.create_room("lobby").await;
    let mut new = Node::watch(&plane, "new").await;
    let opened = Node::open(plane.feed(), old("old")).await;
    let mut node = opened.expect("the watch opens");
    plane.create_room("other").await;
    node.change().await.expect("every node knows such rules");
    new.change().await.expect("so does this one");
    let before = node.at.clone();

    let revision = keep_latest(&plane, "lobby").await;
    assert_eq!(node.end().await, Code::OutOfRange);
    let change = new.change().await.expect("it knows them");
    assert_eq!(change.revision, revision);
    let from = WatchStart {
        from: Some(before),
        ..old("old")
    };
    let behind = Node::open(plane.feed(), from).await;
    let mut behind = behind.expect("the position is in the log");
    assert_eq!(behind.end().await, Code::OutOfRange, "nor is it told later");

    let anew = Node::open(plane.feed(), old("old")).await;
    let mut node = anew.expect("the watch opens");
    let revision = plane.create_room("third").await;
    let change = node.change().await.expect("the feed goes on");
    assert_eq!(change.revision, revision);
}
