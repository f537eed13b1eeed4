//! What waits for a member who is away: nothing said while they were kept out,
//! and all of the rest.

use core::time::Duration;

use porthouse_model::{Block, ChangeItem, ClientId, Waiting};

use super::history::{join_as, send, waiting};
use super::homes::{home_and_other, join, told};
use super::world::{World, token};
use crate::{Command, Input};

/// A room where messages wait, with user 1, and somebody who speaks.
fn house() -> World {
    let mut world = World::new(3);
    world.session(1);
    world.room("news", waiting());
    world
}

#[test]
fn nothing_said_while_a_client_was_kept_out_waits_for_it() {
    let (home, other) = home_and_other("news");
    let user = ClientId::from_bytes([1; 16]);
    for raw in [false, true] {
        for (away, by_block) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut world = house();
            let room = world.rooms.get_mut("news").expect("it was made");
            room.blocks.users = true;
            let (id, owner) = (room.id, world.session(1));
            let (ben, _) = join(&mut world, home, "news");
            let ada = if raw {
                let bearer = format!("Authorization: Bearer {}", token(1));
                world.upgrade(other, "/news", &[&bearer])
            } else {
                join_as(&mut world, other, 1).0
            };
            if away {
                let socket = ada.socket;
                world.puddles[other].handle(world.now, Input::Lost { socket });
                world.run();
                send(&mut world, ben, "", "before");
            }
            if by_block {
                let block = Block {
                    room: id,
                    user: owner,
                    expires: None,
                };
                world.blocks.push(block);
                world.change(vec![ChangeItem::Block(block)]);
            } else {
                world.order(&Command::Kick {
                    client: user,
                    room: Some("news".parse().expect("a name")),
                    block: Some(Duration::from_secs(1)),
                });
            }
            send(&mut world, ben, "", "secret");
            world.wait(Duration::from_secs(2));
            if by_block {
                world.blocks.clear();
                let (room, user) = (id, owner);
                world.change(vec![ChangeItem::BlockGone { room, user }]);
            }
            let (_, heard) = join_as(&mut world, home, 1);
            assert!(
                !heard.contains("secret"),
                "{raw} {away} {by_block}: {heard}"
            );
        }
    }
}

#[test]
fn nothing_waits_for_who_was_put_off_the_node_as_long_as_it_is_not_back() {
    let (home, other) = home_and_other("news");
    for raw in [false, true] {
        let mut world = house();
        let (ben, _) = join(&mut world, home, "news");
        if raw {
            let bearer = format!("Authorization: Bearer {}", token(1));
            world.upgrade(other, "/news", &[&bearer]);
        } else {
            join_as(&mut world, other, 1);
        }
        world.order(&Command::Kick {
            client: ClientId::from_bytes([1; 16]),
            room: None,
            block: None,
        });
        send(&mut world, ben, "", "secret");
        let (_, heard) = join_as(&mut world, home, 1);
        assert!(!heard.contains("secret"), "{raw}: {heard}");
    }
}

#[test]
fn more_than_a_backlog_that_waited_does_not_close_who_comes_back() {
    let (home, other) = home_and_other("news");
    for raw in [false, true] {
        let mut world = house();
        let mut rules = waiting();
        rules.history.waiting = Some(Waiting {
            messages_max: 1_000,
            age_max: Duration::from_mins(10),
        });
        world.rule("news", rules);
        let (ben, _) = join(&mut world, home, "news");
        let (ada, _) = join_as(&mut world, other, 1);
        world.line(ada, r#"{"op":"leave","room":"news","id":2}"#);
        for number in 0..40 {
            send(
                &mut world,
                ben,
                "",
                &format!("number {number} {}", "x".repeat(60_000)),
            );
        }
        let ada = if raw {
            let bearer = format!("Authorization: Bearer {}", token(1));
            let ada = world.connect(other);
            world.stall(ada, 0);
            world.upgrade_on(ada, "/news", &[&bearer]);
            ada
        } else {
            let ada = world.lobby_of(other, 1);
            world.stall(ada, 0);
            world.line(ada, r#"{"op":"join","room":"news","id":1}"#);
            ada
        };
        send(&mut world, ben, "", "live");
        world.unstall(ada);
        let heard = world.take_text(ada);
        assert!(!world.is_ended(ada), "{raw}");
        assert!(
            heard.contains("number 39 ") && !heard.contains("number 30 "),
            "{raw}"
        );
        assert!(heard.ends_with("live"), "{raw}");
        if !raw {
            let gap = told(&heard, "gap", "dropped").expect("a gap");
            let heard_of = 40 - gap.parse::<usize>().expect("a number");
            assert_eq!(heard.matches("number ").count(), heard_of);
            assert!(heard.find(r#""op":"gap""#) < heard.find("number "));
        }
    }
}
