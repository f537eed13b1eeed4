//! Rooms in the shapes that several promises need. Never asks for anything.

use porthouse_api::control::v1::{ConnectionRules, MessageRules, Room, RoomRules, Visibility};
use porthouse_e2e::raw::Closed;

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

fn with_rules(rules: RoomRules) -> Room {
    Room {
        rules: Some(rules),
        ..Default::default()
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
