//! What Porthouse promises to whoever uses it, shown on real processes over a
//! real Postgres: a module a promise, each test with a house of its own. Never
//! looks inside a process.

mod talk;
mod door;
mod explained;
mod password;
mod hook;
mod issuers;
mod codes;
mod waiting_room;
mod two_factors;
mod page_session;
mod tickets;
mod revocation;
mod rules;
mod counted;
mod covered;
mod blocked;
mod devices;
mod away;
mod durable;
mod bad_input;
mod hostile;
mod crowds;
mod unsaid;
mod ways;
mod hosts;
mod bad_calls;
mod live;
mod plain;
mod last_event;
mod presence;
mod returning;
mod slow;
mod lifetime;
mod sibling;
mod moderation;
mod transient;
mod shapes;
mod vectors;
mod browser;
mod settings;
mod fetched;
mod followed;
mod admin;
mod modelled;
