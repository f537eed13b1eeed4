//! What happens to those inside: rows about delivery, what is kept, staleness,
//! and the ends of a room and of a right to it.

use core::time::Duration;

use porthouse_model::{
    Audience, Block, ChangeItem, ClientId, Keep, MessageKind, Order, RoomBlocks, RoomRules,
    SessionId, SlowConsumer, UserId, Waiting,
};

use super::super::world::World;
use super::{Act, ENTER, Row, Who, nothing, row};
use crate::Command;

use Who::{Member, Stranger, User};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    rows.extend(KEPT);
    rows.extend(STALE);
    rows.extend(ENDS);
    rows
}

const fn open(_: &mut RoomRules) {}

fn ordered(rules: &mut RoomRules) {
    rules.delivery.order = Order::Ordered;
}

fn durable(rules: &mut RoomRules) {
    rules.history.keep = Keep::Latest;
    rules.history.durable = true;
}

fn latest(rules: &mut RoomRules) {
    rules.history.keep = Keep::Latest;
}

fn last_three(rules: &mut RoomRules) {
    rules.history.keep = Keep::Last {
        messages_max: 3,
        age_max: Duration::from_mins(1),
    };
}

fn waits(rules: &mut RoomRules) {
    rules.history.waiting = Some(Waiting {
        messages_max: 2,
        age_max: Duration::from_mins(10),
    });
}

fn oldest_lost(rules: &mut RoomRules) {
    rules.delivery.slow_consumer = SlowConsumer::DropOldest;
}

fn conflated(rules: &mut RoomRules) {
    rules.delivery.slow_consumer = SlowConsumer::Conflate;
}

fn newest_lost(rules: &mut RoomRules) {
    rules.delivery.slow_consumer = SlowConsumer::DropNewest;
}

/// Everybody stops reading, and more is said than may be queued.
fn much_is_said(world: &mut World) {
    let sockets: Vec<_> = world.links[0].received.keys().copied().collect();
    assert_eq!(sockets, [], "all was read");
    for slot in 0..2 {
        let socket = crate::SocketId {
            slot,
            generation: 0,
        };
        world.links[0].takes.insert(socket, 0);
    }
    let speaker = world.raw(1, "room");
    for _ in 0..12 {
        world.say(speaker, MessageKind::Binary, &[b'.'; 500]);
    }
    world.links[0].takes.clear();
    for slot in 0..2 {
        let socket = crate::SocketId {
            slot,
            generation: 0,
        };
        world.puddles[0].handle(world.now, crate::Input::Writable { socket });
    }
    world.run();
}

const HELLO: Act = Act::Say(MessageKind::Text, b"hello", 1);

const KEPT: [Row; 11] = [
    row("`order`: ordered", "speaks", ordered, Stranger, HELLO),
    row(
        "`durable`, and the node has no store",
        "comes",
        durable,
        Stranger,
        ENTER,
    ),
    row(
        "nothing is kept",
        "somebody spoke while they were away",
        open,
        User,
        Act::HearKept,
    ),
    row(
        "`history`: the latest",
        "somebody spoke while they were away",
        latest,
        Stranger,
        Act::HearKept,
    ),
    row(
        "`history`: the last 3",
        "somebody spoke while they were away",
        last_three,
        Stranger,
        Act::HearKept,
    ),
    row(
        "`history.waiting`",
        "somebody spoke while the member was away",
        waits,
        Member,
        Act::HearKept,
    ),
    row(
        "`history.waiting`",
        "somebody spoke while a stranger was away",
        waits,
        Stranger,
        Act::HearKept,
    ),
    row(
        "`slow_consumer`: close",
        "does not read",
        open,
        Stranger,
        Act::Stay(much_is_said),
    ),
    row(
        "`slow_consumer`: drop the newest",
        "does not read",
        newest_lost,
        Stranger,
        Act::Stay(much_is_said),
    ),
    row(
        "`slow_consumer`: drop the oldest",
        "does not read",
        oldest_lost,
        Stranger,
        Act::Stay(much_is_said),
    ),
    row(
        "`slow_consumer`: conflate",
        "does not read",
        conflated,
        Stranger,
        Act::Stay(much_is_said),
    ),
];

fn admits_5_s(rules: &mut RoomRules) {
    rules.staleness.admit_max = Duration::from_secs(5);
}

fn delivers_5_s(rules: &mut RoomRules) {
    rules.staleness.deliver_max = Some(Duration::from_secs(5));
}

fn silence(world: &mut World) {
    world.wait(Duration::from_millis(5_001));
}

const AFTER: Act = Act::Enter(silence, nothing);

const STALE: [Row; 4] = [
    row(
        "`admit_max`: 5 s",
        "comes after 5 s without word",
        admits_5_s,
        Stranger,
        AFTER,
    ),
    row(
        "`admit_max`: 5 s",
        "is inside for as long",
        admits_5_s,
        Stranger,
        Act::Stay(silence),
    ),
    row(
        "`deliver_max`: 5 s",
        "comes after 5 s without word",
        delivers_5_s,
        Stranger,
        AFTER,
    ),
    row(
        "`deliver_max`: 5 s",
        "is inside for as long",
        delivers_5_s,
        Stranger,
        Act::Stay(silence),
    ),
];

fn change(world: &mut World, change: fn(&mut RoomRules)) {
    let mut rules = (*world.rooms["room"].rules).clone();
    change(&mut rules);
    world.rule("room", rules);
}

fn deleted(world: &mut World) {
    let room = world.rooms.remove("room").expect("a room");
    world.change(vec![ChangeItem::RoomGone {
        id: room.id,
        name: room.name,
        template: None,
    }]);
}

fn kicked(world: &mut World) {
    world.order(&Command::Kick {
        client: ClientId::from_bytes([1; 16]),
        room: Some("room".parse().expect("a name")),
        block: None,
    });
}

fn blocked(world: &mut World) {
    let room = world.rooms.get_mut("room").expect("a room");
    room.blocks = RoomBlocks {
        users: true,
        addresses: Vec::new(),
    };
    let room = room.clone();
    let block = Block {
        room: room.id,
        user: UserId::from_bytes([1; 16]),
        expires: None,
    };
    world.blocks.push(block);
    world.change(vec![ChangeItem::Room(room), ChangeItem::Block(block)]);
}

fn member_no_more(world: &mut World) {
    let room = world.rooms["room"].id;
    world.members.clear();
    let user = UserId::from_bytes([1; 16]);
    world.change(vec![ChangeItem::MemberGone { room, user }]);
}

fn signed_out(world: &mut World) {
    let session = SessionId::from_bytes([1; 16]);
    world.change(vec![ChangeItem::SessionGone(session)]);
}

const fn back(before: fn(&mut World)) -> Act {
    Act::Enter(before, nothing)
}

const ENDS: [Row; 8] = [
    row(
        "the room is deleted",
        "is inside",
        open,
        Stranger,
        Act::Stay(deleted),
    ),
    row(
        "the client is put out",
        "is inside",
        open,
        User,
        Act::Stay(kicked),
    ),
    row(
        "the client is put out",
        "comes back",
        open,
        User,
        back(kicked_before),
    ),
    row(
        "the client is blocked",
        "is inside",
        open,
        User,
        Act::Stay(blocked),
    ),
    row("the client is blocked", "comes", open, User, back(blocked)),
    row(
        "`audience`: members",
        "is inside, and a member no more",
        |rules| rules.connection.audience = Audience::Members,
        Member,
        Act::Stay(member_no_more),
    ),
    row(
        "`audience`: users",
        "a stranger is inside when that begins",
        open,
        Stranger,
        Act::Stay(|world| change(world, |rules| rules.connection.audience = Audience::Users)),
    ),
    row(
        "any",
        "is inside when the session is revoked",
        open,
        User,
        Act::Stay(signed_out),
    ),
];

fn kicked_before(world: &mut World) {
    let bearer = format!("Authorization: Bearer {}", super::token(1));
    world.upgrade(1, "/room", &[&bearer]);
    kicked(world);
}
