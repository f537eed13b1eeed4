//! How a room's messages are delivered, what is kept of them, and who is seen
//! to be there.

use core::time::Duration;

/// In which order messages are delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// As each sender sent them, at once.
    #[default]
    Live,
    /// In one order for all, with offsets.
    Ordered,
}

/// What becomes of a socket that does not read as fast as it is sent to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SlowConsumer {
    /// It is closed.
    #[default]
    Close,
    /// The oldest that it has not begun to be sent are dropped.
    DropOldest,
    /// The newest are dropped.
    DropNewest,
    /// All but the newest are dropped.
    Conflate,
}

/// How messages are delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DeliveryRules {
    /// In which order.
    pub order: Order,
    /// What becomes of who reads too slowly.
    pub slow_consumer: SlowConsumer,
}

/// What is kept of what was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Keep {
    /// Nothing.
    #[default]
    None,
    /// The last message, which a newcomer gets at once.
    Latest,
    /// The last messages.
    Last {
        /// At most so many; at least 1.
        messages_max: u32,
        /// None older than this.
        age_max: Duration,
    },
}

/// What is kept for members who are away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Waiting {
    /// At most so many a member; at least 1.
    pub messages_max: u32,
    /// None older than this.
    pub age_max: Duration,
}

/// A room's history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct HistoryRules {
    /// What is kept.
    pub keep: Keep,
    /// Whether it survives the node.
    pub durable: bool,
    /// Whether messages with named receivers are kept, for those alone.
    pub directed: bool,
    /// What is kept for members who are away.
    pub waiting: Option<Waiting>,
}

/// What is shown of who is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Shown {
    /// Nothing.
    #[default]
    Off,
    /// How many.
    Counts,
    /// Who, an entry a client.
    Identities,
}

/// A room's presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PresenceRules {
    /// What is shown.
    pub shown: Shown,
    /// How long somebody who has gone is still there, for they may come back.
    pub grace: Duration,
    /// Changes are told together, this far apart at the least.
    pub interval: Duration,
}

impl Default for PresenceRules {
    /// Nothing is shown.
    fn default() -> Self {
        Self {
            shown: Shown::Off,
            grace: Duration::from_secs(5),
            interval: Duration::from_secs(1),
        }
    }
}
