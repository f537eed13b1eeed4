//! Guards: made only where they hold, and never broken by a write, whichever
//! came first. Opens no socket.

use porthouse_api::control::v1 as wire;
use porthouse_control::GuardSettings;
use tonic::{Code, Status};
use wire::{Act, Decision, GuardAudience, Visibility};

use crate::world::{World, details, field, mask, reason};

fn create(id: &str, prefix: &str, audience: GuardAudience, act: Act) -> wire::CreateGuardRequest {
    wire::CreateGuardRequest {
        guard_id: id.into(),
        guard: Some(wire::Guard {
            room_prefix: prefix.into(),
            audience: audience.into(),
            act: act.into(),
            ..wire::Guard::default()
        }),
        validate_only: false,
    }
}

/// No anonymous ever reads `hr:*`.
pub(crate) fn no_strangers() -> wire::CreateGuardRequest {
    create(
        "no-strangers",
        "hr:*",
        GuardAudience::Anonymous,
        Act::ReadHistory,
    )
}

pub(crate) async fn guard(
    world: &World,
    request: wire::CreateGuardRequest,
) -> Result<wire::Guard, Status> {
    let made = world.admin().guards().create_guard(request).await?;
    Ok(made.into_inner().guard.expect("a guard"))
}

pub(crate) fn preset(preset: wire::Preset) -> wire::RoomRules {
    wire::RoomRules {
        capabilities: Some(wire::CapabilityRules {
            preset: preset.into(),
            ..wire::CapabilityRules::default()
        }),
        ..wire::RoomRules::default()
    }
}

pub(crate) async fn template(
    world: &World,
    prefix: &str,
    rules: wire::RoomRules,
) -> Result<(), Status> {
    let request = wire::CreateRoomTemplateRequest {
        room_template_id: prefix.into(),
        room_template: Some(wire::RoomTemplate {
            rules: Some(rules),
            ..wire::RoomTemplate::default()
        }),
        ..wire::CreateRoomTemplateRequest::default()
    };
    let mut templates = world.admin().room_templates();
    templates.create_room_template(request).await.map(|_| ())
}

async fn delete_template(world: &World, prefix: &str) -> Result<(), Status> {
    let request = wire::DeleteRoomTemplateRequest {
        name: format!("roomTemplates/{prefix}"),
        ..wire::DeleteRoomTemplateRequest::default()
    };
    let mut templates = world.admin().room_templates();
    templates.delete_room_template(request).await.map(|_| ())
}

fn new_room(name: &str, visibility: Visibility) -> wire::CreateRoomRequest {
    wire::CreateRoomRequest {
        room_id: name.into(),
        room: Some(wire::Room {
            visibility: visibility.into(),
            ..wire::Room::default()
        }),
        ..wire::CreateRoomRequest::default()
    }
}

fn change(name: &str, visibility: Visibility) -> wire::UpdateRoomRequest {
    wire::UpdateRoomRequest {
        room: Some(wire::Room {
            name: format!("rooms/{name}"),
            visibility: visibility.into(),
            ..wire::Room::default()
        }),
        update_mask: Some(mask(&["visibility"])),
        ..wire::UpdateRoomRequest::default()
    }
}

pub(crate) async fn room(world: &World, name: &str, visibility: Visibility) -> Result<(), Status> {
    let request = new_room(name, visibility);
    world.admin().rooms().create_room(request).await.map(|_| ())
}

pub(crate) async fn update(
    world: &World,
    name: &str,
    visibility: Visibility,
) -> Result<(), Status> {
    let request = change(name, visibility);
    world.admin().rooms().update_room(request).await.map(|_| ())
}

/// The counterexample of a broken guard, and the guard's name.
pub(crate) fn broken(refused: &Status) -> [String; 5] {
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    assert_eq!(reason(refused), "GUARD_BROKEN");
    let details = details(refused);
    let info = details.error_info().expect("a reason");
    ["guard", "room", "audience", "act", "rule"].map(|key| info.metadata[key].clone())
}

#[tokio::test]
async fn a_write_that_would_break_a_guard_is_refused_with_the_counterexample() {
    let world = World::start().await;
    template(&world, "hr:*", preset(wire::Preset::Members))
        .await
        .expect("new");
    let made = guard(&world, no_strangers()).await.expect("it holds");
    assert_eq!(made.name, "guards/no-strangers");
    assert_eq!(made.room_prefix, "hr:*");

    let refused = room(&world, "hr:pay", Visibility::Public)
        .await
        .expect_err("broken");
    assert_eq!(
        broken(&refused),
        [
            "guards/no-strangers",
            "rooms/hr:pay",
            "anonymous",
            "read_history",
            "capabilities.anonymous"
        ]
    );
    let rehearsal = wire::CreateRoomRequest {
        validate_only: true,
        ..new_room("hr:pay", Visibility::Public)
    };
    let rehearsed = world.admin().rooms().create_room(rehearsal).await;
    broken(&rehearsed.expect_err("rehearsed, and broken"));

    room(&world, "hr:pay", Visibility::Private)
        .await
        .expect("it holds");
    let refused = update(&world, "hr:pay", Visibility::Public).await;
    assert_eq!(broken(&refused.expect_err("broken"))[1], "rooms/hr:pay");
    room(&world, "sales", Visibility::Public)
        .await
        .expect("another prefix");

    let open = template(&world, "hr:news:*", preset(wire::Preset::Open)).await;
    assert_eq!(
        broken(&open.expect_err("broken"))[1],
        "roomTemplates/hr:news:*"
    );
    let refused = delete_template(&world, "hr:*").await.expect_err("broken");
    let [_, room, _, _, rule] = broken(&refused);
    assert_eq!(room, "rooms/hr:* that nobody made");
    assert!(rule.contains("no template"), "{rule}");
}

#[tokio::test]
async fn a_guard_that_does_not_hold_is_not_made() {
    let world = World::start().await;
    let refused = guard(&world, no_strangers()).await.expect_err("uncovered");
    assert_eq!(broken(&refused)[1], "rooms/hr:* that nobody made");
    template(&world, "h*", preset(wire::Preset::Open))
        .await
        .expect("new");
    let refused = guard(&world, no_strangers()).await.expect_err("open");
    assert_eq!(broken(&refused)[1], "roomTemplates/h*");
    template(&world, "hr:*", preset(wire::Preset::Members))
        .await
        .expect("new");
    room(&world, "hr:pay", Visibility::Public)
        .await
        .expect("no guard yet");
    let refused = guard(&world, no_strangers()).await.expect_err("a room");
    assert_eq!(broken(&refused)[1], "rooms/hr:pay");
    update(&world, "hr:pay", Visibility::Private)
        .await
        .expect("changed");
    let rehearsal = wire::CreateGuardRequest {
        validate_only: true,
        ..no_strangers()
    };
    guard(&world, rehearsal).await.expect("it would hold");
    let made = guard(&world, no_strangers()).await.expect("it holds");
    let again = guard(&world, no_strangers()).await.expect_err("taken");
    assert_eq!(again.code(), Code::AlreadyExists);

    let mut guards = world.admin().guards();
    let update = |etag: &str, act: Act| wire::UpdateGuardRequest {
        guard: Some(wire::Guard {
            name: made.name.clone(),
            etag: etag.into(),
            act: act.into(),
            ..wire::Guard::default()
        }),
        update_mask: Some(mask(&["act"])),
        validate_only: false,
    };
    let refused = guards.update_guard(update(&made.etag, Act::See)).await;
    assert_eq!(broken(&refused.expect_err("they see it"))[3], "see");
    let changed = guards.update_guard(update(&made.etag, Act::Join)).await;
    let changed = changed
        .expect("changed")
        .into_inner()
        .guard
        .expect("a guard");
    assert_eq!(changed.act(), Act::Join);
    let stale = guards.update_guard(update(&made.etag, Act::Send)).await;
    assert_eq!(stale.expect_err("stale").code(), Code::Aborted);
    let all = guards.list_guards(wire::ListGuardsRequest::default()).await;
    let all = all.expect("a page").into_inner().guards;
    assert_eq!(all.as_slice(), std::slice::from_ref(&changed));
    let name = changed.name.clone();
    let get = guards
        .get_guard(wire::GetGuardRequest { name: name.clone() })
        .await;
    assert_eq!(get.expect("there").into_inner().guard, Some(changed));
    let delete = wire::DeleteGuardRequest {
        name,
        ..wire::DeleteGuardRequest::default()
    };
    guards.delete_guard(delete.clone()).await.expect("deleted");
    let gone = guards.delete_guard(delete).await.expect_err("gone");
    assert_eq!(gone.code(), Code::NotFound);
}

#[tokio::test]
async fn what_is_no_guard_is_refused_by_its_field() {
    let world = World::start().await;
    let anonymous = GuardAudience::Anonymous;
    let with_role = |mut request: wire::CreateGuardRequest| {
        let guard = request.guard.as_mut().expect("a guard");
        guard.role = "moderator".into();
        request
    };
    for (named, request) in [
        ("guard_id", create("Not One", "hr:*", anonymous, Act::Join)),
        (
            "guard.room_prefix",
            create("a", "hr:", anonymous, Act::Join),
        ),
        (
            "guard.audience",
            create("a", "hr:*", GuardAudience::Unspecified, Act::Join),
        ),
        (
            "guard.act",
            create("a", "hr:*", anonymous, Act::Unspecified),
        ),
        (
            "guard.act",
            create("a", "hr:*", anonymous, Act::ChangeRules),
        ),
        (
            "guard.role",
            with_role(create("a", "hr:*", anonymous, Act::Join)),
        ),
    ] {
        let refused = guard(&world, request).await.expect_err("refused");
        assert_eq!(
            (refused.code(), field(&refused).as_str()),
            (Code::InvalidArgument, named)
        );
    }
    let key = world.key(&["rooms"]).await.secret;
    let mut guards = world.with_key(&key).guards();
    let refused = guards
        .create_guard(no_strangers())
        .await
        .expect_err("no admin");
    assert_eq!(refused.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn guards_and_what_one_is_judged_of_are_bounded() {
    let few = GuardSettings {
        guards_max: 1,
        guarded_rooms_max: 2,
    };
    let world = World::start_with(|all| all.guards = few).await;
    for prefix in ["hr:*", "it:*"] {
        let rules = preset(wire::Preset::Members);
        template(&world, prefix, rules).await.expect("new");
    }
    for name in ["hr:a", "hr:b"] {
        room(&world, name, Visibility::Private).await.expect("new");
    }
    let wide = guard(&world, no_strangers()).await.expect_err("two rooms");
    assert_eq!(wide.code(), Code::FailedPrecondition);
    assert_eq!(reason(&wide), "GUARD_TOO_WIDE");
    assert!(wide.message().contains("--guarded-rooms-max"), "{wide:?}");
    let mut narrow = no_strangers();
    narrow.guard.as_mut().expect("a guard").room_prefix = "hr:a*".into();
    let made = guard(&world, narrow).await.expect("one room");

    // It cannot be widened behind that either.
    let widened = wire::UpdateGuardRequest {
        guard: Some(wire::Guard {
            room_prefix: "hr:*".into(),
            ..made
        }),
        update_mask: Some(mask(&["room_prefix"])),
        validate_only: false,
    };
    let wide = world.admin().guards().update_guard(widened).await;
    assert_eq!(reason(&wide.expect_err("two rooms")), "GUARD_TOO_WIDE");

    let anonymous = GuardAudience::Anonymous;
    let more = guard(&world, create("more", "it:*", anonymous, Act::Join)).await;
    let more = more.expect_err("one there is");
    assert_eq!(reason(&more), "GUARDS_TOO_MANY");
    assert!(more.message().contains("--guards-max"), "{more:?}");
}

#[tokio::test]
async fn a_guard_is_deleted_as_it_was_read_and_who_wrote_it_is_in_the_audit_log() {
    let world = World::start().await;
    template(&world, "hr:*", preset(wire::Preset::Members))
        .await
        .expect("new");
    let made = guard(&world, no_strangers()).await.expect("it holds");
    let mut guards = world.admin().guards();
    let update = wire::UpdateGuardRequest {
        guard: Some(wire::Guard {
            act: Act::Join.into(),
            ..made.clone()
        }),
        update_mask: Some(mask(&["act"])),
        validate_only: false,
    };
    guards.update_guard(update).await.expect("it holds");
    let delete = wire::DeleteGuardRequest {
        name: made.name,
        etag: made.etag,
    };
    let stale = guards.delete_guard(delete.clone()).await;
    assert_eq!(stale.expect_err("changed since").code(), Code::Aborted);
    let delete = wire::DeleteGuardRequest {
        etag: String::new(),
        ..delete
    };
    guards.delete_guard(delete).await.expect("deleted");
    room(&world, "hr:pay", Visibility::Public)
        .await
        .expect("nothing is guarded any more");

    let all = wire::ListAuditEventsRequest::default();
    let all = world.admin().audit().list_audit_events(all).await;
    let all = all.expect("a page").into_inner().audit_events;
    let written = all
        .iter()
        .filter(|event| event.action.starts_with("GuardService."));
    let written: Vec<_> = written
        .map(|event| (event.action.as_str(), event.target.as_str()))
        .collect();
    assert_eq!(
        written,
        [
            (
                "GuardService.CreateGuard",
                "guard_id=no-strangers guard.room_prefix=hr:*"
            ),
            ("GuardService.UpdateGuard", "guard.name=guards/no-strangers"),
            ("GuardService.DeleteGuard", "name=guards/no-strangers"),
        ]
    );
}

/// A guard and a room that breaks it, written at once: one of them is refused.
#[tokio::test]
async fn a_guard_and_a_write_that_breaks_it_never_both_pass() {
    const ROUNDS: usize = 30;
    let world = World::start().await;
    template(&world, "hr:*", preset(wire::Preset::Members))
        .await
        .expect("new");
    let mut first = [0, 0];
    for round in 0..ROUNDS {
        let name = format!("hr:{round}");
        room(&world, &name, Visibility::Private)
            .await
            .expect("it holds");
        let (mut guards, mut rooms) = (world.admin().guards(), world.admin().rooms());
        let (guarded, opened) = tokio::join!(
            guards.create_guard(no_strangers()),
            rooms.update_room(change(&name, Visibility::Public)),
        );
        match (guarded, opened) {
            (Ok(_), Err(refused)) => {
                broken(&refused);
                first[0] += 1;
            }
            (Err(refused), Ok(_)) => {
                broken(&refused);
                first[1] += 1;
            }
            (guarded, opened) => panic!("{guarded:?} and {opened:?}"),
        }
        let name = "guards/no-strangers".into();
        let delete = wire::DeleteGuardRequest {
            name,
            ..wire::DeleteGuardRequest::default()
        };
        let _ = guards.delete_guard(delete).await;
        let deleted = wire::DeleteRoomRequest {
            name: format!("rooms/hr:{round}"),
            ..wire::DeleteRoomRequest::default()
        };
        rooms.delete_room(deleted).await.expect("deleted");
    }
    assert_eq!(first[0] + first[1], ROUNDS, "{first:?}");
}

/// Numbers that look random and are the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// After any writes that were accepted no guard is broken, as `Explain` sees it,
/// which knows nothing of guards.
#[tokio::test]
async fn no_accepted_write_breaks_a_guard() {
    const WRITES: usize = 300;
    const NAMES: [&str; 6] = ["a", "a:b", "a:c", "a:b:c", "b:x", "b:y"];
    const PREFIXES: [&str; 4] = ["a*", "a:*", "a:b*", "b:*"];
    let world = World::start().await;
    world.user("ada", "").await;
    let mut chance = Chance(11);
    let (mut accepted, mut refused) = (0, 0);
    for number in 0..WRITES {
        let name = chance.of(&NAMES);
        let prefix = chance.of(&PREFIXES);
        let visibility = chance.of(&[Visibility::Public, Visibility::Private]);
        let rules = preset(chance.of(&[
            wire::Preset::Open,
            wire::Preset::Members,
            wire::Preset::AnnounceOnly,
            wire::Preset::SupportDesk,
        ]));
        let audience = chance.of(&[GuardAudience::Anonymous, GuardAudience::User]);
        let act = chance.of(&[Act::Join, Act::Send, Act::ReadHistory, Act::SeePresence]);
        let done = match chance.below(7) {
            0 => room(&world, name, visibility).await,
            1 => update(&world, name, visibility).await,
            2 => {
                let name = format!("rooms/{name}");
                let gone = wire::DeleteRoomRequest {
                    name,
                    ..wire::DeleteRoomRequest::default()
                };
                world.admin().rooms().delete_room(gone).await.map(|_| ())
            }
            3 => template(&world, prefix, rules).await,
            4 => delete_template(&world, prefix).await,
            5 => update_template(&world, prefix, rules).await,
            _ => {
                let id = format!("g{}", number % 8);
                guard(&world, create(&id, prefix, audience, act))
                    .await
                    .map(|_| ())
            }
        };
        match done {
            Ok(()) => accepted += 1,
            Err(status) if reason(&status) == "GUARD_BROKEN" => refused += 1,
            Err(_) => {}
        }
        if number % 10 == 9 {
            all_guards_hold(&world, &NAMES).await;
        }
    }
    assert!(
        accepted > 30 && refused > 10,
        "{accepted} accepted, {refused} refused"
    );
}

async fn update_template(
    world: &World,
    prefix: &str,
    rules: wire::RoomRules,
) -> Result<(), Status> {
    let request = wire::UpdateRoomTemplateRequest {
        room_template: Some(wire::RoomTemplate {
            name: format!("roomTemplates/{prefix}"),
            rules: Some(rules),
            ..wire::RoomTemplate::default()
        }),
        update_mask: Some(mask(&["rules.capabilities"])),
        validate_only: false,
    };
    let mut templates = world.admin().room_templates();
    templates.update_room_template(request).await.map(|_| ())
}

async fn all_guards_hold(world: &World, names: &[&str]) {
    let listed = world
        .admin()
        .guards()
        .list_guards(wire::ListGuardsRequest::default())
        .await;
    for guard in listed.expect("a page").into_inner().guards {
        let prefix = guard.room_prefix.trim_end_matches('*');
        for name in names.iter().filter(|name| name.starts_with(prefix)) {
            let ada = || wire::case::Who::User("users/ada".into());
            let who = (guard.audience() == GuardAudience::User).then(ada);
            let case = wire::Case {
                who,
                room: format!("rooms/{name}"),
                act: guard.act,
                ..wire::Case::default()
            };
            let about = Some(wire::explain_request::About::Case(case));
            let told = world
                .admin()
                .policy()
                .explain(wire::ExplainRequest { about })
                .await;
            let told = told.expect("a case").into_inner();
            assert_eq!(
                told.decision(),
                Decision::Refused,
                "{guard:?} in {name}: {told:?}"
            );
        }
    }
}
