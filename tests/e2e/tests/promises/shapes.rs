//! Rooms in the shapes that several promises need, and ends that several assert.
//! Never asks for anything.

use porthouse_api::control::v1::history_rules::Keep;
use porthouse_api::control::v1::{
    ConnectionRules, EntryRules, EntryStep, HistoryRules, KeepLast, MessageRules, Room, RoomRules,
    Visibility, entry_step,
};
use porthouse_e2e::raw::{Closed, Raw};

/// Members alone may enter.
pub(crate) fn private() -> Room {
    Room {
        visibility: Visibility::Private.into(),
        ..Default::default()
    }
}

/// Signed-in users alone may enter.
pub(crate) fn for_users() -> Room {
    let connection = ConnectionRules {
        user_required: Some(true),
        ..Default::default()
    };
    with_rules(RoomRules {
        connection: Some(connection),
        ..Default::default()
    })
}

/// Messages are bound by these rules.
pub(crate) fn with_messages(messages: MessageRules) -> Room {
    with_rules(RoomRules {
        messages: Some(messages),
        ..Default::default()
    })
}

/// These are asked for at the door, in order.
pub(crate) fn asking(steps: Vec<entry_step::Kind>) -> Room {
    let steps = steps.into_iter().map(|kind| EntryStep { kind: Some(kind) });
    let entry = EntryRules {
        steps: steps.collect(),
        ..Default::default()
    };
    with_rules(RoomRules {
        entry: Some(entry),
        ..Default::default()
    })
}

/// The last so many messages are kept, for an hour.
pub(crate) fn keeping_last(messages_max: u32) -> HistoryRules {
    let last = KeepLast {
        messages_max,
        age_max: Some(prost_types::Duration {
            seconds: 3_600,
            nanos: 0,
        }),
    };
    HistoryRules {
        keep: Some(Keep::Last(last)),
        ..Default::default()
    }
}

pub(crate) fn with_rules(rules: RoomRules) -> Room {
    Room {
        rules: Some(rules),
        ..Default::default()
    }
}

/// Asserts that all of these are put out because they are no user.
pub(crate) async fn assert_put_out_as_strangers(strangers: Vec<Raw>) {
    for mut stranger in strangers {
        let closed = stranger.closed().await;
        let retry = "retry authenticate";
        assert_closed(&closed, 4103, "connection.user_required", retry);
    }
}

/// Asserts how a socket was closed: the code, and a reason in the documented form
/// `{rule}; retry {retry}; {refusal_id}`.
pub(crate) fn assert_closed(closed: &Closed, code: u16, rule: &str, retry: &str) {
    assert_eq!(closed.code, code, "{closed:?}");
    let parts: Vec<&str> = closed.reason.split("; ").collect();
    let [own_rule, own_retry, id] = parts[..] else {
        panic!("not in three parts: {closed:?}");
    };
    assert_eq!((own_rule, own_retry), (rule, retry), "{closed:?}");
    let hexadecimal = id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(hexadecimal, "no refusal id: {closed:?}");
}
