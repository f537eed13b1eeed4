//! How guards are judged when they are written: without keeping anybody waiting,
//! and of what others write meanwhile too. What they say is `guard`'s.

use std::time::Duration;

use porthouse_api::control::v1 as wire;
use tokio::time::sleep;
use tokio_postgres::Client;
use wire::{Act, Visibility};

use crate::guard::{broken, guard, no_strangers, preset, room, template, update};
use crate::world::{World, mask};

/// How long judging may take to begin.
const LOOKS_MAX: usize = 400;

/// Keeps everybody from reading templates, which every judge must.
async fn hold_judges(world: &World) -> Client {
    let holder = world.connect().await;
    let hold = "BEGIN; LOCK TABLE room_templates IN ACCESS EXCLUSIVE MODE";
    holder.batch_execute(hold).await.expect("held");
    holder
}

/// Returns once a judge waits for the templates, what is there having been read.
async fn a_judge_waits(holder: &Client) {
    const WAITING: &str = "SELECT 1 FROM pg_locks
        WHERE NOT granted AND relation = 'room_templates'::regclass";
    for _ in 0..LOOKS_MAX {
        if !holder.query(WAITING, &[]).await.expect("locks").is_empty() {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("no judge waits");
}

#[tokio::test]
async fn others_write_while_a_guard_is_judged_and_what_they_write_is_judged_too() {
    let world = World::start().await;
    template(&world, "hr:*", preset(wire::Preset::Members))
        .await
        .expect("new");
    room(&world, "hr:pay", Visibility::Private)
        .await
        .expect("new");
    let holder = hold_judges(&world).await;
    let mut guards = world.admin().guards();
    let judged = tokio::spawn(async move { guards.create_guard(no_strangers()).await });
    a_judge_waits(&holder).await;
    // One write that nodes obey, and one that is only in the audit log.
    update(&world, "hr:pay", Visibility::Public)
        .await
        .expect("nobody is in the way");
    world.user("ada", "a long password").await;
    world
        .sign_in("ada", "a long password")
        .await
        .expect("nobody is in the way");
    holder.batch_execute("COMMIT").await.expect("let go");
    let refused = judged
        .await
        .expect("it ends")
        .expect_err("broken meanwhile");
    assert_eq!(broken(&refused)[1], "rooms/hr:pay");
}

#[tokio::test]
async fn a_guard_that_somebody_changes_meanwhile_is_judged_as_it_came_to_be() {
    let world = World::start().await;
    template(&world, "hr:*", preset(wire::Preset::Members))
        .await
        .expect("new");
    let made = guard(&world, no_strangers()).await.expect("it holds");
    let change = |act: Act| wire::UpdateGuardRequest {
        guard: Some(wire::Guard {
            name: made.name.clone(),
            act: act.into(),
            ..wire::Guard::default()
        }),
        update_mask: Some(mask(&["act"])),
        validate_only: false,
    };
    let holder = hold_judges(&world).await;
    let mut guards = world.admin().guards();
    let first = change(Act::Join);
    let judged = tokio::spawn(async move { guards.update_guard(first).await });
    a_judge_waits(&holder).await;
    let widened = "UPDATE guards SET prefix = 'h', version = version + 1";
    world.execute(widened).await;
    holder.batch_execute("COMMIT").await.expect("let go");
    let refused = judged.await.expect("it ends").expect_err("another guard");
    assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused:?}");
    let get = wire::GetGuardRequest {
        name: made.name.clone(),
    };
    let now = world.admin().guards().get_guard(get).await;
    let now = now.expect("there").into_inner().guard.expect("a guard");
    assert_eq!(
        (now.room_prefix.as_str(), now.act()),
        ("h*", Act::ReadHistory)
    );
}

#[tokio::test]
async fn a_rehearsed_guard_waits_for_nobody() {
    let world = World::start().await;
    template(&world, "hr:*", preset(wire::Preset::Members))
        .await
        .expect("new");
    let made = guard(&world, no_strangers()).await.expect("it holds");
    let holder = world.connect().await;
    let hold = "SELECT pg_advisory_lock(hashtext('porthouse.audit_log')),
        pg_advisory_lock(hashtext('porthouse.policy_log'))";
    holder.batch_execute(hold).await.expect("held");
    let mut other = no_strangers();
    other.guard_id = "other".into();
    other.validate_only = true;
    guard(&world, other).await.expect("it would hold");
    let rehearsed = wire::UpdateGuardRequest {
        guard: Some(wire::Guard {
            act: Act::See.into(),
            ..made
        }),
        update_mask: Some(mask(&["act"])),
        validate_only: true,
    };
    let rehearsed = world.admin().guards().update_guard(rehearsed).await;
    assert_eq!(broken(&rehearsed.expect_err("they see it"))[3], "see");
}
