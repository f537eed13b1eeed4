//! Blocks: who is kept out of a room stays outside, from the moment it is
//! written until it ends.

use core::time::Duration;

use porthouse_model::{
    AddressBlock, Block, ChangeItem, ClientId, MessageKind, RoomBlocks, RoomId, RoomRules,
    UnixTime, UserId,
};

use super::world::{Client, HOUR, World, close_frame, frame, token};

use crate::{Command, Known, Reply};

use MessageKind::Text;

impl World {
    /// What the control plane knows of a user's block.
    pub(super) fn block_of(&self, room: RoomId, user: UserId) -> Option<Known> {
        let mut blocks = self.blocks.iter();
        let block = blocks.find(|block| (block.room, block.user) == (room, user))?;
        Some(Known::Block(*block))
    }
}

fn lobby(world: &mut World) -> RoomId {
    world.room("lobby", RoomRules::default())
}

fn upgrade(world: &mut World, puddle: usize, user: u8) -> Client {
    let bearer = format!("Authorization: Bearer {}", token(user));
    world.upgrade(puddle, "/lobby", &[&bearer])
}

fn inside(world: &mut World, puddle: usize, user: u8) -> Client {
    let client = upgrade(world, puddle, user);
    assert!(world.take_text(client).starts_with("HTTP/1.1 101"));
    client
}

/// Changes the room's blocks; answers what to tell nodes of it.
fn with_blocks(world: &mut World, blocks: RoomBlocks) -> ChangeItem {
    let room = world.rooms.get_mut("lobby").expect("a room");
    room.blocks = blocks;
    ChangeItem::Room(room.clone())
}

fn block(world: &mut World, room: RoomId, user: UserId, expires: Option<u64>) {
    let users = RoomBlocks {
        users: true,
        addresses: Vec::new(),
    };
    let block = Block {
        room,
        user,
        expires: expires.map(UnixTime::from_millis),
    };
    world.blocks.push(block);
    let room = with_blocks(world, users);
    world.change(vec![room, ChangeItem::Block(block)]);
}

fn block_addresses(world: &mut World, range: &str, expires: Option<u64>) {
    let addresses = vec![AddressBlock {
        range: range.parse().expect("a range"),
        expires: expires.map(UnixTime::from_millis),
    }];
    let blocks = RoomBlocks {
        users: false,
        addresses,
    };
    let room = with_blocks(world, blocks);
    world.change(vec![room]);
}

#[test]
fn a_blocked_user_is_put_out_and_stays_outside() {
    let mut world = World::new(2);
    let room = lobby(&mut world);
    let ada = world.session(1);
    world.session(2);
    let (one, other) = (inside(&mut world, 0, 1), inside(&mut world, 1, 2));
    block(&mut world, room, ada, None);
    assert_eq!(world.applied, [1, 1]);
    let (code, reason) = close_frame(&world.take(one));
    assert!((4000..4100).contains(&code), "terminal: {code} {reason}");
    let again = upgrade(&mut world, 1, 1);
    assert!(world.take_text(again).starts_with("HTTP/1.1 403"));
    let third = inside(&mut world, 0, 2);
    world.say(third, Text, b"on we go");
    assert_eq!(world.take(other), frame(Text, b"on we go"));
}

#[test]
fn the_first_block_of_a_room_disturbs_nobody_else() {
    let mut world = World::new(1);
    let room = lobby(&mut world);
    let ada = world.session(1);
    world.session(2);
    let ben = world.lobby_of(0, 2);
    world.line(ben, r#"{"op":"join","room":"lobby","id":1}"#);
    assert!(world.take_text(ben).contains("admitted"));
    world.away = true;
    block(&mut world, room, ada, None);
    assert_eq!(world.take_text(ben), "", "not even put back to the door");
}

#[test]
fn a_block_that_is_lifted_lets_in_again() {
    let mut world = World::new(1);
    let room = lobby(&mut world);
    let user = world.session(1);
    block(&mut world, room, user, None);
    let outside = upgrade(&mut world, 0, 1);
    assert!(world.take_text(outside).starts_with("HTTP/1.1 403"));
    world.blocks.clear();
    let item = with_blocks(&mut world, RoomBlocks::default());
    world.change(vec![item, ChangeItem::BlockGone { room, user }]);
    inside(&mut world, 0, 1);
}

#[test]
fn a_block_ends_by_time_whatever_the_wall_clock_says_meanwhile() {
    let mut world = World::new(1);
    let room = lobby(&mut world);
    let user = world.session(1);
    block(&mut world, room, user, Some(HOUR + 60_000));
    world.wall(HOUR / 2);
    world.wait(Duration::from_secs(59));
    let early = upgrade(&mut world, 0, 1);
    assert!(world.take_text(early).starts_with("HTTP/1.1 403"));
    world.wait(Duration::from_secs(2));
    inside(&mut world, 0, 1);
}

#[test]
fn a_blocked_address_is_put_out_and_stays_outside_until_it_ends() {
    let mut world = World::new(1);
    lobby(&mut world);
    let ada = world.raw(0, "lobby");
    block_addresses(&mut world, "127.0.0.0/8", Some(HOUR + 60_000));
    assert!((4000..4100).contains(&close_frame(&world.take(ada)).0));
    let early = world.upgrade(0, "/lobby", &[]);
    assert!(world.take_text(early).starts_with("HTTP/1.1 403"));
    world.wait(Duration::from_secs(61));
    world.raw(0, "lobby");
}

#[test]
fn other_addresses_are_not_kept_out() {
    let mut world = World::new(1);
    lobby(&mut world);
    let ada = world.raw(0, "lobby");
    block_addresses(&mut world, "2001:db8::/56", None);
    assert_eq!(world.take(ada), b"");
    world.raw(0, "lobby");
}

fn kick(world: &mut World, client: ClientId, block: Option<Duration>) {
    let room = Some("lobby".parse().expect("a name"));
    let kick = Command::Kick {
        client,
        room,
        block,
    };
    let replies = world.order(&kick);
    assert!(
        replies.contains(&Reply::Kicked { sockets: 1 }),
        "{replies:?}"
    );
}

#[test]
fn who_was_kicked_stays_outside_for_a_while_on_every_puddle() {
    let mut world = World::new(2);
    lobby(&mut world);
    let ada = world.session(1);
    inside(&mut world, 0, 1);
    kick(&mut world, ada.into(), None);
    for puddle in [0, 1] {
        let early = upgrade(&mut world, puddle, 1);
        assert!(world.take_text(early).starts_with("HTTP/1.1 403"));
    }
    world.session(2);
    inside(&mut world, 1, 2);
    world.wait(Duration::from_secs(301));
    inside(&mut world, 1, 1);
}

#[test]
fn who_was_kicked_comes_back_at_once_where_the_backend_says_so() {
    let mut world = World::new(1);
    lobby(&mut world);
    let ada = world.session(1);
    inside(&mut world, 0, 1);
    kick(&mut world, ada.into(), Some(Duration::ZERO));
    inside(&mut world, 0, 1);
}

#[test]
fn an_anonymous_client_that_was_kicked_is_known_by_its_address() {
    let mut world = World::new(2);
    world.raw(0, "lobby");
    let listed = world.order(&Command::ListSockets {
        room: "lobby".parse().expect("a name"),
        after: None,
        sockets_max: 9,
    });
    let Some(Reply::Sockets(sockets)) = listed.into_iter().next() else {
        panic!("a list")
    };
    kick(&mut world, sockets[0].client, None);
    for puddle in [0, 1] {
        let early = world.upgrade(puddle, "/lobby", &[]);
        assert!(world.take_text(early).starts_with("HTTP/1.1 403"));
    }
    world.session(1);
    inside(&mut world, 1, 1);
}

#[test]
fn the_owner_is_never_blocked() {
    let mut world = World::new(1);
    let room = lobby(&mut world);
    let owner = world.session(1);
    let known = world.rooms.get_mut("lobby").expect("a room");
    known.owner = Some(owner);
    let ada = inside(&mut world, 0, 1);
    block(&mut world, room, owner, None);
    block_addresses(&mut world, "127.0.0.1", None);
    assert_eq!(world.take(ada), b"");
    inside(&mut world, 0, 1);
}

#[test]
fn a_session_ends_when_it_was_told_to_though_the_wall_clock_goes_back() {
    let mut world = World::new(1);
    lobby(&mut world);
    world.session(1);
    world.sessions.values_mut().for_each(|session| {
        session.expires = UnixTime::from_millis(HOUR + 60_000);
    });
    let ada = inside(&mut world, 0, 1);
    world.wall(HOUR / 2);
    world.wait(Duration::from_secs(61));
    assert!(!world.take(ada).is_empty(), "it has ended");
}
