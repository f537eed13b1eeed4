//! A room's rules as data: what an owner may ask of those who enter and speak.
//! Never judges anything; porthouse-rules does.

mod capability;
mod connection;
mod delivery;
mod entry;
mod message;
mod role;

use core::time::Duration;

pub use capability::{Act, Acts, Capabilities};
pub use connection::{Audience, ClientSockets, ConnectionRules, OpeningHours, Surplus, WeekSpan};
pub use delivery::{
    DeliveryRules, HistoryRules, Keep, Order, PresenceRules, Shown, SlowConsumer, Waiting,
};
pub use entry::{CodeVersion, EntryRules, EntryStep, HookVersion, PasswordVersion};
pub use message::{
    BroadcastRules, Content, Format, MESSAGE_BYTES_DEFAULT, MESSAGE_BYTES_LIMIT, MessageKind,
    MessageRules, Rate, Rates,
};
pub use role::Role;

/// How long without word from the control plane a room goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Staleness {
    /// How long it may still admit.
    pub admit_max: Duration,
    /// How long it may still deliver; `None`: without limit.
    pub deliver_max: Option<Duration>,
}

impl Default for Staleness {
    /// Admit for 15 minutes, deliver without limit.
    fn default() -> Self {
        Self {
            admit_max: Duration::from_mins(15),
            deliver_max: None,
        }
    }
}

/// A room's rules. By default anyone may enter and say anything up to
/// [`MESSAGE_BYTES_DEFAULT`], to all or to named receivers, and does not hear
/// themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RoomRules {
    /// Who may connect.
    pub connection: ConnectionRules,
    /// What is asked at the door.
    pub entry: EntryRules,
    /// Who may do what inside.
    pub capabilities: Capabilities,
    /// What may be said.
    pub messages: MessageRules,
    /// Who receives it.
    pub broadcast: BroadcastRules,
    /// In which order, and what becomes of who reads too slowly.
    pub delivery: DeliveryRules,
    /// What is kept of it.
    pub history: HistoryRules,
    /// Who is seen to be there.
    pub presence: PresenceRules,
    /// How long the room goes on without word from the control plane.
    pub staleness: Staleness,
}
