//! Members of rooms: made, changed and gone by revisions. Opens no socket.

use std::time::Duration;

use porthouse_api::control::v1 as wire;
use tonic::Code;

use crate::world::{World, field, from_now, mask};

fn create(expire_time: Option<prost_types::Timestamp>) -> wire::CreateMemberRequest {
    wire::CreateMemberRequest {
        parent: "rooms/lobby".into(),
        user_id: "Sana".into(),
        member: Some(wire::Member {
            expire_time,
            ..Default::default()
        }),
        validate_only: false,
    }
}

#[tokio::test]
async fn a_membership_is_made_changed_and_removed_by_revisions() {
    let world = World::start().await;
    world.user("sana", "").await;
    let room = world.room("lobby").await;
    let mut members = world.admin().members();
    let made = members
        .create_member(create(None))
        .await
        .expect("new")
        .into_inner();
    let name = made.member.expect("a member").name;
    assert_eq!(name, "rooms/lobby/members/sana");
    let status = members
        .create_member(create(None))
        .await
        .expect_err("taken");
    assert_eq!(status.code(), Code::AlreadyExists);

    let later = from_now(Duration::from_hours(1));
    let update = |expire_time| wire::UpdateMemberRequest {
        member: Some(wire::Member {
            name: name.clone(),
            expire_time,
            create_time: None,
        }),
        update_mask: Some(mask(&["expire_time"])),
        validate_only: false,
    };
    let changed = members
        .update_member(update(Some(later)))
        .await
        .expect("there");
    let same = members
        .update_member(update(Some(later)))
        .await
        .expect("there");
    let past = prost_types::Timestamp::default();
    let status = members
        .update_member(update(Some(past)))
        .await
        .expect_err("past");
    assert_eq!(field(&status), "member.expire_time");

    let delete = wire::DeleteMemberRequest { name: name.clone() };
    let gone = members
        .delete_member(delete.clone())
        .await
        .expect("there")
        .into_inner();
    let revisions = [
        made.revision,
        changed.into_inner().revision,
        same.into_inner().revision,
        gone.revision,
    ];
    assert_eq!(
        revisions.map(|revision| revision - room.revision),
        [1, 2, 2, 3]
    );
    assert_eq!(
        members
            .delete_member(delete)
            .await
            .expect_err("gone")
            .code(),
        Code::NotFound
    );
    let get = wire::GetMemberRequest { name };
    assert_eq!(
        members.get_member(get).await.expect_err("gone").code(),
        Code::NotFound
    );
}

#[tokio::test]
async fn a_membership_that_expired_is_absent_and_can_be_made_anew() {
    let world = World::start().await;
    world.user("sana", "").await;
    world.room("lobby").await;
    let mut members = world.admin().members();
    let soon = from_now(Duration::from_millis(300));
    members
        .create_member(create(Some(soon)))
        .await
        .expect("new");
    let name = "rooms/lobby/members/sana".to_owned();
    let list = wire::ListMembersRequest {
        parent: "rooms/lobby".into(),
        ..Default::default()
    };
    tokio::time::timeout(Duration::from_secs(10), async {
        let get = wire::GetMemberRequest { name };
        while members.get_member(get.clone()).await.is_ok() {}
    })
    .await
    .expect("it expires");
    let page = members
        .list_members(list.clone())
        .await
        .expect("a page")
        .into_inner();
    assert!(page.members.is_empty());
    members.create_member(create(None)).await.expect("anew");
    let page = members
        .list_members(list)
        .await
        .expect("a page")
        .into_inner();
    assert_eq!(page.members.len(), 1);
}

#[tokio::test]
async fn what_a_membership_joins_must_exist() {
    let world = World::start().await;
    let mut members = world.admin().members();
    let status = members
        .create_member(create(None))
        .await
        .expect_err("no room");
    assert_eq!(
        (status.code(), status.message()),
        (Code::NotFound, "there is no rooms/lobby")
    );
    world.room("lobby").await;
    let status = members
        .create_member(create(None))
        .await
        .expect_err("no user");
    assert_eq!(
        (status.code(), status.message()),
        (Code::NotFound, "there is no users/sana")
    );
}
