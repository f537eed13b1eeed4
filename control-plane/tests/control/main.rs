//! What control.v1 promises, asked by a real client over a real socket of a real
//! replica on a real Postgres. Owns no promise of node.v1.

mod admission;
mod user;
mod session;
mod issuer;
mod refused_token;
mod issuer_keys;
mod device_token;
mod room;
mod room_rule;
mod room_template;
mod member;
mod member_group;
mod block;
mod endpoint;
mod key;
mod policy;
mod explain;
mod rehearsed;
mod provider;
mod guard;
mod guard_judged;
mod world;
#[path = "../policy/cluster.rs"]
mod cluster;
