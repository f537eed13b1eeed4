//! Puddles beside each other: interest is confirmed before anybody is inside,
//! credit bounds what is under way, and one that begins anew is told everything.

use porthouse_model::{MessageKind, Revision, Time, UnixTime};

use super::world::{World, frame};
use crate::{Input, Puddle, PuddleId, Seed, Seeds, Settings, TransientMakers};

use MessageKind::Text;

#[test]
fn nobody_is_admitted_before_the_other_puddles_send_what_is_said_there() {
    let mut world = World::new(2);
    let ben = world.raw(1, "lobby");
    world.hops_stand = true;
    let ada = world.upgrade(0, "/lobby", &[]);
    assert_eq!(world.take(ada), b"", "not admitted yet");
    world.release_hops();
    assert!(world.take(ada).starts_with(b"HTTP/1.1 101"));
    world.say(ben, Text, b"hello");
    assert_eq!(world.take(ada), frame(Text, b"hello"));
}

#[test]
fn a_sender_is_not_read_while_another_puddle_takes_no_more() {
    let mut world = World::with(2, |settings| settings.hop_slots_max = 8);
    let (ada, ben) = (world.raw(0, "lobby"), world.raw(1, "lobby"));
    world.hops_stand = true;
    for number in 0..20_u8 {
        world.say(ada, Text, &[b'a' + number]);
    }
    assert_eq!(world.links[0].paused, [ada.socket]);
    world.release_hops();
    assert_eq!(world.links[0].paused, []);
    let expected: Vec<u8> = (0..20)
        .flat_map(|number| frame(Text, &[b'a' + number]))
        .collect();
    assert_eq!(
        world.take(ben),
        expected,
        "nothing is lost and nothing overtakes"
    );
}

#[test]
fn a_puddle_that_begins_anew_is_told_of_the_rooms_and_tells_its_own() {
    let mut world = World::new(2);
    let ada = world.raw(0, "lobby");
    let lost = world.raw(1, "lobby");
    let mut settings = Settings::new(PuddleId(1), 2);
    settings.transient_makers = TransientMakers::Anyone;
    let mut fresh = Puddle::new(settings, Seeds::repeatable(Seed(9)), Time::ZERO);
    fresh.handle(
        world.now,
        Input::Wall(UnixTime::from_millis(super::world::HOUR)),
    );
    fresh.handle(
        world.now,
        Input::Resync {
            revision: Revision(0),
        },
    );
    fresh.handle(
        world.now,
        Input::Fresh {
            revision: Revision(0),
        },
    );
    world.puddles[1] = fresh;
    world.puddles[0].handle(
        world.now,
        Input::Restarted {
            puddle: PuddleId(1),
        },
    );
    world.run();
    world.say(ada, Text, b"to nobody");
    assert_eq!(world.take(lost), b"");
    let ben = world.raw(1, "lobby");
    world.say(ada, Text, b"hello");
    assert_eq!(world.take(ben), frame(Text, b"hello"));
    world.say(ben, Text, b"hello back");
    assert_eq!(world.take(ada), frame(Text, b"hello back"));
}

#[test]
fn a_message_from_a_room_does_not_reach_its_successor() {
    let mut world = World::new(2);
    let id = world.room("lobby", porthouse_model::RoomRules::default());
    let (ada, ben) = (world.raw(0, "lobby"), world.raw(1, "lobby"));
    world.hops_stand = true;
    world.say(ada, Text, b"old");
    let name: porthouse_model::RoomName = "lobby".parse().expect("a name");
    world.rooms.clear();
    world.change(vec![porthouse_model::ChangeItem::RoomGone {
        id,
        name,
        template: None,
    }]);
    world.take(ben);
    world.release_hops();
    let cleo = world.raw(1, "lobby");
    assert_eq!(world.take(cleo), b"");
}
