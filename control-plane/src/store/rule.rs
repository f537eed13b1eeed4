//! A room's rules as they are stored: the bytes of what nodes are told, without
//! what stands in columns of its own. Judges no rule.

use porthouse_api::node::v1;
use porthouse_model::{
    Audience, Capabilities, CodeVersion, ConnectionRules, DeliveryRules, EntryStep, HistoryRules,
    HookVersion, PasswordVersion, PresenceRules, Rates, RoomRules,
};
use prost::Message;

use super::StoreError;

/// The most bytes of a room's rules.
pub(crate) const RULES_BYTES_MAX: usize = 64 * 1024;

/// The versions of what a room asks for by secrets of its own; 0: none is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SecretVersions {
    pub(crate) password: u64,
    pub(crate) code: u64,
    pub(crate) hook: u64,
}

impl SecretVersions {
    /// As they stand in the columns of a room or a template.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] when one is none.
    pub(crate) fn of_columns(password: i64, code: i64, hook: i64) -> Result<Self, StoreError> {
        let version = |number: i64, column| {
            let version = u64::try_from(number);
            version.map_err(|_| StoreError::Corrupt(column))
        };
        Ok(Self {
            password: version(password, "password_version")?,
            code: version(code, "code_version")?,
            hook: version(hook, "hook_version")?,
        })
    }

    /// The steps that ask for them, in the order they have unless it was chosen.
    const fn steps(self) -> [EntryStep; 3] {
        [
            EntryStep::Password(PasswordVersion(self.password)),
            EntryStep::RoomCode(CodeVersion(self.code)),
            EntryStep::Hook(HookVersion(self.hook)),
        ]
    }
}

/// Rules as bytes. A group that has its defaults takes none.
pub(crate) fn encode(rules: &RoomRules) -> Vec<u8> {
    let mut message = v1::RoomRules::from(&without_versions(rules.clone()));
    let connection = ConnectionRules {
        audience: rules.connection.audience,
        ..ConnectionRules::default()
    };
    if rules.connection == connection {
        message.connection = None;
    }
    if rules.capabilities == Capabilities::default() {
        message.capabilities = None;
    }
    if rules.messages.rates == Rates::default() {
        message.rates = None;
    }
    if rules.delivery == DeliveryRules::default() {
        message.delivery = None;
    }
    if rules.history == HistoryRules::default() {
        message.history = None;
    }
    if rules.presence == PresenceRules::default() {
        message.presence = None;
    }
    message.encode_to_vec()
}

/// Rules from bytes, with versions of 0.
///
/// # Errors
///
/// [`StoreError::Corrupt`] when they are of a later version, or no rules.
pub(crate) fn decode(bytes: &[u8]) -> Result<RoomRules, StoreError> {
    v1::RoomRules::decode(bytes)
        .ok()
        .and_then(|message| message.try_into().ok())
        .ok_or(StoreError::Corrupt("rooms.rules"))
}

/// The rules that hold: as they are stored, with what stands beside them. A step
/// by a secret of the room is asked for exactly while that is set, and before
/// others where its place was not chosen.
pub(crate) fn in_force(
    mut rules: RoomRules,
    members_only: bool,
    versions: SecretVersions,
) -> RoomRules {
    if members_only {
        rules.connection.audience = Audience::Members;
    }
    let mut rules = with_versions(rules, versions);
    let steps = &mut rules.entry.steps;
    steps.retain(is_set);
    let mut unplaced = versions.steps().to_vec();
    unplaced.retain(|step| is_set(step) && !steps.contains(step));
    steps.splice(0..0, unplaced);
    rules
}

/// Whether what a step asks for is there to be asked for.
pub(crate) const fn is_set(step: &EntryStep) -> bool {
    match step {
        EntryStep::Password(version) => version.0 != 0,
        EntryStep::RoomCode(version) => version.0 != 0,
        EntryStep::Hook(version) => version.0 != 0,
        EntryStep::SecondFactor { .. } | EntryStep::Approval => true,
    }
}

fn without_versions(rules: RoomRules) -> RoomRules {
    with_versions(rules, SecretVersions::default())
}

/// The same rules, asking for these versions.
pub(crate) fn with_versions(mut rules: RoomRules, versions: SecretVersions) -> RoomRules {
    for step in &mut rules.entry.steps {
        match step {
            EntryStep::Password(version) => *version = PasswordVersion(versions.password),
            EntryStep::RoomCode(version) => *version = CodeVersion(versions.code),
            EntryStep::Hook(version) => *version = HookVersion(versions.hook),
            EntryStep::SecondFactor { .. } | EntryStep::Approval => {}
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: EntryStep = EntryStep::Password(PasswordVersion(7));

    fn asked(stored: &[EntryStep], password: u64) -> Vec<EntryStep> {
        let versions = SecretVersions {
            password,
            ..SecretVersions::default()
        };
        asked_with(stored, versions)
    }

    fn asked_with(stored: &[EntryStep], versions: SecretVersions) -> Vec<EntryStep> {
        let mut rules = RoomRules::default();
        rules.entry.steps = stored.to_vec();
        let stored = decode(&encode(&rules)).expect("rules");
        in_force(stored, false, versions).entry.steps
    }

    #[test]
    fn a_password_is_asked_for_exactly_while_one_is_set() {
        let approval = EntryStep::Approval;
        assert_eq!(asked(&[], 0), []);
        assert_eq!(asked(&[], 7), [PASSWORD]);
        assert_eq!(asked(&[approval], 7), [PASSWORD, approval]);
        assert_eq!(asked(&[approval, PASSWORD], 7), [approval, PASSWORD]);
        assert_eq!(asked(&[approval, PASSWORD], 0), [approval]);
    }

    #[test]
    fn every_secret_that_is_set_is_asked_for_wherever_it_was_placed() {
        let versions = SecretVersions {
            password: 7,
            code: 8,
            hook: 9,
        };
        let (code, hook) = (
            EntryStep::RoomCode(CodeVersion(8)),
            EntryStep::Hook(HookVersion(9)),
        );
        assert_eq!(asked_with(&[], versions), [PASSWORD, code, hook]);
        let placed = [hook, EntryStep::Approval, PASSWORD];
        let all = [code, hook, EntryStep::Approval, PASSWORD];
        assert_eq!(asked_with(&placed, versions), all);
    }

    #[test]
    fn members_alone_enter_a_private_room_whatever_its_rules() {
        let rules = in_force(RoomRules::default(), true, SecretVersions::default());
        assert_eq!(rules.connection.audience, Audience::Members);
    }

    #[test]
    fn what_is_no_rules_is_not_guessed() {
        for bytes in [&b""[..], b"\xff", b"\x08\x09"] {
            assert!(decode(bytes).is_err(), "{bytes:?}");
        }
    }
}
