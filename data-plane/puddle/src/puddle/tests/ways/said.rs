//! What may be said, how often, and who hears it: rows about a room's
//! capabilities, messages and receivers.

use core::num::NonZeroU32;

use porthouse_model::{
    Act as Does, Acts, Capabilities, Content, Format, MessageKind, Rate, Role, RoomRules,
};

use super::{Act, ENTER, Row, Who, row};

use MessageKind::{Binary, Text};
use Who::{Guest, Member, Stranger, User};

/// A message with one number, called `chat.Line`.
const DESCRIPTORS: &[u8] = b"\x0a\x24\x0a\x01c\x12\x04chat\x22\x11\x0a\x04Line\x12\x09\x0a\x01n\
\x18\x01\x20\x01\x28\x05\x62\x06proto3";

pub(super) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    rows.extend(CAPABILITIES);
    rows.extend(REQUESTS);
    rows.extend(KINDS);
    rows.extend(FORMATS);
    rows.extend(RATES);
    rows.extend(RECEIVERS);
    rows
}

fn strangers(rules: &mut RoomRules, acts: Acts) {
    rules.capabilities.anonymous = acts;
}

const HELLO: Act = Act::Say(Text, b"hello", 1);

const CAPABILITIES: [Row; 4] = [
    row(
        "capability: see",
        "a stranger without it comes",
        |rules| strangers(rules, Acts::NONE),
        Stranger,
        ENTER,
    ),
    row(
        "capability: join",
        "a stranger without it comes",
        |rules| strangers(rules, Acts::NONE.with(Does::See)),
        Stranger,
        ENTER,
    ),
    row(
        "capability: send",
        "a stranger without it speaks",
        |rules| strangers(rules, Acts::LISTEN),
        Stranger,
        HELLO,
    ),
    row(
        "capability: send",
        "a member with it speaks",
        |rules| strangers(rules, Acts::LISTEN),
        Member,
        HELLO,
    ),
];

fn joins_alone(rules: &mut RoomRules) {
    strangers(rules, Acts::NONE.with(Does::See).with(Does::Join));
    rules.history.keep = porthouse_model::Keep::Latest;
    rules.presence.shown = porthouse_model::Shown::Counts;
}

const HISTORY: &str = r#"{"op":"history","room":"room","id":7}"#;
const PRESENCE: &str = r#"{"op":"presence","room":"room","id":7}"#;
const ADMIT: &str =
    r#"{"op":"admit","room":"room","client":"018f3c5e-0000-7000-8000-000000000000","id":7}"#;
const KICK: &str =
    r#"{"op":"kick","room":"room","client":"018f3c5e-0000-7000-8000-000000000000","id":7}"#;
const RULES: &str = r#"{"op":"rules","room":"room","rules":{"echo":true},"id":7}"#;

const REQUESTS: [Row; 7] = [
    row(
        "capability: read history",
        "asks without it",
        joins_alone,
        Stranger,
        Act::Ask(HISTORY),
    ),
    row(
        "capability: read history",
        "asks with it",
        joins_alone,
        User,
        Act::Ask(HISTORY),
    ),
    row(
        "capability: see presence",
        "asks without it",
        joins_alone,
        Stranger,
        Act::Ask(PRESENCE),
    ),
    row(
        "capability: see presence",
        "asks with it",
        joins_alone,
        User,
        Act::Ask(PRESENCE),
    ),
    row(
        "capability: invite",
        "asks without it",
        joins_alone,
        Stranger,
        Act::Ask(ADMIT),
    ),
    row(
        "capability: kick",
        "asks without it",
        joins_alone,
        Stranger,
        Act::Ask(KICK),
    ),
    row(
        "capability: change rules",
        "asks, in a room that was made",
        joins_alone,
        Stranger,
        Act::Ask(RULES),
    ),
];

fn text_alone(rules: &mut RoomRules) {
    rules.messages.content = Content::Text;
}

fn binary_alone(rules: &mut RoomRules) {
    rules.messages.content = Content::Binary;
}

fn five_bytes(rules: &mut RoomRules) {
    rules.messages.bytes_max = 5;
}

const fn say(kind: MessageKind) -> Act {
    Act::Say(kind, b"hello", 1)
}

const KINDS: [Row; 6] = [
    row("`content`: text", "text", text_alone, Stranger, say(Text)),
    row(
        "`content`: text",
        "binary",
        text_alone,
        Stranger,
        say(Binary),
    ),
    row(
        "`content`: binary",
        "text",
        binary_alone,
        Stranger,
        Act::Say(Text, b"hi", 1),
    ),
    row(
        "`content`: binary",
        "binary",
        binary_alone,
        Stranger,
        say(Binary),
    ),
    row("`bytes_max`: 5", "5 bytes", five_bytes, Stranger, say(Text)),
    row(
        "`bytes_max`: 5",
        "6 bytes",
        five_bytes,
        Stranger,
        Act::Say(Text, b"hello!", 1),
    ),
];

fn json(rules: &mut RoomRules) {
    rules.messages.format = Format::Json;
}

fn schema(rules: &mut RoomRules) {
    let schema = r#"{"type":"object","required":["text"]}"#;
    rules.messages.format = Format::JsonSchema(schema.into());
}

fn pack(rules: &mut RoomRules) {
    rules.messages.format = Format::MessagePack;
}

fn cbor(rules: &mut RoomRules) {
    rules.messages.format = Format::Cbor;
}

fn proto(rules: &mut RoomRules) {
    rules.messages.format = Format::Protobuf {
        descriptors: DESCRIPTORS.into(),
        message: "chat.Line".into(),
    };
}

fn words(rules: &mut RoomRules) {
    rules.messages.format = Format::Expression("[a-z]+".into());
}

const fn text(payload: &'static [u8]) -> Act {
    Act::Say(Text, payload, 1)
}

const fn binary(payload: &'static [u8]) -> Act {
    Act::Say(Binary, payload, 1)
}

const FORMATS: [Row; 12] = [
    row("`format`: JSON", "`[1]`", json, Stranger, text(b"[1]")),
    row("`format`: JSON", "`[1`", json, Stranger, text(b"[1")),
    row(
        "`format`: JSON Schema",
        "what satisfies it",
        schema,
        Stranger,
        text(br#"{"text":1}"#),
    ),
    row(
        "`format`: JSON Schema",
        "what does not",
        schema,
        Stranger,
        text(b"{}"),
    ),
    row(
        "`format`: `MessagePack`",
        "one value",
        pack,
        Stranger,
        binary(&[0x91, 1]),
    ),
    row(
        "`format`: `MessagePack`",
        "half a value",
        pack,
        Stranger,
        binary(&[0x91]),
    ),
    row(
        "`format`: CBOR",
        "one item",
        cbor,
        Stranger,
        binary(&[0x81, 1]),
    ),
    row(
        "`format`: CBOR",
        "half an item",
        cbor,
        Stranger,
        binary(&[0x81]),
    ),
    row(
        "`format`: protobuf",
        "a message of the type",
        proto,
        Stranger,
        binary(&[8, 1]),
    ),
    row(
        "`format`: protobuf",
        "one that is cut off",
        proto,
        Stranger,
        binary(&[8]),
    ),
    row(
        "`format`: expression",
        "what it matches",
        words,
        Stranger,
        text(b"hello"),
    ),
    row(
        "`format`: expression",
        "what it does not",
        words,
        Stranger,
        text(b"Hello"),
    ),
];

const TWO: Option<Rate> = Some(Rate {
    per_second: NonZeroU32::MIN,
    burst: NonZeroU32::new(2).expect("not zero"),
});

fn per_socket(rules: &mut RoomRules) {
    rules.messages.rates.per_socket = TWO;
}

fn per_client(rules: &mut RoomRules) {
    rules.messages.rates.per_client = TWO;
}

fn per_room(rules: &mut RoomRules) {
    rules.messages.rates.per_room = TWO;
}

const fn often(times: usize) -> Act {
    Act::Say(Text, b"hi", times)
}

const RATES: [Row; 6] = [
    row(
        "`rates.per_socket`: 2 at once",
        "the second",
        per_socket,
        User,
        often(2),
    ),
    row(
        "`rates.per_socket`: 2 at once",
        "the third",
        per_socket,
        User,
        often(3),
    ),
    row(
        "`rates.per_client`: 2 at once",
        "the second",
        per_client,
        User,
        often(2),
    ),
    row(
        "`rates.per_client`: 2 at once",
        "the third",
        per_client,
        User,
        often(3),
    ),
    row(
        "`rates.per_room`: 2 at once",
        "the second",
        per_room,
        User,
        often(2),
    ),
    row(
        "`rates.per_room`: 2 at once",
        "the third",
        per_room,
        User,
        often(3),
    ),
];

fn echo(rules: &mut RoomRules) {
    rules.broadcast.echo = true;
}

fn open(rules: &mut RoomRules) {
    rules.capabilities = Capabilities::open();
}

fn none_named(rules: &mut RoomRules) {
    rules.broadcast.receivers_named = false;
}

fn never_guests(rules: &mut RoomRules) {
    rules.broadcast.never = guest();
}

fn always_guests(rules: &mut RoomRules) {
    rules.broadcast.always = guest();
}

fn guest() -> std::collections::BTreeSet<Role> {
    ["guest".parse().expect("a role")].into()
}

const TO: &str =
    r#"{"op":"send","room":"room","to":["018f3c5e-0000-7000-8000-000000000000"],"id":7}"#;

const RECEIVERS: [Row; 8] = [
    row("`echo`", "speaks", echo, Stranger, Act::HearOwn),
    row("no `echo`", "speaks", open, Stranger, Act::HearOwn),
    row(
        "`receivers_named`",
        "names one",
        open,
        Stranger,
        Act::Ask(TO),
    ),
    row(
        "`receivers_named`: no",
        "names one",
        none_named,
        Stranger,
        Act::Ask(TO),
    ),
    row(
        "`never`: guests",
        "a guest, while one speaks to all",
        never_guests,
        Guest,
        Act::Hear,
    ),
    row(
        "`never`: guests",
        "a member, while one speaks to all",
        never_guests,
        Member,
        Act::Hear,
    ),
    row(
        "`always`: guests",
        "a guest, while one speaks to others",
        always_guests,
        Guest,
        Act::HearOthers,
    ),
    row(
        "`always`: guests",
        "a member, while one speaks to others",
        always_guests,
        Member,
        Act::HearOthers,
    ),
];
