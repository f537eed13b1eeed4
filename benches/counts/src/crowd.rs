//! A room of tens of thousands, without their connections: what the puddle itself
//! takes for a delivery, by its clock on this machine, and whether it grows with
//! the room. For rooms that one process has not the files for.

use std::time::Instant;

use porthouse_puddle::BlackBox;

use crate::operation::{SPEAKER, enter, raw_frames, socket};
use crate::world::World;

/// Sockets of each room.
const ROOMS: [u32; 3] = [1_000, 10_000, 50_000];
/// Deliveries that are timed in each.
const DELIVERIES: u32 = 5_000_000;
/// What one turn writes to; a message to more takes more turns.
const TURNS_MAX: u32 = 1_000;

/// Prints a row for each.
pub(crate) fn print() {
    println!("| sockets of the room | ns a delivery | turns of a message |");
    println!("|---|---|---|");
    for sockets in ROOMS {
        let (nanoseconds, turns) = time(sockets, DELIVERIES / sockets);
        println!("| {sockets} | {nanoseconds:.0} | {turns} |");
    }
}

/// Nanoseconds of a delivery, and turns of a message, over so many messages.
fn time(sockets: u32, messages: u32) -> (f64, u32) {
    let mut world = World::new(BlackBox::off());
    for slot in 0..=sockets {
        enter(&mut world, socket(slot));
    }
    let read = raw_frames(1);
    let mut bytes = read.clone();
    let mut turns = 0;
    let began = Instant::now();
    for _ in 0..messages {
        let all = world.writes() + u64::from(sockets);
        bytes.copy_from_slice(&read);
        world.receive(SPEAKER, &mut bytes);
        turns = 0;
        while world.writes() < all {
            world.slice();
            turns += 1;
            assert!(turns < TURNS_MAX, "a message does not come to all");
        }
    }
    let took = began.elapsed().as_secs_f64() * 1e9;
    (took / f64::from(sockets) / f64::from(messages), turns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_to_a_great_room_by_slices() {
        let (_, turns) = time(3_000, 2);
        assert!(turns > 1);
        assert_eq!(time(100, 1).1, 1);
    }
}
