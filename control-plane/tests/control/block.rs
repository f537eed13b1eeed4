//! Blocks: made, listed and taken away by revisions. Opens no socket.

use std::time::Duration;

use porthouse_api::control::v1 as wire;
use tonic::{Code, Status};
use wire::block::Subject;

use crate::world::{World, field, from_now, mask, reason};

fn create(
    subject: Subject,
    expire_time: Option<prost_types::Timestamp>,
) -> wire::CreateBlockRequest {
    wire::CreateBlockRequest {
        parent: "rooms/lobby".into(),
        block: Some(wire::Block {
            subject: Some(subject),
            reason: "spam".into(),
            expire_time,
            ..Default::default()
        }),
        validate_only: false,
    }
}

fn user(name: &str) -> Subject {
    Subject::User(format!("users/{name}"))
}

fn range(range: &str) -> Subject {
    Subject::AddressRange(range.into())
}

async fn block(world: &World, request: wire::CreateBlockRequest) -> Result<wire::Block, Status> {
    let made = world.admin().blocks().create_block(request).await?;
    Ok(made.into_inner().block.expect("a block"))
}

#[tokio::test]
async fn a_block_is_made_and_taken_away_by_revisions() {
    let world = World::start().await;
    world.user("ada", "").await;
    let before = world.room("lobby").await.revision;
    let mut blocks = world.admin().blocks();
    let rehearsal = wire::CreateBlockRequest {
        validate_only: true,
        ..create(user("ada"), None)
    };
    let rehearsed = blocks.create_block(rehearsal).await.expect("valid");
    assert_eq!(rehearsed.into_inner().revision, 0);
    let made = blocks.create_block(create(user("ada"), None)).await;
    let made = made.expect("new").into_inner();
    let block = made.block.expect("a block");
    assert!(block.name.starts_with("rooms/lobby/blocks/"));
    assert_eq!(
        (block.reason.as_str(), &block.subject),
        ("spam", &Some(user("ada")))
    );
    let taken = blocks.create_block(create(user("ada"), None)).await;
    let taken = taken.expect_err("taken");
    assert_eq!(taken.code(), Code::AlreadyExists);
    assert!(taken.message().contains("users/ada"), "{taken}");

    let get = wire::GetBlockRequest {
        name: block.name.clone(),
    };
    let found = blocks.get_block(get.clone()).await.expect("there");
    assert_eq!(found.into_inner().block, Some(block.clone()));
    let delete = wire::DeleteBlockRequest { name: block.name };
    let gone = blocks.delete_block(delete.clone()).await.expect("there");
    let revisions = [made.revision, gone.into_inner().revision];
    assert_eq!(revisions.map(|revision| revision - before), [1, 2]);
    for code in [
        blocks.delete_block(delete).await.expect_err("gone").code(),
        blocks.get_block(get).await.expect_err("gone").code(),
    ] {
        assert_eq!(code, Code::NotFound);
    }
}

fn update(paths: &[&str], block: wire::Block) -> wire::UpdateBlockRequest {
    wire::UpdateBlockRequest {
        block: Some(block),
        update_mask: Some(mask(paths)),
        validate_only: false,
    }
}

#[tokio::test]
async fn a_blocks_reason_and_end_change_by_revisions() {
    let world = World::start().await;
    world.user("ada", "").await;
    world.room("lobby").await;
    let made = block(&world, create(user("ada"), None)).await.expect("new");
    let mut blocks = world.admin().blocks();
    let because = |reason: &str| wire::Block {
        reason: reason.into(),
        ..made.clone()
    };
    let rehearsal = wire::UpdateBlockRequest {
        validate_only: true,
        ..update(&["reason"], because("floods"))
    };
    let rehearsed = blocks.update_block(rehearsal).await.expect("valid");
    assert_eq!(rehearsed.into_inner().revision, 0);
    let changed = blocks.update_block(update(&["reason"], because("floods")));
    let changed = changed.await.expect("there").into_inner();
    let kept = changed.block.expect("a block");
    assert_eq!(
        (kept.reason.as_str(), &kept.subject),
        ("floods", &made.subject)
    );
    assert_ne!(kept.etag, made.etag);
    let stale = blocks.update_block(update(&["reason"], because("scolds")));
    assert_eq!(stale.await.expect_err("stale").code(), Code::Aborted);

    let ends = wire::Block {
        expire_time: Some(from_now(Duration::from_hours(1))),
        ..kept
    };
    let ended = blocks.update_block(update(&["expire_time"], ends.clone()));
    let ended = ended.await.expect("there").into_inner();
    let now = ended.block.expect("a block");
    let micros = |block: &wire::Block| {
        let ends = block.expire_time.expect("an end");
        (ends.seconds, ends.nanos / 1_000)
    };
    assert_eq!(micros(&now), micros(&ends), "as far as it is kept");
    assert_eq!(ended.revision, changed.revision + 1, "nodes are told of it");
    let same = blocks.update_block(update(&["expire_time"], now));
    assert_eq!(
        same.await.expect("there").into_inner().revision,
        ended.revision
    );
}

#[tokio::test]
async fn of_a_block_nothing_else_is_changed_and_nothing_of_one_that_is_gone() {
    let world = World::start().await;
    world.user("ada", "").await;
    world.room("lobby").await;
    let now = block(&world, create(user("ada"), None)).await.expect("new");
    let mut blocks = world.admin().blocks();
    let past = wire::Block {
        expire_time: Some(prost_types::Timestamp::default()),
        ..now.clone()
    };
    for (request, wrong) in [
        (update(&["expire_time"], past), "block.expire_time"),
        (update(&["user"], now.clone()), "update_mask"),
        (update(&[], now.clone()), "update_mask"),
        (update(&["reason"], wire::Block::default()), "block.name"),
    ] {
        let status = blocks.update_block(request).await.expect_err(wrong);
        assert!(field(&status).starts_with(wrong), "{status}");
    }
    let delete = wire::DeleteBlockRequest {
        name: now.name.clone(),
    };
    blocks.delete_block(delete).await.expect("there");
    let gone = blocks.update_block(update(
        &["reason"],
        wire::Block {
            etag: String::new(),
            ..now
        },
    ));
    assert_eq!(gone.await.expect_err("gone").code(), Code::NotFound);
}

#[tokio::test]
async fn a_range_is_answered_as_it_is_kept_and_is_kept_once() {
    let world = World::start().await;
    world.room("lobby").await;
    for (given, kept) in [
        ("203.0.113.77/24", "203.0.113.0/24"),
        ("::ffff:198.51.100.7", "198.51.100.7/32"),
        ("2001:DB8::1/56", "2001:db8::/56"),
    ] {
        let made = block(&world, create(range(given), None))
            .await
            .expect("new");
        assert_eq!(made.subject, Some(range(kept)));
        let again = block(&world, create(range(kept), None)).await;
        assert_eq!(again.expect_err("taken").code(), Code::AlreadyExists);
    }
    for (subject, wrong) in [
        (range("203.0.113.0/33"), "block.address_range"),
        (range("localhost"), "block.address_range"),
        (Subject::User("ada".into()), "block.user"),
    ] {
        let status = block(&world, create(subject, None)).await;
        assert_eq!(field(&status.expect_err("none")), wrong);
    }
    let nobody = wire::CreateBlockRequest {
        block: None,
        ..create(user("ada"), None)
    };
    assert_eq!(
        field(&block(&world, nobody).await.expect_err("nobody")),
        "block.user"
    );
    let past = create(user("ada"), Some(prost_types::Timestamp::default()));
    let status = block(&world, past).await.expect_err("past");
    assert_eq!(field(&status), "block.expire_time");
    let status = block(&world, create(user("ada"), None)).await;
    assert_eq!(status.expect_err("no such user").code(), Code::NotFound);
}

#[tokio::test]
async fn a_room_has_at_most_256_blocked_ranges() {
    let world = World::start().await;
    world.room("lobby").await;
    for number in 0..=255 {
        let one = range(&format!("10.0.{number}.0/24"));
        block(&world, create(one, None)).await.expect("new");
    }
    let status = block(&world, create(range("11.0.0.0/8"), None)).await;
    let status = status.expect_err("too many");
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(reason(&status), "ADDRESS_BLOCKS_TOO_MANY");
}

#[tokio::test]
async fn a_rooms_owner_is_not_blocked() {
    let world = World::start().await;
    world.user("ada", "").await;
    let request = wire::CreateRoomRequest {
        room_id: "lobby".into(),
        room: Some(wire::Room {
            owner: "users/ada".into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    world
        .admin()
        .rooms()
        .create_room(request)
        .await
        .expect("new");
    let status = block(&world, create(user("ada"), None)).await;
    assert_eq!(field(&status.expect_err("the owner")), "block.user");
}

#[tokio::test]
async fn blocks_are_listed_by_page_and_user_in_the_order_they_were_made() {
    let world = World::start().await;
    for name in ["ada", "ben"] {
        world.user(name, "").await;
    }
    world.room("lobby").await;
    for subject in [user("ben"), range("10.0.0.0/8"), user("ada")] {
        block(&world, create(subject, None)).await.expect("new");
    }
    let list = |user: &str, page_token| wire::ListBlocksRequest {
        parent: "rooms/lobby".into(),
        page_size: 2,
        page_token,
        user: user.into(),
    };
    let listed = async |request| {
        let page = world.admin().blocks().list_blocks(request).await;
        let page = page.expect("a page").into_inner();
        let subjects = page.blocks.into_iter().filter_map(|block| block.subject);
        (subjects.collect::<Vec<_>>(), page.next_page_token)
    };
    let (first, token) = listed(list("", String::new())).await;
    assert_eq!(first, [user("ben"), range("10.0.0.0/8")]);
    assert_eq!(listed(list("", token)).await.0, [user("ada")]);
    let of_ben = listed(list("users/ben", String::new())).await;
    assert_eq!(of_ben, (vec![user("ben")], String::new()));
}

#[tokio::test]
async fn a_block_that_expired_is_absent_and_can_be_made_anew() {
    let world = World::start().await;
    world.user("ada", "").await;
    world.room("lobby").await;
    let soon = from_now(Duration::from_millis(300));
    let made = block(&world, create(user("ada"), Some(soon))).await;
    let name = made.expect("new").name;
    let mut blocks = world.admin().blocks();
    tokio::time::timeout(Duration::from_secs(10), async {
        let get = wire::GetBlockRequest { name };
        while blocks.get_block(get.clone()).await.is_ok() {}
    })
    .await
    .expect("it expires");
    block(&world, create(user("ada"), None))
        .await
        .expect("anew");
}

#[tokio::test]
async fn a_room_takes_its_blocks_and_a_user_theirs() {
    let world = World::start().await;
    world.user("ada", "").await;
    world.room("lobby").await;
    let made = block(&world, create(user("ada"), None)).await.expect("new");
    let ada = wire::DeleteUserRequest {
        name: "users/ada".into(),
        ..Default::default()
    };
    world.admin().users().delete_user(ada).await.expect("there");
    let get = wire::GetBlockRequest { name: made.name };
    let gone = world.admin().blocks().get_block(get).await;
    assert_eq!(gone.expect_err("gone").code(), Code::NotFound);
    block(&world, create(range("10.0.0.0/8"), None))
        .await
        .expect("new");
    let lobby = wire::DeleteRoomRequest {
        name: "rooms/lobby".into(),
        ..Default::default()
    };
    world
        .admin()
        .rooms()
        .delete_room(lobby)
        .await
        .expect("there");
    world.room("lobby").await;
    let list = wire::ListBlocksRequest {
        parent: "rooms/lobby".into(),
        ..Default::default()
    };
    let page = world.admin().blocks().list_blocks(list).await;
    assert!(page.expect("a page").into_inner().blocks.is_empty());
}

#[tokio::test]
async fn blocks_are_kept_by_whoever_keeps_rooms() {
    let world = World::start().await;
    world.room("lobby").await;
    let key = world.key(&["users"]).await;
    let mut blocks = world.with_key(&key.secret).blocks();
    let made = blocks.create_block(create(range("10.0.0.0/8"), None)).await;
    assert_eq!(made.expect_err("scope").code(), Code::PermissionDenied);
}
