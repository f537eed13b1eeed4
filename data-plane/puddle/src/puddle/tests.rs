//! Promises of the whole puddle, with a small world around it: links that take
//! what they are told to, and a control plane that answers from a table.

mod doors;
mod endpoints;
mod entry;
mod explained;
mod steps;
mod waiting;
mod raw_v1;
mod sibling;
mod renewing;
mod signing_in;
mod live_permission;
mod devices;
mod limits;
mod slow;
mod neighbours;
mod plain;
mod last_event;
mod saying;
mod talk;
mod visiting;
mod covered;
mod blocked;
mod kicking;
mod moving;
mod world;
mod homes;
mod counted;
mod present;
mod owned;
mod keeping;
mod history;
mod resuming;
mod durable;
mod stored;
mod interleaved;
