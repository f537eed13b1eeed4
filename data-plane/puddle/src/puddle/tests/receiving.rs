//! Roles that never or always receive, in rooms that keep: what they read, what
//! they are sent again, and what waits for them, as what they hear.

use core::time::Duration;

use porthouse_model::{Member, RoomRules, Waiting};

use super::homes::join;
use super::resuming::{cut, enter, kept, messages, recovered, say, shows, token};
use super::world::{Client, World};

/// A kept room where users 1 and 2 are guests and never, or always, receive; and
/// somebody who speaks, with somebody else it is said to.
fn house(change: fn(&mut RoomRules)) -> (World, Client, String) {
    let mut world = World::new(3);
    let mut rules = kept(RoomRules::default());
    change(&mut rules);
    let room = world.room("news", rules);
    for user in [1, 2] {
        let user = world.session(user);
        world.members.push(Member {
            room,
            user,
            role: "guest".parse().expect("a role"),
            expires: None,
            then: None,
        });
    }
    let (ada, _) = join(&mut world, 0, "news");
    let (_, admitted) = join(&mut world, 1, "news");
    let ben = super::homes::told(&admitted, "admitted", "client").expect("an id");
    (world, ada, format!(r#","to":[{ben}]"#))
}

fn never(rules: &mut RoomRules) {
    rules.broadcast.never = ["guest".parse().expect("a role")].into();
}

fn always(rules: &mut RoomRules) {
    rules.broadcast.always = ["guest".parse().expect("a role")].into();
}

fn wait_for(rules: &mut RoomRules) {
    rules.history.waiting = Some(Waiting {
        messages_max: 100,
        age_max: Duration::from_mins(10),
    });
}

fn read(world: &mut World, client: Client) -> String {
    world.take(client);
    world.line(client, r#"{"op":"history","room":"news","id":9,"since":0}"#);
    world.take_text(client)
}

#[test]
fn who_never_receives_reads_nothing_of_the_past() {
    let (mut world, ada, _) = house(never);
    say(&mut world, ada, "", "said before");
    let (cleo, heard) = enter(&mut world, 2, Some(1), "");
    assert!(!heard.contains("said before"), "{heard}");
    let told = read(&mut world, cleo);
    assert!(
        told.contains(r#""rule":"capabilities.read_history""#),
        "{told}"
    );
    assert!(!told.contains("said before"), "{told}");
}

#[test]
fn who_never_receives_is_sent_nothing_again() {
    let (mut world, ada, _) = house(never);
    let (cleo, heard) = enter(&mut world, 2, Some(1), "");
    say(&mut world, ada, "", "said while inside");
    assert_eq!(world.take_text(cleo), "");
    cut(&mut world, cleo);
    say(&mut world, ada, "", "said meanwhile");
    let (_, heard) = enter(&mut world, 1, Some(1), &shows(&token(&heard), 0));
    assert!(heard.contains(r#""op":"admitted""#), "{heard}");
    assert_eq!(messages(&heard), Vec::<String>::new(), "{heard}");
}

#[test]
fn nothing_waits_for_who_never_receives() {
    let (mut world, ada, _) = house(|rules| {
        never(rules);
        wait_for(rules);
    });
    let (cleo, _) = enter(&mut world, 2, Some(1), "");
    world.line(cleo, r#"{"op":"leave","room":"news","id":2}"#);
    say(&mut world, ada, "", "said meanwhile");
    let (_, heard) = enter(&mut world, 1, Some(1), "");
    assert!(heard.contains(r#""op":"admitted""#), "{heard}");
    assert!(
        !heard.contains("said meanwhile") && !heard.contains("gap"),
        "{heard}"
    );
}

#[test]
fn who_always_receives_reads_what_was_said_to_others_while_inside_and_nothing_earlier() {
    let (mut world, ada, to_ben) = house(always);
    say(&mut world, ada, &to_ben, "said to ben before");
    let (cleo, _) = enter(&mut world, 2, Some(1), "");
    say(&mut world, ada, &to_ben, "said to ben");
    let heard = world.take_text(cleo);
    assert!(heard.contains("said to ben"), "{heard}");
    let told = read(&mut world, cleo);
    assert!(told.contains("\nsaid to ben"), "{told}");
    assert!(!told.contains("said to ben before"), "{told}");
}

#[test]
fn who_always_receives_is_sent_again_what_was_said_to_others() {
    let (mut world, ada, to_ben) = house(always);
    let (cleo, heard) = enter(&mut world, 2, Some(1), "");
    cut(&mut world, cleo);
    say(&mut world, ada, "", "said to all");
    say(&mut world, ada, &to_ben, "said to ben");
    let (_, heard) = enter(&mut world, 1, Some(1), &shows(&token(&heard), 0));
    recovered(&heard, true);
    assert_eq!(messages(&heard), ["1", "2"], "{heard}");
}

#[test]
fn what_is_said_to_others_waits_for_who_always_receives() {
    let (mut world, ada, to_ben) = house(|rules| {
        always(rules);
        wait_for(rules);
    });
    let (cleo, _) = enter(&mut world, 2, Some(1), "");
    world.line(cleo, r#"{"op":"leave","room":"news","id":2}"#);
    say(&mut world, ada, &to_ben, "said to ben");
    let (_, heard) = enter(&mut world, 1, Some(1), "");
    assert!(heard.contains("\nsaid to ben"), "{heard}");
}

#[test]
fn a_reader_of_events_who_never_receives_is_told_nothing_of_what_it_missed() {
    let (mut world, ada, _) = house(never);
    say(&mut world, ada, "", "said before");
    let bearer = format!("Authorization: Bearer {}", super::world::token(1));
    let client = world.connect(2);
    let request = format!(
        "GET /news HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n{bearer}\r\n\
         Last-Event-ID: 1-0\r\n\r\n"
    );
    world.bytes(client, request.into_bytes());
    let told = world.take_text(client);
    assert!(told.starts_with("HTTP/1.1 200 "), "{told}");
    assert!(told.contains(r#"{"recovered":false}"#), "{told}");
    assert!(!told.contains("said before"), "{told}");
}
