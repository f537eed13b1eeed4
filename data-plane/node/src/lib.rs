//! A node: the data plane with I/O, and nothing else.
//!
//! [`Node::start`] runs a thread for each puddle, one for the switchboard and,
//! where it is asked for, one for live.v1. Everything a node decides is decided
//! in `porthouse-puddle`; here bytes are moved to it and from it. Never looks
//! into a frame, and never weighs a rule.
//!
//! A message comes in at a thread's `listen` and `door`, is read from its
//! `socket` by `thread`, goes through the puddle and out by `shell`: to sockets,
//! and by `ring` to other puddles. What a puddle does not know it asks the
//! `switchboard`, and that the control plane (`policy`); what must survive the node
//! goes over `bridge`; backends call `live`, operators ask `operators`.

mod listen;
mod door;
mod socket;
mod thread;
mod shell;
mod ring;
mod follow;
mod following;
mod black_box;
mod clock;
mod own;
mod tally;
mod spans;
mod operators;
mod switchboard;
mod bridge;
mod policy;
mod live;
mod refusals;
mod grpc;
mod node;
mod settings;
mod error;

pub use black_box::BlackBoxes;
pub use bridge::StoreError;
pub use error::{NodeError, StartError};
pub use live::Live;
pub use live::guard::GuardedLive;
pub use node::Node;
pub use porthouse_puddle::{OwnerRule, ResumeKeys, RoomLife, TransientMakers};
pub use settings::{ApiKeySecret, ControlTls, GrpcTls, NatsSettings, Settings};
