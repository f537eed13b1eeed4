//! A room's rules between the wire and the database: which fields there are,
//! their defaults and their limits. Judges nobody by them.

use std::time::Duration;

use porthouse_api::control::v1 as wire;
use porthouse_model::{MESSAGE_BYTES_LIMIT, RoomRules, Staleness};

use crate::store::rooms::RoomColumns;

use super::error::ApiError;
use super::{label, mask, time};

/// The longest a room may admit without word.
const ADMIT_MAX: Duration = Duration::from_hours(24);
/// The longest limit on how long a room may deliver without word.
const DELIVER_MAX: Duration = Duration::from_hours(30 * 24);
/// The shortest of both.
const STALENESS_MIN: Duration = Duration::from_secs(1);

/// What an update of a room may name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Field {
    Owner,
    Visibility,
    Labels,
    UserRequired,
    Text,
    Binary,
    BytesMax,
    Echo,
    ReceiversNamed,
    AdmitMax,
    DeliverMax,
}

use Field::{
    AdmitMax, Binary, BytesMax, DeliverMax, Echo, Labels, Owner, ReceiversNamed, Text,
    UserRequired, Visibility,
};

/// The paths of a room's mask.
pub(super) const PATHS: &mask::Paths<Field> = &[
    ("owner", &[Owner]),
    ("visibility", &[Visibility]),
    ("labels", &[Labels]),
    (
        "rules",
        &[
            UserRequired,
            Text,
            Binary,
            BytesMax,
            Echo,
            ReceiversNamed,
            AdmitMax,
            DeliverMax,
        ],
    ),
    ("rules.connection", &[UserRequired]),
    ("rules.connection.user_required", &[UserRequired]),
    ("rules.messages", &[Text, Binary, BytesMax]),
    ("rules.messages.text", &[Text]),
    ("rules.messages.binary", &[Binary]),
    ("rules.messages.bytes_max", &[BytesMax]),
    ("rules.broadcast", &[Echo, ReceiversNamed]),
    ("rules.broadcast.echo", &[Echo]),
    ("rules.broadcast.receivers_named", &[ReceiversNamed]),
    ("rules.staleness", &[AdmitMax, DeliverMax]),
    ("rules.staleness.admit_max", &[AdmitMax]),
    ("rules.staleness.deliver_max", &[DeliverMax]),
];

/// A room as it was sent, as columns, without its owner.
pub(super) fn from_wire(room: wire::Room) -> Result<RoomColumns, ApiError> {
    let members_only = match wire::Visibility::try_from(room.visibility) {
        Ok(wire::Visibility::Unspecified | wire::Visibility::Public) => false,
        Ok(wire::Visibility::Private) => true,
        Err(_) => {
            let rule = "VISIBILITY_PUBLIC or VISIBILITY_PRIVATE";
            return Err(ApiError::field("room.visibility", rule));
        }
    };
    let rules = room.rules.unwrap_or_default();
    let connection = rules.connection.unwrap_or_default();
    let messages = rules.messages.unwrap_or_default();
    let broadcast = rules.broadcast.unwrap_or_default();
    let default = RoomRules::default();
    let (admit_max_ms, deliver_max_ms) = staleness(rules.staleness.unwrap_or_default())?;
    Ok(RoomColumns {
        owner_id: None,
        members_only,
        user_required: connection.user_required.unwrap_or(false),
        text_refused: !messages.text.unwrap_or(true),
        binary_refused: !messages.binary.unwrap_or(true),
        message_bytes_max: bytes_max(messages.bytes_max.unwrap_or(default.messages.bytes_max))?,
        echo: broadcast.echo.unwrap_or(default.broadcast.echo),
        receivers_named: broadcast
            .receivers_named
            .unwrap_or(default.broadcast.receivers_named),
        admit_max_ms,
        deliver_max_ms,
        labels: label::to_json("room.labels", room.labels)?,
    })
}

/// Takes over one field.
pub(super) fn copy(field: Field, from: &RoomColumns, to: &mut RoomColumns) {
    match field {
        Owner => to.owner_id = from.owner_id,
        Visibility => to.members_only = from.members_only,
        Labels => to.labels.clone_from(&from.labels),
        UserRequired => to.user_required = from.user_required,
        Text => to.text_refused = from.text_refused,
        Binary => to.binary_refused = from.binary_refused,
        BytesMax => to.message_bytes_max = from.message_bytes_max,
        Echo => to.echo = from.echo,
        ReceiversNamed => to.receivers_named = from.receivers_named,
        AdmitMax => to.admit_max_ms = from.admit_max_ms,
        DeliverMax => to.deliver_max_ms = from.deliver_max_ms,
    }
}

/// Refuses what no single field shows.
pub(super) fn check(room: &RoomColumns) -> Result<(), ApiError> {
    if room.text_refused && room.binary_refused {
        let rule = "a room takes text or binary messages, or both";
        return Err(ApiError::field("room.rules.messages", rule));
    }
    Ok(())
}

/// The rules as they are sent, and whether the room is private.
pub(super) fn to_wire(
    room: &RoomColumns,
    password_required: bool,
) -> (wire::Visibility, wire::RoomRules) {
    let span = |ms| {
        u64::try_from(ms)
            .map(Duration::from_millis)
            .unwrap_or_default()
    };
    let rules = wire::RoomRules {
        connection: Some(wire::ConnectionRules {
            user_required: Some(room.user_required),
        }),
        entry: Some(wire::EntryRules { password_required }),
        messages: Some(wire::MessageRules {
            text: Some(!room.text_refused),
            binary: Some(!room.binary_refused),
            bytes_max: u32::try_from(room.message_bytes_max).ok(),
        }),
        broadcast: Some(wire::BroadcastRules {
            echo: Some(room.echo),
            receivers_named: Some(room.receivers_named),
        }),
        staleness: Some(wire::StalenessRules {
            admit_max: Some(time::span_to_wire(span(room.admit_max_ms))),
            deliver_max: room.deliver_max_ms.map(|ms| time::span_to_wire(span(ms))),
        }),
    };
    let private = wire::Visibility::Private;
    (
        if room.members_only {
            private
        } else {
            wire::Visibility::Public
        },
        rules,
    )
}

fn bytes_max(bytes: u32) -> Result<i32, ApiError> {
    let rule = || format!("1 to {MESSAGE_BYTES_LIMIT} bytes");
    i32::try_from(bytes)
        .ok()
        .filter(|_| (1..=MESSAGE_BYTES_LIMIT).contains(&bytes))
        .ok_or_else(|| ApiError::field("room.rules.messages.bytes_max", rule()))
}

fn staleness(rules: wire::StalenessRules) -> Result<(i64, Option<i64>), ApiError> {
    let ms = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    let limit = |field, given, max| time::span(field, given, STALENESS_MIN, max).map(ms);
    let admit_max = rules
        .admit_max
        .map_or(Ok(ms(Staleness::default().admit_max)), |given| {
            limit("room.rules.staleness.admit_max", given, ADMIT_MAX)
        })?;
    let deliver_max = rules
        .deliver_max
        .map(|given| limit("room.rules.staleness.deliver_max", given, DELIVER_MAX))
        .transpose()?;
    Ok((admit_max, deliver_max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_answered_can_be_sent_back() {
        let mut room = from_wire(wire::Room::default()).expect("defaults");
        room.members_only = true;
        room.echo = true;
        room.deliver_max_ms = Some(5_000);
        let (visibility, rules) = to_wire(&room, true);
        let sent = wire::Room {
            visibility: visibility.into(),
            rules: Some(rules),
            ..wire::Room::default()
        };
        assert_eq!(from_wire(sent), Ok(room));
    }

    #[test]
    fn every_field_has_a_path_and_is_copied() {
        let from = from_wire(wire::Room {
            visibility: wire::Visibility::Private.into(),
            labels: [("a".to_owned(), "b".to_owned())].into(),
            rules: Some(wire::RoomRules {
                connection: Some(wire::ConnectionRules {
                    user_required: Some(true),
                }),
                entry: None,
                messages: Some(wire::MessageRules {
                    text: Some(false),
                    binary: Some(true),
                    bytes_max: Some(1),
                }),
                broadcast: Some(wire::BroadcastRules {
                    echo: Some(true),
                    receivers_named: Some(false),
                }),
                staleness: Some(wire::StalenessRules {
                    admit_max: Some(time::span_to_wire(STALENESS_MIN)),
                    deliver_max: Some(time::span_to_wire(STALENESS_MIN)),
                }),
            }),
            ..wire::Room::default()
        })
        .expect("rules");
        let mut to = from_wire(wire::Room::default()).expect("defaults");
        for (_, fields) in PATHS {
            for &field in *fields {
                copy(field, &from, &mut to);
            }
        }
        assert_eq!(to, from);
    }

    #[test]
    fn rules_past_their_limits_are_refused() {
        let sent = |rules| {
            from_wire(wire::Room {
                rules: Some(rules),
                ..wire::Room::default()
            })
        };
        for bytes in [0, MESSAGE_BYTES_LIMIT + 1, u32::MAX] {
            let messages = wire::MessageRules {
                bytes_max: Some(bytes),
                ..Default::default()
            };
            assert!(
                sent(wire::RoomRules {
                    messages: Some(messages),
                    ..Default::default()
                })
                .is_err()
            );
        }
        let staleness = wire::StalenessRules {
            admit_max: Some(time::span_to_wire(Duration::ZERO)),
            deliver_max: None,
        };
        assert!(
            sent(wire::RoomRules {
                staleness: Some(staleness),
                ..Default::default()
            })
            .is_err()
        );
        assert!(
            from_wire(wire::Room {
                visibility: 7,
                ..wire::Room::default()
            })
            .is_err()
        );
    }

    #[test]
    fn a_room_that_takes_nothing_is_refused() {
        let mut room = from_wire(wire::Room::default()).expect("defaults");
        assert_eq!(check(&room), Ok(()));
        room.text_refused = true;
        room.binary_refused = true;
        assert!(check(&room).is_err());
    }
}
