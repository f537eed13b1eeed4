//! The words both planes agree on: names, identities, credentials, revisions,
//! rules, refusals and time.
//!
//! Owns the types in which a value that exists is a value that is valid. Never
//! reads a clock, draws a random number, opens a file or a socket.

mod block;
mod credential;
mod identity;
mod name;
mod policy;
mod refusal;
mod rule;
mod template;
mod time;

pub use block::{
    ADDRESS_BLOCKS_MAX, AddressBlock, AddressRange, BadAddressRange, Block, RoomBlocks,
};
pub use credential::{BadCredential, Credential, CredentialKind, TokenHash};
pub use identity::{ApiKeyId, BadIdentity, ClientId, EndpointId, RoomId, SessionId, UserId};
pub use name::{Address, BadName, NodeName, RoomName, Username};
pub use policy::{
    ApiKey, Change, ChangeItem, DEVICE_ROOMS_MAX, Device, DeviceBlock, Endpoint, EndpointAccess,
    Member, PolicyKey, Resolved, Revision, Room, Session, Then,
};
pub use refusal::{
    CloseCode, Denial, Refusal, RefusalId, Refused, Retry, WAIT_MS_MAX, WAIT_MS_MIN,
};
pub use rule::{
    Act, Acts, Audience, BroadcastRules, Capabilities, ClientSockets, CodeVersion, ConnectionRules,
    Content, DeliveryRules, EntryRules, EntryStep, Format, HistoryRules, HookVersion, Keep,
    MESSAGE_BYTES_DEFAULT, MESSAGE_BYTES_LIMIT, MessageKind, MessageRules, OpeningHours, Order,
    PasswordVersion, PresenceRules, Rate, Rates, Role, RoomRules, Shown, SlowConsumer, Staleness,
    Surplus, Waiting, WeekSpan,
};
pub use template::{NamePrefix, Template};
pub use time::{Time, UnixTime};
