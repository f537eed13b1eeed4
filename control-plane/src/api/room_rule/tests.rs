//! Rules over the wire and back, and by their paths. Asks no database.

use std::collections::BTreeSet;
use std::time::Duration;

use porthouse_api::FILE_DESCRIPTOR_SET;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use uuid::Uuid;
use wire::entry_step::Kind as StepKind;

use super::field::FIELDS;
use super::*;
use crate::api::time::span_to_wire;

const MINUTE: Option<prost_types::Duration> = Some(prost_types::Duration {
    seconds: 60,
    nanos: 0,
});
const RATE: Option<wire::Rate> = Some(wire::Rate {
    per_second: 2,
    burst: Some(3),
});

/// Rules of which every field is set, and to no default.
fn full() -> wire::RoomRules {
    wire::RoomRules {
        connection: Some(full_connection()),
        entry: Some(full_entry()),
        capabilities: Some(full_capabilities()),
        messages: Some(full_messages()),
        broadcast: Some(wire::BroadcastRules {
            echo: Some(true),
            receivers_named: Some(false),
            roles_never: vec!["guest".into()],
            roles_always: vec!["speaker".into()],
        }),
        delivery: Some(wire::DeliveryRules {
            order: wire::Order::Ordered.into(),
            slow_consumer: wire::SlowConsumer::Conflate.into(),
        }),
        history: Some(wire::HistoryRules {
            keep: Some(wire::history_rules::Keep::Last(wire::KeepLast {
                messages_max: 5,
                age_max: MINUTE,
            })),
            durable: Some(true),
            directed: Some(true),
            waiting: Some(wire::Waiting {
                messages_max: 6,
                age_max: MINUTE,
            }),
        }),
        presence: Some(wire::PresenceRules {
            shown: wire::Shown::Counts.into(),
            grace: MINUTE,
            interval: MINUTE,
        }),
        staleness: Some(wire::StalenessRules {
            admit_max: MINUTE,
            deliver_max: MINUTE,
        }),
    }
}

fn full_connection() -> wire::ConnectionRules {
    let gone = |n| vec![format!("deletedUsers/{}", Uuid::from_u128(n))];
    wire::ConnectionRules {
        user_required: Some(true),
        roles_allowed: vec!["speaker".into()],
        roles_denied: vec!["guest".into()],
        users_allowed: gone(1),
        users_denied: gone(2),
        origins: vec!["https://app.example".into()],
        sockets_max: Some(9),
        sockets_per_client: Some(wire::ClientSockets {
            sockets_max: 2,
            surplus: wire::Surplus::Oldest.into(),
        }),
        joins_per_address: RATE,
        hours: Some(wire::OpeningHours {
            zone: "Europe/Berlin".into(),
            spans: vec![wire::WeekSpan {
                from_minute: 480,
                to_minute: 960,
            }],
        }),
    }
}

fn full_entry() -> wire::EntryRules {
    entry(vec![
        StepKind::Approval(wire::ApprovalStep {}),
        StepKind::SecondFactor(wire::SecondFactorStep { age_max: MINUTE }),
        StepKind::Hook(wire::HookStep {}),
        StepKind::RoomCode(wire::RoomCodeStep {}),
    ])
}

fn entry(kinds: Vec<StepKind>) -> wire::EntryRules {
    let step = |kind| wire::EntryStep { kind: Some(kind) };
    wire::EntryRules {
        password_required: false,
        steps: kinds.into_iter().map(step).collect(),
    }
}

fn full_capabilities() -> wire::CapabilityRules {
    let line = |act: wire::Act| {
        let acts = vec![act.into()];
        Some(wire::Acts { acts })
    };
    wire::CapabilityRules {
        preset: wire::Preset::Custom.into(),
        anonymous: line(wire::Act::See),
        user: line(wire::Act::Join),
        member: line(wire::Act::Send),
        roles: vec![wire::RoleActs {
            role: "speaker".into(),
            acts: line(wire::Act::Invite),
        }],
        owner: line(wire::Act::Kick),
        device: line(wire::Act::ReadHistory),
    }
}

fn full_messages() -> wire::MessageRules {
    wire::MessageRules {
        text: Some(false),
        binary: Some(true),
        bytes_max: Some(1),
        format: Some(wire::MessageFormat {
            kind: Some(wire::message_format::Kind::Cbor(wire::CborFormat {})),
        }),
        rates: Some(wire::MessageRates {
            per_socket: RATE,
            per_client: RATE,
            per_room: RATE,
        }),
    }
}

/// What is answered to rules whose users are all gone.
fn answered(sheet: Sheet) -> wire::RoomRules {
    let mut rules = sheet.rules;
    rules.messages.content = sheet.kinds.content().expect("one kind at least");
    let mut answer = to_wire(&rules, &UserNames::default());
    let connection = answer.connection.get_or_insert_default();
    connection.users_allowed = users::written(&sheet.users_allowed);
    connection.users_denied = users::written(&sheet.users_denied);
    answer
}

#[test]
fn what_is_answered_can_be_sent_back() {
    for rules in [full(), wire::RoomRules::default()] {
        let answer = answered(Sheet::from_wire(rules).expect("rules"));
        let again = answered(Sheet::from_wire(answer.clone()).expect("rules"));
        assert_eq!(again, answer);
    }
    assert_eq!(answered(Sheet::from_wire(full()).expect("rules")), full());
}

#[test]
fn every_field_is_taken_over_by_its_path() {
    let from = Sheet::from_wire(full()).expect("rules");
    let mut to = Sheet::from_wire(wire::RoomRules::default()).expect("defaults");
    for field in FIELDS {
        field.copy(&from, &mut to);
    }
    assert_eq!(to, from);
}

/// The paths of the rules' fields as their definition has them.
fn defined() -> BTreeSet<String> {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("our own");
    let messages = set
        .file
        .iter()
        .filter(|file| file.package() == "porthouse.control.v1");
    let messages: Vec<_> = messages.flat_map(|file| &file.message_type).collect();
    let fields = |name: &str| {
        let named = messages.iter().find(|message| message.name() == name);
        &named.expect("a message of ours").field
    };
    let mut paths = BTreeSet::new();
    for group in fields("RoomRules") {
        let message = group.type_name().rsplit('.').next().unwrap_or_default();
        for field in fields(message) {
            paths.insert(format!("{}.{}", group.name(), field.name()));
        }
    }
    paths
}

#[test]
fn every_defined_field_but_the_output_has_a_path() {
    let mut defined = defined();
    assert!(defined.remove("entry.password_required"));
    for path in &defined {
        let named = FIELDS.iter().filter(|field| field.is_in(path)).count();
        assert_eq!(named, 1, "{path}");
    }
    assert_eq!(FIELDS.len(), defined.len());
}

#[test]
fn a_step_is_taken_once_and_with_its_secret_alone() {
    let steps = |kinds: Vec<StepKind>| {
        Sheet::from_wire(wire::RoomRules {
            entry: Some(entry(kinds)),
            ..Default::default()
        })
    };
    let approval = || StepKind::Approval(wire::ApprovalStep {});
    let password = || StepKind::Password(wire::PasswordStep {});
    let twice = steps(vec![approval(), approval()]).expect("a sheet").rules;
    let Err(ApiError::Field { field, .. }) = check(&twice, &twice, &Compiled(None)) else {
        panic!("approval is asked for twice");
    };
    assert_eq!(field, "entry.steps[1]");
    let rules = steps(vec![approval(), password()]).expect("steps").rules;
    let Err(ApiError::Field { field, rule }) = check_steps(&rules, SecretVersions::default())
    else {
        panic!("a password that is not set is asked for");
    };
    assert_eq!(field, "entry.steps[1]");
    assert!(rule.contains("SetRoomPassword"), "{rule}");
    let set = SecretVersions {
        password: 1,
        ..SecretVersions::default()
    };
    assert_eq!(check_steps(&rules, set), Ok(()));
}

type Change = fn(&mut wire::RoomRules);

#[test]
fn rules_past_their_limits_are_refused_by_their_path() {
    let refused = |change: Change| {
        let mut rules = full();
        change(&mut rules);
        match Sheet::from_wire(rules) {
            Err(ApiError::Field { field, .. }) => field,
            other => panic!("taken: {other:?}"),
        }
    };
    let cases: [(&str, Change); 8] = [
        ("connection.roles_allowed[0]", |rules| {
            rules.connection.get_or_insert_default().roles_allowed = vec!["No".into()];
        }),
        ("connection.origins", |rules| {
            let origins = (0..65).map(|n| format!("https://{n}.example"));
            rules.connection.get_or_insert_default().origins = origins.collect();
        }),
        ("connection.users_denied[0]", |rules| {
            rules.connection.get_or_insert_default().users_denied = vec!["sana".into()];
        }),
        ("capabilities.user.acts", |rules| {
            let acts = wire::Acts { acts: vec![0] };
            rules.capabilities.get_or_insert_default().user = Some(acts);
        }),
        ("messages.rates.per_room.burst", |rules| {
            let rate = wire::Rate {
                per_second: 1,
                burst: Some(0),
            };
            let messages = rules.messages.get_or_insert_default();
            messages.rates.get_or_insert_default().per_room = Some(rate);
        }),
        ("delivery.order", |rules| {
            rules.delivery.get_or_insert_default().order = 9;
        }),
        ("history.waiting.age_max", |rules| {
            rules.history.get_or_insert_default().waiting = Some(wire::Waiting::default());
        }),
        ("staleness.admit_max", |rules| {
            let second = span_to_wire(Duration::from_secs(1));
            rules.staleness.get_or_insert_default().admit_max = Some(second);
        }),
    ];
    for (path, change) in cases {
        assert_eq!(refused(change), path);
    }
}
