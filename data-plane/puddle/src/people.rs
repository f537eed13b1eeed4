//! The people of one room, as the room's home puddle keeps them: who is there,
//! how many may be, and who owns a transient room.
//!
//! Owns what is one per room and concerns sockets on every puddle. Never sees a
//! message and never touches a socket: puddles report, and do what it says.

mod devices;
mod presence;
mod counts;
mod ownership;
