//! Every limit of a puddle, by name and with its default. Owns no policy: what
//! a room may ask is in its rules.

use core::net::IpAddr;
use core::num::NonZeroU32;
use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::Arc;

use porthouse_model::{AddressRange, Rate, RoomRules};

use crate::input::PuddleId;
use crate::people::{OwnerRule, RoomLife};
use crate::resume::ResumeKeys;

/// Who makes a transient room by joining a name that has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransientMakers {
    /// Anyone.
    Anyone,
    /// Signed-in users.
    Users,
    /// Nobody: only persistent rooms exist.
    Nobody,
}

/// Where history is kept that must survive the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryStore {
    /// Nowhere: rooms that ask for it are shut.
    Nowhere,
    /// In a store behind the shell, which answers every request once and within
    /// a time.
    Bridged,
}

/// A puddle's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which puddle this is.
    pub puddle: PuddleId,
    /// How many puddles the node has, this one included; 1 to 64.
    pub puddles: u8,
    /// Whose hosts it answers to.
    pub hosts: Hosts,
    /// Who makes transient rooms.
    pub transient_makers: TransientMakers,
    /// The rules of transient rooms.
    pub transient_rules: RoomRules,
    /// How long a transient room lives unless its maker says otherwise; `None`:
    /// nobody owns one, and it lives as long as anybody is inside.
    pub transient_life: Option<RoomLife>,
    /// What an owner may set of a transient room's rules.
    pub owner_rules: BTreeSet<OwnerRule>,
    /// Owned transient rooms of the node, each puddle its share; past it one
    /// more is refused retryably.
    pub transient_rooms_max: usize,
    /// Transient rooms that a client owns, on the node; past it one more is refused
    /// retryably. What is passed to a client counts, and is never refused.
    pub transient_rooms_per_client_max: usize,
    /// How long an owner who is known from others only may take to show up: a
    /// room's home began anew, and its owner's puddle has not spoken yet.
    pub owner_silent_time_max: Duration,
    /// Clients in one `presence` event; the rest of a batch comes with the next,
    /// the rest of those who are there when it is asked for.
    pub presence_entries_max: usize,
    /// Sockets of this puddle; past it, a connection is refused with 503.
    pub sockets_max: usize,
    /// Connections of one address that have not finished their upgrade; past it,
    /// a connection is refused with 429. Of a trusted proxy's, those whose client
    /// is known.
    pub handshakes_per_address_max: usize,
    /// The upgrade request's bytes; past it 431.
    pub request_head_bytes_max: usize,
    /// The upgrade request's header lines; past it 431.
    pub request_headers_max: usize,
    /// From the connection to the end of the upgrade request; past it 408.
    pub handshake_time_max: Duration,
    /// From the first step of an entry to its end, all questions included; past
    /// it the entry is refused (`entry.deadline`).
    pub entry_time_max: Duration,
    /// How long a multiplexed socket may stay with neither session nor room;
    /// past it 4200.
    pub lobby_time_max: Duration,
    /// From a sibling's secret to the raw socket that shows it; past it the
    /// sibling is closed with 4200.
    pub bind_time_max: Duration,
    /// Wrong answers in one entry; at the last the entry is refused.
    pub password_attempts_max: u8,
    /// Wrong codes of one kind in one entry, of the second factor or the room's
    /// own; at the last the entry is refused.
    pub code_attempts_max: u8,
    /// How long before a session, or the right to be in a room, ends by itself
    /// a multiplexed client is told.
    pub expiring_ahead: Duration,
    /// How often it is told whose sessions have sockets.
    pub seen_every: Duration,
    /// How long somebody may wait to be let in by those inside.
    pub approval_time_max: Duration,
    /// Sockets that may wait to be let in to one room; past it 4214.
    pub waiting_max: usize,
    /// What may come from a `porthouse.raw.v1` socket before it starts, in
    /// bytes; it is discarded, and past it the socket is closed with 1008.
    pub before_start_bytes_max: usize,
    /// Rooms a multiplexed socket may be in or entering.
    pub rooms_per_socket_max: usize,
    /// Rooms of this puddle; past it an entry is refused retryably.
    pub rooms_max: usize,
    /// A multiplexed frame's header line, its newline included; past it 1008.
    pub header_line_bytes_max: usize,
    /// Clients named in `to` or `except`; past it an error.
    pub receivers_named_max: usize,
    /// Fragments or control frames in a row that bring no payload byte; past it
    /// 1008.
    pub idle_frames_max: u16,
    /// What a socket may have queued, in bytes; past it 4203.
    pub socket_backlog_bytes_max: usize,
    /// What all queues of this puddle may hold, shared payloads counted once, in
    /// bytes; past it the sockets that hold the oldest are closed with 4203.
    pub payload_bytes_max: usize,
    /// What has come from all sockets of this puddle and cannot be used yet, in
    /// bytes: frames that are not whole, fragments, requests. Past it the sockets
    /// that hold the most are closed with 4222, until an eighth is free.
    pub inbound_bytes_max: usize,
    /// From our close frame to the end of the connection, the peer's close frame
    /// included.
    pub close_time_max: Duration,
    /// What is read and ignored after our close frame, in bytes; past it nothing
    /// more is read, and the connection ends at that time.
    pub closing_bytes_max: usize,
    /// Sockets written to in one turn; the others wait for the next.
    pub slice_sockets_max: usize,
    /// Questions under way; past it an entry is refused retryably.
    pub questions_max: usize,
    /// Those of them that one socket has asked; past it the same. What others ask
    /// too is theirs.
    pub questions_per_socket_max: u16,
    /// Policy entries that no live socket needs.
    pub policy_entries_max: usize,
    /// How long it is believed that something does not exist.
    pub absent_time_max: Duration,
    /// How long a client that is put out of a room may not come back, unless a
    /// backend that puts it out says otherwise.
    pub kick_block_time: Duration,
    /// Clients kept out of rooms so; past it, the one whose time ends first may
    /// come back.
    pub kicked_max: usize,
    /// Hops under way to one puddle that have not been handled.
    pub hop_slots_max: u32,
    /// Payload bytes under way to one puddle.
    pub hop_bytes_max: u64,
    /// Asks under way to the homes at one puddle that have not been done with.
    pub ask_slots_max: u32,
    /// Payload bytes under way in them.
    pub ask_bytes_max: u64,
    /// Rooms whose home this puddle is, live or with something kept; past it
    /// those kept longest without anybody inside are forgotten, and if there is
    /// none, an entry is refused retryably.
    pub homes_max: usize,
    /// How long a room that nobody is in is kept in mind for what it keeps.
    pub home_idle_time_max: Duration,
    /// What all homes of this puddle keep of what was said, in bytes; past it a
    /// room loses what it has kept longest.
    pub history_bytes_max: usize,
    /// What one room keeps of it, in bytes; past it the same.
    pub room_history_bytes_max: usize,
    /// Where durable rooms are kept.
    pub history_store: HistoryStore,
    /// How much may wait for that store, or be asked of it.
    pub store: StoreLimits,
    /// Messages in one answer to `history`.
    pub history_page_messages_max: usize,
    /// Payload bytes in one answer to `history`.
    pub history_page_bytes_max: usize,
    /// How long a sender's key stands for its message; for as long again it is
    /// refused (`key_window`).
    pub key_time_max: Duration,
    /// Keys of one client in one room; past it an error.
    pub keys_per_client_max: usize,
    /// Keys in all homes of this puddle; past it an error. One room may have as
    /// many of them as are left for all others.
    pub keys_max: usize,
    /// Clients whose rate is counted in one room at once; past it those who speak
    /// for the first time are refused as too fast.
    pub rated_clients_max: usize,
    /// How far ahead of its rate a room takes what sockets inside say, while they
    /// are not read; past it they are refused as too fast.
    pub room_rate_ahead_max: Duration,
    /// Members who are away and for whom messages wait, in one room; past it
    /// those who left first are forgotten.
    pub waiting_members_max: usize,
    /// What tokens are sealed under by which clients come back to where they
    /// were; without a key none is given.
    pub resume_keys: ResumeKeys,
    /// The age up to which such a token is worth something, and how long its
    /// client may be away; past it the entry begins anew.
    pub resume_time_max: Duration,
    /// Clients that are in the rooms whose home this puddle is and have such a
    /// token, or may come back by one; past it those who left first begin anew.
    pub resumes_max: usize,
    /// What is sent again to a client that comes back, in bytes with what each
    /// message costs beside its payload, and at most half of what a socket may
    /// have queued; past it the client is told that it missed something.
    pub recovered_bytes_max: usize,
    /// How fast one socket may do what costs others.
    pub paces: Paces,
    /// Addresses whose joins are counted, over all rooms that limit them; past it
    /// a join of another is refused (`connection.joins_per_address`). As many are
    /// counted that post messages (`messages.rates.per_socket`).
    pub joining_addresses_max: usize,
    /// Silence from a socket after which it is pinged; after the same again it
    /// is closed.
    pub silence_time_max: Duration,
}

/// How fast one socket may do what costs others. Each is a named limit of
/// `docs/protocol.md`.
#[derive(Clone, Copy, Debug)]
pub struct Paces {
    /// Pings of one socket, by frame or by line; past it a `porthouse.v1` socket
    /// gets errors and then 1008, any other 1008.
    pub ping_rate_max: Rate,
    /// Messages without a byte, of one socket; past it as with pings.
    pub empty_message_rate_max: Rate,
    /// Joins, leaves, kicks and owners' requests of one socket; past it as with
    /// pings.
    pub move_rate_max: Rate,
    /// Requests of one socket for history and presence; past it as with pings.
    pub read_rate_max: Rate,
    /// Refusals and errors of one socket for going too fast, by a room's rates or
    /// by those above; past it 1008.
    pub haste_rate_max: Rate,
}

impl Default for Paces {
    fn default() -> Self {
        Self {
            ping_rate_max: rate(10, 1_000),
            empty_message_rate_max: rate(100, 1_000),
            move_rate_max: rate(10, 512),
            read_rate_max: rate(20, 512),
            haste_rate_max: rate(1, 16),
        }
    }
}

/// How much may wait for the store of durable rooms, or be asked of it.
#[derive(Clone, Copy, Debug)]
pub struct StoreLimits {
    /// Messages and asks of one durable room that wait for the store; past it one
    /// more is refused retryably (`history.durable`).
    pub waits_max: usize,
    /// Payload bytes of all that waits for it here; past it the same. One room
    /// may hold as much of them as are left for all others.
    pub wait_bytes_max: usize,
    /// Requests to the store under way; past it rooms wait for their turn.
    pub requests_max: usize,
    /// Those of them that read a room, each of which may answer twice what one
    /// room keeps; past it rooms wait for their turn, those first that somebody
    /// asks for.
    pub reads_max: usize,
    /// Rooms that the store is still to forget; past it, what one more has there
    /// ends by its age.
    pub forgets_max: usize,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            waits_max: 1_024,
            wait_bytes_max: 32 * 1024 * 1024,
            requests_max: 1_024,
            reads_max: 4,
            forgets_max: 16_384,
        }
    }
}

/// The hosts a node answers to, and whose pages it trusts.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    /// Hosts that end with this are endpoints' addresses (`.example.com`, in
    /// lower case); any other is the node's own. `None`: every host is.
    pub endpoint_suffix: Option<Arc<str>>,
    /// Origins of pages that may use the session cookie, as browsers write them
    /// (`https://app.example.com`). None: pages of the node's own host.
    pub page_origins: Vec<String>,
    /// Proxies in front, which are believed about where their clients are
    /// (`X-Forwarded-For`).
    pub trusted_proxies: Vec<AddressRange>,
}

impl Hosts {
    /// Whether this is a proxy that is believed.
    pub(crate) fn trust(&self, address: IpAddr) -> bool {
        let mut ranges = self.trusted_proxies.iter();
        ranges.any(|range| range.contains(address))
    }
}

impl Settings {
    /// The defaults, for one of so many puddles.
    #[must_use]
    pub fn new(puddle: PuddleId, puddles: u8) -> Self {
        Self {
            puddle,
            puddles,
            hosts: Hosts::default(),
            transient_makers: TransientMakers::Users,
            transient_rules: RoomRules::default(),
            transient_life: Some(RoomLife::Peerless),
            owner_rules: OwnerRule::ALL.into(),
            transient_rooms_max: 100_000,
            transient_rooms_per_client_max: 64,
            owner_silent_time_max: Duration::from_secs(5),
            presence_entries_max: 1_000,
            sockets_max: 100_000,
            handshakes_per_address_max: 4_096,
            request_head_bytes_max: 16 * 1024,
            request_headers_max: 64,
            handshake_time_max: Duration::from_secs(10),
            entry_time_max: Duration::from_mins(1),
            lobby_time_max: Duration::from_secs(30),
            bind_time_max: Duration::from_secs(30),
            password_attempts_max: 3,
            code_attempts_max: 3,
            expiring_ahead: Duration::from_mins(1),
            seen_every: Duration::from_secs(30),
            approval_time_max: Duration::from_mins(5),
            waiting_max: 64,
            before_start_bytes_max: 64 * 1024,
            rooms_per_socket_max: 128,
            rooms_max: 100_000,
            header_line_bytes_max: 4 * 1024,
            receivers_named_max: 256,
            idle_frames_max: 1_000,
            socket_backlog_bytes_max: 1024 * 1024,
            payload_bytes_max: 256 * 1024 * 1024,
            inbound_bytes_max: 128 * 1024 * 1024,
            close_time_max: Duration::from_secs(5),
            closing_bytes_max: 256 * 1024,
            slice_sockets_max: 128,
            questions_max: 10_000,
            questions_per_socket_max: 256,
            policy_entries_max: 100_000,
            absent_time_max: Duration::from_mins(5),
            kick_block_time: Duration::from_mins(5),
            kicked_max: 10_000,
            hop_slots_max: 4_096,
            hop_bytes_max: 8 * 1024 * 1024,
            ask_slots_max: 1_024,
            ask_bytes_max: 4 * 1024 * 1024,
            homes_max: 100_000,
            home_idle_time_max: Duration::from_hours(24),
            history_bytes_max: 128 * 1024 * 1024,
            room_history_bytes_max: 8 * 1024 * 1024,
            history_store: HistoryStore::Nowhere,
            store: StoreLimits::default(),
            history_page_messages_max: 256,
            history_page_bytes_max: 256 * 1024,
            key_time_max: Duration::from_mins(10),
            keys_per_client_max: 1_000,
            keys_max: 100_000,
            rated_clients_max: 100_000,
            room_rate_ahead_max: Duration::from_secs(1),
            waiting_members_max: 10_000,
            resume_keys: ResumeKeys::default(),
            resume_time_max: Duration::from_hours(24),
            resumes_max: 200_000,
            recovered_bytes_max: 512 * 1024,
            paces: Paces::default(),
            joining_addresses_max: 100_000,
            silence_time_max: Duration::from_secs(45),
        }
    }

    /// What a ring from one puddle to another must hold, in hops.
    #[must_use]
    pub const fn hop_ring_slots(&self) -> u32 {
        crate::hop::ring_slots(self.hop_slots_max, self.ask_slots_max)
    }
}

/// A default: so many a second, and so many at once.
const fn rate(per_second: u32, burst: u32) -> Rate {
    Rate {
        per_second: NonZeroU32::new(per_second).expect("a default is not zero"),
        burst: NonZeroU32::new(burst).expect("a default is not zero"),
    }
}
