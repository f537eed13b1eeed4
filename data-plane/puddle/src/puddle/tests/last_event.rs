//! The reader of a stream comes back and says which event it heard last: exactly
//! what it missed, or an honest no; and no more than any reader is told.

use core::time::Duration;

use porthouse_model::{
    Act, Acts, Capabilities, ChangeItem, ClientId, EntryStep, HistoryRules, HookVersion, Keep,
    RoomRules,
};

use super::durable;
use super::homes::{home_and_other, join, restart};
use super::world::{Client, World, asking, token};

const RECOVERED: &str = "event: recovered\ndata: {\"recovered\":true}\n\n";
const ANEW: &str = "event: recovered\ndata: {\"recovered\":false}\n\n";

fn keeping(keep: Keep) -> RoomRules {
    RoomRules {
        history: HistoryRules {
            keep,
            directed: true,
            ..HistoryRules::default()
        },
        ..RoomRules::default()
    }
}

const LAST: Keep = Keep::Last {
    messages_max: 3,
    age_max: Duration::from_mins(1),
};

/// A room and somebody who speaks in it.
fn house(rules: RoomRules) -> (World, Client) {
    let mut world = World::new(3);
    world.session(1);
    world.room("news", rules);
    let (ada, _) = join(&mut world, 1, "news");
    (world, ada)
}

fn say(world: &mut World, client: Client, more: &str, payload: &str) {
    let line = format!(r#"{{"op":"send","room":"news"{more}}}"#);
    world.line(client, &format!("{line}\n{payload}"));
}

/// A stream, and what it tells after its head.
fn stream(world: &mut World, puddle: usize, lines: &[&str]) -> (Client, String) {
    let client = world.connect(puddle);
    let mut request = "GET /news HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n".to_owned();
    for line in lines {
        request += line;
        request += "\r\n";
    }
    world.bytes(client, (request + "\r\n").into_bytes());
    let told = world.take_text(client);
    let (head, told) = told.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    (client, told.to_owned())
}

/// The same of a reader that heard this last.
fn back(world: &mut World, puddle: usize, last: &str) -> (Client, String) {
    stream(world, puddle, &[&format!("Last-Event-ID: {last}")])
}

/// The last id in what a stream told.
fn last_id(told: &str) -> String {
    let (_, id) = told.rsplit_once("id: ").expect("an id");
    id.split_once('\n').expect("a line").0.to_owned()
}

fn after(id: &str, more: u64) -> String {
    let (epoch, offset) = id.split_once('-').expect("an id");
    let offset: u64 = offset.parse().expect("an offset");
    format!("{epoch}-{}", offset + more)
}

fn gone(world: &mut World, client: Client) {
    let input = crate::Input::Lost {
        socket: client.socket,
    };
    world.puddles[client.puddle].handle(world.now, input);
    world.run();
}

#[test]
fn a_reader_that_comes_back_is_told_what_it_missed_and_goes_on() {
    let (mut world, ada) = house(keeping(LAST));
    for puddle in [0, 1, 2] {
        let (cleo, told) = stream(&mut world, puddle, &[]);
        assert!(told.starts_with("id: ") && told.ends_with("\n\n"), "{told}");
        let start = last_id(&told);
        say(&mut world, ada, "", "heard");
        let told = world.take_text(cleo);
        let heard = after(&start, 1);
        assert_eq!(
            told,
            format!("id: {heard}\nevent: message\ndata: heard\n\n")
        );
        gone(&mut world, cleo);
        say(&mut world, ada, "", "missed");
        say(&mut world, ada, "", "this\ntoo");
        let (cleo, told) = back(&mut world, (puddle + 1) % 3, &heard);
        let (one, two) = (after(&heard, 1), after(&heard, 2));
        assert_eq!(
            told,
            format!(
                "{RECOVERED}id: {one}\nevent: message\ndata: missed\n\n\
                 id: {two}\nevent: message\ndata: this\ndata: too\n\nid: {two}\n\n"
            )
        );
        say(&mut world, ada, "", "live");
        let told = world.take_text(cleo);
        let three = after(&two, 1);
        assert_eq!(told, format!("id: {three}\nevent: message\ndata: live\n\n"));
        // Whoever missed nothing is told nothing twice.
        let (_, told) = back(&mut world, puddle, &three);
        assert_eq!(told, format!("{RECOVERED}id: {three}\n\n"));
        // Who heard nothing at all missed all since it came.
        let (_, told) = back(&mut world, puddle, &after(&start, 1));
        assert_eq!(told.matches("event: message").count(), 3, "{told}");
    }
}

#[test]
fn what_is_not_kept_any_more_is_not_recovered_and_that_is_said() {
    let (mut world, ada) = house(keeping(LAST));
    let (cleo, told) = stream(&mut world, 0, &[]);
    let start = last_id(&told);
    gone(&mut world, cleo);
    for word in ["one", "two", "three", "four"] {
        say(&mut world, ada, "", word);
    }
    let now = after(&start, 4);
    let (_, told) = back(&mut world, 2, &start);
    assert_eq!(told, format!("{ANEW}id: {now}\n\n"));
    let (_, told) = back(&mut world, 2, &after(&start, 1));
    assert!(told.starts_with(RECOVERED), "{told}");
    world.wait(Duration::from_secs(61));
    let (_, told) = back(&mut world, 2, &after(&start, 1));
    assert_eq!(told, format!("{ANEW}id: {now}\n\n"));
}

#[test]
fn an_id_that_is_none_or_from_elsewhere_is_an_honest_no() {
    let (mut world, _) = house(keeping(LAST));
    let (_, told) = stream(&mut world, 0, &[]);
    let now = last_id(&told);
    let (epoch, _) = now.split_once('-').expect("an id");
    let other = format!("{}-0", epoch.parse::<u64>().expect("an epoch") ^ 1);
    for id in ["x", "41", "-", &after(&now, 1), &other, &"9".repeat(400)] {
        let (_, told) = back(&mut world, 1, id);
        assert_eq!(told, format!("{ANEW}id: {now}\n\n"), "{id}");
    }
    // In a room that keeps nothing there is nothing to go on from.
    world.room("talk", RoomRules::default());
    let client = world.connect(0);
    let request = "GET /talk HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\
                   Last-Event-ID: 7-41\r\n\r\n";
    world.bytes(client, request.as_bytes().to_vec());
    let told = world.take_text(client);
    assert!(told.ends_with(&format!("\r\n\r\n{ANEW}")), "{told}");
}

#[test]
fn who_may_not_read_history_is_told_nothing_of_it() {
    let rules = RoomRules {
        capabilities: Capabilities {
            anonymous: Acts::LISTEN.without(Act::ReadHistory),
            ..Capabilities::open()
        },
        ..keeping(LAST)
    };
    let (mut world, _) = house(rules);
    let bearer = format!("Authorization: Bearer {}", token(1));
    let (user, told) = stream(&mut world, 0, &[&bearer]);
    let start = last_id(&told);
    let speaker = world.lobby_of(0, 1);
    world.line(speaker, r#"{"op":"join","room":"news"}"#);
    say(&mut world, speaker, "", "missed");
    world.take(user);
    let (_, told) = back(&mut world, 2, &start);
    assert_eq!(told, format!("{ANEW}id: {}\n\n", after(&start, 1)));
    let last = format!("Last-Event-ID: {start}");
    let (_, told) = stream(&mut world, 2, &[&bearer, &last]);
    assert!(told.contains("data: missed"), "{told}");
}

#[test]
fn messages_to_others_stay_theirs_and_one_to_all_but_some_is_an_honest_no() {
    let (mut world, ada) = house(keeping(LAST));
    let bearer = format!("Authorization: Bearer {}", token(1));
    let (_, told) = stream(&mut world, 0, &[&bearer]);
    let start = last_id(&told);
    let hers = ClientId::from_bytes([1; 16]);
    let other = ClientId::from_bytes([2; 16]);
    say(
        &mut world,
        ada,
        &format!(r#","to":["{other}"]"#),
        "for another",
    );
    say(&mut world, ada, &format!(r#","to":["{hers}"]"#), "for her");
    let last = format!("Last-Event-ID: {start}");
    let (_, told) = stream(&mut world, 2, &[&bearer, &last]);
    assert!(told.starts_with(RECOVERED), "{told}");
    assert!(
        told.contains("data: for her") && !told.contains("another"),
        "{told}"
    );
    let (_, told) = back(&mut world, 2, &start);
    assert!(!told.contains("for "), "{told}");
    say(
        &mut world,
        ada,
        &format!(r#","except":["{other}"]"#),
        "not for one",
    );
    for lines in [&[&*last][..], &[&bearer, &last]] {
        let (_, told) = stream(&mut world, 2, lines);
        assert!(
            told.starts_with(ANEW) && !told.contains("data: not"),
            "{told}"
        );
    }
}

#[test]
fn of_a_room_that_keeps_the_latest_one_message_can_be_missed() {
    let (mut world, ada) = house(keeping(Keep::Latest));
    let (_, told) = stream(&mut world, 0, &[]);
    let start = last_id(&told);
    say(&mut world, ada, "", "one");
    let one = after(&start, 1);
    let (_, told) = back(&mut world, 2, &start);
    let told_one = format!("id: {one}\nevent: message\ndata: one\n\nid: {one}\n\n");
    assert_eq!(told, format!("{RECOVERED}{told_one}"));
    let (_, told) = back(&mut world, 2, &one);
    assert_eq!(told, format!("{RECOVERED}id: {one}\n\n"), "not heard twice");
    say(&mut world, ada, "", "two");
    let (_, told) = back(&mut world, 2, &start);
    assert!(
        told.starts_with(ANEW) && told.contains("data: two"),
        "{told}"
    );
}

#[test]
fn a_room_that_begins_anew_says_so_and_recovers_nothing_of_before() {
    let (mut world, ada) = house(keeping(LAST));
    let (home, other) = home_and_other("news");
    let (cleo, told) = stream(&mut world, other, &[]);
    let before = last_id(&told);
    say(&mut world, ada, "", "before");
    world.take(cleo);
    restart(&mut world, home, 9);
    let (ben, _) = join(&mut world, other, "news");
    say(&mut world, ben, "", "after");
    let told = world.take_text(cleo);
    let told = &told[told.find("id: ").expect("an id")..];
    let now = last_id(told);
    let (epoch, _) = now.split_once('-').expect("an id");
    assert!(!before.starts_with(&format!("{epoch}-")), "another life");
    assert_eq!(
        told,
        format!(
            "id: {epoch}-0\nevent: epoch\ndata: {{\"epoch\":{epoch},\"offset\":0}}\n\n\
             id: {epoch}-1\nevent: message\ndata: after\n\n"
        )
    );
    let (_, told) = back(&mut world, home, &before);
    assert_eq!(told, format!("{ANEW}id: {now}\n\n"));
}

#[test]
fn a_stream_that_stood_before_its_door_again_is_told_that_something_may_be_missing() {
    let (mut world, _) = house(keeping(LAST));
    let (cleo, _) = stream(&mut world, 0, &[]);
    // A backend is asked about those inside; nobody has to answer.
    let hook = EntryStep::Hook(HookVersion(1));
    let rules = RoomRules {
        history: keeping(LAST).history,
        ..asking(&[hook])
    };
    world.rule("news", rules);
    let told = world.take_text(cleo);
    assert_eq!(told, format!("{ANEW}id: {}\n\n", last_id(&told)));
}

#[test]
fn of_a_durable_room_what_was_missed_is_told_by_the_next_life_of_the_node() {
    let mut world = durable::news(|_| {});
    let (ada, _) = join(&mut world, 1, "news");
    let (_, told) = stream(&mut world, 0, &[]);
    let start = last_id(&told);
    say(&mut world, ada, "", "before");
    durable::restart_all(&mut world, 9);
    let (ben, _) = join(&mut world, 2, "news");
    say(&mut world, ben, "", "after");
    for puddle in [0, 1, 2] {
        let (_, told) = back(&mut world, puddle, &start);
        let (one, two) = (after(&start, 1), after(&start, 2));
        assert_eq!(
            told,
            format!(
                "{RECOVERED}id: {one}\nevent: message\ndata: before\n\n\
                 id: {two}\nevent: message\ndata: after\n\nid: {two}\n\n"
            )
        );
    }
}

#[test]
fn the_door_is_looked_at_as_ever() {
    let (mut world, _) = house(keeping(LAST));
    let bearer = format!("Authorization: Bearer {}", token(1));
    let (cleo, told) = stream(&mut world, 0, &[&bearer]);
    let start = last_id(&told);
    let session = porthouse_model::SessionId::from_bytes([1; 16]);
    world.change(vec![ChangeItem::SessionGone(session)]);
    world.sessions.clear();
    assert!(world.take_text(cleo).contains("event: closed"));
    let client = world.connect(0);
    let request = format!(
        "GET /news HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n{bearer}\r\n\
         Last-Event-ID: {start}\r\n\r\n"
    );
    world.bytes(client, request.into_bytes());
    let told = world.take_text(client);
    assert!(told.starts_with("HTTP/1.1 401 "), "{told}");
}
