//! What a call is refused with. Owns the one map from a refusal to gRPC status and
//! `google.rpc` details. Never says a secret, nor more of what was given than a
//! person needs to find it.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::identity::hashing::Busy;
use crate::identity::scope::Scope;
use crate::store::StoreError;
use crate::store::guarded::Broken;

/// The `domain` of every `google.rpc.ErrorInfo`.
const DOMAIN: &str = "porthouse.control.v1";

const ISSUER_AWAY: &str = "the keys of the token's issuer are older than --issuer-keys-age-max-ms, and \
     cannot be fetched now (`fetch_error` of the issuer says why): ask again later";
const CHALLENGE_GONE: &str =
    "the sign-in is over or too old, or the user's password was changed: sign in anew";
const SEALING_KEYS_MISSING: &str = "the control plane has no key to seal secrets with: start it with \
     --secrets-key-file (PORTHOUSE_SECRETS_KEY_FILE)";

/// What kind of thing a name names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    User,
    Session,
    Room,
    Member,
    MemberGroup,
    ApiKey,
    Node,
    Endpoint,
    RoomTemplate,
    Guard,
    Block,
    DeviceToken,
    Issuer,
}

impl Kind {
    const fn message(self) -> &'static str {
        match self {
            Self::User => "porthouse.control.v1.User",
            Self::Session => "porthouse.control.v1.Session",
            Self::Room => "porthouse.control.v1.Room",
            Self::Member => "porthouse.control.v1.Member",
            Self::MemberGroup => "porthouse.control.v1.MemberGroup",
            Self::ApiKey => "porthouse.control.v1.ApiKey",
            Self::Node => "porthouse.control.v1.Node",
            Self::Endpoint => "porthouse.control.v1.Endpoint",
            Self::RoomTemplate => "porthouse.control.v1.RoomTemplate",
            Self::Block => "porthouse.control.v1.Block",
            Self::DeviceToken => "porthouse.control.v1.DeviceToken",
            Self::Issuer => "porthouse.control.v1.Issuer",
            Self::Guard => "porthouse.control.v1.Guard",
        }
    }
}

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ApiError {
    /// A field holds what it may not.
    Field {
        /// Its path in the request.
        field: String,
        /// What it may hold.
        rule: String,
    },
    /// There is no such thing.
    Absent(Kind, String),
    /// There is such a thing already.
    Exists(Kind, String),
    /// The etag is not the present one.
    Stale(Kind, String),
    /// Name or password is wrong, or the user may not sign in.
    CredentialsWrong,
    /// An identity provider's token signs nobody in, for this reason.
    TokenRefused(String),
    /// The keys of the token's issuer are too old, and cannot be fetched.
    IssuerAway,
    /// Too many wait for keys of issuers.
    IssuersBusy(Duration),
    /// As many issuers are trusted as may be.
    IssuersTooMany(usize),
    /// No key was sent.
    KeyMissing,
    /// The key is not one that opens anything.
    KeyUnknown,
    /// The client certificate of this SHA-256 is no key.
    CertificateUnknown(String),
    /// Too many keys are being looked up.
    KeysBusy,
    /// The key lacks all of these scopes.
    ScopeMissing(&'static [Scope]),
    /// The sign-in that waited for a code is over, or there was none.
    ChallengeGone,
    /// Too many passwords were wrong.
    AttemptsTooMany(Duration),
    /// Too many tokens were refused to the network.
    TokensTooMany(Duration),
    /// Too many passwords are being hashed.
    HashingBusy(Duration),
    /// As many wait for a revision as may.
    WaitersBusy,
    /// There is no key to seal secrets with; or not the one of this name, under
    /// which one was sealed.
    SealingKeysMissing(Option<String>),
    /// The code is wrong, was used before or is too old.
    CodeWrong,
    /// Too many codes were wrong.
    CodesTooMany(Duration),
    /// The user has no second factor.
    SecondFactorMissing,
    /// The user's second factor was not begun.
    SecondFactorNotBegun,
    /// The user has a second factor already.
    SecondFactorEnabled,
    /// The room has as many blocked ranges of addresses as it may.
    AddressBlocksTooMany(usize),
    /// The user is disabled.
    UserDisabled,
    /// A user has as many device tokens as may be.
    DeviceTokensTooMany(usize),
    /// No node keeps the refusal of this id.
    RefusalNotKept(String),
    /// These nodes did not answer in time.
    NodesSilent(Vec<String>),
    /// As many questions to nodes are under way as may be.
    NodesBusy,
    /// There are as many guards as may be.
    GuardsTooMany(i64),
    /// As many groups as may be give memberships of the room.
    MemberGroupsTooMany(i64),
    /// This group gives the membership.
    MemberByGroup(String),
    /// A guard would be judged of more rooms and templates than it may.
    GuardTooWide(i64),
    /// A guard would not hold.
    GuardBroken(Box<Broken>),
    /// Without this key nobody could make another.
    LastAdminKey,
    /// The call took longer than a call may.
    DeadlineExceeded,
    /// The request is longer than a request may be.
    TooLarge,
    /// The request is not what its definition says.
    Malformed,
    /// The database cannot be asked now.
    StoreUnavailable,
    /// Another write was in the way.
    StoreContended,
    /// The write would change more than so many things that nodes obey.
    TooMuch(usize),
    /// The write would tell nodes more than so many bytes.
    TooLong(usize),
    /// Our fault.
    Internal,
}

impl ApiError {
    /// A field holds what it may not.
    pub(crate) fn field(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self::Field {
            field: field.into(),
            rule: rule.into(),
        }
    }

    /// The same about a field below this path.
    pub(crate) fn under(self, path: &str) -> Self {
        if let Self::Field { field, rule } = self {
            return Self::field(format!("{path}.{field}"), rule);
        }
        self
    }

    /// What a failed insertion means: mostly that the name is taken.
    pub(crate) fn taken(error: diesel::result::Error, kind: Kind, name: String) -> Self {
        let error = StoreError::from(error);
        if matches!(error, StoreError::Taken(_)) {
            return Self::Exists(kind, name);
        }
        error.into()
    }

    const fn code(&self) -> Code {
        match self {
            Self::Field { .. } | Self::Malformed => Code::InvalidArgument,
            Self::Absent(..) | Self::RefusalNotKept(_) => Code::NotFound,
            Self::Exists(..) => Code::AlreadyExists,
            Self::Stale(..) => Code::Aborted,
            Self::CredentialsWrong
            | Self::TokenRefused(_)
            | Self::ChallengeGone
            | Self::KeyMissing
            | Self::KeyUnknown
            | Self::CertificateUnknown(_) => Code::Unauthenticated,
            Self::ScopeMissing(_) | Self::CodeWrong => Code::PermissionDenied,
            Self::HashingBusy(_)
            | Self::IssuersBusy(_)
            | Self::AttemptsTooMany(_)
            | Self::TokensTooMany(_)
            | Self::CodesTooMany(_)
            | Self::WaitersBusy
            | Self::NodesBusy
            | Self::TooLarge => Code::ResourceExhausted,
            Self::LastAdminKey
            | Self::AddressBlocksTooMany(_)
            | Self::DeviceTokensTooMany(_)
            | Self::UserDisabled
            | Self::IssuersTooMany(_)
            | Self::GuardsTooMany(_)
            | Self::MemberGroupsTooMany(_)
            | Self::MemberByGroup(_)
            | Self::GuardTooWide(_)
            | Self::GuardBroken(_)
            | Self::TooMuch(_)
            | Self::TooLong(_)
            | Self::SealingKeysMissing(_)
            | Self::SecondFactorMissing
            | Self::SecondFactorNotBegun
            | Self::SecondFactorEnabled => Code::FailedPrecondition,
            Self::DeadlineExceeded => Code::DeadlineExceeded,
            Self::KeysBusy
            | Self::IssuerAway
            | Self::NodesSilent(_)
            | Self::StoreUnavailable
            | Self::StoreContended => Code::Unavailable,
            Self::Internal => Code::Internal,
        }
    }

    /// The `reason` of the `google.rpc.ErrorInfo`, for programs.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::Field { .. } => "FIELD_INVALID",
            Self::Absent(..) => "NOT_FOUND",
            Self::Exists(..) => "ALREADY_EXISTS",
            Self::Stale(..) => "ETAG_STALE",
            Self::CredentialsWrong => "CREDENTIALS_WRONG",
            Self::TokenRefused(_) => "TOKEN_REFUSED",
            Self::IssuerAway => "ISSUER_AWAY",
            Self::IssuersBusy(_) => "ISSUERS_BUSY",
            Self::IssuersTooMany(_) => "ISSUERS_TOO_MANY",
            Self::KeyMissing => "API_KEY_MISSING",
            Self::KeyUnknown => "API_KEY_UNKNOWN",
            Self::CertificateUnknown(_) => "CERTIFICATE_UNKNOWN",
            Self::KeysBusy => "API_KEYS_BUSY",
            Self::ScopeMissing(_) => "SCOPE_MISSING",
            Self::ChallengeGone => "CHALLENGE_GONE",
            Self::AttemptsTooMany(_) | Self::TokensTooMany(_) => "ATTEMPTS_TOO_MANY",
            Self::HashingBusy(_) => "HASHING_BUSY",
            Self::WaitersBusy => "WAITERS_BUSY",
            Self::SealingKeysMissing(_) => "SECRETS_KEY_MISSING",
            Self::CodeWrong => "CODE_WRONG",
            Self::CodesTooMany(_) => "CODES_TOO_MANY",
            Self::SecondFactorMissing => "SECOND_FACTOR_MISSING",
            Self::SecondFactorNotBegun => "SECOND_FACTOR_NOT_BEGUN",
            Self::SecondFactorEnabled => "SECOND_FACTOR_ENABLED",
            Self::AddressBlocksTooMany(_) => "ADDRESS_BLOCKS_TOO_MANY",
            Self::DeviceTokensTooMany(_) => "DEVICE_TOKENS_TOO_MANY",
            Self::UserDisabled => "USER_DISABLED",
            Self::RefusalNotKept(_) => "REFUSAL_NOT_KEPT",
            Self::NodesSilent(_) => "NODES_SILENT",
            Self::NodesBusy => "NODES_BUSY",
            Self::GuardsTooMany(_) => "GUARDS_TOO_MANY",
            Self::MemberGroupsTooMany(_) => "MEMBER_GROUPS_TOO_MANY",
            Self::MemberByGroup(_) => "MEMBER_BY_GROUP",
            Self::GuardTooWide(_) => "GUARD_TOO_WIDE",
            Self::GuardBroken(_) => "GUARD_BROKEN",
            Self::LastAdminKey => "LAST_ADMIN_KEY",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::TooLarge => "REQUEST_TOO_LARGE",
            Self::Malformed => "REQUEST_MALFORMED",
            Self::StoreUnavailable => "STORE_UNAVAILABLE",
            Self::StoreContended => "STORE_CONTENDED",
            Self::TooMuch(_) | Self::TooLong(_) => "TOO_MUCH",
            Self::Internal => "INTERNAL",
        }
    }

    /// What happened and what to do, for people.
    fn message(&self) -> String {
        match self {
            Self::Field { field, rule } => format!("{field}: {rule}"),
            Self::Absent(_, name) => format!("there is no {name}"),
            Self::Exists(_, name) => format!("{name} exists already"),
            Self::Stale(_, name) => {
                format!("{name} was changed since its etag was read: read it again")
            }
            Self::CredentialsWrong => "the username or the password is wrong".into(),
            Self::TokenRefused(why) => format!("the token signs nobody in: {why}"),
            Self::IssuerAway => ISSUER_AWAY.into(),
            Self::IssuersBusy(_) => "too many sign-ins wait for keys: ask again later".into(),
            Self::IssuersTooMany(issuers_max) => issuers_too_many(*issuers_max),
            Self::KeyMissing => "send one API key as `authorization: Bearer phk_…`".into(),
            Self::CertificateUnknown(sha256) => certificate_unknown(sha256),
            Self::KeyUnknown => {
                "the API key is mistyped, revoked, expired or of another deployment".into()
            }
            Self::KeysBusy => "too many API keys are being looked up: ask again later".into(),
            Self::ScopeMissing(needed) => {
                format!("the API key lacks the scope: {}", any_of(needed))
            }
            Self::ChallengeGone => CHALLENGE_GONE.into(),
            Self::AttemptsTooMany(delay) => too_many_wrong("passwords", *delay),
            Self::TokensTooMany(delay) => too_many_wrong("tokens from this network", *delay),
            Self::HashingBusy(_) => "too many passwords are being checked: ask again later".into(),
            Self::WaitersBusy => "as many calls wait for a revision as may: ask again".into(),
            Self::SealingKeysMissing(id) => sealing_keys_missing(id.as_deref()),
            Self::CodeWrong => {
                "the code is wrong, was used before or is too old: check that the clock of the \
                 device that makes codes is right"
                    .into()
            }
            Self::CodesTooMany(delay) => too_many_wrong("codes", *delay),
            Self::SecondFactorMissing => "the user has no second factor".into(),
            Self::SecondFactorNotBegun => "no second factor was begun: call BeginTotp".into(),
            Self::SecondFactorEnabled => {
                "the user has a second factor already: call DisableTotp first".into()
            }
            Self::UserDisabled => "the user is disabled: call EnableUser first".into(),
            Self::DeviceTokensTooMany(tokens_max) => format!(
                "a user has at most {tokens_max} device tokens: delete one that is of no use first"
            ),
            Self::AddressBlocksTooMany(ranges_max) => format!(
                "a room keeps out at most {ranges_max} ranges of addresses: delete a block, or \
                 block a wider range"
            ),
            Self::RefusalNotKept(id) => refusal_not_kept(id),
            Self::NodesSilent(nodes) => nodes_silent(nodes),
            Self::NodesBusy => {
                "as many questions to nodes are under way as may be: ask again later".into()
            }
            Self::GuardsTooMany(guards_max) => guards_too_many(*guards_max),
            Self::MemberGroupsTooMany(groups_max) => member_groups_too_many(*groups_max),
            Self::MemberByGroup(group) => member_by_group(group),
            Self::GuardTooWide(rooms_max) => guard_too_wide(*rooms_max),
            Self::GuardBroken(broken) => broken.to_string(),
            Self::LastAdminKey => {
                "this is the last lasting key with the scope admin: make another one first".into()
            }
            Self::DeadlineExceeded => "the call took longer than it may".into(),
            Self::TooLarge => "the request is longer than a request may be".into(),
            Self::Malformed => "the request is not a message of the call's request type".into(),
            Self::StoreUnavailable => "the database cannot be asked now: ask again later".into(),
            Self::StoreContended => "another write was in the way: ask again".into(),
            Self::TooMuch(items_max) => {
                format!("one write may change at most {items_max} things that nodes obey")
            }
            Self::TooLong(bytes_max) => too_long(*bytes_max),
            Self::Internal => "an error of ours, which was logged".into(),
        }
    }

    fn details(&self) -> ErrorDetails {
        let mut metadata = HashMap::new();
        if let Self::ScopeMissing(needed) = self {
            metadata.insert("scope".to_owned(), any_of(needed));
        }
        if let Self::GuardBroken(broken) = self {
            metadata.insert("guard".to_owned(), format!("guards/{}", broken.guard));
            metadata.insert("room".to_owned(), broken.room.clone());
            metadata.insert("audience".to_owned(), broken.audience.clone());
            metadata.insert("act".to_owned(), broken.act.to_owned());
            metadata.insert("rule".to_owned(), broken.rule.clone());
        }
        let mut details = ErrorDetails::with_error_info(self.reason(), DOMAIN, metadata);
        match self {
            Self::Field { field, rule } => {
                details.add_bad_request_violation(field, rule);
            }
            Self::Absent(kind, name) | Self::Exists(kind, name) | Self::Stale(kind, name) => {
                details.set_resource_info(kind.message(), name, "", self.message());
            }
            Self::HashingBusy(delay)
            | Self::IssuersBusy(delay)
            | Self::AttemptsTooMany(delay)
            | Self::TokensTooMany(delay)
            | Self::CodesTooMany(delay) => {
                details.set_retry_info(Some(*delay));
            }
            Self::KeysBusy
            | Self::IssuerAway
            | Self::WaitersBusy
            | Self::NodesBusy
            | Self::NodesSilent(_)
            | Self::StoreUnavailable
            | Self::StoreContended => {
                details.set_retry_info(Some(Duration::from_secs(1)));
            }
            Self::CredentialsWrong
            | Self::TokenRefused(_)
            | Self::IssuersTooMany(_)
            | Self::ChallengeGone
            | Self::KeyMissing
            | Self::KeyUnknown
            | Self::CertificateUnknown(_)
            | Self::ScopeMissing(_)
            | Self::SealingKeysMissing(_)
            | Self::CodeWrong
            | Self::SecondFactorMissing
            | Self::SecondFactorNotBegun
            | Self::SecondFactorEnabled
            | Self::AddressBlocksTooMany(_)
            | Self::DeviceTokensTooMany(_)
            | Self::UserDisabled
            | Self::RefusalNotKept(_)
            | Self::GuardsTooMany(_)
            | Self::MemberGroupsTooMany(_)
            | Self::MemberByGroup(_)
            | Self::GuardTooWide(_)
            | Self::GuardBroken(_)
            | Self::LastAdminKey
            | Self::DeadlineExceeded
            | Self::TooLarge
            | Self::Malformed
            | Self::TooMuch(_)
            | Self::TooLong(_)
            | Self::Internal => {}
        }
        details
    }
}

fn issuers_too_many(issuers_max: usize) -> String {
    format!("at most {issuers_max} issuers are trusted: delete one first")
}

fn certificate_unknown(sha256: &str) -> String {
    format!(
        "no API key is the client certificate with the SHA-256 {sha256}: make it one by \
         CreateApiKey, or send a key as `authorization: Bearer phk_…`"
    )
}

fn too_many_wrong(what: &str, delay: Duration) -> String {
    let seconds = delay.as_secs().max(1);
    format!("too many {what} were wrong: ask again in {seconds} s")
}

fn sealing_keys_missing(id: Option<&str>) -> String {
    match id {
        None => SEALING_KEYS_MISSING.into(),
        Some(id) => {
            format!("it is sealed under the key `{id}`, which --secrets-key-file does not hold")
        }
    }
}

fn too_long(bytes_max: usize) -> String {
    format!(
        "one write may tell nodes at most {bytes_max} bytes, and this concerns rooms with longer \
         rules together: change some of them first, or give them another owner"
    )
}

fn member_groups_too_many(groups_max: i64) -> String {
    format!("a room has at most {groups_max} groups of members: delete one first")
}

fn member_by_group(group: &str) -> String {
    format!("{group} gives this membership: change or delete the group, or the user's label")
}

fn guards_too_many(guards_max: i64) -> String {
    format!("there are at most {guards_max} guards: delete one, or raise --guards-max")
}

fn guard_too_wide(rooms_max: i64) -> String {
    format!(
        "a guard is judged of at most {rooms_max} rooms and templates when it is written, and \
         more begin so: name a longer prefix, or raise --guarded-rooms-max"
    )
}

fn refusal_not_kept(id: &str) -> String {
    format!(
        "no node keeps a refusal {id}: each keeps its last ones only, until it ends; see that the \
         id is whole, or have the act itself explained (`case`)"
    )
}

fn nodes_silent(nodes: &[String]) -> String {
    format!(
        "no other node keeps it, and these did not answer in time: {}; ask again",
        nodes.join(", ")
    )
}

fn any_of(scopes: &[Scope]) -> String {
    scopes
        .iter()
        .map(|scope| scope.as_str())
        .collect::<Vec<_>>()
        .join(" or ")
}

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        Self::with_error_details(error.code(), error.message(), error.details())
    }
}

impl From<Busy> for ApiError {
    fn from(busy: Busy) -> Self {
        Self::HashingBusy(busy.retry_after)
    }
}

impl From<StoreError> for ApiError {
    /// What a caller could have foreseen was answered where it happened; what is
    /// left is the database's state or a bug.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable => Self::StoreUnavailable,
            StoreError::Contended => Self::StoreContended,
            StoreError::TooMuch { items_max } => Self::TooMuch(items_max),
            StoreError::TooLong { bytes_max } => Self::TooLong(bytes_max),
            StoreError::GuardBroken(broken) => Self::GuardBroken(broken),
            StoreError::Taken(_)
            | StoreError::Missing(_)
            | StoreError::NotFound
            | StoreError::Corrupt(_)
            | StoreError::Pooled
            | StoreError::Refused(_) => {
                tracing::error!(error = %error, "store");
                Self::Internal
            }
        }
    }
}

impl From<diesel::result::Error> for ApiError {
    fn from(error: diesel::result::Error) -> Self {
        StoreError::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_reason_field_and_delay_for_programs() {
        let status = Status::from(ApiError::field("room_id", "a rule"));
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        let request = details.bad_request().expect("a violation");
        assert_eq!(request.field_violations[0].field, "room_id");
        assert_eq!(details.error_info().expect("a reason").domain, DOMAIN);

        let status = Status::from(ApiError::HashingBusy(Duration::from_secs(1)));
        let details = status.get_error_details();
        assert_eq!(
            details.retry_info().expect("a delay").retry_delay,
            Some(Duration::from_secs(1))
        );
    }

    #[test]
    fn a_missing_scope_is_named() {
        let status = Status::from(ApiError::ScopeMissing(&[Scope::Rooms, Scope::Admin]));
        assert_eq!(status.code(), Code::PermissionDenied);
        assert_eq!(
            status.message(),
            "the API key lacks the scope: rooms or admin"
        );
    }
}
