//! What nodes are told of a room and its members: all that somebody wrote of
//! them. Judges nothing by it.

use porthouse_api::control::v1 as control;
use porthouse_api::control::v1::member_service_client::MemberServiceClient;
use porthouse_api::node::v1::ChangePayload;
use porthouse_model::{
    Audience, ChangeItem, EntryStep, Order, PasswordVersion, Role, RoomRules, SlowConsumer,
};
use prost::Message as _;

use crate::plane::{Node, Plane};

/// The one thing that the next revision changes.
async fn told(node: &mut Node) -> ChangeItem {
    let change = node.change().await.expect("a change");
    let payload = ChangePayload::decode(&*change.payload).expect("a payload");
    let mut items = payload.items.into_iter();
    let item = items.next().expect("one thing");
    assert!(items.next().is_none());
    item.try_into().expect("a thing that the model has")
}

fn rules() -> control::RoomRules {
    let step = |kind| control::EntryStep { kind: Some(kind) };
    control::RoomRules {
        connection: Some(control::ConnectionRules {
            users_denied: vec!["users/mallory".into()],
            roles_denied: vec!["guest".into()],
            ..Default::default()
        }),
        entry: Some(control::EntryRules {
            steps: vec![
                step(control::entry_step::Kind::Approval(
                    control::ApprovalStep {},
                )),
                step(control::entry_step::Kind::Password(
                    control::PasswordStep {},
                )),
            ],
            ..Default::default()
        }),
        delivery: Some(control::DeliveryRules {
            order: control::Order::Ordered.into(),
            slow_consumer: control::SlowConsumer::DropOldest.into(),
        }),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_node_is_told_every_rule_of_a_room() {
    let plane = Plane::start().await;
    let create = control::CreateUserRequest {
        user_id: "mallory".into(),
        ..Default::default()
    };
    plane.users().create_user(create).await.expect("a user");
    let mut node = Node::watch(&plane, "a").await;
    let create = control::CreateRoomRequest {
        room_id: "lobby".into(),
        room: Some(control::Room {
            visibility: control::Visibility::Private.into(),
            rules: Some(rules()),
            ..Default::default()
        }),
        password: "open sesame".into(),
        ..Default::default()
    };
    plane.rooms().create_room(create).await.expect("a room");
    let ChangeItem::Room(room) = told(&mut node).await else {
        panic!("not a room");
    };
    let RoomRules {
        connection,
        entry,
        delivery,
        ..
    } = *room.rules;
    assert_eq!(connection.audience, Audience::Members);
    assert_eq!(connection.users_denied.len(), 1);
    assert!(
        connection
            .roles_denied
            .contains(&"guest".parse::<Role>().expect("a role"))
    );
    let password = EntryStep::Password(PasswordVersion(1));
    assert_eq!(entry.steps, [EntryStep::Approval, password]);
    assert_eq!(
        (delivery.order, delivery.slow_consumer),
        (Order::Ordered, SlowConsumer::DropOldest)
    );
}

#[tokio::test]
async fn a_node_is_told_as_what_a_member_comes() {
    let plane = Plane::start().await;
    let create = control::CreateUserRequest {
        user_id: "sana".into(),
        ..Default::default()
    };
    plane.users().create_user(create).await.expect("a user");
    plane.create_room("lobby").await;
    let mut node = Node::watch(&plane, "a").await;
    let mut members = MemberServiceClient::new(plane.admin_channel());
    let create = control::CreateMemberRequest {
        parent: "rooms/lobby".into(),
        user_id: "sana".into(),
        ..Default::default()
    };
    let made = members.create_member(create).await.expect("a member");
    let ChangeItem::Member(member) = told(&mut node).await else {
        panic!("not a member");
    };
    assert_eq!(member.role, Role::MEMBER);

    let mut member = made.into_inner().member.expect("a member");
    member.role = "moderator".into();
    let update = control::UpdateMemberRequest {
        member: Some(member),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["role".into()],
        }),
        ..Default::default()
    };
    members.update_member(update).await.expect("changed");
    let ChangeItem::Member(member) = told(&mut node).await else {
        panic!("not a member");
    };
    assert_eq!(member.role, Role::MODERATOR);
}
