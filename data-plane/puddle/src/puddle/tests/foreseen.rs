//! What a change would do is what it does: those who would leave, leave; those
//! who would be asked, are asked; the others stay.

use core::time::Duration;
use std::sync::Arc;

use porthouse_model::{
    Acts, Audience, Capabilities, Change, ChangeItem, CodeVersion, ConnectionRules, EntryRules,
    EntryStep, HookVersion, Member, PasswordVersion, Revision, Role, RoomRules, Template,
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
