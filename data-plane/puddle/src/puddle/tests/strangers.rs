//! What somebody may is never somebody else's: tokens of a room that began anew,
//! and rooms that took a name.

use std::sync::Arc;

use porthouse_model::{Change, ChangeItem, Keep, Revision, RoomRules, SessionId};

use super::durable::{durable, news, restart_all};
use super::history::{join_as, keeping, send};
use super::homes::{home_and_other, join, told};
use super::resuming::{cut, enter, house, kept, messages, recovered, say, shows, token};
use super::world::{World, hash, members_only};
use crate::{Changed, Input};

/// User 1 was inside and is cut; user 2 comes in after `anew`; then user 1 shows
/// its token.
fn shown_after(world: &mut World, anew: impl Fn(&mut World)) {
    let (ada, heard) = enter(world, 0, Some(1), "");
    let shown = shows(&token(&heard), 0);
    cut(world, ada);
    anew(world);
    let (ben, heard) = enter(world, 1, Some(2), "");
    let ben_id = told(&heard, "admitted", "client").expect("an id");
    send(world, ben, &format!(r#","to":[{ben_id}]"#), "for ben");
    world.take(ben);
    let (_, heard) = enter(world, 0, Some(1), &shown);
    recovered(&heard, false);
    assert_eq!(messages(&heard), Vec::<String>::new(), "{heard}");
    assert_eq!(world.take_text(ben), "", "who is inside stays");
}

#[test]
fn a_token_from_before_a_durable_home_began_anew_is_nobody_elses() {
    let mut world = news(|_| {});
    world.session(1);
    world.session(2);
    let mut rules = durable(100);
    rules.history.directed = true;
    world.rule("news", rules);
    shown_after(&mut world, |world| {
        // One message is stored, so that the room has the same epoch again.
        let (cleo, _) = enter(world, 2, None, "");
        send(world, cleo, "", "first");
        restart_all(world, 10);
    });
}

#[test]
fn a_token_from_before_a_resync_is_nobody_elses() {
    let mut world = house(RoomRules::default());
    shown_after(&mut world, |world| {
        let revision = Revision(world.revision);
        for puddle in &mut world.puddles {
            puddle.handle(world.now, Input::Resync { revision });
            puddle.handle(world.now, Input::Fresh { revision });
        }
        world.run();
    });
}

#[test]
fn who_arrives_at_a_successor_unawares_hears_nothing_of_it() {
    let mut world = World::with(3, |settings| {
        settings.transient_rules = keeping(Keep::Latest);
    });
    let (home, other) = home_and_other("news");
    // Somebody stays, so that the other puddle goes on knowing the first room.
    let (_stays, _) = super::homes::join(&mut world, other, "news");
    let rules = RoomRules {
        connection: members_only().connection,
        ..keeping(Keep::Latest)
    };
    world.room("news", rules);
    let user = world.session(1);
    world.rooms.get_mut("news").expect("it was made").owner = Some(user);
    world.revision += 1;
    let revision = Revision(world.revision);
    let items = vec![ChangeItem::Room(world.rooms["news"].clone())];
    let made = Arc::new(Changed::compile(Change { revision, items }));
    world.puddles[home].handle(world.now, Input::Changed(Arc::clone(&made)));
    world.run();
    let (owner, _) = join_as(&mut world, home, 1);
    send(&mut world, owner, "", "secret");
    let ada = world.lobby(other);
    world.line(ada, r#"{"op":"join","room":"news","id":1}"#);
    let heard = world.take_text(ada);
    assert!(!heard.contains("secret"), "{heard}");
    assert!(heard.contains(r#""rule":"staleness""#), "{heard}");
    for puddle in (0..3).filter(|puddle| *puddle != home) {
        world.puddles[puddle].handle(world.now, Input::Changed(Arc::clone(&made)));
    }
    world.run();
    world.line(ada, r#"{"op":"join","room":"news","id":2}"#);
    let heard = world.take_text(ada);
    assert!(
        !heard.contains("admitted") && !heard.contains("secret"),
        "{heard}"
    );
}

#[test]
fn a_token_is_nothing_to_anybody_else() {
    let mut world = house(RoomRules::default());
    let (ben, _) = join(&mut world, 1, "news");
    for (owner, others) in [(Some(1), [Some(2), None]), (None, [Some(1), Some(2)])] {
        let (ada, heard) = enter(&mut world, 0, owner, "");
        let offset = told(&heard, "admitted", "offset").expect("an offset");
        let shown = shows(&token(&heard), offset.parse().expect("a number"));
        cut(&mut world, ada);
        say(&mut world, ben, "", "missed");
        for other in others {
            let (_, heard) = enter(&mut world, 0, other, &shown);
            recovered(&heard, false);
            assert_eq!(messages(&heard), Vec::<String>::new());
        }
        let (_, heard) = enter(&mut world, 0, owner, &shown);
        recovered(&heard, true);
    }
}

#[test]
fn a_token_of_another_session_of_the_same_user_is_nothing() {
    let mut world = house(RoomRules::default());
    let (ada, heard) = enter(&mut world, 0, Some(1), "");
    cut(&mut world, ada);
    let mut session = world.sessions[&hash(1)].clone();
    session.id = SessionId::from_bytes([9; 16]);
    world.sessions.insert(hash(9), session);
    let (_, heard) = enter(&mut world, 0, Some(9), &shows(&token(&heard), 0));
    recovered(&heard, false);
}

#[test]
fn who_left_while_asks_waited_has_no_way_back() {
    let mut world = World::with(3, |settings| settings.ask_slots_max = 4);
    world.session(1);
    world.room("news", kept(RoomRules::default()));
    let (home, other) = home_and_other("news");
    let (ada, heard) = enter(&mut world, other, Some(1), "");
    let shown = shows(&token(&heard), 0);
    world.hops_stand_to = Some(home);
    for _ in 0..4 {
        send(&mut world, ada, "", "said");
    }
    world.line(ada, r#"{"op":"leave","room":"news","id":2}"#);
    world.hops_stand_to = None;
    world.release_hops();
    let (_, heard) = enter(&mut world, other, Some(1), &shown);
    recovered(&heard, false);
}

#[test]
fn what_was_said_before_the_last_socket_went_is_said() {
    let mut world = World::with(3, |settings| settings.ask_slots_max = 4);
    world.room("news", kept(RoomRules::default()));
    let (home, other) = home_and_other("news");
    let (ben, _) = enter(&mut world, home, None, "");
    let (ada, _) = enter(&mut world, other, None, "");
    world.hops_stand_to = Some(home);
    for _ in 0..5 {
        send(&mut world, ada, "", "said");
    }
    cut(&mut world, ada);
    world.hops_stand_to = None;
    world.release_hops();
    assert_eq!(messages(&world.take_text(ben)).len(), 5);
}
