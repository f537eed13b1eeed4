//! Members by a label: a user who is given it may come in, and who loses it is put out at
//! once, whatever changed.

use std::collections::HashMap;

use porthouse_api::control::v1::{
    CreateMemberGroupRequest, DeleteMemberGroupRequest, MemberGroup, Room, UpdateUserRequest, User,
    Visibility,
};
use porthouse_e2e::backend::Backend;
use porthouse_e2e::house::House;
use porthouse_e2e::raw::Raw;

use crate::shapes::assert_closed;

async fn label(backend: &Backend, user: &str, team: &str) {
    let request = UpdateUserRequest {
        user: Some(User {
            name: format!("users/{user}"),
            labels: HashMap::from([("team".to_owned(), team.to_owned())]),
            ..User::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["labels".to_owned()],
        }),
        ..UpdateUserRequest::default()
    };
    let changed = backend.users().update_user(request).await.expect("there");
    backend.applied(changed.into_inner().revision).await;
}

#[tokio::test]
async fn who_has_the_label_is_inside_and_who_loses_it_is_out_at_once() {
    let house = House::start().await;
    let backend = house.backend();
    let private = Room {
        visibility: Visibility::Private.into(),
        ..Room::default()
    };
    backend.make_room("den", private).await;
    let ada = backend.signed_in_user("ada").await;
    let ws = house.ws();
    let refused = Raw::refused(ws, "den", Some(&ada.token)).await;
    assert_eq!(refused.body["rule"], "visibility.private");
    let group = CreateMemberGroupRequest {
        parent: "rooms/den".to_owned(),
        member_group_id: "reds".to_owned(),
        member_group: Some(MemberGroup {
            label_key: "team".to_owned(),
            label_value: "red".to_owned(),
            ..MemberGroup::default()
        }),
        validate_only: false,
    };
    let mut groups = backend.member_groups();
    groups.create_member_group(group).await.expect("a group");

    label(backend, "ada", "red").await;
    let mut inside = Raw::enter(ws, "den", Some(&ada.token)).await;
    label(backend, "ada", "blue").await;
    let (heard, closed) = inside.rest().await;
    assert!(heard.is_empty(), "{heard:?}");
    assert_closed(&closed, 4003, "visibility.private", "retry never");

    label(backend, "ada", "red").await;
    let mut inside = Raw::enter(ws, "den", Some(&ada.token)).await;
    let delete = DeleteMemberGroupRequest {
        name: "rooms/den/memberGroups/reds".to_owned(),
    };
    groups.delete_member_group(delete).await.expect("deleted");
    let (_, closed) = inside.rest().await;
    assert_closed(&closed, 4003, "visibility.private", "retry never");
    house.close().await;
}
