//! What the words stand for that a vector gives a room: docs/vectors/README.md has
//! them all. Never asks for anything.

use std::time::{SystemTime, UNIX_EPOCH};

use porthouse_api::control::v1::entry_step::Kind as Step;
use porthouse_api::control::v1::history_rules::Keep;
use porthouse_api::control::v1::message_format::Kind as Format;
use porthouse_api::control::v1::{
    Act, Acts, ApprovalStep, BroadcastRules, CapabilityRules, CborFormat, ClientSockets,
    ConnectionRules, EntryStep, JsonFormat, KeepLast, KeepLatest, MessageFormat, MessagePackFormat,
    MessageRates, MessageRules, OpeningHours, Order, ProtobufFormat, Rate, Room, RoomRules,
    SecondFactorStep, Shown, Surplus, Visibility, Waiting, WeekSpan,
};

/// How long messages are kept in these rooms.
const HOUR: prost_types::Duration = prost_types::Duration {
    seconds: 3_600,
    nanos: 0,
};
const WEEK_MINUTES: u64 = 7 * 24 * 60;

/// A room without a rule.
pub(super) fn plain() -> Room {
    Room {
        rules: Some(RoomRules {
            connection: Some(ConnectionRules::default()),
            messages: Some(MessageRules::default()),
            broadcast: Some(BroadcastRules::default()),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// Sets one rule of a room.
pub(super) fn set(room: &mut Room, rule: &str) -> Option<()> {
    let (word, value) = rule.split_once('=').unwrap_or((rule, ""));
    if word == "private" {
        room.visibility = Visibility::Private.into();
        return Some(());
    }
    let rules = room.rules.as_mut()?;
    enters(rules, word, value)
        .or_else(|| connects(rules.connection.as_mut()?, word, value))
        .or_else(|| says(rules.messages.as_mut()?, word, value))
        .or_else(|| hears(rules, word, value))
}

/// Rules about what is asked at the door, and what strangers may do inside.
fn enters(rules: &mut RoomRules, word: &str, value: &str) -> Option<()> {
    let step = match word {
        "approval" => Step::Approval(ApprovalStep::default()),
        "second_factor" => Step::SecondFactor(SecondFactorStep {
            age_max: Some(prost_types::Duration {
                seconds: value.parse().ok()?,
                nanos: 0,
            }),
        }),
        "listen" => {
            let acts = [Act::See, Act::Join].map(i32::from).to_vec();
            rules.capabilities = Some(CapabilityRules {
                anonymous: Some(Acts { acts }),
                ..Default::default()
            });
            return Some(());
        }
        _ => return None,
    };
    let step = EntryStep { kind: Some(step) };
    rules.entry.get_or_insert_default().steps.push(step);
    Some(())
}

/// Rules about who comes, and from where.
fn connects(connection: &mut ConnectionRules, word: &str, value: &str) -> Option<()> {
    let surplus = match word {
        "newest_goes" => Surplus::Newest,
        "oldest_goes" => Surplus::Oldest,
        _ => Surplus::Unspecified,
    };
    match word {
        "users" => connection.user_required = Some(true),
        "origin" => connection.origins = vec![value.to_owned()],
        "sockets_max" => connection.sockets_max = Some(value.parse().ok()?),
        "newest_goes" | "oldest_goes" => {
            connection.sockets_per_client = Some(ClientSockets {
                sockets_max: value.parse().ok()?,
                surplus: surplus.into(),
            });
        }
        "shut" => connection.hours = Some(in_twelve_hours()),
        _ => return None,
    }
    Some(())
}

/// One minute a week, which begins in twelve hours.
#[expect(
    clippy::disallowed_methods,
    reason = "opening hours are of the wall's clock"
)]
fn in_twelve_hours() -> OpeningHours {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    // The first day of 1970 was a Thursday; a week begins on Monday.
    let minutes = now.unwrap_or_default().as_secs() / 60 + (3 * 24 + 12) * 60;
    let from_minute = u32::try_from(minutes % WEEK_MINUTES).unwrap_or_default();
    OpeningHours {
        zone: "Etc/UTC".to_owned(),
        spans: vec![WeekSpan {
            from_minute,
            to_minute: from_minute + 1,
        }],
    }
}

/// Rules about what is said, and how often.
fn says(messages: &mut MessageRules, word: &str, value: &str) -> Option<()> {
    match word {
        "text" => messages.binary = Some(false),
        "binary" => messages.text = Some(false),
        "bytes_max" => messages.bytes_max = Some(value.parse().ok()?),
        "per_socket" | "per_client" | "per_room" => {
            let number = value.parse().ok()?;
            let rate = Some(Rate {
                per_second: number,
                burst: Some(number),
            });
            let rates: &mut MessageRates = messages.rates.get_or_insert_default();
            match word {
                "per_socket" => rates.per_socket = rate,
                "per_client" => rates.per_client = rate,
                _ => rates.per_room = rate,
            }
        }
        _ => {
            messages.format = Some(MessageFormat {
                kind: Some(format(word, value)?),
            });
        }
    }
    Some(())
}

fn format(word: &str, value: &str) -> Option<Format> {
    Some(match word {
        "json" => Format::Json(JsonFormat::default()),
        "schema" => Format::JsonSchema(value.to_owned()),
        "message_pack" => Format::MessagePack(MessagePackFormat::default()),
        "cbor" => Format::Cbor(CborFormat::default()),
        "protobuf" => {
            let (message, descriptors) = value.split_once(':')?;
            let descriptors = data_encoding::HEXLOWER.decode(descriptors.as_bytes());
            Format::Protobuf(ProtobufFormat {
                descriptors: descriptors.ok()?,
                message: message.to_owned(),
            })
        }
        "expression" => Format::Expression(value.to_owned()),
        _ => return None,
    })
}

/// Rules about who hears what, and what is kept.
fn hears(rules: &mut RoomRules, word: &str, value: &str) -> Option<()> {
    let broadcast = rules.broadcast.as_mut()?;
    match word {
        "echo" => broadcast.echo = Some(true),
        "never" => broadcast.roles_never = vec![value.to_owned()],
        "always" => broadcast.roles_always = vec![value.to_owned()],
        "no_receivers" => broadcast.receivers_named = Some(false),
        "ordered" => rules.delivery.get_or_insert_default().order = Order::Ordered.into(),
        "keep" => {
            let last = KeepLast {
                messages_max: value.parse().ok()?,
                age_max: Some(HOUR),
            };
            rules.history.get_or_insert_default().keep = Some(Keep::Last(last));
        }
        "latest" => {
            let latest = Keep::Latest(KeepLatest::default());
            rules.history.get_or_insert_default().keep = Some(latest);
        }
        "waiting" => {
            rules.history.get_or_insert_default().waiting = Some(Waiting {
                messages_max: value.parse().ok()?,
                age_max: Some(HOUR),
            });
        }
        "durable" => rules.history.get_or_insert_default().durable = Some(true),
        "presence" => {
            let shown = match value {
                "counts" => Shown::Counts,
                "identities" => Shown::Identities,
                _ => return None,
            };
            rules.presence.get_or_insert_default().shown = shown.into();
        }
        _ => return None,
    }
    Some(())
}
