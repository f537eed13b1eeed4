//! Rules compiled: may this one enter, may this be said, and why not.
//!
//! Asked by nodes on the path, by the control plane when a rule is written. Pure:
//! the same question has the same answer everywhere. Never asks who is asking.

mod bucket;
mod check;
mod compile;
mod enter;
mod format;
mod hours;
mod say;

pub use bucket::Bucket;
pub use compile::{RuleFault, Rules};
pub use enter::{Entry, Passed, Standing, Visitor};
pub use format::MESSAGE_DEPTH_MAX;
pub use say::Hearing;
