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

fn deletion(name: &str) -> wire::DeleteMemberRequest {
    wire::DeleteMemberRequest {
        name: name.to_owned(),
        ..Default::default()
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
            ..Default::default()
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

    let delete = deletion(&name);
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

#[tokio::test]
async fn a_member_has_a_role_by_which_members_are_listed() {
    let world = World::start().await;
    for name in ["ana", "ben", "cleo"] {
        world.user(name, "").await;
    }
    world.room("lobby").await;
    let mut members = world.admin().members();
    let create = |user: &str, role: &str| wire::CreateMemberRequest {
        parent: "rooms/lobby".into(),
        user_id: user.into(),
        member: Some(wire::Member {
            role: role.into(),
            ..Default::default()
        }),
        validate_only: false,
    };
    for (user, role) in [("ana", "moderator"), ("ben", ""), ("cleo", "moderator")] {
        members
            .create_member(create(user, role))
            .await
            .expect("new");
    }
    let listed = async |role: &str| {
        let list = wire::ListMembersRequest {
            parent: "rooms/lobby".into(),
            role: role.into(),
            ..Default::default()
        };
        let page = world.admin().members().list_members(list).await;
        let page = page.map(|page| page.into_inner().members)?;
        let user = |member: wire::Member| member.name.rsplit('/').next().map(str::to_owned);
        Ok::<Vec<_>, tonic::Status>(page.into_iter().filter_map(user).collect())
    };
    assert_eq!(listed("moderator").await.expect("a page"), ["ana", "cleo"]);
    assert_eq!(listed("member").await.expect("a page"), ["ben"]);
    assert_eq!(listed("").await.expect("a page").len(), 3);
    assert_eq!(field(&listed("No role").await.expect_err("none")), "role");
    let status = members.create_member(create("ben", "-")).await;
    assert_eq!(field(&status.expect_err("no role")), "member.role");
}

#[tokio::test]
async fn a_role_is_changed_by_its_mask_and_nothing_else_is() {
    let world = World::start().await;
    world.user("sana", "").await;
    world.room("lobby").await;
    let mut members = world.admin().members();
    let later = from_now(Duration::from_hours(1));
    let made = members.create_member(create(Some(later))).await;
    let made = made.expect("new").into_inner();
    let mut send = async |role: &str, validate_only| {
        let update = wire::UpdateMemberRequest {
            member: Some(wire::Member {
                name: "rooms/lobby/members/sana".into(),
                role: role.into(),
                ..Default::default()
            }),
            update_mask: Some(mask(&["role"])),
            validate_only,
        };
        let answer = members.update_member(update).await.expect("there");
        let answer = answer.into_inner();
        (answer.member.expect("a member"), answer.revision)
    };
    let (tried, none) = send("speaker", true).await;
    assert_eq!((tried.role.as_str(), none), ("speaker", 0));
    let (changed, revision) = send("speaker", false).await;
    assert_eq!(
        (changed.role.as_str(), revision),
        ("speaker", made.revision + 1)
    );
    let expire_time = made.member.and_then(|member| member.expire_time);
    assert_eq!(changed.expire_time, expire_time);
    assert_eq!(send("speaker", false).await.1, revision);
    assert_eq!(send("", false).await.0.role, "member");
}
