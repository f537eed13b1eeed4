//! Refusals as values: what was refused, by which rule, and what to do about
//! it. Owns the one table from a refusal to close code and HTTP status.

use core::fmt;
use core::time::Duration;

use self::Retry::{AfterMs, Authenticate, Elsewhere, Never};

/// A WebSocket close code (RFC 6455, section 7.4). Codes of our own say by their
/// range what to do: 4000–4099 do not come back, 4100–4199 authenticate or
/// answer first, 4200–4299 retry later, 4300–4399 go elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// The purpose was fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// A frame broke RFC 6455.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// A message of a kind that is not taken here.
    pub const UNSUPPORTED: Self = Self(1003);
    /// Text that is not UTF-8.
    pub const INVALID_DATA: Self = Self(1007);
    /// A limit on behaviour was passed.
    pub const POLICY: Self = Self(1008);
    /// A message longer than is taken here.
    pub const TOO_BIG: Self = Self(1009);
    /// Our fault.
    pub const INTERNAL: Self = Self(1011);
    /// The node is going away; connect again.
    pub const RESTART: Self = Self(1012);
}

/// Whether and when to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same will be refused again.
    Never,
    /// After signing in, or with another answer.
    Authenticate,
    /// Later; not before so many milliseconds.
    AfterMs(u32),
    /// At once, at another address.
    Elsewhere,
}

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("never"),
            Self::Authenticate => f.write_str("authenticate"),
            Self::AfterMs(ms) => write!(f, "after {ms}ms"),
            Self::Elsewhere => f.write_str("elsewhere"),
        }
    }
}

/// Names one refusal, so that it can be asked about later. Written as 16
/// hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RefusalId(pub u64);

impl fmt::Display for RefusalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What was refused to somebody, and by which rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refused {
    /// A credential was given that is not one of ours, or no longer opens anything.
    CredentialUnknown,
    /// The session was revoked, or its user disabled.
    SessionEnded,
    /// No such user, or not this password.
    SignInWrong,
    /// Too many sign-ins failed lately; not only by this client.
    SignInBusy,
    /// The code does not complete the sign-in.
    SignInCodeWrong,
    /// The sign-in waits for no code any more.
    SignInOver,
    /// The ticket opens nothing: used, too old, or of another page or path.
    TicketWrong,
    /// The session's time is over.
    SessionExpired,
    /// Only signed-in users may enter.
    UserRequired,
    /// Only members may enter.
    MembersOnly,
    /// Nobody may enter: this node cannot keep the room's rules.
    Shut,
    /// The room asks for a password, and this wire form cannot be asked.
    PasswordNeeded,
    /// The room's password was answered wrong too often on this entry.
    PasswordWrong,
    /// Too many wrong passwords were answered lately; not only by this client.
    PasswordBusy,
    /// The entry took longer than it may.
    EntryTooSlow,
    /// There is no room of this name, and this node lets nobody make it.
    NoSuchRoom,
    /// The room was deleted.
    RoomClosed,
    /// An owner or a backend put the client out.
    Kicked,
    /// The room takes no text.
    TextRefused,
    /// The room takes no binary messages.
    BinaryRefused,
    /// The message is longer than the room takes.
    MessageTooLong,
    /// The room does not let senders name receivers.
    ReceiversRefused,
    /// The socket is in as many rooms as it may be.
    TooManyRooms,
    /// The node, the address or the room holds as many as it may.
    TooMany,
    /// The client does not read as fast as it is sent to.
    SlowConsumer,
    /// What the node knows is older than the room tolerates.
    Stale,
    /// The control plane must be asked and cannot be reached.
    ControlPlaneAway,
    /// The room cannot take more at the moment.
    Busy,
    /// The room does not let this role or this user in.
    RoleRefused,
    /// The page comes from an origin that the room does not let in.
    OriginRefused,
    /// The room holds as many sockets as it may.
    RoomFull,
    /// The client has as many sockets in the room as it may.
    ClientFull,
    /// A newer socket of the same client took this one's place.
    Replaced,
    /// Too many joins came from this address.
    JoinsTooFast,
    /// The room is outside its opening hours.
    ClosedNow,
    /// The client is blocked from the room.
    Blocked,
    /// This standing may not enter.
    JoinRefused,
    /// This standing may not speak.
    SendRefused,
    /// This standing may not read what was said before.
    HistoryRefused,
    /// This standing may not see who is there.
    PresenceRefused,
    /// This standing may not let others in.
    InviteRefused,
    /// This standing may not put others out.
    KickRefused,
    /// This standing may not change the room's rules.
    RulesRefused,
    /// The room asks at its door, and this wire form cannot be asked.
    QuestionsRefused,
    /// The client's second factor was answered wrong too often on this entry.
    SecondFactorWrong,
    /// The client has no second factor.
    SecondFactorMissing,
    /// Too many wrong codes were answered lately; not only by this client.
    SecondFactorBusy,
    /// The room's code was answered wrong too often on this entry.
    RoomCodeWrong,
    /// Too many wrong codes were answered lately; not only by this client.
    RoomCodeBusy,
    /// Somebody inside refused to let the client in.
    ApprovalRefused,
    /// As many wait to be let in as may.
    WaitingRoomFull,
    /// The owner's backend refused to let the client in.
    HookRefused,
    /// The owner's backend did not answer.
    HookAway,
    /// The message is not in the room's format.
    FormatRefused,
    /// The socket says more than it may.
    SocketTooFast,
    /// The client says more than it may.
    ClientTooFast,
    /// The room takes no more at the moment.
    RoomTooFast,
    /// The client who made the room, and without whom it ends, has left.
    OwnerLeft,
    /// The client has made as many transient rooms as it may.
    TooManyMade,
    /// The endpoint is not open to this client.
    EndpointRefused,
    /// There is no endpoint of this address.
    NoSuchEndpoint,
    /// The secret binds to no sibling of this client.
    BindingWrong,
    /// The device token does not lead to the room.
    DeviceRefused,
    /// The key is older than it is remembered for.
    KeyExpired,
    /// A newer socket goes on from where this one was.
    Resumed,
    /// The room's history must survive the node, and this node has no store for it.
    NoStore,
    /// The store of the room's history cannot be reached, or does not keep up.
    StoreAway,
    /// All sockets together have begun to send too much, and this one holds the
    /// most of it.
    InboundFull,
    /// The socket was moved to another room.
    Moved,
    /// The node is going away.
    Draining,
}

/// One row of the table.
struct Row {
    code: u16,
    http: u16,
    rule: &'static str,
    needed: &'static str,
    retry: Retry,
}

const fn row(code: u16, http: u16, rule: &'static str, retry: Retry, needed: &'static str) -> Row {
    Row {
        code,
        http,
        rule,
        needed,
        retry,
    }
}

impl Refused {
    /// Every refusal, in the table's order.
    pub const ALL: [Self; 70] = [
        Self::CredentialUnknown,
        Self::SessionEnded,
        Self::SignInWrong,
        Self::SignInBusy,
        Self::SignInCodeWrong,
        Self::SignInOver,
        Self::TicketWrong,
        Self::SessionExpired,
        Self::UserRequired,
        Self::MembersOnly,
        Self::Shut,
        Self::PasswordNeeded,
        Self::PasswordWrong,
        Self::PasswordBusy,
        Self::EntryTooSlow,
        Self::NoSuchRoom,
        Self::RoomClosed,
        Self::Kicked,
        Self::TextRefused,
        Self::BinaryRefused,
        Self::MessageTooLong,
        Self::ReceiversRefused,
        Self::TooManyRooms,
        Self::TooMany,
        Self::SlowConsumer,
        Self::Stale,
        Self::ControlPlaneAway,
        Self::Busy,
        Self::RoleRefused,
        Self::OriginRefused,
        Self::RoomFull,
        Self::ClientFull,
        Self::Replaced,
        Self::JoinsTooFast,
        Self::ClosedNow,
        Self::Blocked,
        Self::JoinRefused,
        Self::SendRefused,
        Self::HistoryRefused,
        Self::PresenceRefused,
        Self::InviteRefused,
        Self::KickRefused,
        Self::RulesRefused,
        Self::QuestionsRefused,
        Self::SecondFactorWrong,
        Self::SecondFactorMissing,
        Self::SecondFactorBusy,
        Self::RoomCodeWrong,
        Self::RoomCodeBusy,
        Self::ApprovalRefused,
        Self::WaitingRoomFull,
        Self::HookRefused,
        Self::HookAway,
        Self::FormatRefused,
        Self::SocketTooFast,
        Self::ClientTooFast,
        Self::RoomTooFast,
        Self::OwnerLeft,
        Self::TooManyMade,
        Self::EndpointRefused,
        Self::NoSuchEndpoint,
        Self::BindingWrong,
        Self::DeviceRefused,
        Self::KeyExpired,
        Self::Resumed,
        Self::NoStore,
        Self::StoreAway,
        Self::InboundFull,
        Self::Moved,
        Self::Draining,
    ];

    /// The rows of codes that were wrong too often.
    const fn codes_busy(self) -> Row {
        let (code, rule) = if matches!(self, Self::SecondFactorBusy) {
            (4218, "entry.second_factor")
        } else {
            (4219, "entry.room_code")
        };
        let needed = "time to pass after many wrong codes";
        row(code, 429, rule, AfterMs(5_000), needed)
    }

    #[rustfmt::skip]
    const fn row(self) -> Row { match self {
        Self::CredentialUnknown => row(4100, 401, "credential", Authenticate, "a live session's token"),
        Self::SessionEnded => row(4101, 401, "session", Authenticate, "a session that was not revoked; sign in again"),
        Self::SignInWrong => row(4106, 401, "sign_in", Authenticate, "a user's name and their password"),
        Self::SignInBusy => row(4209, 429, "sign_in", AfterMs(5_000), "time to pass after many failed sign-ins"),
        Self::SignInCodeWrong => row(4112, 403, "sign_in.code", Authenticate, "a code of the user's second factor that was not used before, or a recovery code"),
        Self::SignInOver => row(4113, 401, "sign_in.challenge", Authenticate, "to sign in anew: this sign-in took too long, or was completed"),
        Self::TicketWrong => row(4114, 401, "ticket", Authenticate, "a new ticket: one opens one socket, within 30 s, for the page and path it was made for"),
        Self::SessionExpired => row(4102, 401, "session.lifetime", Authenticate, "a session whose time is not over; sign in again"),
        Self::UserRequired => row(4103, 401, "connection.user_required", Authenticate, "a signed-in user"),
        Self::MembersOnly => row(4003, 403, "visibility.private", Never, "membership of the room"),
        Self::Shut => row(4206, 503, "rules", AfterMs(60_000), "a node that knows this kind of rule"),
        Self::PasswordNeeded => row(4104, 403, "entry.password", Authenticate, "the room's password: join over the subprotocol porthouse.v1 at /, where it is asked"),
        Self::PasswordWrong => row(4105, 403, "entry.password", Authenticate, "the room's password"),
        Self::PasswordBusy => row(4208, 429, "entry.password", AfterMs(5_000), "time to pass after many wrong passwords"),
        Self::EntryTooSlow => row(4200, 408, "entry.deadline", AfterMs(1_000), "an answer in time"),
        Self::NoSuchRoom => row(4004, 404, "transient.makers", Never, "a room that exists, or the right to make one by joining"),
        Self::RoomClosed => row(4005, 410, "room", Never, "a room that still exists"),
        Self::Kicked => row(4006, 403, "kick", Never, "leave to return"),
        Self::TextRefused => row(1003, 415, "messages.text", Never, "a binary message"),
        Self::BinaryRefused => row(1003, 415, "messages.binary", Never, "a text message"),
        Self::MessageTooLong => row(1009, 413, "messages.bytes_max", Never, "a shorter message"),
        Self::ReceiversRefused => row(1008, 403, "broadcast.receivers_named", Never, "a send without `to` and `except`"),
        Self::TooManyRooms => row(4201, 429, "rooms_per_socket_max", AfterMs(1_000), "to leave a room first"),
        Self::TooMany => row(4202, 503, "sockets_max", AfterMs(2_000), "fewer sockets, or another node"),
        Self::SlowConsumer => row(4203, 503, "socket_backlog_bytes_max", AfterMs(1_000), "to read faster"),
        Self::Stale => row(4204, 503, "staleness", AfterMs(5_000), "word from the control plane"),
        Self::ControlPlaneAway => row(4205, 503, "control_plane", AfterMs(2_000), "the control plane, which cannot be reached"),
        Self::Busy => row(4207, 429, "hop_slots_max", AfterMs(100), "the room's other receivers to catch up"),
        Self::RoleRefused => row(4007, 403, "connection.roles", Never, "a role and a user that the room lets in"),
        Self::OriginRefused => row(4008, 403, "connection.origins", Never, "a page of an origin that the room names"),
        Self::RoomFull => row(4210, 503, "connection.sockets_max", AfterMs(2_000), "somebody to leave the room"),
        Self::ClientFull => row(4211, 429, "connection.sockets_per_client", AfterMs(1_000), "to close another socket of the same client first"),
        Self::Replaced => row(4009, 409, "connection.sockets_per_client", Never, "the newer socket"),
        Self::JoinsTooFast => row(4212, 429, "connection.joins_per_address", AfterMs(1_000), "fewer joins from this address"),
        Self::ClosedNow => row(4213, 503, "connection.hours", AfterMs(60_000), "the room's opening hours"),
        Self::Blocked => row(4012, 403, "block", Never, "the block to end"),
        Self::JoinRefused => row(4013, 403, "capabilities.join", Never, "a standing that may join"),
        Self::SendRefused => row(1008, 403, "capabilities.send", Never, "a standing that may send"),
        Self::HistoryRefused => row(1008, 403, "capabilities.read_history", Never, "a standing that may read the history"),
        Self::PresenceRefused => row(1008, 403, "capabilities.see_presence", Never, "a standing that may see presence"),
        Self::InviteRefused => row(1008, 403, "capabilities.invite", Never, "a standing that may invite"),
        Self::KickRefused => row(1008, 403, "capabilities.kick", Never, "a standing that may kick"),
        Self::RulesRefused => row(1008, 403, "capabilities.change_rules", Never, "the owner of a transient room"),
        Self::QuestionsRefused => row(4107, 403, "entry.steps", Authenticate, "to be asked: offer the subprotocol porthouse.raw.v1, or join over porthouse.v1 at /"),
        Self::SecondFactorWrong => row(4108, 403, "entry.second_factor", Authenticate, "a code of the client's own second factor"),
        Self::SecondFactorMissing => row(4109, 403, "entry.second_factor", Authenticate, "a user with a second factor: enrol, then come back"),
        Self::SecondFactorBusy | Self::RoomCodeBusy => self.codes_busy(),
        Self::RoomCodeWrong => row(4110, 403, "entry.room_code", Authenticate, "a code of the room's, not used before"),
        Self::ApprovalRefused => row(4010, 403, "entry.approval", Never, "to be let in by somebody inside"),
        Self::WaitingRoomFull => row(4214, 503, "entry.approval", AfterMs(5_000), "others who wait to be let in or refused"),
        Self::HookRefused => row(4011, 403, "entry.hook", Never, "the backend that owns the room to let the client in"),
        Self::HookAway => row(4215, 503, "entry.hook", AfterMs(5_000), "the backend that owns the room to answer"),
        Self::FormatRefused => row(4014, 422, "messages.format", Never, "a message in the room's format"),
        Self::SocketTooFast => row(1008, 429, "messages.rates.per_socket", Never, "fewer messages a second from one socket"),
        Self::ClientTooFast => row(1008, 429, "messages.rates.per_client", Never, "fewer messages a second from one client"),
        Self::RoomTooFast => row(4216, 429, "messages.rates.per_room", AfterMs(1_000), "fewer messages a second in the room"),
        Self::OwnerLeft => row(4015, 410, "life.peer", Never, "a room whose maker is there"),
        Self::TooManyMade => row(4217, 429, "transient_rooms_per_client_max", AfterMs(1_000), "to leave a room that this client made"),
        Self::EndpointRefused => row(4016, 403, "endpoint.access", Never, "to be one that the endpoint lets in"),
        Self::NoSuchEndpoint => row(4017, 404, "endpoint", Never, "an endpoint of this address"),
        Self::BindingWrong => row(4111, 403, "sibling.secret", Authenticate, "the secret that a sibling socket of the same client was given, once"),
        Self::DeviceRefused => row(4019, 403, "device_token.rooms", Never, "a device token that leads to the room"),
        Self::KeyExpired => row(1008, 409, "key_window", Never, "a new key, for a message that was not sent before"),
        Self::Resumed => row(4018, 409, "resume", Never, "the newer socket, which goes on from where this one was"),
        Self::NoStore => row(4220, 503, "history.durable", AfterMs(60_000), "a node with a store for history, which --nats-url names"),
        Self::StoreAway => row(4221, 503, "history.durable", AfterMs(1_000), "the store of the room's history, which cannot be reached or does not keep up"),
        Self::InboundFull => row(4222, 503, "inbound_bytes_max", AfterMs(1_000), "to send what was begun sooner, or another node"),
        Self::Moved => row(4300, 409, "move", Elsewhere, "to connect to the room that was named"),
        Self::Draining => row(1012, 503, "drain", AfterMs(1_000), "another node, or this one again soon") } }

    /// The close code it is told with.
    #[must_use]
    pub const fn code(self) -> CloseCode {
        CloseCode(self.row().code)
    }

    /// The HTTP status it is told with, before an upgrade.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        self.row().http
    }

    /// The rule or setting that refused, by name.
    #[must_use]
    pub const fn rule(self) -> &'static str {
        self.row().rule
    }

    /// What would have been needed, for a person.
    #[must_use]
    pub const fn needed(self) -> &'static str {
        self.row().needed
    }

    /// Whether to try again.
    #[must_use]
    pub const fn retry(self) -> Retry {
        self.row().retry
    }
}

/// The shortest wait that is told where more is known than the table says.
pub const WAIT_MS_MIN: u32 = 100;
/// The longest, whatever a control plane says.
pub const WAIT_MS_MAX: u32 = 3_600_000;

/// What is refused, before the refusal has its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denial {
    /// What, and by which rule.
    pub refused: Refused,
    /// When to try again, where more is known than the table says.
    pub after_ms: Option<u32>,
}

impl Denial {
    /// Refuses as the table says.
    #[must_use]
    pub const fn of(refused: Refused) -> Self {
        Self {
            refused,
            after_ms: None,
        }
    }

    /// Refuses until this much time has passed, at least [`WAIT_MS_MIN`] and at most
    /// [`WAIT_MS_MAX`].
    #[must_use]
    pub fn until(refused: Refused, delay: Duration) -> Self {
        let ms = u32::try_from(delay.as_millis()).unwrap_or(u32::MAX);
        Self {
            refused,
            after_ms: Some(ms.clamp(WAIT_MS_MIN, WAIT_MS_MAX)),
        }
    }

    /// Whether and when to try again.
    #[must_use]
    pub const fn retry(self) -> Retry {
        match self.after_ms {
            Some(ms) => AfterMs(ms),
            None => self.refused.retry(),
        }
    }

    /// The refusal, by its name.
    #[must_use]
    pub const fn named(self, id: RefusalId) -> Refusal {
        Refusal { denial: self, id }
    }
}

impl From<Refused> for Denial {
    fn from(refused: Refused) -> Self {
        Self::of(refused)
    }
}

/// One refusal to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What was refused, by which rule, and until when.
    pub denial: Denial,
    /// Its name.
    pub id: RefusalId,
}

impl Refusal {
    /// What was refused, and by which rule.
    #[must_use]
    pub const fn refused(&self) -> Refused {
        self.denial.refused
    }

    /// Whether and when to try again.
    #[must_use]
    pub const fn retry(&self) -> Retry {
        self.denial.retry()
    }

    /// The reason of a close frame: rule, retry and id. Always within the 123
    /// bytes a close frame has for it (RFC 6455, section 5.5).
    #[must_use]
    pub fn reason(&self) -> String {
        format!(
            "{}; retry {}; {}",
            self.refused().rule(),
            self.retry(),
            self.id
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_fits_a_close_frame_and_its_range_says_what_to_do() {
        for refused in Refused::ALL {
            for delay in [Duration::ZERO, Duration::MAX] {
                let refusal = Denial::until(refused, delay).named(RefusalId(u64::MAX));
                assert!(refusal.reason().len() <= 123, "{}", refusal.reason());
            }
            let refusal = Denial::of(refused).named(RefusalId(u64::MAX));
            assert!(refusal.reason().len() <= 123, "{}", refusal.reason());
            let range = match refused.code().0 {
                1003 | 1008 | 1009 | 4000..=4099 => "never",
                4100..=4199 => "authenticate",
                1012 | 4200..=4299 => "after",
                4300..=4399 => "elsewhere",
                code => panic!("{code} is in no range"),
            };
            assert!(
                refused.retry().to_string().starts_with(range),
                "{refused:?}"
            );
            assert!((400..600).contains(&refused.http_status()));
        }
    }

    #[test]
    fn a_wait_that_is_known_is_told_and_no_other() {
        let told = |delay| Denial::until(Refused::SignInBusy, delay).retry();
        assert_eq!(told(Duration::from_mins(7)), AfterMs(420_000));
        assert_eq!(told(Duration::ZERO), AfterMs(WAIT_MS_MIN));
        assert_eq!(told(Duration::MAX), AfterMs(WAIT_MS_MAX));
        let table = Denial::from(Refused::SignInBusy).retry();
        assert_eq!(table, Refused::SignInBusy.retry());
    }
}
