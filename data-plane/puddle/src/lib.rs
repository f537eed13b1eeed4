//! The data plane without I/O: everything a node decides about its sockets, from
//! a socket's first upgrade byte to the last byte written.
//!
//! A [`Puddle`] is one deterministic struct. Inputs come in, a turn is settled,
//! outputs go out. It never reads a clock, draws a random number, opens a
//! socket, waits or spawns.
//!
//! The modules stand in the order in which a message passes through them.

mod settings;
mod seed;
mod input;
mod output;
mod puddle;
mod socket;
mod upgrade;
mod sequence;
mod wire;
mod room;
mod people;
mod outbox;
mod hop;
mod home;
mod counting;
mod resume;
mod bridge;
mod question;
mod recall;
mod waiting;
mod sibling;
mod policy;
mod switchboard;
mod timer;
mod network;
mod black_box;

pub use black_box::{BlackBox, Dump, End, Garbled, NotABox, Replay, Turn};
pub use bridge::{FromStore, Mark, Record, StoreRequest, StoredRoom, ToStore};
pub use counting::CountingHop;
pub use home::{FromHome, Placed, ToHome};
pub use hop::{Hop, RoomMessage};
pub use input::{Changed, ChangedItem, Command, Input, OrderId, Publish, PuddleId, SocketId};
pub use output::{
    Deadline, Foreseen, KeptOut, ListedClient, ListedPresent, ListedRoom, ListedSocket,
    ListedWaiting, Moved, MovedSocket, Output, Reply, Shell, WireForm, Wrote,
};
pub use people::{OwnerRule, RoomLife};
pub use policy::{RoomPolicy, TemplatePolicy};
pub use puddle::{Counters, Puddle, Whom};
pub use question::{
    Answer, DeviceMark, Known, Pass, Proof, Question, QuestionId, Secret, ShownTicket, SignInBy,
    SignInVerdict, Verdict, Verification,
};
pub use recall::{By, Cause, REFUSALS_KEPT_MAX, Recall, Recalled};
pub use resume::{
    BadResumeKeys, Claims, Holder, PassedAt, RESUME_KEY_BYTES, RESUME_KEYS_MAX,
    RESUME_TOKEN_BYTES_MAX, ResumeKeys, Unopened,
};
pub use seed::{SecretSeed, Seed, Seeds};
pub use settings::{HistoryStore, Hosts, Paces, Settings, StoreLimits, TransientMakers};
pub use sibling::SiblingHop;
pub use socket::Arrival;
pub use switchboard::{
    Action, Call, CallId, CallResult, Chain, Event, Position, RequestId, Snapshot, Switchboard,
    SwitchboardCounters, SwitchboardSettings, ToPuddle, WatchEnd, WatchId,
};
pub use upgrade::{SESSION_COOKIE, is_own_page};
pub use waiting::{Decision, Fate, WaitingHop};
