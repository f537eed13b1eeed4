//! Whatever rules the model can hold come back from the wire as they went. Asks
//! no rule.

use core::num::NonZeroU32;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use porthouse_api::node::v1;
use porthouse_model::{
    Act, Acts, Audience, BroadcastRules, Capabilities, ClientSockets, CodeVersion, ConnectionRules,
    Content, DeliveryRules, EntryRules, EntryStep, Format, HistoryRules, HookVersion, Keep,
    MESSAGE_BYTES_LIMIT, MessageRules, OpeningHours, Order, PasswordVersion, PresenceRules, Rate,
    Rates, Role, RoomRules, Shown, SlowConsumer, Staleness, Surplus, UserId, Waiting, WeekSpan,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use prost::Message as _;

proptest! {
    #[test]
    fn rules_are_read_back_as_written(rules in rules()) {
        let bytes = v1::RoomRules::from(&rules).encode_to_vec();
        let message = v1::RoomRules::decode(&*bytes).expect("what was encoded");
        prop_assert_eq!(RoomRules::try_from(message), Ok(rules));
    }
}

fn rules() -> impl Strategy<Value = RoomRules> {
    let spoken = (messages(), broadcast(), delivery(), history());
    let rest = (
        connection(),
        entry(),
        capabilities(),
        presence(),
        staleness(),
    );
    (spoken, rest).prop_map(
        |(
            (messages, broadcast, delivery, history),
            (connection, entry, capabilities, presence, staleness),
        )| RoomRules {
            connection,
            entry,
            capabilities,
            messages,
            broadcast,
            delivery,
            history,
            presence,
            staleness,
        },
    )
}

fn connection() -> impl Strategy<Value = ConnectionRules> {
    let audience = select(vec![
        Audience::Anyone,
        Audience::Users,
        Audience::Members,
        Audience::Nobody,
    ]);
    let per_client = (any::<u32>(), select(vec![Surplus::Newest, Surplus::Oldest]));
    let span = (any::<u16>(), any::<u16>()).prop_map(|(from_minute, to_minute)| WeekSpan {
        from_minute,
        to_minute,
    });
    let hours = (".*", vec(span, 0..3)).prop_map(|(zone, spans)| OpeningHours { zone, spans });
    (
        audience,
        (roles(), roles(), users(), users(), btree_set(".*", 0..3)),
        (of(any::<u32>()), of(per_client), of(rate()), of(hours)),
    )
        .prop_map(|(audience, who, how)| ConnectionRules {
            audience,
            roles_allowed: who.0,
            roles_denied: who.1,
            users_allowed: who.2,
            users_denied: who.3,
            origins: who.4,
            sockets_max: how.0,
            sockets_per_client: how.1.map(|(sockets_max, surplus)| ClientSockets {
                sockets_max,
                surplus,
            }),
            joins_per_address: how.2,
            hours: how.3,
        })
}

fn entry() -> impl Strategy<Value = EntryRules> {
    let all = (any::<[u64; 3]>(), span()).prop_map(|([password, code, hook], age_max)| {
        vec![
            EntryStep::Password(PasswordVersion(password)),
            EntryStep::SecondFactor { age_max },
            EntryStep::RoomCode(CodeVersion(code)),
            EntryStep::Approval,
            EntryStep::Hook(HookVersion(hook)),
        ]
    });
    all.prop_flat_map(|steps| subsequence(steps, 0..=5).prop_shuffle())
        .prop_map(|steps| EntryRules { steps })
}

fn capabilities() -> impl Strategy<Value = Capabilities> {
    let lines = [acts(), acts(), acts(), acts(), acts()];
    (lines, btree_map(role(), acts(), 0..3)).prop_map(
        |([anonymous, user, member, owner, device], roles): (_, BTreeMap<_, _>)| Capabilities {
            anonymous,
            user,
            member,
            roles,
            owner,
            device,
        },
    )
}

fn acts() -> BoxedStrategy<Acts> {
    subsequence(Act::ALL.to_vec(), 0..=Act::ALL.len())
        .prop_map(|acts| acts.into_iter().fold(Acts::NONE, Acts::with))
        .boxed()
}

fn messages() -> impl Strategy<Value = MessageRules> {
    let content = select(vec![Content::Any, Content::Text, Content::Binary]);
    let rates = (of(rate()), of(rate()), of(rate()));
    (content, 1..=MESSAGE_BYTES_LIMIT, format(), rates).prop_map(
        |(content, bytes_max, format, (per_socket, per_client, per_room))| MessageRules {
            content,
            bytes_max,
            format,
            rates: Rates {
                per_socket,
                per_client,
                per_room,
            },
        },
    )
}

fn format() -> impl Strategy<Value = Format> {
    let protobuf =
        (vec(any::<u8>(), 0..40), ".*").prop_map(|(descriptors, message)| Format::Protobuf {
            descriptors: descriptors.into(),
            message: message.into(),
        });
    prop_oneof![
        select(vec![
            Format::Any,
            Format::Json,
            Format::MessagePack,
            Format::Cbor
        ]),
        ".*".prop_map(|schema| Format::JsonSchema(schema.into())),
        ".*".prop_map(|expression| Format::Expression(expression.into())),
        protobuf,
    ]
}

fn broadcast() -> impl Strategy<Value = BroadcastRules> {
    (any::<bool>(), any::<bool>(), roles(), roles()).prop_map(
        |(echo, receivers_named, never, always)| BroadcastRules {
            echo,
            receivers_named,
            never,
            always,
        },
    )
}

fn delivery() -> impl Strategy<Value = DeliveryRules> {
    let slow = vec![
        SlowConsumer::Close,
        SlowConsumer::DropOldest,
        SlowConsumer::DropNewest,
        SlowConsumer::Conflate,
    ];
    (select(vec![Order::Live, Order::Ordered]), select(slow)).prop_map(|(order, slow_consumer)| {
        DeliveryRules {
            order,
            slow_consumer,
        }
    })
}

fn history() -> impl Strategy<Value = HistoryRules> {
    let last = (any::<u32>(), span()).prop_map(|(messages_max, age_max)| Keep::Last {
        messages_max,
        age_max,
    });
    let keep = prop_oneof![select(vec![Keep::None, Keep::Latest]), last];
    let waiting = (any::<u32>(), span()).prop_map(|(messages_max, age_max)| Waiting {
        messages_max,
        age_max,
    });
    (keep, any::<bool>(), any::<bool>(), of(waiting)).prop_map(
        |(keep, durable, directed, waiting)| HistoryRules {
            keep,
            durable,
            directed,
            waiting,
        },
    )
}

fn presence() -> impl Strategy<Value = PresenceRules> {
    let shown = select(vec![Shown::Off, Shown::Counts, Shown::Identities]);
    (shown, span(), span()).prop_map(|(shown, grace, interval)| PresenceRules {
        shown,
        grace,
        interval,
    })
}

fn staleness() -> impl Strategy<Value = Staleness> {
    (span(), of(span())).prop_map(|(admit_max, deliver_max)| Staleness {
        admit_max,
        deliver_max,
    })
}

fn span() -> impl Strategy<Value = Duration> {
    (0..1_u64 << 40, 0..1_000_000_000_u32).prop_map(|(secs, nanos)| Duration::new(secs, nanos))
}

fn rate() -> impl Strategy<Value = Rate> {
    (1..=u32::MAX, 1..=u32::MAX).prop_map(|(per_second, burst)| Rate {
        per_second: NonZeroU32::new(per_second).expect("1 or more"),
        burst: NonZeroU32::new(burst).expect("1 or more"),
    })
}

fn role() -> impl Strategy<Value = Role> {
    "[a-z][a-z0-9_-]{0,15}".prop_map(|role| role.parse().expect("a role"))
}

fn roles() -> impl Strategy<Value = BTreeSet<Role>> {
    btree_set(role(), 0..3)
}

fn users() -> impl Strategy<Value = BTreeSet<UserId>> {
    btree_set(any::<[u8; 16]>().prop_map(UserId::from_bytes), 0..3)
}
