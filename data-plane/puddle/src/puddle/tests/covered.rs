//! Templates: a name without a room of its own has the rules of the longest
//! prefix, and changes with them while somebody is inside.

use std::sync::Arc;

use porthouse_model::{
    ChangeItem, Content, MessageKind, Room, RoomBlocks, RoomId, RoomName, RoomRules, Template,
};

use super::homes::{home_and_other, join, ordered};
use super::world::{Client, World, close_frame, frame, password_rules, taking};
use crate::{Command, Known, Publish, Reply, TemplatePolicy, TransientMakers};

use MessageKind::{Binary, Text};

impl World {
    /// The longest prefix that something begins with.
    fn covering(&self, text: &str) -> Option<&Template> {
        let covers = self.templates.values();
        let covers = covers.filter(|template| text.starts_with(template.prefix.as_str()));
        covers.max_by_key(|template| template.prefix.as_str().len())
    }

    /// What the control plane knows of a name without a room.
    pub(super) fn templated(&self, name: &RoomName) -> Option<Known> {
        let template = self.covering(name.as_str())?.clone();
        Some(Known::Templated(Arc::new(TemplatePolicy::compile(
            template,
        ))))
    }
}

fn template(prefix: &str, rules: RoomRules) -> Template {
    let length = u8::try_from(prefix.len()).expect("short");
    Template {
        id: RoomId::from_bytes([100 + length; 16]),
        prefix: prefix.parse().expect("a prefix"),
        rules: Box::new(rules),
    }
}

pub(super) fn put(world: &mut World, prefix: &str, rules: RoomRules) {
    let template = template(prefix, rules);
    world
        .templates
        .insert(template.prefix.clone(), template.clone());
    world.change(vec![ChangeItem::Template(template)]);
}

fn remove(world: &mut World, prefix: &str) {
    let Template { id, prefix, .. } = template(prefix, RoomRules::default());
    world.templates.remove(&prefix);
    let next = world.covering(prefix.as_str()).cloned();
    world.change(vec![ChangeItem::TemplateGone { id, prefix, next }]);
}

/// Whether a binary message is taken; who sends one that is not is put out.
fn takes_binary(world: &mut World, room: &str) -> bool {
    let client = world.raw(0, room);
    world.say(client, Binary, b"x");
    world.take(client).is_empty()
}

fn named(name: &str, rules: RoomRules) -> Room {
    Room {
        id: RoomId::from_bytes([7; 16]),
        name: name.parse().expect("a name"),
        rules: Box::new(rules),
        owner: None,
        blocks: RoomBlocks::default(),
    }
}

#[test]
fn a_name_has_the_rules_of_the_longest_prefix() {
    let mut world = World::new(1);
    put(&mut world, "chat:*", taking(Content::Text));
    put(&mut world, "chat:free:*", taking(Content::Any));
    assert!(!takes_binary(&mut world, "chat:a"));
    assert!(takes_binary(&mut world, "chat:free:a"));
    assert!(takes_binary(&mut world, "chat"), "it is not covered");
}

#[test]
fn a_shorter_prefix_that_comes_later_takes_nothing_from_a_longer_one() {
    let mut world = World::new(1);
    put(&mut world, "chat:free:*", taking(Content::Any));
    let inside = world.raw(0, "chat:free:a");
    put(&mut world, "chat:*", taking(Content::Text));
    world.say(inside, Binary, b"x");
    assert_eq!(world.take(inside), b"", "still one of the longer prefix");
}

#[test]
fn a_template_changes_rooms_that_are_live_on_every_puddle() {
    let mut world = World::new(2);
    let (ada, ben) = (world.raw(0, "chat:a"), world.raw(1, "chat:a"));
    put(&mut world, "chat:*", taking(Content::Text));
    world.say(ada, Text, b"still here");
    assert_eq!(world.take(ben), frame(Text, b"still here"));
    world.say(ben, Binary, b"x");
    assert_eq!(close_frame(&world.take(ben)).0, 1003);
    put(&mut world, "chat:*", taking(Content::Binary));
    world.say(ada, Text, b"no more");
    assert_eq!(close_frame(&world.take(ada)).0, 1003);
}

#[test]
fn when_a_template_is_gone_the_next_longest_counts() {
    let mut world = World::new(2);
    put(&mut world, "chat:*", taking(Content::Text));
    put(&mut world, "chat:free:*", taking(Content::Any));
    let clients = [0, 1].map(|puddle| world.raw(puddle, "chat:free:a"));
    remove(&mut world, "chat:free:*");
    world.say(clients[0], Binary, b"x");
    assert_eq!(close_frame(&world.take(clients[0])).0, 1003);
    remove(&mut world, "chat:*");
    world.say(clients[1], Binary, b"x");
    assert_eq!(world.take(clients[1]), b"", "nothing covers it now");
}

#[test]
fn a_room_of_its_own_overrides_and_its_end_brings_the_template_back() {
    let mut world = World::new(1);
    put(&mut world, "chat:*", taking(Content::Text));
    let ada = world.raw(0, "chat:a");
    let room = named("chat:a", taking(Content::Any));
    world.rooms.insert(room.name.clone(), room.clone());
    world.change(vec![ChangeItem::Room(room.clone())]);
    world.say(ada, Binary, b"x");
    assert_eq!(world.take(ada), b"", "the room takes over, nobody leaves");
    put(&mut world, "chat:*", taking(Content::Text));
    world.say(ada, Binary, b"x");
    assert_eq!(world.take(ada), b"", "and no template concerns it");
    world.rooms.clear();
    let template = world.covering("chat:a").cloned();
    let (id, name) = (room.id, room.name);
    world.change(vec![ChangeItem::RoomGone { id, name, template }]);
    assert_eq!(close_frame(&world.take(ada)).0, 4005);
    assert!(!takes_binary(&mut world, "chat:a"));
}

#[test]
fn whoever_a_template_admits_makes_the_room() {
    let mut world = World::with(1, |settings| {
        settings.transient_makers = TransientMakers::Nobody;
    });
    put(&mut world, "chat:*", RoomRules::default());
    world.raw(0, "chat:a");
    let outside = world.upgrade(0, "/other", &[]);
    assert!(world.take_text(outside).starts_with("HTTP/1.1 404"));
}

fn challenged(world: &mut World, client: Client, room: &str) -> bool {
    world.line(
        client,
        &format!(r#"{{"op":"join","room":"{room}","id":1}}"#),
    );
    world.take_text(client).contains(r#""op":"challenge""#)
}

fn answer(world: &mut World, client: Client, room: &str) -> String {
    let line = format!(r#"{{"op":"answer","room":"{room}","id":2,"password":"open sesame"}}"#);
    world.line(client, &line);
    world.take_text(client)
}

#[test]
fn a_templates_password_is_asked_and_verified() {
    let mut world = World::new(1);
    put(&mut world, "vip:*", password_rules(1));
    let ada = world.lobby(0);
    assert!(challenged(&mut world, ada, "vip:a"));
    assert!(answer(&mut world, ada, "vip:a").contains(r#""op":"admitted""#));
}

#[test]
fn what_was_passed_at_one_template_is_not_passed_at_another() {
    let mut world = World::new(1);
    put(&mut world, "vip:*", password_rules(1));
    let ada = world.lobby(0);
    assert!(challenged(&mut world, ada, "vip:gold:a"));
    assert!(answer(&mut world, ada, "vip:gold:a").contains(r#""op":"admitted""#));
    // Another password, though its version is the same.
    put(&mut world, "vip:gold:*", password_rules(1));
    assert!(world.take_text(ada).contains(r#""op":"challenge""#));
}

#[test]
fn a_template_that_admits_nobody_empties_its_rooms() {
    let mut world = World::new(2);
    let clients = [0, 1].map(|puddle| world.raw(puddle, "hr:a"));
    let mut nobody = RoomRules::default();
    nobody.connection.audience = porthouse_model::Audience::Nobody;
    put(&mut world, "hr:*", nobody);
    for client in clients {
        assert!(!world.take(client).is_empty(), "put out");
    }
    let late = world.upgrade(1, "/hr:b", &[]);
    assert_eq!(&world.take_text(late)[..12], "HTTP/1.1 503");
}

/// Whether the home of the room puts what a backend says into the room's order.
fn home_places(world: &mut World, room: &str, kind: MessageKind) -> bool {
    let publish = Command::Publish(Arc::new(Publish {
        room: room.parse().expect("a name"),
        kind,
        payload: b"news"[..].into(),
        to: Vec::new(),
        except: Vec::new(),
    }));
    let replies = world.order(&publish);
    let placed = |reply: &Reply| matches!(reply, Reply::Placed { .. });
    replies.iter().any(placed)
}

fn ordered_taking(content: Content) -> RoomRules {
    RoomRules {
        delivery: ordered().delivery,
        ..taking(content)
    }
}

#[test]
fn a_templates_change_reaches_a_rooms_home_before_anybody_asks_it() {
    let mut world = World::new(3);
    put(&mut world, "chat:*", ordered_taking(Content::Any));
    let (_, other) = home_and_other("chat:free:a");
    let (client, _) = join(&mut world, other, "chat:free:a");
    assert!(home_places(&mut world, "chat:free:a", Binary));
    put(&mut world, "chat:*", ordered_taking(Content::Text));
    assert!(!home_places(&mut world, "chat:free:a", Binary), "its rules");
    put(&mut world, "chat:free:*", ordered_taking(Content::Any));
    assert!(home_places(&mut world, "chat:free:a", Binary), "a longer");
    put(&mut world, "chat:*", ordered_taking(Content::Text));
    assert!(home_places(&mut world, "chat:free:a", Binary), "no shorter");
    remove(&mut world, "chat:free:*");
    assert!(!home_places(&mut world, "chat:free:a", Binary), "the next");
    assert!(home_places(&mut world, "chat:free:a", Text));
    remove(&mut world, "chat:*");
    assert!(!home_places(&mut world, "chat:free:a", Text), "no order");
    assert!(world.take_text(client).contains("news"));
}

#[test]
fn a_room_that_nothing_covered_is_kept_by_its_home_once_a_template_says_so() {
    let mut world = World::with(3, |settings| {
        settings.transient_life = Some(crate::RoomLife::Peerless);
    });
    let (_, other) = home_and_other("chat:a");
    join(&mut world, other, "chat:a");
    assert!(!home_places(&mut world, "chat:a", Text));
    put(&mut world, "chat:*", ordered_taking(Content::Any));
    assert!(home_places(&mut world, "chat:a", Text));
}
