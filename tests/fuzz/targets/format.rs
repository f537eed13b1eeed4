//! Formats: no message and no rule makes one panic, what is one value is none
//! with another behind it, and a rule that is taken can be asked.
#![no_main]

use std::sync::LazyLock;

use porthouse_model::{Format, MessageRules, RoomRules};
use porthouse_rules::Rules;

/// `package p; message M { string s = 1; repeated M m = 2; sint32 n = 3; }`
const DESCRIPTORS: &[u8] = b"\
    \x0a2\x0a\x01a\x12\x01p\x22\x2a\x0a\x01M\x12\x09\x0a\x01s\x18\x01\x20\
    \x01\x28\x09\x12\x0f\x0a\x01m\x18\x02\x20\x03\x28\x0b2\x04.p.M\x12\x09\
    \x0a\x01n\x18\x03\x20\x01\x28\x11";

const SCHEMA: &str = r##"{"type":"object","properties":{"a":{"$ref":"#"},"b":{"pattern":"^[a-z]*$"}},
    "items":{"type":"integer"},"uniqueItems":true,"maxProperties":3}"##;

static VALUES: LazyLock<Vec<Rules>> = LazyLock::new(|| {
    [
        Format::Json,
        Format::JsonSchema(SCHEMA.into()),
        Format::MessagePack,
        Format::Cbor,
    ]
    .into_iter()
    .map(|format| compile(format).expect("a format"))
    .collect()
});

fn compile(format: Format) -> Option<Rules> {
    let rules = RoomRules {
        messages: MessageRules {
            format,
            ..MessageRules::default()
        },
        ..RoomRules::default()
    };
    Rules::compile(rules).ok()
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((which, bytes)) = data.split_first() else {
        return;
    };
    match which % 4 {
        0 => {
            for rules in VALUES.iter() {
                if rules.format(bytes).is_ok() {
                    let more = [bytes, b"\0"].concat();
                    assert!(rules.format(&more).is_err(), "one value and no more");
                }
            }
        }
        1 => {
            let text = String::from_utf8_lossy(bytes);
            asked(
                compile(Format::JsonSchema(text.as_ref().into())),
                b"{\"a\":[1]}",
            );
        }
        2 => {
            let text = String::from_utf8_lossy(bytes);
            asked(compile(Format::Expression(text.as_ref().into())), b"hello");
        }
        _ => {
            let half = bytes.len() / 2;
            let protobuf = |descriptors: &[u8]| Format::Protobuf {
                descriptors: descriptors.into(),
                message: "p.M".into(),
            };
            asked(compile(protobuf(&bytes[..half])), &bytes[half..]);
            asked(compile(protobuf(DESCRIPTORS)), bytes);
        }
    }
});

fn asked(rules: Option<Rules>, message: &[u8]) {
    if let Some(rules) = rules {
        let _ = rules.format(message);
    }
}
