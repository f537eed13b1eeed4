//! Why something is as it was decided: what would come of an act, what was there
//! that decided it, and what to change. Decides by the same rules as the door;
//! never by others. Words for people; programs go by the refusal's rule.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use jiff::Timestamp;
use porthouse_model::{Act, EntryStep, Refused, UnixTime};

use crate::compile::Rules;
use crate::enter::{Entry, Passed, Standing, Visitor};

/// What would come of an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It may be done.
    Allowed,
    /// It may be done by who passes these steps, which are asked in this order.
    Asked(Vec<EntryStep>),
    /// It may not be done.
    Refused(Refused),
}

/// What was there when something was decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// As what somebody came; `None`: it did not come so far.
    pub standing: Option<Standing>,
    /// Whether it came by a device token, for its owner.
    pub is_device: bool,
    /// From where.
    pub address: Option<IpAddr>,
    /// Of which page's origin.
    pub origin: Option<Box<str>>,
    /// When, by the wall clock.
    pub wall: Option<UnixTime>,
    /// How long ago the control plane had been heard.
    pub word_age: Option<Duration>,
}

impl Rules {
    /// What would come of it if this visitor, whose second factor was shown so
    /// long ago, did this in the room now.
    #[must_use]
    pub fn foretell(
        &self,
        visitor: &Visitor<'_>,
        factor_age: Option<Duration>,
        act: Act,
    ) -> Outcome {
        if act == Act::See {
            // To know of a room, nobody has to be let in.
            return match self.may(visitor, act) {
                Ok(()) => Outcome::Allowed,
                Err(refused) => Outcome::Refused(refused),
            };
        }
        let mut passed = Passed {
            second_factor: factor_age,
            ..Passed::default()
        };
        let mut steps = Vec::new();
        loop {
            match self.enter(visitor, &passed) {
                Entry::Refuse(refused) => return Outcome::Refused(refused),
                Entry::Ask(step) => {
                    if let Err(refused) = step_for(step, visitor) {
                        return Outcome::Refused(refused);
                    }
                    steps.push(step);
                    passed = passed.and(step);
                }
                Entry::Admit => break,
            }
        }
        if let Err(refused) = self.may(visitor, act) {
            return Outcome::Refused(refused);
        }
        if steps.is_empty() {
            Outcome::Allowed
        } else {
            Outcome::Asked(steps)
        }
    }
}

/// May this step be asked of this visitor? A second factor is a user's, and no
/// device has one.
///
/// # Errors
///
/// What it is refused by.
pub const fn step_for(step: EntryStep, visitor: &Visitor<'_>) -> Result<(), Refused> {
    match step {
        EntryStep::SecondFactor { .. } if visitor.user.is_none() || visitor.device.is_some() => {
            Err(Refused::UserRequired)
        }
        EntryStep::SecondFactor { .. }
        | EntryStep::Password(_)
        | EntryStep::RoomCode(_)
        | EntryStep::Approval
        | EntryStep::Hook(_) => Ok(()),
    }
}

impl Sight {
    /// What was found where this refusal needed something else, for a person.
    #[must_use]
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "of most refusals nothing is kept but their rule"
    )]
    pub fn found(&self, refused: Refused) -> String {
        if is_of_a_standing(refused) {
            return self.standing();
        }
        let found = match refused {
            Refused::OriginRefused => self
                .origin
                .as_deref()
                .map(|origin| format!("a page of the origin {origin}")),
            Refused::ClosedNow => {
                let time = self.wall.and_then(stamp);
                time.map(|time| format!("the time {time}"))
            }
            Refused::Stale => {
                let age = self.word_age;
                age.map(|age| format!("word that was {} s old", age.as_secs()))
            }
            Refused::Blocked => Some(match self.address {
                Some(address) => format!("a block of the user, or of the address {address}"),
                None => "a block of the user".to_owned(),
            }),
            Refused::NoSuchRoom => Some(match self.standing {
                Some(_) => format!("{}, who may not see the room", self.standing()),
                None => NO_ROOM.to_owned(),
            }),
            Refused::CredentialUnknown | Refused::SessionEnded | Refused::SessionExpired => {
                Some("no live session of an enabled user".to_owned())
            }
            _ => None,
        };
        found.unwrap_or_else(|| format!("what {} refuses; no more of it is kept", refused.rule()))
    }

    /// What was found where nothing is refused.
    #[must_use]
    pub fn standing(&self) -> String {
        let described = Described(self.standing);
        if self.is_device {
            format!("a device, by its token, of {described}")
        } else {
            described.to_string()
        }
    }
}

/// What there is where there is no room.
const NO_ROOM: &str =
    "no room of this name, no template that covers it, and nobody who may make it";

/// Whether a refusal comes of who somebody is to the room.
const fn is_of_a_standing(refused: Refused) -> bool {
    matches!(
        refused,
        Refused::UserRequired
            | Refused::MembersOnly
            | Refused::RoleRefused
            | Refused::JoinRefused
            | Refused::SendRefused
            | Refused::HistoryRefused
            | Refused::PresenceRefused
            | Refused::InviteRefused
            | Refused::KickRefused
            | Refused::RulesRefused
            | Refused::EndpointRefused
    )
}

/// A moment as RFC 3339 writes it.
fn stamp(time: UnixTime) -> Option<Timestamp> {
    let millis = i64::try_from(time.as_millis()).ok()?;
    Timestamp::from_millisecond(millis).ok()
}

/// Who somebody is to a room, in words.
struct Described(Option<Standing>);

impl fmt::Display for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("somebody who did not come as far as the room's rules"),
            Some(Standing::Anonymous) => f.write_str("somebody who is not signed in"),
            Some(Standing::User) => {
                f.write_str("a signed-in user, neither member nor owner as far as the rules ask")
            }
            Some(Standing::Member(role)) => write!(f, "a member in the role {role}"),
            Some(Standing::Owner) => f.write_str("the room's owner"),
        }
    }
}

/// What to change, for who may change it.
#[must_use]
#[rustfmt::skip]
pub const fn remedy(refused: Refused) -> &'static str {
    use Refused as R;
    match refused {
        R::CredentialUnknown | R::SessionEnded | R::SessionExpired => "sign in again (SessionService.CreateSession); if the user is disabled, enable them first",
        R::SignInOver => "begin the sign-in anew, by name and password",
        R::TicketWrong => "have a new ticket made, for this page and this path",
        R::SignInCodeWrong => "give a code of the user's second factor, and check the clock of what makes it; or a recovery code",
        R::SignInWrong => "give the user's present password; UserService.SetPassword sets another",
        R::SignInBusy | R::SecondFactorBusy => "wait; UserService.UnlockUser ends a user's waiting",
        R::PasswordBusy | R::RoomCodeBusy => "wait; RoomDoorService.UnlockRoom ends the waiting at a room's door, or at its template's",
        R::UserRequired => "sign in; or let anyone in: rules.connection, rules.capabilities",
        R::MembersOnly => "make the user a member (MemberService.CreateMember), or the room public (visibility)",
        R::RoleRefused => "change rules.connection's lists of roles and users, or the member's role",
        R::OriginRefused => "add the page's origin to rules.connection.origins",
        R::ClosedNow => "come within rules.connection.hours, or change them",
        R::Blocked => "delete the block (BlockService.DeleteBlock), or wait until it ends",
        R::JoinRefused | R::SendRefused | R::HistoryRefused | R::PresenceRefused | R::InviteRefused | R::KickRefused => "allow the act to this standing in rules.capabilities, or give the member another role; to a device also in rules.capabilities.device and in its token",
        R::RulesRefused => "change the room's rules by RoomService.UpdateRoom; only the owner of a transient room does by himself",
        R::NoSuchRoom => "make the room (RoomService.CreateRoom) or a template that covers its name, or allow this standing to see it",
        R::RoomClosed | R::OwnerLeft => "make the room anew",
        R::Kicked => "wait until the kick's block ends, or delete that block",
        R::PasswordNeeded | R::QuestionsRefused => "come by a wire form that can be asked: porthouse.v1 at /, or porthouse.raw.v1",
        R::PasswordWrong => "give the room's password; RoomService.SetRoomPassword sets another",
        R::SecondFactorWrong => "give a code of the user's second factor, and check the clock of what makes it",
        R::SecondFactorMissing => "enrol the user's second factor (SecondFactorService.BeginTotp)",
        R::RoomCodeWrong => "give a code of the room's; RoomDoorService.SetRoomCode makes another secret",
        R::EntryTooSlow => "answer within the node's entry time",
        R::ApprovalRefused => "ask somebody inside who may invite",
        R::WaitingRoomFull => "wait until others were let in or refused",
        R::HookRefused => "ask the backend that the room's owner set (RoomDoorService.SetRoomHook)",
        R::HookAway => "see why the room's backend does not answer in time",
        R::TextRefused | R::BinaryRefused => "send the other kind, or change rules.messages",
        R::MessageTooLong => "send less, or raise rules.messages.bytes_max",
        R::FormatRefused => "send what rules.messages.format says, or change it",
        R::ReceiversRefused => "name no receivers, or allow it in rules.broadcast",
        R::SocketTooFast | R::ClientTooFast | R::RoomTooFast => "send less often, or raise rules.messages.rates",
        R::JoinsTooFast => "join less often from one address, or raise rules.connection's rate",
        R::RoomFull => "wait until somebody leaves, or raise rules.connection.sockets_max",
        R::ClientFull | R::Replaced => "close another socket of the client, or raise rules.connection.sockets_per_client",
        R::TooManyRooms => "leave a room, or use another socket",
        R::TooMany => "use another node, or raise this node's limit",
        R::TooManyMade => "leave a room that this client made",
        R::SlowConsumer => "read faster, or let the room drop messages (rules.delivery)",
        R::Stale => "see why the node does not hear the control plane, or raise rules.staleness",
        R::ControlPlaneAway => "see why the node cannot reach the control plane",
        R::Busy => "send again later",
        R::Shut => "bring the node to the version of the control plane, or change the room's rules",
        R::NoStore => "start the node with a store for history (--nats-url), or keep history in memory",
        R::StoreAway => "see why the node cannot reach its store for history",
        R::InboundFull => "finish what was begun to be sent sooner, or connect to another node",
        R::EndpointRefused => "change the endpoint's access (EndpointService.UpdateEndpoint)",
        R::NoSuchEndpoint => "make the endpoint (EndpointService.CreateEndpoint), or the user whose freeport it is",
        R::BindingWrong => "open a sibling socket anew, and use its secret once",
        R::DeviceRefused => "name the room in the device token's rooms (DeviceTokenService.UpdateDeviceToken)",
        R::KeyExpired => "send a new message under a new key",
        R::Resumed => "go on by the newer socket",
        R::Moved => "connect to the room that was named",
        R::Draining => "connect to another node, or to this one again soon",
    }
}
