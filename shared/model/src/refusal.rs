//! Refusals as values: what was refused, by which rule, and what to do about
//! it. Owns the one table from a refusal to close code and HTTP status.

use core::fmt;

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
}

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("never"),
            Self::Authenticate => f.write_str("authenticate"),
            Self::AfterMs(ms) => write!(f, "after {ms}ms"),
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
    pub const ALL: [Self; 26] = [
        Self::CredentialUnknown,
        Self::SessionEnded,
        Self::SignInWrong,
        Self::SignInBusy,
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
        Self::Draining,
    ];

    #[rustfmt::skip]
    const fn row(self) -> Row {
        use Retry::{AfterMs, Authenticate, Never};
        match self {
            Self::CredentialUnknown => row(4100, 401, "credential", Authenticate, "a live session's token"),
            Self::SessionEnded => row(4101, 401, "session", Authenticate, "a session that was not revoked; sign in again"),
            Self::SignInWrong => row(4106, 401, "sign_in", Authenticate, "a user's name and their password"),
            Self::SignInBusy => row(4209, 429, "sign_in", AfterMs(5_000), "time to pass after many failed sign-ins"),
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
            Self::Draining => row(1012, 503, "drain", AfterMs(1_000), "another node, or this one again soon"),
        }
    }

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

/// One refusal to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What was refused, and by which rule.
    pub refused: Refused,
    /// Its name.
    pub id: RefusalId,
}

impl Refusal {
    /// The reason of a close frame: rule, retry and id. Always within the 123
    /// bytes a close frame has for it (RFC 6455, section 5.5).
    #[must_use]
    pub fn reason(&self) -> String {
        format!(
            "{}; retry {}; {}",
            self.refused.rule(),
            self.refused.retry(),
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
            let refusal = Refusal {
                refused,
                id: RefusalId(u64::MAX),
            };
            assert!(refusal.reason().len() <= 123, "{}", refusal.reason());
            let range = match refused.code().0 {
                1003 | 1008 | 1009 | 4000..=4099 => "never",
                4100..=4199 => "authenticate",
                1012 | 4200..=4299 => "after",
                code => panic!("{code} is in no range"),
            };
            assert!(
                refused.retry().to_string().starts_with(range),
                "{refused:?}"
            );
            assert!((400..600).contains(&refused.http_status()));
        }
    }
}
