//! What a change would do is what it does: those who would leave, leave; those
//! who would be asked, are asked; the others stay.

use core::time::Duration;
use std::sync::Arc;

use porthouse_model::{
    Acts, AddressBlock, Audience, Block, Capabilities, Change, ChangeItem, CodeVersion,
    ConnectionRules, EntryRules, EntryStep, HookVersion, Member, PasswordVersion, Revision, Role,
    RoomId, RoomRules, Template,
};

use super::world::{Client, World, members_only, token};
use crate::{Changed, Command, Foreseen, Input, OrderId, Reply};

const PAGE: &str = "Origin: https://app.example";

/// Rules that somebody inside may not satisfy any more.
fn changes() -> Vec<RoomRules> {
    let connection = |connection| RoomRules {
        connection,
        ..RoomRules::default()
    };
    let asking = |steps: &[EntryStep]| RoomRules {
        entry: EntryRules {
            steps: steps.to_vec(),
        },
        ..RoomRules::default()
    };
    let factor = EntryStep::SecondFactor {
        age_max: Duration::from_mins(5),
    };
    vec![
        RoomRules::default(),
        members_only(),
        connection(ConnectionRules {
            audience: Audience::Users,
            ..ConnectionRules::default()
        }),
        connection(ConnectionRules {
            audience: Audience::Nobody,
            ..ConnectionRules::default()
        }),
        connection(ConnectionRules {
            roles_allowed: [Role::MEMBER].into(),
            ..ConnectionRules::default()
        }),
        connection(ConnectionRules {
            origins: ["https://other.example".to_owned()].into(),
            ..ConnectionRules::default()
        }),
        asking(&[EntryStep::Password(PasswordVersion(1))]),
        asking(&[factor]),
        asking(&[EntryStep::RoomCode(CodeVersion(1)), EntryStep::Approval]),
        asking(&[EntryStep::Approval]),
        asking(&[EntryStep::Hook(HookVersion(1))]),
        RoomRules {
            capabilities: Capabilities {
                user: Acts::NONE,
                ..Capabilities::open()
            },
            ..RoomRules::default()
        },
    ]
}

/// Somebody of each kind, inside; whether they can be asked.
fn inside(world: &mut World, room: &str) -> Vec<(Client, bool)> {
    let bearer = |user| format!("Authorization: Bearer {}", token(user));
    let mut all = Vec::new();
    for (puddle, lines) in [
        (0, vec![]),
        (1, vec![bearer(1)]),
        (0, vec![bearer(2), PAGE.to_owned()]),
    ] {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let raw = world.upgrade(puddle, &format!("/{room}"), &lines);
        assert!(world.take(raw).starts_with(b"HTTP/1.1 101"));
        all.push((raw, false));
        let subprotocol = "Sec-WebSocket-Protocol: porthouse.v1";
        let lines = [&[subprotocol][..], &lines].concat();
        let lobby = world.upgrade(puddle, "/", &lines);
        world.line(lobby, &format!(r#"{{"op":"join","room":"{room}","id":1}}"#));
        assert!(world.take_text(lobby).contains("admitted"));
        all.push((lobby, true));
    }
    all
}

fn foresee(world: &mut World, item: &ChangeItem) -> Foreseen {
    let change = Change {
        revision: Revision(0),
        items: vec![item.clone()],
    };
    let item = Changed::compile(change).items.pop().expect("one");
    let mut all = Foreseen::default();
    for reply in world.order(&Command::Foresee(Arc::new(item))) {
        let Reply::Foreseen(more) = reply else {
            panic!("{reply:?} is no reply to that");
        };
        all.leaving += more.leaving;
        all.asked += more.asked;
        all.unsure += more.unsure;
    }
    all
}

/// What became of them. Who is asked nothing and told nothing has stayed.
fn happened(world: &mut World, all: &[(Client, bool)]) -> Foreseen {
    let mut happened = Foreseen::default();
    for (client, can_be_asked) in all {
        let told = world.take_text(*client);
        if *can_be_asked {
            happened.leaving += u64::from(told.contains(r#""op":"closed""#));
            happened.asked += u64::from(told.contains(r#""op":"challenge""#));
        } else {
            happened.leaving += u64::from(!told.is_empty());
        }
    }
    happened
}

#[test]
fn what_is_foreseen_of_a_room_is_what_happens() {
    let mut leaving = 0;
    for rules in changes() {
        let mut world = World::new(2);
        let room = world.room("hall", RoomRules::default());
        let member = world.session(1);
        world.session(2);
        world.members.push(Member {
            room,
            user: member,
            role: Role::MEMBER,
            expires: None,
            then: None,
        });
        let all = inside(&mut world, "hall");
        let mut changed = world.rooms["hall"].clone();
        *changed.rules = rules.clone();
        let item = ChangeItem::Room(changed);
        let first = foresee(&mut world, &item);
        let foreseen = foresee(&mut world, &item);
        assert_eq!(foreseen.unsure, 0, "it was learnt meanwhile: {first:?}");
        assert_eq!(
            happened(&mut world, &all),
            Foreseen::default(),
            "nothing happened"
        );
        world.rule("hall", rules.clone());
        let by_backend = rules.entry.steps.contains(&EntryStep::Hook(HookVersion(1)));
        let happened = happened(&mut world, &all);
        if by_backend {
            // The backend lets everybody in: they were asked of it, and are in again.
            assert_eq!((foreseen.asked, happened.leaving), (6, 0), "{rules:?}");
        } else {
            assert_eq!(foreseen, happened, "{rules:?}");
        }
        leaving += foreseen.leaving;
    }
    assert!(leaving > 10, "{leaving}");
}

#[test]
fn what_is_foreseen_of_a_template_is_what_happens() {
    let mut world = World::new(2);
    world.session(1);
    world.session(2);
    let all = inside(&mut world, "chat:a");
    world.room("chat:own", RoomRules::default());
    let own = inside(&mut world, "chat:own");
    let template = Template {
        id: porthouse_model::RoomId::from_bytes([9; 16]),
        prefix: "chat:*".parse().expect("a prefix"),
        rules: Box::new(RoomRules {
            connection: ConnectionRules {
                audience: Audience::Users,
                ..ConnectionRules::default()
            },
            ..RoomRules::default()
        }),
    };
    world
        .templates
        .insert(template.prefix.clone(), template.clone());
    let item = ChangeItem::Template(template);
    let foreseen = foresee(&mut world, &item);
    assert_eq!(
        (foreseen.leaving, foreseen.asked, foreseen.unsure),
        (2, 0, 0)
    );
    world.change(vec![item]);
    assert_eq!(happened(&mut world, &all), foreseen);
    assert_eq!(happened(&mut world, &own), Foreseen::default());
}

/// What is foreseen of a change, and then happens by it; whoever is asked again is
/// answered from how `stands` leaves the world.
fn foreseen_and_happened(
    world: &mut World,
    all: &[(Client, bool)],
    items: Vec<ChangeItem>,
    stands: impl FnOnce(&mut World),
) -> (Foreseen, Foreseen) {
    let deciding = items.last().expect("one");
    let first = foresee(world, deciding);
    let foreseen = foresee(world, deciding);
    assert_eq!(foreseen.unsure, 0, "it was learnt meanwhile: {first:?}");
    let nothing = happened(world, all);
    assert_eq!(nothing, Foreseen::default(), "nothing happened");
    stands(world);
    world.change(items);
    (foreseen, happened(world, all))
}

/// A hall in which users 1, a member, and 2 are, and somebody without a name.
fn hall() -> (World, RoomId, Vec<(Client, bool)>) {
    let mut world = World::new(2);
    let room = world.room("hall", RoomRules::default());
    let user = world.session(1);
    world.session(2);
    world.members.push(Member {
        room,
        user,
        role: Role::MEMBER,
        expires: None,
        then: None,
    });
    let all = inside(&mut world, "hall");
    (world, room, all)
}

#[test]
fn what_is_foreseen_of_a_room_that_goes_is_what_happens() {
    let (mut world, id, all) = hall();
    let name: porthouse_model::RoomName = "hall".parse().expect("a name");
    let gone = ChangeItem::RoomGone {
        id,
        name: name.clone(),
        template: None,
    };
    let stands = |world: &mut World| {
        world.rooms.remove(&name);
    };
    let (foreseen, happened) = foreseen_and_happened(&mut world, &all, vec![gone], stands);
    assert_eq!(foreseen.leaving, 6);
    assert_eq!(foreseen, happened);
}

#[test]
fn what_is_foreseen_of_a_template_that_goes_is_what_happens() {
    for next_audience in [None, Some(Audience::Anyone), Some(Audience::Users)] {
        let mut world = World::new(2);
        world.session(1);
        world.session(2);
        let template = |id, prefix: &str, audience| Template {
            id: RoomId::from_bytes([id; 16]),
            prefix: prefix.parse().expect("a prefix"),
            rules: Box::new(RoomRules {
                connection: ConnectionRules {
                    audience,
                    ..ConnectionRules::default()
                },
                ..RoomRules::default()
            }),
        };
        let going = template(9, "chat:a*", Audience::Anyone);
        world.templates.insert(going.prefix.clone(), going.clone());
        let next = next_audience.map(|audience| template(8, "chat:*", audience));
        if let Some(next) = &next {
            world.templates.insert(next.prefix.clone(), next.clone());
        }
        let all = inside(&mut world, "chat:a");
        let gone = ChangeItem::TemplateGone {
            id: going.id,
            prefix: going.prefix.clone(),
            next,
        };
        let stands = |world: &mut World| {
            world.templates.remove(&going.prefix);
        };
        let (foreseen, happened) = foreseen_and_happened(&mut world, &all, vec![gone], stands);
        assert_eq!(foreseen, happened, "{next_audience:?}");
        let users_only = next_audience == Some(Audience::Users);
        assert_eq!(foreseen.leaving, if users_only { 2 } else { 0 });
    }
}

#[test]
fn what_is_foreseen_of_a_membership_is_what_happens() {
    let by_role = RoomRules {
        connection: ConnectionRules {
            roles_allowed: [Role::MEMBER].into(),
            ..ConnectionRules::default()
        },
        ..RoomRules::default()
    };
    for (rules, leaves) in [
        (RoomRules::default(), [0, 0]),
        (members_only(), [2, 0]),
        (by_role, [2, 2]),
    ] {
        for (becomes, leaves) in [None, Some(Role::MODERATOR)].into_iter().zip(leaves) {
            let (mut world, room, all) = hall();
            world.rule("hall", rules.clone());
            happened(&mut world, &all);
            let member = world.members[0];
            let item = match becomes {
                None => ChangeItem::MemberGone {
                    room,
                    user: member.user,
                },
                Some(role) => ChangeItem::Member(Member { role, ..member }),
            };
            let stands = |world: &mut World| match becomes {
                None => world.members.clear(),
                Some(role) => world.members[0].role = role,
            };
            let (foreseen, happened) = foreseen_and_happened(&mut world, &all, vec![item], stands);
            assert_eq!(foreseen.leaving, leaves, "{rules:?} {becomes:?}");
            assert_eq!(foreseen, happened, "{rules:?} {becomes:?}");
        }
    }
}

#[test]
fn what_is_foreseen_of_a_block_is_what_happens() {
    for owns in [false, true] {
        let (mut world, room, all) = hall();
        let user = world.members[0].user;
        let mut blocking = world.rooms["hall"].clone();
        blocking.owner = owns.then_some(user);
        world.rooms.insert(blocking.name.clone(), blocking.clone());
        world.change(vec![ChangeItem::Room(blocking.clone())]);
        blocking.blocks.users = true;
        let block = Block {
            room,
            user,
            expires: None,
        };
        let items = vec![ChangeItem::Room(blocking.clone()), ChangeItem::Block(block)];
        let stands = |world: &mut World| {
            world.rooms.insert(blocking.name.clone(), blocking.clone());
            world.blocks.push(block);
        };
        let (foreseen, happened) = foreseen_and_happened(&mut world, &all, items, stands);
        assert_eq!(foreseen.leaving, if owns { 0 } else { 2 });
        assert_eq!(foreseen, happened);
    }
}

#[test]
fn what_is_foreseen_of_addresses_and_devices_kept_out_is_what_happens() {
    let (mut world, _, mut all) = hall();
    world.device(9, 1, Acts::ALL, &["hall"]);
    let device = world.device_lobby(9);
    assert!(world.take_text(device).contains("admitted"));
    all.push((device, true));
    let block = world.block_device(9, "hall", None);
    let (foreseen, happened_to) =
        foreseen_and_happened(&mut world, &all, vec![block], |_: &mut World| ());
    assert_eq!((foreseen.leaving, foreseen), (1, happened_to));
    all.pop();

    let mut blocking = world.rooms["hall"].clone();
    blocking.blocks.addresses = vec![AddressBlock {
        range: "0.0.0.0/0".parse().expect("a range"),
        expires: None,
    }];
    let item = ChangeItem::Room(blocking.clone());
    let stands = |world: &mut World| {
        world.rooms.insert(blocking.name.clone(), blocking);
    };
    let (foreseen, happened) = foreseen_and_happened(&mut world, &all, vec![item], stands);
    assert_eq!((foreseen.leaving, foreseen), (6, happened));
}

/// Orders that those inside be judged by rules that let nobody in.
fn order(world: &mut World, id: u64) {
    let mut changed = world.rooms["hall"].clone();
    changed.rules.connection.audience = Audience::Nobody;
    let change = Change {
        revision: Revision(0),
        items: vec![ChangeItem::Room(changed)],
    };
    let item = Changed::compile(change).items.pop().expect("one");
    let command = Command::Foresee(Arc::new(item));
    let order = OrderId(id);
    world.puddles[0].handle(world.now, Input::Ordered { order, command });
}

#[test]
fn a_turn_judges_so_many_and_the_rest_in_the_next_ones() {
    let mut world = World::with(1, |settings| settings.slice_sockets_max = 64);
    world.room("hall", RoomRules::default());
    let inside: Vec<_> = (0..40).map(|_| world.raw(0, "hall")).collect();
    order(&mut world, 1);
    let now = world.now;
    let mut turns = 0;
    while world.links[0].replies() == 0 {
        turns += 1;
        assert!(turns < 10, "it ends");
        let due = world.puddles[0].settle(now, &mut world.links[0]);
        if turns == 1 {
            assert_eq!(due.expect("more to do").at, now, "at once");
            // One leaves and one comes before all are judged.
            world.puddles[0].handle(
                now,
                Input::Lost {
                    socket: inside[0].socket,
                },
            );
            world.puddles[0].check();
        }
    }
    assert_eq!(turns, 3, "40 sockets, 16 a turn");
    world.run();
    let replies = world.order_replies();
    let [Reply::Foreseen(foreseen)] = replies.as_slice() else {
        panic!("{replies:?}");
    };
    assert_eq!((foreseen.leaving, foreseen.unsure), (39, 0));
}

#[test]
fn a_room_that_is_gone_before_all_are_judged_has_nobody_left_to_judge() {
    let mut world = World::with(1, |settings| settings.slice_sockets_max = 64);
    world.room("hall", RoomRules::default());
    let inside: Vec<_> = (0..40).map(|_| world.raw(0, "hall")).collect();
    order(&mut world, 1);
    let now = world.now;
    world.puddles[0].settle(now, &mut world.links[0]);
    for one in &inside {
        let socket = one.socket;
        world.puddles[0].handle(now, Input::Lost { socket });
    }
    world.run();
    assert_eq!(world.order_replies().len(), 1);
}

#[test]
fn of_one_count_too_many_nobody_is_judged() {
    let mut world = World::new(1);
    world.room("hall", RoomRules::default());
    for _ in 0..3 {
        world.raw(0, "hall");
    }
    for id in 0..17 {
        order(&mut world, id);
    }
    world.run();
    let mut counts = Vec::new();
    for reply in world.order_replies() {
        let Reply::Foreseen(foreseen) = reply else {
            panic!("{reply:?} is no reply to that");
        };
        counts.push((foreseen.leaving, foreseen.unsure));
    }
    assert_eq!(counts.iter().filter(|count| **count == (3, 0)).count(), 16);
    assert_eq!(counts.iter().filter(|count| **count == (0, 3)).count(), 1);
}
