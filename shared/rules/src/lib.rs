//! Rules compiled: may this one enter, may this be said, and why not.
//!
//! Asked by nodes on the path, by the control plane when a rule is written, when a
//! decision is explained and when a guard is kept. Pure:
//! the same question has the same answer everywhere. Never asks who is asking.

mod bucket;
mod case;
mod check;
mod compile;
mod door;
mod enter;
mod explain;
mod format;
mod guard;
mod hours;
mod say;

pub use bucket::Bucket;
pub use case::{Case, Place, Told, Who};
pub use compile::{RuleFault, Rules};
pub use door::{Approach, Comer, Facts, Known, Missing, RoomDoor, TransientDoor};
pub use enter::{Entry, Passed, Standing, Visitor, reads, refusal_of};
pub use explain::{Outcome, Sight, remedy, step_for};
pub use format::MESSAGE_DEPTH_MAX;
pub use guard::{Guarded, capability_line};
pub use say::Hearing;
