//! The bytes of a socket after its upgrade, both ways: RFC 6455 frames, messages
//! put together from them, and what `porthouse.v1` says in them. A raw socket
//! needs no more than the first two: its messages are the room's messages.
//!
//! Owns no socket and no limit's value; decides nothing about who may say what.

pub(crate) mod frame;
pub(crate) mod assembly;
pub(crate) mod explanation;
pub(crate) mod multiplexed;
pub(crate) mod event_stream;
pub(crate) mod event_id;
pub(crate) mod handshake;
