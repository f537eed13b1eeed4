//! The rows of docs/ways.md that a real node is tried by: rooms, who comes and
//! what they do. Owns no expectation: the document has them.

use porthouse_api::control::v1::message_format::Kind;
use porthouse_api::control::v1::{
    Act, Acts, BroadcastRules, CapabilityRules, ConnectionRules, HistoryRules, JsonFormat,
    MessageFormat, MessageRates, MessageRules, Rate, Room, RoomRules,
};

use super::{BINARY, Happens, Row, TEXT, Try};
use crate::shapes::{for_users, keeping_last, with_messages, with_rules};

fn row(cells: [&'static str; 2], room: Room, signed_in: bool, tried: Try) -> Row {
    Row {
        cells,
        room,
        signed_in,
        tried,
    }
}

fn from_pages_of(origin: &str) -> Room {
    with_rules(RoomRules {
        connection: Some(ConnectionRules {
            origins: vec![origin.to_owned()],
            ..Default::default()
        }),
        ..Default::default()
    })
}

fn for_one_socket() -> Room {
    with_rules(RoomRules {
        connection: Some(ConnectionRules {
            sockets_max: Some(1),
            ..Default::default()
        }),
        ..Default::default()
    })
}

fn durable() -> Room {
    with_rules(RoomRules {
        history: Some(HistoryRules {
            durable: Some(true),
            ..keeping_last(10)
        }),
        ..Default::default()
    })
}

/// Strangers only listen.
fn listening() -> Room {
    let acts = [Act::See, Act::Join].map(i32::from).to_vec();
    with_rules(RoomRules {
        capabilities: Some(CapabilityRules {
            anonymous: Some(Acts { acts }),
            ..Default::default()
        }),
        ..Default::default()
    })
}

fn echoing() -> Room {
    with_rules(RoomRules {
        broadcast: Some(BroadcastRules {
            echo: Some(true),
            ..Default::default()
        }),
        ..Default::default()
    })
}

fn text_alone() -> Room {
    with_messages(MessageRules {
        binary: Some(false),
        ..Default::default()
    })
}

fn short() -> Room {
    with_messages(MessageRules {
        bytes_max: Some(5),
        ..Default::default()
    })
}

fn in_json() -> Room {
    let format = MessageFormat {
        kind: Some(Kind::Json(JsonFormat::default())),
    };
    with_messages(MessageRules {
        format: Some(format),
        ..Default::default()
    })
}

/// A socket says two at once, and then one a second.
fn paced() -> Room {
    let rates = MessageRates {
        per_socket: Some(Rate {
            per_second: 1,
            burst: Some(2),
        }),
        ..Default::default()
    };
    with_messages(MessageRules {
        rates: Some(rates),
        ..Default::default()
    })
}

/// Rows about who is let in.
pub(super) fn doors() -> Vec<Row> {
    let own = from_pages_of("https://app.example");
    let other = from_pages_of("https://other.example");
    let room = Room::default;
    let come = Try::Come;
    let right = Try::Answer("open sesame");
    let named = "the page is named, if it is one";
    let unnamed = "the page is not named, if it is one";
    let without = "`durable`, and the node has no store";
    vec![
        row(
            ["`audience`: users", "a stranger comes"],
            for_users(),
            false,
            come,
        ),
        row(
            ["`audience`: users", "a user comes"],
            for_users(),
            true,
            come,
        ),
        row(["`origins`", named], own, false, come),
        row(["`origins`", unnamed], other, false, come),
        row(
            ["`sockets_max`: 1", "another is inside"],
            for_one_socket(),
            false,
            come,
        ),
        row(["step: password", "comes"], room(), false, come),
        row(["step: password", "answers right"], room(), false, right),
        row([without, "comes"], durable(), false, come),
    ]
}

/// Rows about who stays.
pub(super) fn stays() -> Vec<Row> {
    let begins = "a stranger is inside when that begins";
    let revoked = "is inside when the session is revoked";
    let stay = Try::Stay;
    let room = Room::default;
    vec![
        row(
            ["the room is deleted", "is inside"],
            room(),
            false,
            stay(Happens::Deleted),
        ),
        row(
            ["`audience`: users", begins],
            room(),
            false,
            stay(Happens::UsersAlone),
        ),
        row(["any", revoked], room(), true, stay(Happens::Revoked)),
    ]
}

/// Says it once.
const fn say(kind: u8, payload: &'static [u8]) -> Try {
    Try::Say(kind, payload, 1)
}

/// Rows about who may speak, and of what kind.
pub(super) fn said() -> Vec<Row> {
    let without = "a stranger without it speaks";
    vec![
        row(
            ["capability: send", without],
            listening(),
            false,
            say(TEXT, b"hello"),
        ),
        row(
            ["`content`: text", "text"],
            text_alone(),
            false,
            say(TEXT, b"hello"),
        ),
        row(
            ["`content`: text", "binary"],
            text_alone(),
            false,
            say(BINARY, b"hello"),
        ),
    ]
}

/// Rows about what a message is.
pub(super) fn formed() -> Vec<Row> {
    vec![
        row(
            ["`bytes_max`: 5", "5 bytes"],
            short(),
            false,
            say(TEXT, b"hello"),
        ),
        row(
            ["`bytes_max`: 5", "6 bytes"],
            short(),
            false,
            say(TEXT, b"hello!"),
        ),
        row(
            ["`format`: JSON", "`[1]`"],
            in_json(),
            false,
            say(TEXT, b"[1]"),
        ),
        row(
            ["`format`: JSON", "`[1`"],
            in_json(),
            false,
            say(TEXT, b"[1"),
        ),
    ]
}

/// Rows about how often, and who hears it.
pub(super) fn heard() -> Vec<Row> {
    let third = Try::Say(TEXT, b"hi", 3);
    vec![
        row(
            ["`rates.per_socket`: 2 at once", "the third"],
            paced(),
            true,
            third,
        ),
        row(["`echo`", "speaks"], echoing(), false, Try::HearOwn),
        row(
            ["no `echo`", "speaks"],
            Room::default(),
            false,
            Try::HearOwn,
        ),
    ]
}
