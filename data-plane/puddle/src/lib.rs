//! The data plane without I/O: everything a node decides about its sockets, from
//! a socket's first upgrade byte to the last byte written.
//!
//! A [`Puddle`] is one deterministic struct. Inputs come in, a turn is settled,
//! outputs go out. It never reads a clock, draws a random number, opens a
//! socket, waits or spawns.
//!
//! The modules stand in the order in which a message passes through them.

mod settings;
mod seed;
mod input;
mod output;
#[expect(dead_code, unused_imports, reason = "wired up next")]
mod upgrade;
#[expect(dead_code, unused_imports, reason = "wired up next")]
mod wire;
mod hop;
mod question;
mod policy;
mod switchboard;

pub use hop::{Hop, RoomMessage};
pub use input::{Changed, ChangedItem, Command, Input, OrderId, Publish, PuddleId, SocketId};
pub use output::{Deadline, ListedRoom, ListedSocket, Output, Reply, Shell, WireForm, Wrote};
pub use policy::RoomPolicy;
pub use question::{Answer, Known, PasswordVerdict, Question, QuestionId, Secret, SignInVerdict};
pub use seed::Seed;
pub use switchboard::{
    Action, Call, CallId, CallResult, Chain, Event, Position, RequestId, Snapshot, Switchboard,
    SwitchboardSettings, ToPuddle, WatchEnd, WatchId,
};
pub use settings::{Settings, TransientMakers};
