//! Groups of members: whoever has the label is a member, and nobody else by it; a
//! membership of one's own counts before.

use std::collections::HashMap;
use std::time::Duration;

use porthouse_api::control::v1 as wire;
use tonic::Code;

use crate::world::{Caller, World, field, from_now, mask, reason};

async fn label(world: &Caller, user: &str, team: Option<&str>) -> i64 {
    let labels = team.map(|team| ("team".to_owned(), team.to_owned()));
    let request = wire::UpdateUserRequest {
        user: Some(wire::User {
            name: format!("users/{user}"),
            labels: labels.into_iter().collect(),
            ..Default::default()
        }),
        update_mask: Some(mask(&["labels"])),
        validate_only: false,
    };
    let updated = world.users().update_user(request).await.expect("there");
    updated.into_inner().revision
}

fn group(id: &str, team: &str, role: &str) -> wire::CreateMemberGroupRequest {
    wire::CreateMemberGroupRequest {
        parent: "rooms/den".into(),
        member_group_id: id.into(),
        member_group: Some(wire::MemberGroup {
            label_key: "team".into(),
            label_value: team.into(),
            role: role.into(),
            ..Default::default()
        }),
        validate_only: false,
    }
}

async fn make(world: &World, id: &str, team: &str, role: &str) -> wire::CreateMemberGroupResponse {
    let mut groups = world.admin().member_groups();
    let made = groups.create_member_group(group(id, team, role)).await;
    made.expect("a group").into_inner()
}

async fn delete(world: &World, id: &str) -> i64 {
    let request = wire::DeleteMemberGroupRequest {
        name: format!("rooms/den/memberGroups/{id}"),
    };
    let mut groups = world.admin().member_groups();
    let gone = groups.delete_member_group(request).await.expect("there");
    gone.into_inner().revision
}

/// The members of the room, each as what and by which group.
async fn members(world: &World) -> Vec<(String, String, String)> {
    let request = wire::ListMembersRequest {
        parent: "rooms/den".into(),
        ..Default::default()
    };
    let page = world.admin().members().list_members(request).await;
    let members = page.expect("a page").into_inner().members.into_iter();
    let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    members
        .map(|member| (last(&member.name), member.role, last(&member.group)))
        .collect()
}

fn told(members: &[(String, String, String)]) -> Vec<(&str, &str, &str)> {
    let members = members.iter();
    members
        .map(|(name, role, group)| (name.as_str(), role.as_str(), group.as_str()))
        .collect()
}

/// A room, and three users of whom two are of team red.
async fn world() -> World {
    let world = World::start().await;
    world.room("den").await;
    for name in ["ada", "bob", "cai"] {
        world.user(name, "").await;
    }
    label(&world.admin(), "ada", Some("red")).await;
    label(&world.admin(), "bob", Some("red")).await;
    world
}

#[tokio::test]
async fn whoever_has_the_label_is_a_member_as_long_as_they_have_it() {
    let world = world().await;
    let made = make(&world, "reds", "red", "moderator").await;
    assert!(made.revision > 0);
    let now = members(&world).await;
    let reds = [("ada", "moderator", "reds"), ("bob", "moderator", "reds")];
    assert_eq!(told(&now), reds);

    let before = label(&world.admin(), "cai", Some("red")).await;
    assert!(before > made.revision, "nodes are told");
    assert_eq!(members(&world).await.len(), 3);
    label(&world.admin(), "ada", Some("blue")).await;
    label(&world.admin(), "bob", None).await;
    let now = members(&world).await;
    assert_eq!(told(&now), [("cai", "moderator", "reds")]);
    // Who is made with the label is one too.
    let new = wire::CreateUserRequest {
        user_id: "dot".into(),
        user: Some(wire::User {
            labels: HashMap::from([("team".into(), "red".into())]),
            ..Default::default()
        }),
        ..Default::default()
    };
    world.admin().users().create_user(new).await.expect("new");
    assert_eq!(members(&world).await.len(), 2);

    let update = wire::UpdateMemberGroupRequest {
        member_group: Some(wire::MemberGroup {
            name: "rooms/den/memberGroups/reds".into(),
            ..Default::default()
        }),
        update_mask: Some(mask(&["role"])),
        validate_only: false,
    };
    let mut groups = world.admin().member_groups();
    groups.update_member_group(update).await.expect("changed");
    let now = members(&world).await;
    assert_eq!(
        told(&now),
        [("cai", "member", "reds"), ("dot", "member", "reds")]
    );
    let gone = delete(&world, "reds").await;
    assert!(gone > before);
    assert!(members(&world).await.is_empty());
}

#[tokio::test]
async fn a_membership_of_ones_own_counts_before_the_groups_and_falls_back_to_it() {
    let world = world().await;
    make(&world, "reds", "red", "moderator").await;
    let own = wire::CreateMemberRequest {
        parent: "rooms/den".into(),
        user_id: "ada".into(),
        ..Default::default()
    };
    let mut service = world.admin().members();
    service.create_member(own.clone()).await.expect("her own");
    let twice = service.create_member(own).await.expect_err("it is there");
    assert_eq!(twice.code(), Code::AlreadyExists);
    let now = members(&world).await;
    assert_eq!(told(&now)[0], ("ada", "member", ""));
    label(&world.admin(), "ada", None).await;
    label(&world.admin(), "ada", Some("red")).await;
    assert_eq!(
        members(&world).await[0].2,
        "",
        "labels change nothing of it"
    );

    let delete = |name: &str| wire::DeleteMemberRequest {
        name: format!("rooms/den/members/{name}"),
        ..Default::default()
    };
    service.delete_member(delete("ada")).await.expect("gone");
    let now = members(&world).await;
    assert_eq!(told(&now)[0], ("ada", "moderator", "reds"));
    let refused = service.delete_member(delete("ada")).await;
    let refused = refused.expect_err("the group gives it");
    assert_eq!(reason(&refused), "MEMBER_BY_GROUP");
    assert!(refused.message().contains("memberGroups/reds"), "{refused}");
    let update = wire::UpdateMemberRequest {
        member: Some(wire::Member {
            name: "rooms/den/members/ada".into(),
            ..Default::default()
        }),
        update_mask: Some(mask(&["role"])),
        validate_only: false,
    };
    let refused = service.update_member(update).await.expect_err("so it is");
    assert_eq!(reason(&refused), "MEMBER_BY_GROUP");
}

#[tokio::test]
async fn a_membership_of_ones_own_that_has_ended_hides_no_groups() {
    let world = world().await;
    label(&world.admin(), "ada", None).await;
    let soon = from_now(Duration::from_secs(1));
    let own = wire::CreateMemberRequest {
        parent: "rooms/den".into(),
        user_id: "ada".into(),
        member: Some(wire::Member {
            expire_time: Some(soon),
            ..Default::default()
        }),
        ..Default::default()
    };
    let mut service = world.admin().members();
    service.create_member(own).await.expect("her own");
    let ended = async {
        while !members(&world).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let within = Duration::from_secs(30);
    tokio::time::timeout(within, ended).await.expect("it ends");
    make(&world, "reds", "red", "moderator").await;
    label(&world.admin(), "ada", Some("red")).await;
    let now = members(&world).await;
    assert_eq!(told(&now)[0], ("ada", "moderator", "reds"));
}

#[tokio::test]
async fn of_several_groups_that_which_lasts_counts_and_the_next_takes_its_place() {
    let world = world().await;
    make(&world, "b-team", "red", "member").await;
    make(&world, "a-team", "red", "moderator").await;
    let by = async || members(&world).await[0].2.clone();
    assert_eq!(by().await, "a-team");
    delete(&world, "a-team").await;
    assert_eq!(by().await, "b-team");
    let rehearsed = wire::CreateMemberGroupRequest {
        validate_only: true,
        ..group("c-team", "blue", "")
    };
    let mut groups = world.admin().member_groups();
    let rehearsed = groups.create_member_group(rehearsed).await.expect("it may");
    assert_eq!(rehearsed.into_inner().revision, 0);
    let listed = wire::ListMemberGroupsRequest {
        parent: "rooms/den".into(),
        ..Default::default()
    };
    let listed = groups.list_member_groups(listed).await.expect("a page");
    assert_eq!(listed.into_inner().member_groups.len(), 1);
}

#[tokio::test]
async fn what_is_no_group_is_refused_by_its_field_and_one_too_many_by_the_limit() {
    let world = world().await;
    let mut groups = world.admin().member_groups();
    for (request, wrong) in [
        (group("Reds", "red", ""), "member_group_id"),
        (group("reds", "red", "No role"), "member_group.role"),
        (
            group("reds", &"r".repeat(257), ""),
            "member_group.label_key",
        ),
    ] {
        let refused = groups.create_member_group(request).await;
        assert_eq!(field(&refused.expect_err(wrong)), wrong);
    }
    for number in 0..32 {
        make(&world, &format!("group-{number}"), "none", "").await;
    }
    let refused = groups.create_member_group(group("more", "none", "")).await;
    let refused = refused.expect_err("one too many");
    assert_eq!(reason(&refused), "MEMBER_GROUPS_TOO_MANY");
    let twice = groups
        .create_member_group(group("group-1", "none", ""))
        .await;
    assert!(twice.is_err());
    delete(&world, "group-2").await;
    let twice = groups
        .create_member_group(group("group-1", "none", ""))
        .await;
    assert_eq!(twice.expect_err("there").code(), Code::AlreadyExists);
}

/// Whichever commits first, the other sees it.
#[tokio::test]
async fn of_a_group_and_a_label_that_are_written_at_once_none_misses_the_other() {
    let world = world().await;
    let (other, _serving) = world.beside().await;
    for round in 0..24 {
        let team = format!("team-{round}");
        let id = format!("group-{round}");
        let here = world.admin();
        let mut groups = here.member_groups();
        let (made, _) = tokio::join!(
            groups.create_member_group(group(&id, &team, "")),
            label(&other, "cai", Some(&team)),
        );
        made.expect("a group");
        let now = members(&world).await;
        assert!(told(&now).contains(&("cai", "member", &*id)), "{now:?}");
        delete(&world, &id).await;
    }
}

/// Until when a membership of one's own lasts in these tests.
const SOON: Duration = Duration::from_secs(3);
/// Looks for what comes within a few seconds.
const LOOKS_MAX: usize = 400;

#[tokio::test]
async fn a_membership_of_ones_own_that_ends_gives_way_to_a_groups() {
    let world = world().await;
    let own = wire::CreateMemberRequest {
        parent: "rooms/den".into(),
        user_id: "ada".into(),
        member: Some(wire::Member {
            role: "guest".into(),
            expire_time: Some(from_now(SOON)),
            ..Default::default()
        }),
        validate_only: false,
    };
    let made = world.admin().members().create_member(own).await;
    made.expect("a member");
    // The group comes after the membership, and its role changes before that ends.
    make(&world, "reds", "red", "staff").await;
    let then = "SELECT then_role, expire_time > now() FROM members
        JOIN users ON users.id = user_id WHERE username = 'ada'";
    let known = world.connect().await;
    let row = known.query_one(then, &[]).await.expect("a row");
    assert_eq!(row.get::<_, Option<&str>>(0), Some("staff"));
    for _ in 0..LOOKS_MAX {
        let members = members(&world).await;
        let told = told(&members);
        match told.iter().find(|(name, ..)| *name == "ada") {
            Some(("ada", "staff", "reds")) => return,
            // Its own lasts, or is over since less than a second.
            Some(("ada", "guest", "")) | None => {}
            other => panic!("{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it did not give way");
}

#[tokio::test]
async fn what_a_group_gives_anew_is_another_version_of_the_membership() {
    let world = world().await;
    make(&world, "reds", "red", "staff").await;
    let version = "SELECT members.version, members.update_time > members.create_time FROM members
        JOIN users ON users.id = user_id WHERE username = 'ada'";
    let known = world.connect().await;
    let row = known.query_one(version, &[]).await.expect("a row");
    assert_eq!((row.get::<_, i64>(0), row.get::<_, bool>(1)), (1, false));
    let update = wire::UpdateMemberGroupRequest {
        member_group: Some(wire::MemberGroup {
            name: "rooms/den/memberGroups/reds".into(),
            role: "guard".into(),
            ..Default::default()
        }),
        update_mask: Some(mask(&["role"])),
        validate_only: false,
    };
    let mut groups = world.admin().member_groups();
    groups.update_member_group(update).await.expect("changed");
    let row = known.query_one(version, &[]).await.expect("a row");
    assert_eq!((row.get::<_, i64>(0), row.get::<_, bool>(1)), (2, true));
}
