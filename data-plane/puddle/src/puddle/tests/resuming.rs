//! Coming back by a token: exactly what was missed, or an honest no; by whom,
//! and until what a token is worth something.

use core::time::Duration;

use porthouse_model::{
    Acts, Block, Capabilities, ChangeItem, ClientId, EntryStep, HistoryRules, Keep, MessageRules,
    PasswordVersion, RoomRules, SessionId, UnixTime,
};

use super::homes::{home_and_other, join, restart, told};
use super::keeping::all;
use super::world::{Client, HOUR, World, asking, hash, password_rules};
use crate::{Command, Input};

/// Keeps its last hundred messages, those to some too.
pub(super) fn kept(rules: RoomRules) -> RoomRules {
    RoomRules {
        history: HistoryRules {
            keep: Keep::Last {
                messages_max: 100,
                age_max: Duration::from_hours(1),
            },
            directed: true,
            ..HistoryRules::default()
        },
        ..rules
    }
}

pub(super) fn house(rules: RoomRules) -> World {
    let mut world = World::new(3);
    world.session(1);
    world.session(2);
    world.room("news", kept(rules));
    world
}

pub(super) fn say(world: &mut World, client: Client, more: &str, payload: &str) {
    let line = format!(r#"{{"op":"send","room":"news"{more}}}"#);
    world.line(client, &format!("{line}\n{payload}"));
}

pub(super) fn enter(
    world: &mut World,
    puddle: usize,
    user: Option<u8>,
    more: &str,
) -> (Client, String) {
    let client = match user {
        Some(user) => world.lobby_of(puddle, user),
        None => world.lobby(puddle),
    };
    world.line(
        client,
        &format!(r#"{{"op":"join","room":"news","id":1{more}}}"#),
    );
    let heard = world.take_text(client);
    (client, heard)
}

pub(super) fn token(heard: &str) -> String {
    let token = told(heard, "admitted", "resume").expect("a token");
    token.trim_matches('"').to_owned()
}

pub(super) fn shows(token: &str, offset: u64) -> String {
    format!(r#","resume":"{token}","offset":{offset}"#)
}

pub(super) fn cut(world: &mut World, client: Client) {
    let socket = client.socket;
    world.puddles[client.puddle].handle(world.now, Input::Lost { socket });
    world.run();
}

/// The messages among what came.
pub(super) fn messages(heard: &str) -> Vec<String> {
    let lines = heard.split(r#"{"op":"message""#).skip(1);
    lines.flat_map(|line| all(line, "offset")).collect()
}

#[track_caller]
pub(super) fn recovered(heard: &str, is: bool) {
    let told = told(heard, "admitted", "recovered");
    assert_eq!(
        told.as_deref(),
        Some(if is { "true" } else { "false" }),
        "{heard}"
    );
}

#[test]
fn who_comes_back_hears_exactly_what_it_missed_and_then_the_rest() {
    let mut world = house(RoomRules::default());
    let (ada, _) = join(&mut world, 0, "news");
    let (ben, heard) = join(&mut world, 1, "news");
    let ben_id = told(&heard, "admitted", "client").expect("an id");
    for (user, at, back_at) in [(Some(1), 0, 1), (None, 2, 0), (Some(2), 1, 1)] {
        let (cleo, heard) = enter(&mut world, at, user, "");
        let (token, before) = (token(&heard), told(&heard, "admitted", "offset"));
        let cleo_id = told(&heard, "admitted", "client").expect("an id");
        let before: u64 = before.expect("an offset").parse().expect("a number");
        say(&mut world, ada, "", "seen");
        world.take(cleo);
        cut(&mut world, cleo);
        say(&mut world, ada, "", "missed");
        say(&mut world, ada, &format!(r#","to":[{ben_id}]"#), "for ben");
        say(
            &mut world,
            ada,
            &format!(r#","to":[{cleo_id}]"#),
            "for cleo",
        );
        say(
            &mut world,
            ada,
            &format!(r#","except":[{cleo_id}]"#),
            "for all but cleo",
        );
        say(
            &mut world,
            ada,
            &format!(r#","except":[{ben_id}]"#),
            "for all but ben",
        );
        let (cleo, heard) = enter(&mut world, back_at, user, &shows(&token, before + 1));
        recovered(&heard, true);
        let expected: Vec<String> = [2, 4, 6].iter().map(|n| (before + n).to_string()).collect();
        assert_eq!(messages(&heard), expected, "{heard}");
        assert!(heard.find("admitted") < heard.find("missed"), "{heard}");
        say(&mut world, ada, "", "live");
        assert_eq!(messages(&world.take_text(cleo)), [(before + 7).to_string()]);
        world.take(ben);
        cut(&mut world, cleo);
    }
}

#[test]
fn who_missed_nothing_is_told_so() {
    let mut world = house(RoomRules::default());
    let (ada, heard) = enter(&mut world, 0, Some(1), "");
    cut(&mut world, ada);
    let (_, heard) = enter(&mut world, 1, Some(1), &shows(&token(&heard), 0));
    recovered(&heard, true);
    assert_eq!(messages(&heard), Vec::<String>::new());
}

#[test]
fn who_is_cut_again_while_it_hears_goes_on_from_there() {
    let mut world = house(RoomRules::default());
    let (ben, _) = join(&mut world, 1, "news");
    let (ada, heard) = enter(&mut world, 0, Some(1), "");
    cut(&mut world, ada);
    for _ in 0..4 {
        say(&mut world, ben, "", "missed");
    }
    let (ada, heard) = enter(&mut world, 0, Some(1), &shows(&token(&heard), 0));
    assert_eq!(messages(&heard), ["1", "2", "3", "4"]);
    cut(&mut world, ada);
    say(&mut world, ben, "", "more");
    let (_, heard) = enter(&mut world, 2, Some(1), &shows(&token(&heard), 2));
    recovered(&heard, true);
    assert_eq!(messages(&heard), ["3", "4", "5"]);
}

#[test]
fn what_is_no_token_begins_anew() {
    let mut world = house(RoomRules::default());
    let (ada, heard) = enter(&mut world, 0, Some(1), "");
    let token = token(&heard);
    cut(&mut world, ada);
    let (start, rest) = token.split_at(60);
    let flipped = if rest.starts_with('A') { "B" } else { "A" };
    let tampered = format!("{start}{flipped}{}", &rest[1..]);
    for shown in ["", "AQ", "%%%", &tampered, &"A".repeat(3_000)] {
        let (_, heard) = enter(&mut world, 0, Some(1), &shows(shown, 0));
        recovered(&heard, false);
    }
    let (_, heard) = enter(&mut world, 0, Some(1), &shows(&token, 0));
    recovered(&heard, true);
}

#[test]
fn an_offset_that_was_never_reached_or_was_passed_begins_anew() {
    let mut world = house(RoomRules::default());
    let (ben, _) = join(&mut world, 1, "news");
    say(&mut world, ben, "", "before");
    for offset in [0, 3, u64::MAX] {
        let (ada, heard) = enter(&mut world, 0, Some(1), "");
        cut(&mut world, ada);
        let (_, heard) = enter(&mut world, 0, Some(1), &shows(&token(&heard), offset));
        recovered(&heard, false);
        assert_eq!(messages(&heard), Vec::<String>::new());
    }
}

#[test]
fn a_token_ends_with_its_time() {
    let mut world = house(RoomRules::default());
    let session = world.sessions.get_mut(&hash(1)).expect("a session");
    session.expires = UnixTime::from_millis(HOUR * 100);
    let (ben, _) = join(&mut world, 1, "news");
    let (ada, heard) = enter(&mut world, 0, Some(1), "");
    let shown = shows(&token(&heard), 0);
    cut(&mut world, ada);
    for _ in 0..(25 * 60) {
        world.wait(Duration::from_mins(1));
        world.line(ben, r#"{"op":"ping"}"#);
    }
    world.change(Vec::new());
    let (_, heard) = enter(&mut world, 0, Some(1), &shown);
    recovered(&heard, false);
}

#[test]
fn of_two_uses_of_a_token_the_newest_lives_and_older_tokens_are_nothing() {
    let mut world = house(RoomRules::default());
    let (first, heard) = enter(&mut world, 0, Some(1), "");
    let one = shows(&token(&heard), 0);
    let (second, heard) = enter(&mut world, 1, Some(1), &one);
    recovered(&heard, true);
    assert!(
        world
            .take_text(first)
            .contains(r#""code":4018,"rule":"resume""#)
    );
    let two = shows(&token(&heard), 0);
    let (third, heard) = enter(&mut world, 2, Some(1), &one);
    recovered(&heard, true);
    assert!(
        world
            .take_text(second)
            .contains(r#""code":4018,"rule":"resume""#)
    );
    let (fourth, heard) = enter(&mut world, 2, Some(1), &two);
    recovered(&heard, true);
    let newest = shows(&token(&heard), 0);
    assert!(world.take_text(third).contains(r#""code":4018"#));
    let (stranger, heard) = enter(&mut world, 0, Some(1), &one);
    recovered(&heard, false);
    assert_eq!(world.take_text(fourth), "", "who is inside is left alone");
    cut(&mut world, stranger);
    cut(&mut world, fourth);
    let (_, heard) = enter(&mut world, 0, Some(1), &newest);
    recovered(&heard, true);
}

#[test]
fn two_who_show_a_token_at_once_are_one_inside() {
    let mut world = house(RoomRules::default());
    let (ben, _) = join(&mut world, 1, "news");
    let (ada, heard) = enter(&mut world, 0, Some(1), "");
    cut(&mut world, ada);
    let line = format!(
        r#"{{"op":"join","room":"news","id":1{}}}"#,
        shows(&token(&heard), 0)
    );
    let both = [0, 1, 2].map(|puddle| world.lobby_of(puddle, 1));
    for client in both {
        world.line_unanswered(client, &line);
    }
    world.run();
    say(&mut world, ben, "", "live");
    let heard = both.map(|client| world.take_text(client));
    let heirs = heard.iter().filter(|heard| heard.contains("live")).count();
    assert_eq!(heirs, 1, "{heard:?}");
    for heard in &heard {
        recovered(heard, true);
    }
}

#[test]
fn the_steps_passed_before_are_not_asked_again() {
    let steps = [
        EntryStep::Password(PasswordVersion(1)),
        EntryStep::SecondFactor {
            age_max: Duration::from_mins(10),
        },
        EntryStep::Approval,
    ];
    let mut world = house(asking(&steps));
    world.rule(
        "news",
        kept(RoomRules {
            capabilities: Capabilities {
                user: Acts::TALK,
                ..Capabilities::open()
            },
            ..asking(&steps)
        }),
    );
    world.rooms.get_mut("news").expect("it is there").owner = Some(world.session(2));
    let (boss, heard) = enter(&mut world, 1, Some(2), "");
    answer(&mut world, boss, r#""password":"open sesame""#);
    let heard = heard + &answer(&mut world, boss, r#""code":"123456""#);
    assert!(heard.contains("admitted"), "{heard}");
    let (ada, _) = enter(&mut world, 0, Some(1), "");
    answer(&mut world, ada, r#""password":"open sesame""#);
    answer(&mut world, ada, r#""code":"123456""#);
    let client = ClientId::from_bytes([1; 16]);
    let admit = format!(r#"{{"op":"admit","room":"news","client":"{client}"}}"#);
    world.line(boss, &admit);
    let heard = world.take_text(ada);
    let shown = shows(&token(&heard), 0);
    cut(&mut world, ada);
    say(&mut world, boss, "", "missed");
    world.wait(Duration::from_secs(30));
    let (ada, heard) = enter(&mut world, 2, Some(1), &shown);
    recovered(&heard, true);
    assert_eq!(messages(&heard), ["1"]);
    let shown = shows(&token(&heard), 1);
    cut(&mut world, ada);
    for _ in 0..12 {
        world.wait(Duration::from_mins(1));
        world.line(boss, r#"{"op":"ping"}"#);
    }
    let (ada, heard) = enter(&mut world, 2, Some(1), &shown);
    assert!(heard.contains(r#""step":"second_factor""#), "{heard}");
    let heard = answer(&mut world, ada, r#""code":"123456""#);
    recovered(&heard, true);
}

fn answer(world: &mut World, client: Client, answer: &str) -> String {
    let line = format!(r#"{{"op":"answer","room":"news","id":2,{answer}}}"#);
    world.line(client, &line);
    world.take_text(client)
}

fn with_password() -> (World, Client, String) {
    let mut world = house(password_rules(1));
    let (ada, _) = enter(&mut world, 0, Some(1), "");
    let heard = answer(&mut world, ada, r#""password":"open sesame""#);
    (world, ada, shows(&token(&heard), 0))
}

#[test]
fn another_password_is_asked_for_and_what_was_said_meanwhile_is_not_recovered() {
    let (mut world, ada, shown) = with_password();
    cut(&mut world, ada);
    world.rule("news", kept(password_rules(2)));
    let (ada, heard) = enter(&mut world, 1, Some(1), &shown);
    assert!(heard.contains(r#""step":"password""#), "{heard}");
    let heard = answer(&mut world, ada, r#""password":"open sesame""#);
    recovered(&heard, false);
}

#[test]
fn nobody_is_back_from_before_a_change_of_the_rules() {
    let mut world = house(RoomRules::default());
    let (ada, heard) = enter(&mut world, 0, Some(1), "");
    let shown = shows(&token(&heard), 0);
    let longer = |bytes_max| {
        kept(RoomRules {
            messages: MessageRules {
                bytes_max,
                ..MessageRules::default()
            },
            ..RoomRules::default()
        })
    };
    world.rule("news", longer(10));
    cut(&mut world, ada);
    let (ada, heard) = enter(&mut world, 1, Some(1), &shown);
    recovered(&heard, true);
    let shown = shows(&token(&heard), 0);
    cut(&mut world, ada);
    world.rule("news", longer(11));
    world.rule("news", longer(10));
    let (_, heard) = enter(&mut world, 1, Some(1), &shown);
    recovered(&heard, false);
}

#[test]
fn who_was_put_out_begins_anew() {
    for room in [Some("news"), None] {
        for inside in [true, false] {
            let (mut world, ada, shown) = with_password();
            if !inside {
                cut(&mut world, ada);
            }
            world.order(&Command::Kick {
                client: ClientId::from_bytes([1; 16]),
                room: room.map(|room| room.parse().expect("a name")),
                block: Some(Duration::ZERO),
            });
            let (ada, heard) = enter(&mut world, 1, Some(1), &shown);
            assert!(heard.contains(r#""step":"password""#), "{room:?} {heard}");
            let heard = answer(&mut world, ada, r#""password":"open sesame""#);
            recovered(&heard, false);
        }
    }
}

#[test]
fn who_left_begins_anew() {
    let (mut world, ada, shown) = with_password();
    world.line(ada, r#"{"op":"leave","room":"news"}"#);
    let (_, heard) = enter(&mut world, 1, Some(1), &shown);
    assert!(heard.contains(r#""step":"password""#), "{heard}");
}

#[test]
fn who_was_blocked_meanwhile_begins_anew() {
    let mut world = house(RoomRules::default());
    let room = world.rooms.get_mut("news").expect("it is there");
    room.blocks.users = true;
    let (room, user) = (room.id, world.session(1));
    let (ada, heard) = enter(&mut world, 0, Some(1), "");
    let shown = shows(&token(&heard), 0);
    cut(&mut world, ada);
    let block = Block {
        room,
        user,
        expires: None,
    };
    world.blocks.push(block);
    world.change(vec![ChangeItem::Block(block)]);
    let (_, heard) = enter(&mut world, 1, Some(1), &shown);
    assert!(heard.contains(r#""rule":"block""#), "{heard}");
    world.blocks.clear();
    world.change(vec![ChangeItem::BlockGone { room, user }]);
    let (_, heard) = enter(&mut world, 1, Some(1), &shown);
    recovered(&heard, false);
}

#[test]
fn a_revoked_session_comes_back_to_nothing() {
    let mut world = house(RoomRules::default());
    let (ada, heard) = enter(&mut world, 0, Some(1), "");
    cut(&mut world, ada);
    world.sessions.remove(&hash(1));
    world.change(vec![ChangeItem::SessionGone(SessionId::from_bytes(
        [1; 16],
    ))]);
    let (_, heard) = enter(&mut world, 1, None, &shows(&token(&heard), 0));
    recovered(&heard, false);
}

#[test]
fn what_is_no_longer_kept_or_is_too_much_is_not_recovered() {
    let mut world = World::with(3, |settings| settings.recovered_bytes_max = 20 * 1024);
    world.session(1);
    world.room("news", kept(RoomRules::default()));
    let (ben, _) = join(&mut world, 1, "news");
    for (messages, is) in [(20, true), (90, false), (101, false)] {
        let (ada, heard) = enter(&mut world, 0, Some(1), "");
        let offset = told(&heard, "admitted", "offset").expect("an offset");
        cut(&mut world, ada);
        for _ in 0..messages {
            say(&mut world, ben, "", "missed");
        }
        let shown = shows(&token(&heard), offset.parse().expect("a number"));
        let (_, heard) = enter(&mut world, 0, Some(1), &shown);
        recovered(&heard, is);
        assert_eq!(messages_in(&heard), if is { messages } else { 0 });
    }
}

fn messages_in(heard: &str) -> usize {
    messages(heard).len()
}

#[test]
fn messages_to_some_that_were_not_kept_are_missing_to_those_alone() {
    let mut world = house(RoomRules::default());
    let mut rules = kept(RoomRules::default());
    rules.history.directed = false;
    world.rule("news", rules);
    let (ben, _) = join(&mut world, 1, "news");
    let ada_id = ClientId::from_bytes([1; 16]);
    for (user, is) in [(1, false), (2, true)] {
        let (ada, heard) = enter(&mut world, 0, Some(user), "");
        let offset = told(&heard, "admitted", "offset").expect("an offset");
        cut(&mut world, ada);
        say(
            &mut world,
            ben,
            &format!(r#","to":["{ada_id}"]"#),
            "for ada",
        );
        let shown = shows(&token(&heard), offset.parse().expect("a number"));
        let (_, heard) = enter(&mut world, 0, Some(user), &shown);
        recovered(&heard, is);
    }
}

#[test]
fn a_home_that_began_anew_knows_nobody() {
    let (mut world, ada, shown) = with_password();
    let (home, other) = home_and_other("news");
    cut(&mut world, ada);
    restart(&mut world, home, 9);
    let (ada, heard) = enter(&mut world, other, Some(1), &shown);
    assert!(heard.contains(r#""step":"password""#), "{heard}");
    let heard = answer(&mut world, ada, r#""password":"open sesame""#);
    recovered(&heard, false);
}

#[test]
fn who_read_too_slowly_comes_back_to_where_it_was() {
    let mut world = house(RoomRules::default());
    for settings in world.puddles.iter_mut().map(|puddle| &mut puddle.settings) {
        settings.socket_backlog_bytes_max = 2_000;
    }
    let (ben, _) = join(&mut world, 1, "news");
    let (ada, heard) = enter(&mut world, 0, Some(1), "");
    let shown = shows(&token(&heard), 0);
    world.stall(ada, 0);
    for _ in 0..20 {
        say(&mut world, ben, "", &"x".repeat(200));
    }
    world.unstall(ada);
    assert!(world.take_text(ada).contains("socket_backlog_bytes_max"));
    let (_, heard) = enter(&mut world, 0, Some(1), &shown);
    recovered(&heard, true);
    assert_eq!(messages_in(&heard), 20);
}

#[test]
fn a_token_of_now_can_be_asked_for() {
    let mut world = house(RoomRules::default());
    world.room("lobby", RoomRules::default());
    let (ada, _) = enter(&mut world, 0, Some(1), "");
    world.line(ada, r#"{"op":"resume","id":2,"room":"news"}"#);
    let heard = world.take_text(ada);
    let given = told(&heard, "resume", "resume").expect("a token");
    world.line(ada, r#"{"op":"join","room":"lobby"}"#);
    world.take(ada);
    world.line(ada, r#"{"op":"resume","id":3,"room":"lobby"}"#);
    let heard = world.take_text(ada);
    assert!(
        heard.contains(r#""op":"error","id":3,"rule":"resume""#),
        "{heard}"
    );
    cut(&mut world, ada);
    let (_, heard) = enter(&mut world, 1, Some(1), &shows(given.trim_matches('"'), 0));
    recovered(&heard, true);
}

#[test]
fn a_plain_room_and_a_house_without_keys_give_no_tokens() {
    let mut world = World::with(1, |settings| {
        settings.resume_keys = crate::ResumeKeys::default();
    });
    world.room("news", kept(RoomRules::default()));
    let (_, heard) = enter(&mut world, 0, None, "");
    assert_eq!(told(&heard, "admitted", "resume"), None);
    let mut world = World::new(1);
    world.room("news", RoomRules::default());
    let (_, heard) = enter(&mut world, 0, None, "");
    assert_eq!(told(&heard, "admitted", "resume"), None);
}

#[test]
fn who_may_come_back_is_bounded() {
    let mut world = World::with(1, |settings| settings.resumes_max = 2);
    world.room("news", kept(RoomRules::default()));
    let tokens = [0, 1, 2].map(|_| {
        let (client, heard) = enter(&mut world, 0, None, "");
        cut(&mut world, client);
        world.wait(Duration::from_secs(1));
        shows(&token(&heard), 0)
    });
    for (token, is) in tokens.iter().zip([false, true, true]).rev() {
        let (client, heard) = enter(&mut world, 0, None, token);
        recovered(&heard, is);
        cut(&mut world, client);
    }
}
