//! Connection counts: how many sockets a room holds, and how many of a client,
//! whichever puddles they are on.

use porthouse_model::{ClientSockets, ConnectionRules, RoomRules, Surplus};

use super::homes::{home_and_other, join, restart};
use super::world::{Client, World, close_frame};

fn holding(sockets_max: Option<u32>, per_client: Option<(u32, Surplus)>) -> RoomRules {
    let per_client = per_client.map(|(sockets_max, surplus)| ClientSockets {
        sockets_max,
        surplus,
    });
    RoomRules {
        connection: ConnectionRules {
            sockets_max,
            sockets_per_client: per_client,
            ..ConnectionRules::default()
        },
        ..RoomRules::default()
    }
}

fn try_join(world: &mut World, client: Client, room: &str) -> String {
    let line = format!(r#"{{"op":"join","room":"{room}","id":1}}"#);
    world.line(client, &line);
    world.take_text(client)
}

/// Signed in as this user, and in the room.
fn joined_as(world: &mut World, puddle: usize, user: u8, room: &str) -> Client {
    let client = world.lobby_of(puddle, user);
    let told = try_join(world, client, room);
    assert!(told.contains(r#""op":"admitted""#), "{told}");
    client
}

#[test]
fn a_full_room_refuses_on_every_puddle_until_somebody_leaves() {
    let mut world = World::new(3);
    world.room("cell", holding(Some(2), None));
    let (first, _) = join(&mut world, 0, "cell");
    let raw = world.raw(1, "cell");
    for puddle in 0..3 {
        let late = world.lobby(puddle);
        let told = try_join(&mut world, late, "cell");
        assert!(told.contains(r#""code":4210"#), "{told}");
        let refused = world.upgrade(puddle, "/cell", &[]);
        let told = world.take_text(refused);
        assert!(told.starts_with("HTTP/1.1 503"), "{told}");
    }
    world.line(first, r#"{"op":"leave","room":"cell"}"#);
    let (second, _) = join(&mut world, 2, "cell");
    world.puddles[raw.puddle].handle(world.now, crate::Input::Lost { socket: raw.socket });
    world.run();
    join(&mut world, 0, "cell");
    let late = world.lobby(second.puddle);
    assert!(try_join(&mut world, late, "cell").contains("4210"));
}

#[test]
fn of_many_who_come_at_once_on_all_puddles_as_many_as_may_come_in() {
    let mut world = World::new(3);
    world.room("cell", holding(Some(5), None));
    world.hops_stand = true;
    let clients: Vec<Client> = (0..30).map(|number| world.lobby(number % 3)).collect();
    for client in &clients {
        world.line(*client, r#"{"op":"join","room":"cell","id":1}"#);
    }
    world.release_hops();
    let told: Vec<String> = clients.iter().map(|one| world.take_text(*one)).collect();
    let admitted = told.iter().filter(|told| told.contains("admitted"));
    assert_eq!(admitted.count(), 5);
    let refused = told.iter().filter(|told| told.contains("4210"));
    assert_eq!(refused.count(), 25);
}

#[test]
fn the_newest_socket_of_a_client_is_refused_or_the_oldest_replaced() {
    let mut world = World::new(3);
    world.session(1);
    world.session(2);
    world.room("one", holding(None, Some((1, Surplus::Newest))));
    world.room("new", holding(None, Some((1, Surplus::Oldest))));
    joined_as(&mut world, 0, 1, "one");
    let second = world.lobby_of(1, 1);
    assert!(try_join(&mut world, second, "one").contains("4211"));
    joined_as(&mut world, 1, 2, "one");

    let oldest = joined_as(&mut world, 0, 1, "new");
    let newest = joined_as(&mut world, 2, 1, "new");
    let told = world.take_text(oldest);
    assert!(
        told.contains(r#""op":"closed""#) && told.contains("4009"),
        "{told}"
    );
    world.line(newest, "{\"op\":\"send\",\"room\":\"new\",\"id\":9}\nhi");
    assert!(world.take_text(newest).contains("receipt"));
}

#[test]
fn a_replaced_raw_socket_is_closed_before_the_newest_comes_in() {
    let mut world = World::new(3);
    world.session(1);
    world.room("new", holding(Some(1), Some((1, Surplus::Oldest))));
    let bearer = format!("Authorization: Bearer {}", super::world::token(1));
    let oldest = world.upgrade(0, "/new", &[&bearer]);
    assert!(world.take_text(oldest).contains("101"));
    let newest = world.upgrade(1, "/new", &[&bearer]);
    let (code, reason) = close_frame(&world.take(oldest));
    assert_eq!(code, 4009, "{reason}");
    assert!(world.take_text(newest).contains("101"));
    let late = world.lobby(2);
    assert!(try_join(&mut world, late, "new").contains("4210"));
}

#[test]
fn places_come_back_when_a_puddle_is_lost_and_stay_taken_when_the_home_is() {
    let mut world = World::new(3);
    world.room("cell", holding(Some(2), None));
    let (home, other) = home_and_other("cell");
    let third = 3 - home - other;
    join(&mut world, other, "cell");
    join(&mut world, third, "cell");
    restart(&mut world, third, 7);
    let (_, told) = join(&mut world, home, "cell");
    assert!(told.contains("admitted"));
    restart(&mut world, home, 8);
    join(&mut world, third, "cell");
    let late = world.lobby(third);
    assert!(try_join(&mut world, late, "cell").contains("4210"));
}

#[test]
fn a_lower_limit_puts_out_those_who_came_last() {
    let mut world = World::new(3);
    world.room("cell", RoomRules::default());
    let clients: Vec<Client> = (0..4)
        .map(|number| join(&mut world, number % 3, "cell").0)
        .collect();
    world.rule("cell", holding(Some(4), None));
    for client in &clients {
        assert_eq!(world.take_text(*client), "");
    }
    world.rule("cell", holding(Some(3), None));
    let told: String = clients.iter().map(|one| world.take_text(*one)).collect();
    assert_eq!(told.matches("4210").count(), 1, "{told}");
    world.rule("cell", RoomRules::default());
    join(&mut world, 1, "cell");
}

#[test]
fn a_new_limit_that_puts_out_all_at_the_rooms_home_who_came_last() {
    let mut world = World::new(3);
    let (home, other) = home_and_other("cell");
    world.room("cell", RoomRules::default());
    let (late, _) = join(&mut world, home, "cell");
    let (early, _) = join(&mut world, other, "cell");
    // Who is told of first has a place.
    let turns = [other, home, 3 - home - other];
    world.rule_in_turn("cell", holding(Some(1), None), &turns);
    let told = world.take_text(late);
    assert!(told.contains(r#""code":4210"#), "{told}");
    assert_eq!(world.take_text(early), "");
    world.line(early, r#"{"op":"leave","room":"cell"}"#);
    world.take(early);
    assert!(try_join(&mut world, late, "cell").contains("admitted"));
}
