//! What the table cannot say of who only posts: others notice nothing but the
//! message.

use core::time::Duration;

use porthouse_model::RoomRules;

use super::{ENTER, Way, Who, come, doors, finish, inside, row, told, world};

#[test]
fn a_posted_message_puts_out_no_socket_of_its_client() {
    let rules = row("", "", doors::newest_stays, Who::User, ENTER);
    let (mut world, _) = world(&rules);
    let elder = inside(&mut world, Way::Raw, Who::User);
    let posted = come(&mut world, Way::Post, Who::User);
    assert_eq!(finish(&mut world, &posted).said, "202");
    assert_eq!(told(&mut world, &elder).said, "nothing");
}

#[test]
fn who_only_posts_is_in_no_list_of_who_is_there() {
    let rules = row(
        "",
        "",
        |rules| rules.presence.shown = porthouse_model::Shown::Identities,
        Who::User,
        ENTER,
    );
    let (mut world, _) = world(&rules);
    let watcher = world.joined(1, &["room"]);
    world.line(watcher, r#"{"op":"presence","room":"room","id":7}"#);
    let told_before = world.take_text(watcher);
    assert!(told_before.contains(r#""count":1"#), "{told_before}");
    let posted = come(&mut world, Way::Post, Who::User);
    world.wait(Duration::from_secs(2));
    assert_eq!(finish(&mut world, &posted).said, "202");
    world.wait(Duration::from_secs(2));
    let heard = world.take_text(watcher);
    assert!(
        heard.contains("hello") && !heard.contains("presence"),
        "{heard}"
    );
}

#[test]
fn a_posted_message_takes_nothing_of_what_waits_for_its_client() {
    let waiting = porthouse_model::Waiting {
        messages_max: 2,
        age_max: Duration::from_mins(10),
    };
    let rules = row("", "", |_| {}, Who::User, ENTER);
    let (mut world, _) = world(&rules);
    let mut kept = RoomRules::default();
    kept.history.waiting = Some(waiting);
    world.rule("room", kept);
    let ada = inside(&mut world, Way::Lines, Who::User);
    let ben = world.joined(1, &["room"]);
    world.line(ada.client, r#"{"op":"leave","room":"room","id":2}"#);
    world.line(ben, "{\"op\":\"send\",\"room\":\"room\",\"id\":2}\nfor ada");
    let posted = come(&mut world, Way::Post, Who::User);
    assert_eq!(finish(&mut world, &posted).said, "202");
    let ada = come(&mut world, Way::Lines, Who::User);
    let heard = world.take_text(ada.client);
    assert!(heard.contains("for ada"), "{heard}");
}
